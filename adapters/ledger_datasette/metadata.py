"""Datasette's metadata for a ledger: what each table and column says, and the saved queries.

Its format: https://docs.datasette.io/en/0.65.2/metadata.html, and sql_queries.html, facets.html beside it.
"""

from typing import Final

from ledger import saved_queries
from ledger.adapters import Relation, query_title, schema
from ledger_datasette.table_display import FACET_SIZE, TABLE_DISPLAYS, TableDisplay

_OF_ALL: Final = "What start-ups spent their time on, as compile-ledger recorded it."
_OF_LEDGER: Final = (
    "Begin with the queries. Of the tables, session_totals and role_totals have the time of each role, "
    "the view intervals what it went into, and reconciliation who counted otherwise. "
    "What ends in _ns is in nanoseconds, what ends in _s in seconds."
)


def metadata(database: str) -> dict[str, object]:
    """Return the metadata of a ledger that Datasette calls `database`."""
    return {
        "title": "compile-ledger",
        "description": _OF_ALL,
        "databases": {
            database: {
                "title": f"{database}: what took the time",
                "description": _OF_LEDGER,
                "tables": {
                    name: _table(relation, TABLE_DISPLAYS.get(name)) for name, relation in schema().items()
                },
                "queries": {_free(name): _query(name, sql) for name, sql in saved_queries().items()},
            }
        },
    }


def _table(relation: Relation, shown: TableDisplay | None) -> dict[str, object]:
    table: dict[str, object] = {"description": relation.description, "columns": dict(relation.columns)}
    if relation.is_internal:
        table["hidden"] = True
    if shown is not None:
        order = "sort_desc" if shown.is_descending else "sort"
        table |= {order: shown.by, "facets": list(shown.facets), "facet_size": FACET_SIZE}
    return table


def _query(name: str, sql: str) -> dict[str, object]:
    return {
        "title": query_title(sql),
        "description": f"The saved query {name}, as compile-ledger sql LEDGER --query {name} answers it.",
        "sql": sql,
        "hide_sql": True,
    }


def _free(name: str) -> str:
    # Of a query and a table that share a name, Datasette shows the query alone.
    return f"{name}_query" if name in schema() else name
