"""A pytest plugin: the fixture `compile_ledger` records a test's compiles and asserts budgets.

Nothing is imported here: `ledger_pytest.plugin` is loaded by every run of pytest in an environment.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger_pytest.recording import CompileLedger

__all__ = ["CompileLedger"]


def __getattr__(name: str) -> object:
    if name == "CompileLedger":
        from ledger_pytest.recording import CompileLedger

        return CompileLedger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
