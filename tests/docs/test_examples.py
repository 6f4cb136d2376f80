"""The Python on the pages passes the type checker, and runs where it reads a ledger."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.handbook import blocks, pages
from tests.support.paths import ROOT
from tests.support.recordings import write_ledger

_RUN: Final = re.compile(
    r"<!-- ledger: (?P<ledger>\w+) -->\n```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


def test_the_type_checker_finds_nothing(tmp_path: Path) -> None:
    count = 0
    for number, block in enumerate(blocks("python")):
        (tmp_path / f"{block.page.stem.lower()}_{number}_line_{block.line}.py").write_text(block.text)
        count += 1
    assert count
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps(
            {
                "include": ["."],
                "extraPaths": [str(ROOT), str(ROOT / "adapters"), str(ROOT / "migrations")],
                "typeCheckingMode": "standard",
                "pythonVersion": "3.10",
            }
        )
    )
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(tmp_path)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("ledger", "code"),
    [
        pytest.param(found["ledger"], found["code"], id=f"{page.stem}-{number}")
        for page in pages()
        for number, found in enumerate(_RUN.finditer(page.read_text()))
    ],
)
def test_an_example_that_reads_a_ledger_runs(
    ledger: str,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_ledger(ledger, tmp_path / "startup.db")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {})
    assert capsys.readouterr().out
