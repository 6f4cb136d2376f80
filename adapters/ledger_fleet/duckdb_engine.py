"""DuckDB, in this process: the default, and enough for what one machine's disk holds."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ledger import InvalidQuery, LedgerError, MissingExtra
from ledger.adapters import Days
from ledger_fleet.lake_tables import LakeTables

if TYPE_CHECKING:
    from sqlglot.expressions import Query

_BATCH: Final = 1_000
"""Rows that are fetched at a time."""


def open_engine(lake: str, days: Days, server: str | None) -> DuckDBEngine:
    """Open DuckDB over a lake. Raises LedgerError, or MissingExtra without DuckDB."""
    if server is not None:
        raise LedgerError("DuckDB runs in this process; leave --server out, or choose another --engine")
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra.of("a query over a lake", "duckdb", "fleet") from error
    return DuckDBEngine(LakeTables(lake, days), duckdb)


class DuckDBEngine:
    """A connection of DuckDB's, whose views are a lake's tables."""

    def __init__(self, tables: LakeTables, duckdb: Any) -> None:
        self._tables: Final = tables
        self._duckdb: Final = duckdb
        self._views: Final = set[str]()
        # What does not fit in memory goes there, and not into the folder that somebody happens to be in.
        spill = str(Path(tempfile.gettempdir()) / "compile-ledger-duckdb")
        self._connection: Final = duckdb.connect(":memory:", config={"temp_directory": spill})
        if not tables.is_local:
            self._connection.register_filesystem(tables.filesystem)

    def rows(self, query: Query, tables: Collection[str]) -> Iterator[Mapping[str, object]]:
        """Yield a query's rows. Raises InvalidQuery, or LedgerError where a file can't be read."""
        for table in sorted((self._tables.names & set(tables)) - self._views):
            self._define(table)
        try:
            result = self._connection.execute(query.sql("duckdb"))
            columns = _distinct([column[0] for column in result.description])
            while rows := result.fetchmany(_BATCH):
                for row in rows:
                    yield dict(zip(columns, row, strict=True))
        except self._duckdb.Error as error:
            raise InvalidQuery(f"the query is refused: {_line(error)}") from error

    def _define(self, table: str) -> None:
        """Make a view of a table's files: none is read before a query asks for it."""
        from sqlglot import exp

        files = self._tables.files(table)
        source, there = None, set[str]()
        try:
            if files:
                raw = f"lake_{table}"
                # By their names, every file would be opened once more to know its columns.
                by_name = not self._tables.are_alike
                found = self._connection.read_parquet(files, union_by_name=by_name, hive_partitioning=False)
                found.create_view(raw)
                source, there = exp.to_table(raw), set(found.columns)
            view = self._tables.select(table, source, there).sql("duckdb", identify=True)
            self._connection.execute(f'CREATE VIEW "{table}" AS {view}')
        except self._duckdb.Error as error:
            raise LedgerError(f"the lake's table {table} can't be read: {_line(error)}") from error
        self._views.add(table)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _distinct(names: list[str]) -> list[str]:
    """Return names, none of them twice: a mapping would lose the column."""
    found: list[str] = []
    for name in names:
        number, new = 2, name
        while new in found:
            number, new = number + 1, f"{name}_{number}"
        found.append(new)
    return found


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
