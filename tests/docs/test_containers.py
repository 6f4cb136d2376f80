"""The example for containers names variables, commands and a vLLM that there are."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ledger.cli import app
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE
from tests.support.handbook import DOCS
from tests.support.paths import TESTS

DOCKERFILE: Final = (DOCS / "examples" / "Dockerfile").read_text()
PAGE: Final = (DOCS / "containers.md").read_text()
INSTRUCTIONS: Final = dict(
    line.split(" ", 1) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")
)


def test_the_page_shows_the_file() -> None:
    assert f"```dockerfile\n{DOCKERFILE}```\n" in PAGE


def test_the_hooks_know_its_vllm() -> None:
    image, _, tag = INSTRUCTIONS["FROM"].partition(":v")
    assert image == "vllm/vllm-openai"
    assert (TESTS / "vllm_compat" / f"vllm-{tag}.json").exists()


def test_each_variable_is_a_setting() -> None:
    settings = {FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE}
    (variable,) = re.findall(r"^ENV (\w+)=", DOCKERFILE, flags=re.MULTILINE)
    assert variable == FILE_VARIABLE
    assert set(re.findall(r"COMPILE_LEDGER\w*", DOCKERFILE + PAGE)) <= settings


def test_the_ledger_is_in_the_volume_and_is_what_the_commands_read() -> None:
    ledger = Path(INSTRUCTIONS["ENV"].partition("=")[2])
    assert str(ledger.parent) == INSTRUCTIONS["VOLUME"]
    mounted = re.findall(r"-v startup:(\S+)", PAGE)
    assert set(mounted) == {INSTRUCTIONS["VOLUME"]}
    commands = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    asked = re.findall(r"(?:compile-ledger|^   ) (\w+) (/ledger/\S+)", PAGE, flags=re.MULTILINE)
    assert len(asked) == 3
    assert {name for name, _ in asked} <= commands
    assert {path for _, path in asked} == {str(ledger)}


@pytest.mark.parametrize(("value", "is_recorded"), [("startup.db", True), ("", False)])
def test_an_empty_variable_turns_recording_off(tmp_path: Path, value: str, is_recorded: bool) -> None:
    program = "from ledger import Recorder\nwith Recorder.from_environment().stage('dynamo', role='x'): pass"
    subprocess.run(
        [sys.executable, "-c", program],
        check=True, cwd=tmp_path, env={FILE_VARIABLE: value, "PATH": ""},
    )  # fmt: skip
    assert (tmp_path / "startup.db").exists() == is_recorded
    assert bool(list(tmp_path.iterdir())) == is_recorded
