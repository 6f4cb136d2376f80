"""Datasette's metadata for a ledger: descriptions of tables and columns, and the saved queries.

Its format: https://docs.datasette.io/en/0.65.2/metadata.html, and sql_queries.html, facets.html beside it.
"""

from typing import Final

from ledger import saved_queries
from ledger.adapters import Relation, query_title, schema
from ledger_datasette.table_display import FACET_SIZE, TABLE_DISPLAYS, TableDisplay

_OF_ALL: Final = "Where start-ups spent their time, as recorded by compile-ledger."
_OF_LEDGER: Final = (
    "Start with the queries. The tables session_totals and role_totals have the time of each role, "
    "the view intervals its stages, and reconciliation the claims compared with the measurements. "
    "Columns that end in _ns are in nanoseconds, those in _s in seconds."
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
        "description": f"On the command line: compile-ledger sql LEDGER --query {name}.",
        "sql": sql,
        "hide_sql": True,
    }


def _free(name: str) -> str:
    # If a query and a table share a name, Datasette shows only the query.
    return f"{name}_query" if name in schema() else name
