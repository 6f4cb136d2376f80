"""The injections themselves: what does not hold is found, the same whatever the number of workers."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

CARELESS = '''
import sys
from contextlib import contextmanager
import ledger.cli.export
from tests.faults import run
from tests.faults.shim import preload_and_restart

@contextmanager
def careless(file, refuse):
    """Write into the file itself."""
    with file.open("wb") as opened:
        yield opened

ledger.cli.export.replacing = careless
run.OPERATIONS = [each for each in run.OPERATIONS if each.name == "export"]
preload_and_restart("careless")
sys.exit(run.main())
'''


def found(folder: Path, *options: str) -> list[str]:
    """Return the lines that are printed of a careless export, which is found out."""
    (folder / "careless.py").write_text(CARELESS)
    ran = subprocess.run(
        [sys.executable, "-m", "careless", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "an unfinished output file" in ran.stdout
    return [line for line in ran.stdout.splitlines() if line.startswith("python -m ")]


def test_what_does_not_hold_is_found_whatever_the_number_of_workers_and_again(tmp_path: Path) -> None:
    alone = found(tmp_path, "--injections", "24", "--seed", "3", "--workers", "1")
    assert alone
    assert sorted(found(tmp_path, "--injections", "24", "--seed", "3", "--workers", "3")) == sorted(alone)
    _, _, _, *again = shlex.split(alone[0])
    assert found(tmp_path, *again) == alone[:1]
