"""The command `fleet`."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ledger.cli import app
from ledger.cli.console import completion
from ledger.fleet import fleet_queries
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.recorded_lakes import write_lake


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    builder = SessionBuilder("one")
    builder.begin(label="nightly")
    with MemoryLedger(builder.events) as ledger:
        return write_lake(tmp_path / "lake", ledger)


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["fleet", *arguments], input=stdin)


def test_without_a_query_those_with_a_name_are_listed(lake: Path) -> None:
    listed = run("--list", "--json")
    assert listed.exit_code == 0
    names = [row["--query"] for row in json.loads(listed.stdout)]
    assert names[: len(fleet_queries())] == sorted(fleet_queries())
    assert "rank_skew" in names
    assert run("--json").stdout == run(str(lake), "--json").stdout == listed.stdout
    assert dict(completion.lake_queries("starts_"))["starts_per_day"].startswith("How many starts")
    assert ("duckdb", "") in list(completion.fleet_engines("du"))


def test_a_query_comes_by_name_as_text_or_on_standard_input(lake: Path) -> None:
    by_name = run(str(lake), "-q", "starts_per_day", "--json")
    assert json.loads(by_name.stdout)[0]["label"] == "nightly"
    text = "SELECT label, 1 = 1 AS truth FROM sessions"
    as_text = run(str(lake), text, "--json")
    assert json.loads(as_text.stdout) == [{"label": "nightly", "truth": 1}]
    assert run(str(lake), "-", "--json", stdin=text).stdout == as_text.stdout


def test_rows_are_a_table_or_csv_as_those_of_sql_are(lake: Path) -> None:
    assert "nightly" in run(str(lake), "SELECT label FROM sessions").stdout
    rows = list(
        csv.reader(run(str(lake), "SELECT '=1+1' AS a, label FROM sessions", "-f", "csv").stdout.splitlines())
    )
    assert rows == [["a", "label"], ["'=1+1", "nightly"]]
    assert run(str(lake), "SELECT label FROM sessions WHERE 1 = 2").stdout == "no rows\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("SELECT 1", "-q", "holes"), "a query and --query NAME were both given"),
        (("-q", "nothing"), "no query 'nothing'"),
        (("SELECT 1", "--since", "yesterday"), "yesterday: not a day; write it as 2026-11-28"),
        (("SELECT 1", "--since", "2026-02-02", "--until", "2026-02-01"), "no day is both"),
        (
            ("SELECT 1", "--server", "http://localhost:8123"),
            "DuckDB runs in this process; leave --server out",
        ),
        (("DELETE FROM sessions",), "this is no SELECT"),
    ],
)
def test_wrong_use_is_said_in_a_line(lake: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(str(lake), *arguments)
    assert result.exit_code != 0
    assert message in str(result.exception)
    assert len(str(result.exception).splitlines()) == 1


def test_no_lake_is_said_with_what_makes_one(tmp_path: Path) -> None:
    result = run(str(tmp_path / "none"), "SELECT 1")
    assert "there is no lake here; `compile-ledger export FILE --format parquet" in str(result.exception)
    assert "name the folder of Parquet files" in str(run("-q", "holes").exception)


def test_without_a_query_too_a_lake_that_is_none_is_said_at_once(tmp_path: Path, lake: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        found = run(str(folder))
        assert (found.exit_code != 0, found.stdout) == (True, "")
        assert f"{folder}: there is no lake here" in str(found.exception)
    assert "no session from 2999-01-01" in str(run(str(lake), "--since", "2999-01-01").exception)


def test_a_query_needs_no_pyarrow_whose_import_takes_as_long(lake: Path) -> None:
    script = (
        "import sys; from ledger.cli import main; sys.argv = sys.argv[1:]\n"
        "try: main()\n"
        "finally: assert not {'pyarrow', 'pandas'} & {*sys.modules}"
    )
    command = [sys.executable, "-c", script, "compile-ledger", "fleet", str(lake), "-q", "stages_over_time"]
    subprocess.run(command, check=True, capture_output=True)
