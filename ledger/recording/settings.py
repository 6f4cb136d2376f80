"""Settings of recording from the environment, and the description of a program that a session starts with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.engines import installed_engines, registered_engines
from ledger_birth import __version__, birth
from ledger_birth.environment import (
    FILE_VARIABLE,
    LABEL_VARIABLE,
    SESSION_VARIABLE,
    allowed_environment,
    own_command,
)
from ledger_birth.secrets_hidden import hide_in_command, values_of_secret_variables

if TYPE_CHECKING:
    from ledger_birth.json_text import Plain
    from ledger_birth.line_writer import LineWriter


class Settings(NamedTuple):
    """Where to record, and as what."""

    ledger: Path
    session: str
    label: str | None
    begins_session: bool
    """Whether this process made the session's id, and so says when it ends."""
    command: tuple[str, ...] | None = None
    """The command that the session is of, where that is not this process's own."""
    lines: LineWriter | None = None
    """What this process has recorded with since its birth, where it has."""


def settings_from_environment() -> Settings | None:
    """Return the settings, and hand them on to the processes that this one starts; None where off."""
    if (target := birth.target_from_environment()) is None:
        return None
    if (lines := birth.hand_over(target.ledger, target.session)) is not None:
        target = lines.target
    return Settings(Path(target.ledger), target.session, target.label, target.begins_session, lines=lines)


def environment_for(settings: Settings) -> dict[str, str]:
    """Return the environment for a command that is to record into a session."""
    environment = {**os.environ, FILE_VARIABLE: str(settings.ledger), SESSION_VARIABLE: settings.session}
    environment.pop(LABEL_VARIABLE, None)
    if settings.label is not None:
        environment[LABEL_VARIABLE] = settings.label
    return environment


def describe_program(command: tuple[str, ...] | None) -> dict[str, Plain]:
    """Return the fields of `session_started`: the command, or this program's; versions; allowed variables."""
    # Whoever records a command is a process of ours, in which no adapter is active.
    engines = registered_engines() if command is None else installed_engines()
    allowed = (name for engine in engines for name in engine.environment)
    return {
        "command": (
            own_command() if command is None else hide_in_command(command, values_of_secret_variables())
        ),
        "versions": versions(),
        "environment": allowed_environment(*allowed),
    }


def versions() -> dict[str, str]:
    """Return the versions of what takes part: ours, Python's, torch's and the engines' once imported."""
    found = {"compile_ledger": __version__, "python": sys.version.split()[0]}
    for name in ("torch", *(engine.package for engine in registered_engines())):
        # A process that has not imported torch must not do so because it is watched; one that does so right
        # now has no version yet.
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found[name] = str(version)
    return found
