"""A lake and the engine that answers questions over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Final

from ledger.fleet.engines import DEFAULT, Days, FleetEngine, open_engine
from ledger.fleet.queries import fleet_queries, query_over_lake
from ledger.fleet.regressions import regressions
from ledger.fleet.translation import STARTS, parsed, tables_of

Row = Mapping[str, object]

_JUDGED: Final[Mapping[str, Callable[[Iterable[Row]], Iterable[Row]]]] = {"regressions": regressions}
"""What is made of a query's rows, where SQL alone can't answer it."""


class Fleet:
    """The sessions of a lake, to ask questions about."""

    def __init__(self, engine: FleetEngine) -> None:
        self._engine: Final = engine

    @classmethod
    def open(
        cls, lake: str, *, engine: str = DEFAULT, days: Days | None = None, server: str | None = None
    ) -> Fleet:
        """Open the lake at a path or URL with an engine.

        Raises LedgerError where there is no lake or no such engine, and MissingExtra.
        """
        return cls(open_engine(engine, lake, days or Days(), server))

    def query(self, name: str) -> Iterator[Row]:
        """Yield the rows of a fleet query or of a saved one. Raises InvalidQuery."""
        rows = self.rows(query_over_lake(name))
        if name in _JUDGED and name in fleet_queries():
            yield from _JUDGED[name](rows)
        else:
            yield from rows

    def rows(self, text: str) -> Iterator[Row]:
        """Yield the rows of a SELECT in SQLite's SQL; functions of the engine's own may be in it.

        Numbers are integers and floats, as they are from a ledger: truth is 1 or 0. Raises InvalidQuery.
        """
        query = parsed(text)
        for row in self._engine.rows(query, tables_of(query) - {STARTS}):
            yield {column: _plain(value) for column, value in row.items()}

    def close(self) -> None:
        """Give back what the engine holds."""
        self._engine.close()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
