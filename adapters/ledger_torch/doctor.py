"""Checks for `compile-ledger doctor`: whether torch's compiles would be recorded here."""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Final

from ledger.adapters import DoctorCheck

_TIMEOUT_S: Final = 300


def examine() -> list[DoctorCheck]:
    """Run the self-test in a separate process, with recording off, and return its findings."""
    if importlib.util.find_spec("torch") is None:
        return [DoctorCheck("torch", True, "not installed (only needed for recording)")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPILE_LEDGER")}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "ledger_torch.self_test"],
            env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [DoctorCheck("torch", False, f"the self-test took longer than {_TIMEOUT_S} s")]
    if ran.returncode:
        last = (ran.stderr.strip() or "no output").splitlines()[-1]
        return [DoctorCheck("torch", False, f"the self-test ended with exit code {ran.returncode}: {last}")]
    return [
        DoctorCheck(
            str(finding["name"]), bool(finding["found"]), str(finding["detail"] or "found and called")
        )
        for finding in json.loads(ran.stdout.splitlines()[-1])
    ]
