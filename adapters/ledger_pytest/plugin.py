"""The fixture. Its imports are deferred until a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger_pytest.recording import CompileLedger


@pytest.fixture
def compile_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CompileLedger]:
    """Records what torch compiles while the test runs, in any thread of this process.

    `.timeline` is the timeline so far, `.assert_within(budget)` checks it against a budget, `.recorder`
    marks stages and roles, and `.path` is the ledger, which stays in the test's tmp_path.
    """
    from ledger_pytest.recording import recorded

    failed_before = request.session.testsfailed
    with recorded(tmp_path / "compile_ledger.db", label=request.node.nodeid) as ledger:
        yield ledger
        if request.session.testsfailed > failed_before:
            ledger.recorder.close("failed")
