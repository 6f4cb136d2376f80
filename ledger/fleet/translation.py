"""Reads SQL as SQLite has it and restates what other engines read otherwise, by sqlglot.

sqlglot translates functions, types, quotes and the place of NULL in an order. What is done here is what it
leaves as SQLite has it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ledger.errors import InvalidQuery, MissingExtra
from ledger.fleet.queries import starts_query

if TYPE_CHECKING:
    from sqlglot.expressions import Query

STARTS = "starts"


def parsed(text: str) -> Query:
    """Return a query, restated; `starts` is its first WITH where it names it.

    Raises InvalidQuery for what is no single SELECT, and MissingExtra without sqlglot.
    """
    query = _restated(text)
    if STARTS in tables_of(query):
        add_first(query, {STARTS: _starts().copy()})
    return query


def tables_of(query: Query) -> set[str]:
    """Return the names of the tables that a query reads and does not define itself."""
    from sqlglot import exp

    defined = {one.alias for one in query.find_all(exp.CTE)}
    return {one.name for one in query.find_all(exp.Table)} - defined


def add_first(query: Query, defined: dict[str, Query]) -> None:
    """Define names before all that a query defines by WITH itself."""
    from sqlglot import exp

    first = [
        exp.CTE(this=each, alias=exp.TableAlias(this=exp.to_identifier(name)))
        for name, each in defined.items()
    ]
    own = query.args.get("with_")
    query.set("with_", exp.With(expressions=[*first, *(own.expressions if own else ())]))


def _restated(text: str) -> Query:
    exp, statement = _read(text)
    for cast in statement.find_all(exp.Cast):
        if cast.to.this == exp.DataType.Type.INT:
            cast.set("to", exp.DataType.build("BIGINT"))  # SQLite's INTEGER has 64 bits
    for defined in statement.find_all(exp.CTE):
        defined.set("materialized", None)  # a hint to SQLite, which Spark cannot read
    for join in statement.find_all(exp.Join):
        if join.args.get("kind") == "CROSS" and join.args.get("on"):
            join.set("kind", None)  # SQLite joins such tables in the order in which they are named
    return statement


def _read(text: str) -> tuple[Any, Any]:
    try:
        import sqlglot
        from sqlglot import errors, exp
    except ImportError as error:
        raise MissingExtra.of("a query over a lake", "sqlglot", "fleet") from error
    try:
        statements = [each for each in sqlglot.parse(text, read="sqlite") if each is not None]
    except errors.ParseError as error:
        raise InvalidQuery(f"the query is refused: {_reason(error.errors[0])}") from error
    except errors.SqlglotError as error:
        raise InvalidQuery(f"the query is refused: {str(error).splitlines()[0]}") from error
    if len(statements) != 1:
        raise InvalidQuery(f"one SELECT statement is needed, not {len(statements)}")
    if not isinstance(statements[0], exp.Query):
        raise InvalidQuery("Read-only: this is no SELECT, and nothing else is allowed")
    return exp, statements[0]


def _reason(error: Any) -> str:
    """Return what sqlglot says, without its names for the parts of a query."""
    what = str(error.get("description") or "it can't be read").partition(" but got ")[0].rstrip(".")
    return f"{what} (line {error.get('line')}, column {error.get('col')})"


@cache
def _starts() -> Query:
    return _restated(starts_query())
