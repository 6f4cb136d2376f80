"""`doctor` on a machine that has no torch, and no extra: nothing is wrong there."""

import json
import subprocess
import sys

import pytest

from ledger.doctor import launchers

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


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        ({"SLURM_JOB_ID": "42", "SLURM_STEP_ID": "3"}, {"slurm": (True, "record --session slurm-42.3")}),
        ({"SLURM_JOB_ID": "42", "SLURM_EXPORT_ENV": "NONE"}, {"slurm": (True, "slurm-42.0")}),
        (
            {"SLURM_JOB_ID": "42", "SLURM_EXPORT_ENV": "NONE", "COMPILE_LEDGER": "a.db"},
            {"slurm": (False, "srun --export=ALL")},
        ),
        (
            {"SLURM_JOB_ID": "42", "SLURM_EXPORT_ENV": "PATH,COMPILE_LEDGER", "COMPILE_LEDGER": "a.db"},
            {"slurm": (True, "slurm-42.0")},
        ),
        (
            {"GROUP_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "run-17"},
            {"torchrun": (True, "2 hosts: record --session run-17")},
        ),
        # Without an id of one's own, all runs have this one.
        (
            {"GROUP_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"},
            {"torchrun": (True, "--session ID, the same")},
        ),
        ({"GROUP_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "run-17"}, {}),
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, {"ray": (True, "runtime_env")}),
    ],
)
def test_what_starts_programs_on_several_hosts_is_seen(
    environment: dict[str, str], expected: dict[str, tuple[bool, str]]
) -> None:
    found = {check.name: check for check in launchers(environment)}
    assert set(found) == set(expected)
    for name, (is_good, words) in expected.items():
        assert found[name].is_good is is_good
        assert words in found[name].found
