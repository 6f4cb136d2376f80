"""Why a command recorded nothing, in one line: what its Python lacks, as far as that can be found out."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.recording.settings import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE

_LOOK_S: Final = 10.0
_HEAD_BYTES: Final = 1024
_PYTHON: Final = re.compile(r"(python|pypy)[0-9.]*")
_EXEC: Final = re.compile(rb"'''exec' \"?([^\"\n]+?)\"? \"\$0\"")
"""The second line of a script that pip installs where the path of Python is too long for the first."""
_PROBE: Final = """
import sys
sys.path = [place for place in sys.path if place]
for name in ("ledger", "pydantic", "wrapt"):
    try:
        __import__(name)
    except BaseException as error:
        missing = getattr(error, "name", None) or name
        print("can't import " + missing.partition(".")[0] if isinstance(error, ImportError) else
              "can't import " + name + " (" + type(error).__name__ + ")")
        sys.exit()
import importlib.metadata, importlib.util
try:
    importlib.metadata.version("compile-ledger")
except importlib.metadata.PackageNotFoundError:
    print("finds the modules of compile-ledger, but compile-ledger is not installed there")
    sys.exit()
if importlib.util.find_spec("torch") is None:
    print("has no torch")
"""


def why_unrecorded(command: Sequence[str]) -> str:
    """Return a sentence for a command of which no process recorded anything."""
    python = python_of(command)
    lack = _lack_of(python) if python else None
    if lack:
        return f"the command recorded nothing: {python} {lack}; `compile-ledger doctor` there tells more"
    reason = "it used no torch, its Python lacks compile-ledger or what that needs"
    if lack is not None:
        reason = f"{python} has what recording takes, so it compiled nothing with torch"
    return (
        f"the command recorded nothing: {reason}, or {FILE_VARIABLE} was not passed on; "
        "`compile-ledger doctor` in its environment tells more"
    )


def python_of(command: Sequence[str]) -> str | None:
    """Return the Python that a command runs: itself, or what the first lines of its script name."""
    program = shutil.which(command[0])
    if program is None:
        return None
    if _PYTHON.fullmatch(Path(program).name):
        return program
    try:
        with open(program, "rb") as script:
            head = script.read(_HEAD_BYTES)
    except OSError:
        return None
    first, _, rest = head.partition(b"\n")
    if not first.startswith(b"#!"):
        return None
    if found := _EXEC.match(rest):
        return os.fsdecode(found[1])
    words = os.fsdecode(first[2:]).split()
    if words and Path(words[0]).name == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        words = [shutil.which(names[0]) or ""] if names else []
    return words[0] if words and _PYTHON.fullmatch(Path(words[0]).name) else None


def _lack_of(python: str) -> str | None:
    """Return what a Python lacks; empty where it lacks nothing, None where that can't be found out."""
    off = (FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE)
    environment = {name: value for name, value in os.environ.items() if name not in off}
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LOOK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip()
