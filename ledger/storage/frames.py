"""A query's rows as the tables of other libraries, each from an optional extra.

In polars and Arrow a column has one type. Integers stay integers where there are NULLs among them, and the
type of a column without any value is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import InvalidQuery, MissingExtra

if TYPE_CHECKING:
    import pandas
    import polars
    from pyarrow import Table as ArrowTable  # pyright: ignore[reportUnknownVariableType]

Rows = Sequence[Mapping[str, object]]

_POLARS_TYPES: Final = {int: "Int64", float: "Float64", str: "String", bytes: "Binary", None: "Null"}
_ARROW_TYPES: Final = {int: "int64", float: "float64", str: "string", bytes: "binary", None: "null"}
_NAMES: Final[dict[type, str]] = {int: "integers", float: "reals", str: "texts", bytes: "blobs"}
"""The types that SQLite gives values, and what to call them."""


def pandas_frame(columns: Sequence[str], rows: Rows) -> pandas.DataFrame:
    """Return rows as a data frame of pandas. Raises MissingExtra."""
    return _imported("pandas", "pandas").DataFrame(list(rows), columns=list(columns))


def polars_frame(columns: Sequence[str], rows: Rows) -> polars.DataFrame:
    """Return rows as a data frame of polars. Raises MissingExtra, or InvalidQuery for a mixed column."""
    polars = _imported("polars", "polars")
    series: list[Any] = []
    for name in columns:
        values, of_type = _column(name, rows)
        series.append(polars.Series(name, values, dtype=getattr(polars, _POLARS_TYPES[of_type])))
    return polars.DataFrame(series)


def arrow_table(columns: Sequence[str], rows: Rows) -> ArrowTable:  # pyright: ignore[reportUnknownParameterType]
    """Return rows as an Arrow table. Raises MissingExtra, or InvalidQuery for a mixed column."""
    pyarrow = _imported("pyarrow", "arrow")
    arrays: list[Any] = []
    for name in columns:
        values, of_type = _column(name, rows)
        arrays.append(pyarrow.array(values, type=getattr(pyarrow, _ARROW_TYPES[of_type])()))
    return pyarrow.table(arrays, names=list(columns))


def _column(name: str, rows: Rows) -> tuple[list[object], type | None]:
    """Return a column's values and their one type: None where there is no value, float for both numbers."""
    values = [row[name] for row in rows]
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1:
        return values, next(iter(types), None)
    if types == {int, float}:
        return [float(value) if isinstance(value, int) else value for value in values], float
    kinds = " and ".join(sorted(_NAMES[each] for each in types))
    raise InvalidQuery(f"column {name!r} has {kinds}; give it one type, as in CAST({name} AS TEXT)")


def _imported(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra.of("this", error.name, extra) from error
