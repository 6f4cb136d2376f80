"""A lake's rows in SQLite, to be asked the same questions: what the engines' answers are held against."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ledger.fleet.queries import starts_query
from ledger_parquet import Lake

Rows = list[dict[str, Any]]


def rows_of(lake: Path) -> Mapping[str, Rows]:
    """Return all rows of a lake by table."""
    opened = Lake.open(str(lake))
    return {
        table: [row for file in opened.files(table) for row in pq.ParquetFile(file).read().to_pylist()]
        for table in opened.tables()
    }


def in_sqlite(lake: Path) -> sqlite3.Connection:
    """Return a database in memory that has a lake's tables, and `starts`."""
    opened = Lake.open(str(lake))
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    for table, rows in rows_of(lake).items():
        schema = opened.schema(table)
        columns = ", ".join(f'"{field.name}" {_type(field.type)}' for field in schema)
        connection.execute(f'CREATE TABLE "{table}" ({columns})')
        names = [field.name for field in schema]
        marks = ", ".join("?" * len(names))
        connection.executemany(
            f'INSERT INTO "{table}" VALUES ({marks})', [[row[name] for name in names] for row in rows]
        )
        if "session" in names:
            connection.execute(f'CREATE INDEX "{table}_by_session" ON "{table}" (session)')
    connection.execute(f"CREATE VIEW starts AS {starts_query()}")
    return connection


def answer(connection: sqlite3.Connection, text: str) -> Rows:
    """Return the rows that SQLite has for a query."""
    return [dict(row) for row in connection.execute(text)]


def _type(of_type: Any) -> str:
    if pa.types.is_floating(of_type):
        return "REAL"
    return "TEXT" if pa.types.is_string(of_type) else "INTEGER"
