"""Explains in one line why a command recorded nothing: what its Python lacks, if that can be found out."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ledger.storage.store import Store
from ledger.vocabulary import COMMAND_ENDED, COMMAND_STARTED
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE

Extent: TypeAlias = Literal["nothing", "births", "stages"]
"""What processes of a command recorded: births are how Python started and what it imported."""

_STAGES: Final = f"""
    SELECT 1 FROM events WHERE session = ?1 AND (
        source <> 'python' OR (kind = 'milestone_reached' AND json_extract(body, '$.name') NOT IN
        ('{COMMAND_STARTED}', '{COMMAND_ENDED}'))
    ) LIMIT 1
"""
_PROBE_TIMEOUT_S: Final = 10.0
_HEAD_BYTES: Final = 1024
_PYTHON: Final = re.compile(r"(python|pypy)[0-9.]*")
_EXEC: Final = re.compile(rb"'''exec' \"?([^\"\n]+?)\"? \"\$0\"")
"""The second line of a script that pip installs if the path of Python is too long for a #! line."""
_NO_TORCH: Final = "has no torch"
_PROBE: Final = f"""
import sys
sys.path = [folder for folder in sys.path if folder]
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
    print({_NO_TORCH!r})
"""


def extent_of(store: Store, session: str) -> Extent:
    """Return how much the processes of a recorded command have recorded."""
    if store.select(_STAGES, [session]):
        return "stages"
    [(processes,)] = store.select("SELECT count(*) FROM processes WHERE session = ?", [session])
    return "births" if int(str(processes)) > 1 else "nothing"


def why_unrecorded(command: Sequence[str], extent: Extent = "nothing") -> str | None:
    """Return a sentence about a command that recorded less than it could have; None where that is unlikely.

    A program of which only births are recorded may well have had nothing else to record.
    """
    if extent == "stages":
        return None
    python = python_of(command)
    missing = _missing_in(python) if python else None
    if extent == "births":
        if not missing or missing == _NO_TORCH:
            return None
        return (
            f"the command recorded only Python's own start and imports: {python} {missing}; "
            "run `compile-ledger doctor` there for details"
        )
    if missing:
        return (
            f"the command recorded nothing: {python} {missing}; run `compile-ledger doctor` there for details"
        )
    reason = "it did not use torch, its Python lacks compile-ledger or one of its dependencies"
    if missing is not None:
        reason = f"{python} has everything that recording needs, so torch compiled nothing"
    return (
        f"the command recorded nothing: {reason}, or {FILE_VARIABLE} was not passed on; "
        "run `compile-ledger doctor` in its environment for details"
    )


def python_of(command: Sequence[str]) -> str | None:
    """Return the Python that a command runs: the command itself, or the interpreter its script names."""
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


def _missing_in(python: str) -> str | None:
    """Return what a Python lacks for recording; empty if nothing, None if that can't be found out."""
    recording_variables = (FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE)
    environment = {name: value for name, value in os.environ.items() if name not in recording_variables}
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip()
