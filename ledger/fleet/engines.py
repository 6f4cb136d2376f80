"""What is needed of an engine that runs SQL over Parquet files, and where the installed ones are found."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ledger.errors import LedgerError

if TYPE_CHECKING:
    from sqlglot.expressions import Query

ENTRY_POINTS: Final = "compile_ledger.fleet_engines"
"""Entry point group. An adapter registers, under an engine's name, a function like `OpenEngine`."""
DEFAULT: Final = "duckdb"
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Days(NamedTuple):
    """The days, in UTC, whose sessions are asked about: both ends belong to them. None is no bound.

    With any bound, sessions whose date is not known are left out.
    """

    since: str | None = None
    until: str | None = None

    def has(self, day: str | None) -> bool:
        """Tell whether a day is one of them; None is that of a session without a known date."""
        if self.since is None and self.until is None:
            return True
        return day is not None and (self.since or day) <= day <= (self.until or day)


class FleetEngine(Protocol):
    """An engine with a lake's tables."""

    def rows(self, query: Query, tables: Collection[str]) -> Iterator[Mapping[str, object]]:
        """Yield a query's rows, as mappings by column, in order.

        `query` is sqlglot's, to be generated in the engine's own dialect; `tables` are the lake's that it
        reads. Raises InvalidQuery with the engine's reason, in one line.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


class OpenEngine(Protocol):
    """Opens an engine over a lake."""

    def __call__(self, lake: str, days: Days, server: str | None) -> FleetEngine:
        """`server` is where the engine runs, in its own terms; None for in this process.

        Raises LedgerError where there is no lake or no server, and MissingExtra.
        """
        ...


def days_of(since: str | None, until: str | None) -> Days:
    """Return days from their text: 2026-11-28. Raises LedgerError."""
    for day in filter(None, (since, until)):
        if not _DAY.fullmatch(day):
            raise LedgerError(f"{day}: not a day; write it as 2026-11-28")
    if since and until and since > until:
        raise LedgerError(f"no day is both from {since} on and until {until}")
    return Days(since, until)


def engine_names() -> list[str]:
    """Return the names of the installed engines; the first is the default."""
    names = sorted({entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)})
    return sorted(names, key=lambda name: name != DEFAULT)


def open_engine(name: str, lake: str, days: Days, server: str | None) -> FleetEngine:
    """Open an engine over a lake. Raises LedgerError."""
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            opened: OpenEngine = entry.load()
            return opened(lake, days, server)
    raise LedgerError(f"unknown engine {name!r}; available: {', '.join(engine_names())}")
