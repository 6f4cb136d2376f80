"""What the core needs to know of an engine: its adapter says it, since the core names none.

An adapter registers its description in the recorded program before the first event. Readers, and whoever
starts a program to record it, find the descriptions of all installed adapters by their entry points.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Final, NamedTuple

_LOG: Final = logging.getLogger("ledger")
ENTRY_POINTS: Final = "compile_ledger.engines"
"""The group in which an adapter names its `EngineDescription`."""


class EngineDescription(NamedTuple):
    """What is peculiar to one engine in what a session says of itself."""

    package: str
    """The engine's package: a session keeps its version by this name; paths in it are everybody's."""
    environment: tuple[str, ...] = ()
    """The variables that a session keeps. By whole name, since a prefix would take keys and tokens along."""
    words: tuple[str, ...] = ()
    """Its own words that identify nobody, and so stay in a redacted session, as the package's name does."""


_registered: Final[dict[str, EngineDescription]] = {}


def register_engine(description: EngineDescription) -> None:
    """Make an engine known in this process. Has no effect on a session_started that is already written."""
    _registered[description.package] = description


def registered_engines() -> tuple[EngineDescription, ...]:
    """Return the engines whose adapters are active in this process."""
    return tuple(_registered.values())


@cache
def installed_engines() -> tuple[EngineDescription, ...]:
    """Return the engines of all installed adapters; takes milliseconds, to look up the entry points.

    An adapter that can't be loaded is left out, with a warning: it must not keep others from being recorded.
    """
    from importlib.metadata import entry_points

    found: list[EngineDescription] = []
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            found.append(entry.load())
        except Exception as error:
            _LOG.warning("compile-ledger: the adapter %s can't be loaded: %s", entry.value, error)
    return tuple(found)
