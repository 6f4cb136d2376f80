"""Restates, for ClickHouse, what sqlglot translates by the word and ClickHouse reads otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot.expressions import Query


def in_clickhouse_sql(query: Query) -> str:
    """Return a query in ClickHouse's SQL; the query is changed."""
    from sqlglot import exp

    for found in list(query.find_all(exp.JSONExtract, exp.JSONExtractScalar)):
        found.replace(_json_value(exp, found))
    for found in list(query.find_all(exp.Replace)):
        if _is_last_part(exp, found):
            found.replace(_last_part(exp, found.this))
    for select in query.find_all(exp.Select):
        # Where several tables have a column, it would be called `s.session`.
        select.set("expressions", [_named(exp, each) for each in select.expressions])
    return query.sql("clickhouse", identify=True)


def _named(exp: Any, selected: Any) -> Any:
    if isinstance(selected, exp.Column) and not selected.is_star:
        return exp.alias_(selected, selected.name)
    return selected


def _json_value(exp: Any, found: Any) -> Any:
    """What is not there is NULL: JSONExtractString would have an empty text."""
    keys = [
        exp.Literal.string(part.this) if isinstance(part.this, str) else exp.Literal.number(part.this + 1)
        for part in found.expression.expressions
        if isinstance(part, (exp.JSONPathKey, exp.JSONPathSubscript))
    ]
    return exp.func("JSONExtract", found.this, *keys, exp.Literal.string("Nullable(String)"))


def _is_last_part(exp: Any, found: Any) -> bool:
    """Tell whether it is replace(x, rtrim(x, …), ''): SQLite's way to the name at the end of a path.

    ClickHouse trims no characters that are a column's.
    """
    trimmed = found.args.get("expression")
    return isinstance(trimmed, exp.Trim) and trimmed.this == found.this and bool(trimmed.expression)


def _last_part(exp: Any, path: Any) -> Any:
    parts = exp.func(
        "splitByChar", exp.Literal.string("/"), exp.func("ifNull", path.copy(), exp.Literal.string(""))
    )
    last = exp.func("arrayElement", parts, exp.Literal.number(-1))
    return exp.If(this=exp.Is(this=path.copy(), expression=exp.null()), true=exp.null(), false=last)
