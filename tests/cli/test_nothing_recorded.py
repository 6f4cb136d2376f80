"""What `record` says of a command that recorded nothing: what is missing, as far as that can be found out."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ledger.cli.nothing_recorded import python_of, why_unrecorded
from tests.support.births import HOOK
from tests.support.paths import ROOT

START = "the command recorded nothing: "
UNKNOWN = (
    f"{START}it did not use torch, its Python lacks compile-ledger or one of its "
    "dependencies, or COMPILE_LEDGER was not passed on; "
    "run `compile-ledger doctor` in its environment for details"
)


def said(path: Path, *command: str) -> list[str]:
    """Record a command, and return the lines that say that nothing was recorded."""
    recording = [sys.executable, "-m", "ledger.cli", "record", "-o", str(path), "--", *command]
    done = subprocess.run(recording, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    return [line.removeprefix("compile-ledger: ") for line in lines if "command recorded" in line]


@pytest.fixture
def incomplete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has our packages, and none of those that they need."""
    folder = tmp_path_factory.mktemp("incomplete")
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text("\n".join(map(str, (ROOT, ROOT / "adapters", ROOT / "migrations"))))
    return folder / "bin" / "python"


def test_a_python_without_a_package_that_we_need_is_named_with_the_package(
    path: Path, incomplete: Path
) -> None:
    [line] = said(path, str(incomplete), "-c", "print('served')")
    assert line == (
        f"{START}{incomplete} can't import pydantic; run `compile-ledger doctor` there for details"
    )


def test_the_python_of_a_script_is_asked(path: Path, incomplete: Path, tmp_path: Path) -> None:
    script = tmp_path / "vllm"
    script.write_text(f"#!{incomplete}\nprint('served')\n")
    script.chmod(0o755)
    [line] = said(path, str(script))
    assert f"{incomplete} can't import pydantic" in line


def test_a_python_without_us_lacks_our_package(path: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    [line] = said(path, str(tmp_path / "bare" / "bin" / "python"), "-c", "pass")
    assert "can't import ledger;" in line


def test_a_command_that_is_no_python_is_told_the_usual_reasons(path: Path) -> None:
    assert said(path, "true") == [UNKNOWN]


def test_a_python_with_the_hook_and_without_what_else_we_need_is_named(path: Path, incomplete: Path) -> None:
    [packages] = incomplete.parents[1].glob("lib/python*/site-packages")
    (packages / HOOK.name).write_text(HOOK.read_text())
    [line] = said(path, str(incomplete), "-c", "print('served')")
    assert line == (
        f"the command recorded only Python's own start and imports: {incomplete} can't import pydantic; "
        "run `compile-ledger doctor` there for details"
    )


def test_nothing_is_said_of_a_plain_program(path: Path) -> None:
    assert said(path, sys.executable, "-c", "pass") == []


def test_a_python_that_has_all_and_no_hook_is_said_to_have_compiled_nothing(path: Path) -> None:
    [line] = said(path, sys.executable, "-S", "-c", "pass")
    assert line.startswith(f"{START}{sys.executable} ")
    assert "so torch compiled nothing, or COMPILE_LEDGER was not passed on" in line


def test_nothing_is_said_of_a_command_that_recorded(path: Path) -> None:
    program = "from ledger import Recorder\nwith Recorder.from_environment().stage('warmup'): print('served')"
    assert said(path, sys.executable, "-c", program) == []


def test_a_python_that_can_not_be_run_is_not_known(tmp_path: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert why_unrecorded([str(broken)]) == UNKNOWN
    assert why_unrecorded(["no-such-command"]) == UNKNOWN


@pytest.mark.parametrize(
    ("head", "is_found"),
    [
        ("#!{python}", True),
        ("#!{python} -I", True),
        ("#!/usr/bin/env python3", True),
        ("#!/usr/bin/env -S python3 -u", True),
        ("#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''", True),
        ("#!/bin/sh\nexec python3", False),
        ("#!/usr/bin/env", False),
        ("#!", False),
        ("\x7fELF", False),
        ("", False),
    ],
)
def test_the_python_is_found_in_the_first_lines_of_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, is_found: bool
) -> None:
    python = tmp_path / "python3"
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    script = tmp_path / "program"
    script.write_text(head.format(python=python) + "\nimport torch\n")
    script.chmod(0o755)
    assert python_of([str(script)]) == (str(python) if is_found else None)


def test_the_look_at_a_python_records_nothing(path: Path) -> None:
    assert said(path, sys.executable, "-S", "-c", "import os; print(os.environ['COMPILE_LEDGER'])") != []
    query = [sys.executable, "-m", "ledger.cli", "sql", str(path), "SELECT count(*) AS n FROM processes"]
    done = subprocess.run([*query, "-f", "json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"n": 1}]
