"""ClickHouse and Spark give DuckDB's rows, for every query: `make test-fleet` brings them.

ClickHouse is `chdb`, its own engine, in this process and behind ClickHouse's HTTP interface in another; Spark
is started for these tests, and needs Java.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import InvalidQuery, saved_queries
from ledger.fleet import Fleet, fleet_queries
from tests.support.clickhouse_over_http import clickhouse_server
from tests.support.odd_lakes import odd_lake

pytestmark = [
    pytest.mark.fleet_engines,
    # Spark warns of the pandas that is installed, and py4j of sockets.
    pytest.mark.filterwarnings("ignore"),
]

QUERIES = {**fleet_queries(), **saved_queries()}
OVER_HTTP = "clickhouse_over_http"
ENGINES = ("clickhouse", OVER_HTTP, "spark")
ON_SPARK = {*fleet_queries(), "components", "graph_breaks", "torch_against_torch", "who_says_what", "why"}
"""Spark takes seconds for each: of the saved ones, those that sqlglot has most to translate in."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_lake(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="module")
def duckdb(lake: Path) -> Iterator[Fleet]:
    with Fleet.open(str(lake)) as fleet:
        yield fleet


@pytest.fixture(scope="module", params=ENGINES)
def other(
    request: pytest.FixtureRequest, lake: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    settings = tmp_path_factory.mktemp("spark")
    # It would compile Java for a few rows.
    (settings / "spark-defaults.conf").write_text("spark.sql.codegen.wholeStage false\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(settings))
        yield from opened_engine(request.param, lake)


def opened_engine(name: str, lake: Path) -> Iterator[Fleet]:
    if name == OVER_HTTP:
        with clickhouse_server() as server:
            address = server.replace("http://", "http://default:@")
            with Fleet.open(str(lake), engine="clickhouse", server=address) as fleet:
                yield fleet
        return
    with Fleet.open(str(lake), engine=name) as fleet:
        yield fleet


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_all_engines_have_the_same_rows(
    name: str, duckdb: Fleet, other: Fleet, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["other"] == "spark" and name not in ON_SPARK:
        pytest.skip("ClickHouse and DuckDB have it")
    expected = list(map(dict, duckdb.query(name)))
    assert expected
    found = list(map(dict, other.query(name)))
    assert found == expected
    # 1 is no 1.0 for whoever reads them as JSON.
    assert json.dumps(found) == json.dumps(expected)


def test_what_an_engine_refuses_is_said_in_one_line(other: Fleet) -> None:
    with pytest.raises(InvalidQuery, match="nothing") as caught:
        list(other.rows("SELECT nothing FROM sessions"))
    assert len(str(caught.value).splitlines()) == 1
    assert "HTTP" not in str(caught.value)
    assert "http://" not in str(caught.value)
