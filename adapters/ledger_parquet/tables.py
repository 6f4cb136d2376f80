"""The tables of a lake, and the Arrow types of their columns.

They are those that the ledger documents, with the same columns in the same order. Two have no place in a
lake: `rejected_lines` belongs to a file and to no session, and what `ledger_info` says is in every file's
metadata.

    …_ns and other integers    int64
    …_s                        double
    is_…, has_code             bool
    all others                 string: also the times (ISO 8601, UTC) and JSON
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from ledger import LedgerError
from ledger.adapters import schema
from ledger_parquet.lake_files import imported

EVENTS: Final = "events"
_NOT_OF_A_SESSION: Final = ("rejected_lines", "ledger_info")
_BOOLEANS: Final = frozenset({"is_top_level", "is_new", "has_code"})
_INTEGERS: Final = frozenset(
    {
        *("id", "seq", "interval", "parent", "enclosing", "depth", "start_seq", "stop_seq", "claim", "ns"),
        *("rank", "pid", "parent_pid", "process_count", "event_count", "lost_events"),
        *("top_level_count", "interval_count", "open_count", "count"),
        *("window", "piece", "ordinal", "line", "graph_breaks", "guards", "number"),
    }
)
_SECONDS: Final = "s"


def table_names() -> tuple[str, ...]:
    """Return the names of all tables."""
    return tuple(
        name
        for name, relation in schema().items()
        if not relation.is_internal and name not in _NOT_OF_A_SESSION
    )


@cache
def column_types(table: str) -> Mapping[str, str]:
    """Return the Arrow type of each column of a table, by name: int64, double, bool or string.

    Raises LedgerError for an unknown table.
    """
    if table not in table_names():
        raise LedgerError(f"a lake has no table {table!r}; it has {', '.join(table_names())}")
    return {column: _type_of(column) for column in schema()[table].columns}


def _type_of(column: str) -> str:
    if column == _SECONDS or column.endswith("_s"):
        return "double"
    if column.endswith("_ns") or column in _INTEGERS:
        return "int64"
    return "bool" if column in _BOOLEANS else "string"


@cache
def arrow_schema(table: str) -> Any:
    """Return the pyarrow.Schema of a table, without metadata. Raises LedgerError, or MissingExtra."""
    types = column_types(table)
    arrow = imported("pyarrow")
    return arrow.schema([(column, arrow.type_for_alias(of_type)) for column, of_type in types.items()])
