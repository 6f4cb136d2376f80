"""A query's rows as tables of pandas, polars and Arrow: the same values, and columns even without rows."""

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas
import polars
import pyarrow
import pytest
from packaging.requirements import Requirement

from ledger import InvalidQuery, Ledger, MissingExtra
from ledger.testing import MemoryLedger, SessionBuilder

LARGE = 2**53 + 1
"""An integer that no float is equal to."""
VALUES = f"""
    SELECT {LARGE} AS number, 1.5 AS real, 'ü<b>' AS text, x'00ff' AS blob, NULL AS absent, 2 AS mixed
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, 0.5
    UNION ALL SELECT -1, 2.0, '', x'', NULL, NULL
"""
ROWS = [
    {"number": LARGE, "real": 1.5, "text": "ü<b>", "blob": b"\0\xff", "absent": None, "mixed": 2.0},
    {"number": None, "real": None, "text": None, "blob": None, "absent": None, "mixed": 0.5},
    {"number": -1, "real": 2.0, "text": "", "blob": b"", "absent": None, "mixed": None},
]


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    builder = SessionBuilder()
    builder.begin()
    builder.stop(30, builder.start(10, "dynamo", role="encoder"))
    builder.start(40, "dynamo")
    with MemoryLedger(builder.events) as opened:
        yield opened


def test_polars_has_the_values_and_a_type_for_each_column(ledger: Ledger) -> None:
    frame = ledger.polars(VALUES)
    assert frame.to_dicts() == ROWS
    assert frame.schema == {
        "number": polars.Int64, "real": polars.Float64, "text": polars.String, "blob": polars.Binary,
        "absent": polars.Null, "mixed": polars.Float64,
    }  # fmt: skip


def test_arrow_has_the_values_and_a_type_for_each_column(ledger: Ledger) -> None:
    table = ledger.arrow(VALUES)
    assert table.to_pylist() == ROWS
    assert {field.name: field.type for field in table.schema} == {
        "number": pyarrow.int64(), "real": pyarrow.float64(), "text": pyarrow.string(),
        "blob": pyarrow.binary(), "absent": pyarrow.null(), "mixed": pyarrow.float64(),
    }  # fmt: skip


def test_durations_of_open_intervals_leave_the_others_integers(ledger: Ledger) -> None:
    query = "SELECT duration_ns FROM intervals ORDER BY start_ns"
    assert ledger.polars(query)["duration_ns"].to_list() == [20, None]
    assert ledger.arrow(query).schema.field("duration_ns").type == pyarrow.int64()


def columns_of(ledger: Ledger, query: str) -> list[list[str]]:
    return [
        list(ledger.dataframe(query).columns),
        ledger.polars(query).columns,
        ledger.arrow(query).column_names,
    ]


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT role, total_ns FROM role_totals WHERE 0", ["role", "total_ns"]),
        ("SELECT role, role, 1 AS role_2 FROM role_totals WHERE 0;", ["role", "role_3", "role_2"]),
        ("WITH none AS (SELECT 1 AS one) SELECT * FROM none WHERE 0", ["one"]),
    ],
)
def test_a_result_without_rows_has_the_columns_that_rows_would_have(
    ledger: Ledger, query: str, columns: list[str]
) -> None:
    assert columns_of(ledger, query) == [columns] * 3
    assert columns_of(ledger, query.replace("WHERE 0", "WHERE 1")) == [columns] * 3
    assert [len(ledger.dataframe(query)), ledger.polars(query).height, ledger.arrow(query).num_rows] == [
        0, 0, 0,
    ]  # fmt: skip


def test_parameters_are_by_place_or_by_name(ledger: Ledger) -> None:
    assert ledger.polars("SELECT ? AS x", [3]).to_dicts() == [{"x": 3}]
    assert ledger.arrow("SELECT :x AS x", {"x": 3}).to_pylist() == [{"x": 3}]
    assert ledger.polars("SELECT ? AS x WHERE 0", [3]).columns == ["x"]


EACH = pytest.mark.parametrize(
    ("frame", "package", "extra"),
    [
        (Ledger.dataframe, "pandas", "pandas"),
        (Ledger.polars, "polars", "polars"),
        (Ledger.arrow, "pyarrow", "arrow"),
    ],
)


@EACH
def test_without_its_package_the_command_that_installs_it_is_named(
    ledger: Ledger,
    frame: Callable[[Ledger, str], Any],
    package: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra) as raised:
        frame(ledger, "SELECT 1")
    assert str(raised.value) == (
        f'this needs {package}, which is not installed: pip install "compile-ledger[{extra}]"'
    )
    requires = map(Requirement, importlib.metadata.requires("compile-ledger") or [])
    of_extra = [one.name for one in requires if one.marker and one.marker.evaluate({"extra": extra})]
    assert package in of_extra


@EACH
@pytest.mark.parametrize("query", ["DELETE FROM events", "SELECT nonsense", "BEGIN", "SELECT 1; SELECT 2"])
def test_a_query_is_refused_as_by_sql(
    ledger: Ledger, frame: Callable[[Ledger, str], Any], package: str, extra: str, query: str
) -> None:
    with pytest.raises(InvalidQuery) as expected:
        ledger.sql(query)
    with pytest.raises(InvalidQuery) as raised:
        frame(ledger, query)
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize("frame", [Ledger.polars, Ledger.arrow])
def test_a_column_of_texts_and_numbers_is_refused_with_what_to_do(
    ledger: Ledger, frame: Callable[[Ledger, str], Any]
) -> None:
    with pytest.raises(InvalidQuery, match=r"^column 'x' has integers and texts; .* CAST\(x AS TEXT\)$"):
        frame(ledger, "SELECT 1 AS x UNION ALL SELECT 'one'")


def test_pandas_has_the_values(ledger: Ledger) -> None:
    frame = ledger.dataframe("SELECT activity, total_ns FROM role_totals")
    assert isinstance(frame, pandas.DataFrame)
    assert frame.to_dict("records") == ledger.sql("SELECT activity, total_ns FROM role_totals")
