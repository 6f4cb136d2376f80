"""What the core needs to know about an engine. Adapters provide it, since the core itself names no engine.

An adapter registers its description in the recorded program before the first event. Programs that read a
ledger or start a recording find the descriptions of all installed adapters through entry points.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Final, NamedTuple

_LOG: Final = logging.getLogger("ledger")
ENTRY_POINTS: Final = "compile_ledger.engines"
"""Entry point group. An adapter registers its `EngineDescription`."""


class CacheVariable(NamedTuple):
    """An environment variable that says where compiled code is kept."""

    name: str
    where_unset: str | None = None
    """The variable to set where `name` is not, if setting `name` itself would change what is cached."""


class EngineDescription(NamedTuple):
    """The engine-specific parts of a session's own description."""

    package: str
    """The engine's package: a session stores its version under this name; paths in it are not redacted."""
    environment: tuple[str, ...] = ()
    """Environment variables that a session stores. Whole names: a prefix would include keys and tokens."""
    words: tuple[str, ...] = ()
    """Words of the engine that identify nobody, and so are not redacted; nor is the package's name."""
    caches: tuple[CacheVariable, ...] = ()
    """Where it keeps compiled code: `bench` gives each a folder of its own."""


_registered: Final[dict[str, EngineDescription]] = {}


def register_engine(description: EngineDescription) -> None:
    """Register an engine in this process. Does not affect a session_started event already written."""
    _registered[description.package] = description


def registered_engines() -> tuple[EngineDescription, ...]:
    """Return the engines whose adapters are active in this process."""
    return tuple(_registered.values())


@cache
def installed_engines() -> tuple[EngineDescription, ...]:
    """Return the engines of all installed adapters. Looking up the entry points takes milliseconds.

    An adapter that can't be loaded is skipped with a warning: it must not keep others from being recorded.
    """
    from importlib.metadata import entry_points

    found: list[EngineDescription] = []
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            found.append(entry.load())
        except Exception as error:
            _LOG.warning("compile-ledger: the adapter %s can't be loaded: %s", entry.value, error)
    return tuple(found)
