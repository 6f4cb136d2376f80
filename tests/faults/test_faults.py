"""One fault of each kind in each operation, in turn; `make faults` injects thousands."""

import subprocess
import sys

import pytest

from tests.faults.operations import OPERATIONS
from tests.faults.shim import ACTIONS
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow


def test_no_fault_of_a_system_call_breaks_a_promise() -> None:
    each_once = len(OPERATIONS) * len(ACTIONS)
    command = [sys.executable, "-m", "tests.faults.run", "--injections", str(each_once), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
