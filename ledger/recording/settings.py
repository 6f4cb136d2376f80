"""Settings of recording from the environment, and the description of a program that a session starts with."""

import os
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from ledger._version import __version__
from ledger.engines import installed_engines, registered_engines

FILE_VARIABLE: Final = "COMPILE_LEDGER"
SESSION_VARIABLE: Final = "COMPILE_LEDGER_SESSION"
LABEL_VARIABLE: Final = "COMPILE_LEDGER_LABEL"

ENVIRONMENT_ALLOWED: Final = (
    "CUDA_VISIBLE_DEVICES",
    "LOCAL_RANK",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "RANK",
    "TORCHDYNAMO_DISABLE",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCHINDUCTOR_COMPILE_THREADS",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES",
    "TORCHINDUCTOR_FX_GRAPH_CACHE",
    "TORCHINDUCTOR_MAX_AUTOTUNE",
    "TORCH_COMPILE_DEBUG",
    "TORCH_COMPILE_DISABLE",
    "TORCH_LOGS",
    "TORCH_TRACE",
    "TRITON_CACHE_DIR",
    "WORLD_SIZE",
)
"""The variables that a session keeps, beside those of the engines that are registered.

By whole name, since a prefix would take keys and tokens along.
"""

_RANK_DIGITS: Final = 10


class Settings(NamedTuple):
    """Where to record, and as what."""

    ledger: Path
    session: str
    label: str | None
    begins_session: bool
    """Whether this process made the session's id, and so says when it ends."""
    command: tuple[str, ...] | None = None
    """The command that the session is of, where that is not this process's own."""


def new_session_id() -> str:
    """Return an id that no other session has, and that sorts by time."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + os.urandom(4).hex()


def settings_from_environment() -> Settings | None:
    """Return the settings, and hand them on to the processes that this one starts; None where off."""
    # The one look-up that every program pays in which recording is off.
    if not (file := os.environ.get(FILE_VARIABLE)):
        return None
    ledger = Path(file).absolute()
    session = os.environ.get(SESSION_VARIABLE)
    label = os.environ.get(LABEL_VARIABLE) or None
    settings = Settings(ledger, session or new_session_id(), label, begins_session=not session)
    # A child may have another working directory, and must join this session instead of making its own.
    os.environ[FILE_VARIABLE] = str(ledger)
    os.environ[SESSION_VARIABLE] = settings.session
    return settings


def environment_for(settings: Settings) -> dict[str, str]:
    """Return the environment for a command that is to record into a session."""
    environment = {**os.environ, FILE_VARIABLE: str(settings.ledger), SESSION_VARIABLE: settings.session}
    environment.pop(LABEL_VARIABLE, None)
    if settings.label is not None:
        environment[LABEL_VARIABLE] = settings.label
    return environment


def describe_program(command: tuple[str, ...] | None) -> dict[str, object]:
    """Return the fields of `session_started`: the command, or this program's; versions; allowed variables."""
    # Whoever records a command is a process of ours, in which no adapter is active.
    engines = registered_engines() if command is None else installed_engines()
    allowed = {*ENVIRONMENT_ALLOWED, *(name for engine in engines for name in engine.environment)}
    return {
        "command": tuple(sys.orig_argv) if command is None else command,
        "versions": versions(),
        "environment": {name: os.environ[name] for name in sorted(allowed) if name in os.environ},
    }


def versions() -> dict[str, str]:
    """Return the versions of what takes part: ours, Python's, torch's and the engines' once imported."""
    found = {"compile_ledger": __version__, "python": sys.version.split()[0]}
    for name in ("torch", *(engine.package for engine in registered_engines())):
        # A process that has not imported torch must not do so because it is watched.
        if (module := sys.modules.get(name)) is not None:
            found[name] = str(getattr(module, "__version__", "unknown"))
    return found


def process_name() -> str:
    """Return what a person would call this process: its multiprocessing name, or else its script's."""
    if (process := sys.modules.get("multiprocessing.process")) is not None:
        name = str(process.current_process().name)
        if name != "MainProcess":
            return name
    script = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else ""
    return script if script not in ("", "-c", "-m") else "python"


def rank() -> int | None:
    """Return this process's rank in a distributed program, as its launcher says it; None where it doesn't."""
    value = os.environ.get("RANK", "")
    return int(value) if value.isdecimal() and len(value) < _RANK_DIGITS else None
