"""`doctor` on a machine that has no torch, and no extra: nothing is wrong there."""

import json
import subprocess
import sys

WITHOUT = "import sys; sys.modules.update(dict.fromkeys({missing})); from ledger.cli import main; main()"
ENGINES = ["torch", "vllm", "transformers", "triton"]


def run(missing: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python that finds none of some packages."""
    program = [sys.executable, "-c", WITHOUT.format(missing=missing), *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_without_torch_it_says_so_and_is_content() -> None:
    shown = run(ENGINES, "doctor")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "BAD" not in shown.stdout
    [row] = [
        line.rstrip().split(maxsplit=2)
        for line in shown.stdout.splitlines()
        if line.split()[1:2] == ["torch"]
    ]
    assert row == ["ok", "torch", "not installed (only needed for recording)"]


def test_as_json_too() -> None:
    shown = run(ENGINES, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(shown.stdout)["checks"]}
    assert checks["torch"]["is_good"]
