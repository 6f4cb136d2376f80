"""The queries over a lake: DuckDB has SQLite's rows, and plain Python has those of the fleet queries."""

import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ledger import InvalidQuery, LedgerError, saved_queries
from ledger.fleet import Days, Fleet, fleet_queries
from ledger.fleet.queries import query_over_lake
from ledger_parquet import Lake
from ledger_parquet.lake_files import data_path, manifest_path
from tests.support.lake_in_sqlite import Rows, answer, in_sqlite, rows_of
from tests.support.odd_lakes import odd_lake

QUERIES = {**fleet_queries(), **saved_queries()}
READY = ("server_ready", "engine_ready")
SECOND = 1e9


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_lake(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="module")
def sqlite(lake: Path) -> sqlite3.Connection:
    return in_sqlite(lake)


@pytest.fixture(scope="module")
def duckdb(lake: Path) -> Iterator[Fleet]:
    with Fleet.open(str(lake)) as fleet:
        yield fleet


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_duckdb_has_the_rows_of_sqlite(name: str, sqlite: sqlite3.Connection, duckdb: Fleet) -> None:
    expected = answer(sqlite, QUERIES[name])
    assert expected
    assert list(map(dict, duckdb.rows(QUERIES[name]))) == expected


@pytest.mark.parametrize("name", sorted(fleet_queries()))
def test_a_fleet_query_says_what_it_answers_and_orders_its_rows_by_all_that_tells_them_apart(
    name: str, sqlite: sqlite3.Connection
) -> None:
    text = fleet_queries()[name]
    assert re.fullmatch(r"-- [A-Z].+\?", text.splitlines()[0])
    assert name not in saved_queries()
    order = text[text.rindex("ORDER BY") :]
    assert len(set(map(repr, answer(sqlite, text)))) == len(answer(sqlite, text)), order


# The oracle


class Start:
    """A session, as the definition of `starts` has it, made from rows by hand."""

    def __init__(self, session: dict[str, Any], rows: Mapping[str, Rows]) -> None:
        self.id = session["session"]
        self.label = session["label"]
        self.day = session["started_at"] and session["started_at"][:10]
        vllm, torch = session["vllm_version"], session["torch_version"]
        named = [*([f"vllm {vllm}"] if vllm else []), *([f"torch {torch}"] if torch else [])]
        self.versions = ", ".join(named) or None
        found = re.search(r'"--model", "([^"]*)"', session["command"] or "")
        self.model = found and found[1]
        windows = [
            row for row in rows["startup_windows"] if row["session"] == self.id and row["ended_by"] in READY
        ]
        first = min(windows, key=lambda row: row["window"], default=None)
        self.window = first and first["window"]
        self.ready_ns: int | None = first and first["duration_ns"]
        compiles = [row for row in rows["compilations"] if row["session"] == self.id]
        said = {answer for row in compiles for answer in (row["fx_graph_cache"], row["aot_cache"])}
        self.cache = "cold" if "miss" in said else "warm" if "hit" in said else None
        hosts = [row for row in rows["processes"] if row["session"] == self.id and row["host"] is not None]
        hosts.sort(key=lambda row: (row["started_at"] is not None, row["started_at"] or "", row["process"]))
        self.host = hosts[0]["host"] if hosts else None


@pytest.fixture(scope="module")
def rows(lake: Path) -> Mapping[str, Rows]:
    return rows_of(lake)


@pytest.fixture(scope="module")
def starts(rows: Mapping[str, Rows]) -> list[Start]:
    return [Start(session, rows) for session in rows["sessions"]]


def nearest_rank(values: Sequence[int], percent: int) -> float | None:
    """Return the smallest value that at least so many percent of them don't exceed, in seconds."""
    ordered = sorted(values)
    for value in ordered:
        if 100 * sum(other <= value for other in ordered) >= percent * len(ordered):
            return value / SECOND
    return None


def grouped(starts: Sequence[Start], key: Callable[[Start], Any]) -> Mapping[Any, list[Start]]:
    groups: defaultdict[Any, list[Start]] = defaultdict(list)
    for start in starts:
        groups[key(start)].append(start)
    return groups


def ready(starts: Sequence[Start]) -> list[int]:
    return [start.ready_ns for start in starts if start.ready_ns is not None]


def test_starts_per_day(duckdb: Fleet, starts: list[Start]) -> None:
    found = {(row["day"], row["label"]): tuple(row.values())[2:] for row in duckdb.query("starts_per_day")}
    assert found == {
        key: (len(group), len(ready(group)), *(nearest_rank(ready(group), each) for each in (50, 90, 99)))
        for key, group in grouped(starts, lambda start: (start.day, start.label)).items()
    }
    assert any(numbers[1] < numbers[0] for numbers in found.values())
    assert {label for _, label in found} >= {None, "", "it's"}


def test_ready_by_day(duckdb: Fleet, starts: list[Start]) -> None:
    found = {row["day"]: tuple(row.values())[1:] for row in duckdb.query("ready_by_day")}
    assert found == {
        day: (
            len(group), len(ready(group)), *(nearest_rank(ready(group), each) for each in (50, 90, 99)),
            max(ready(group)) / SECOND,
        )
        for day, group in grouped(starts, lambda start: start.day).items()
    }  # fmt: skip


def test_slowest_groups(duckdb: Fleet, starts: list[Start]) -> None:
    found = {(row["kind"], row["name"]): tuple(row.values())[2:] for row in duckdb.query("slowest_groups")}
    expected = {
        (kind, name): (
            len(ready(group)), nearest_rank(ready(group), 50), nearest_rank(ready(group), 90),
            max(ready(group)) / SECOND,
        )
        for kind in ("model", "versions", "host")
        for name, group in grouped(starts, lambda start, kind=kind: getattr(start, kind)).items()
        if ready(group)
    }  # fmt: skip
    assert found == expected
    assert ("model", "o'hara/7b") in found


def test_cold_against_warm(duckdb: Fleet, starts: list[Start]) -> None:
    for row in duckdb.query("cold_against_warm"):
        group = [start for start in starts if start.label == row["label"] and start.ready_ns is not None]
        cold, warm = (ready([one for one in group if one.cache == cache]) for cache in ("cold", "warm"))
        assert (row["cold"], row["warm"], row["unknown"]) == (
            len(cold),
            len(warm),
            len(group) - len(cold + warm),
        )
        assert (row["p50_cold"], row["p50_warm"]) == (nearest_rank(cold, 50), nearest_rank(warm, 50))
        if cold and warm:
            assert row["difference"] == pytest.approx(row["p50_cold"] - row["p50_warm"])


def pieces(rows: Mapping[str, Rows], starts: list[Start]) -> Iterator[tuple[Start, dict[str, Any]]]:
    by_window = {(start.id, start.window): start for start in starts if start.window is not None}
    for piece in rows["startup_breakdown"]:
        if (start := by_window.get((piece["session"], piece["window"]))) is not None:
            yield start, piece


def test_stages_over_time(duckdb: Fleet, rows: Mapping[str, Rows], starts: list[Start]) -> None:
    sums: defaultdict[Any, int] = defaultdict(int)
    sessions: defaultdict[Any, set[str]] = defaultdict(set)
    for start, piece in pieces(rows, starts):
        key = (start.day, piece["activity"], piece["stage"] or "(unattributed)")
        sums[key] += piece["duration_ns"]
        sessions[key].add(start.id)
    found = {(row["day"], row["activity"], row["stage"]): row for row in duckdb.query("stages_over_time")}
    assert found.keys() == sums.keys()
    of_day = grouped(starts, lambda start: start.day)
    for key, row in found.items():
        of_ready = ready(of_day[key[0]])
        assert row["starts"] == len(sessions[key])
        assert row["seconds_per_start"] == pytest.approx(sums[key] / SECOND / len(of_ready))
        assert row["percent"] == pytest.approx(100 * sums[key] / sum(of_ready))


def test_unexplained_time(duckdb: Fleet, rows: Mapping[str, Rows], starts: list[Start]) -> None:
    holes: defaultdict[Any, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for start, piece in pieces(rows, starts):
        if piece["interval"] is None:
            holes[piece["after_stage"], piece["before_stage"]][start.id] += piece["duration_ns"]
    found = {(row["after_stage"], row["before_stage"]): row for row in duckdb.query("unexplained_time")}
    assert found.keys() == holes.keys()
    for key, row in found.items():
        times = list(holes[key].values())
        assert row["starts"] == len(times)
        assert (row["p50"], row["p90"]) == (nearest_rank(times, 50), nearest_rank(times, 90))
        assert row["seconds"] == pytest.approx(sum(times) / SECOND)
        assert row["percent"] == pytest.approx(100 * sum(times) / sum(ready(starts)))


def test_findings_by_stake(duckdb: Fleet, rows: Mapping[str, Rows]) -> None:
    stakes: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows["findings"]:
        of_start = stakes[row["finding"]]
        of_start[row["session"]] = max(of_start[row["session"]], row["stake_ns"])
    found = {row["finding"]: row for row in duckdb.query("findings_by_stake")}
    assert found.keys() == stakes.keys()
    for finding, row in found.items():
        times = list(stakes[finding].values())
        assert row["starts"] == len(times)
        assert (row["p50"], row["p90"]) == (nearest_rank(times, 50), nearest_rank(times, 90))
        assert row["seconds"] == pytest.approx(sum(times) / SECOND)
        assert stakes[finding][row["most_in"]] == max(times)
    assert [row["seconds"] for row in found.values()] == sorted(
        (row["seconds"] for row in found.values()), reverse=True
    )


def test_rank_spread(duckdb: Fleet, rows: Mapping[str, Rows], starts: list[Start]) -> None:
    ranked = {(row["session"], row["process"]) for row in rows["processes"] if row["rank"] is not None}
    labels = {start.id: start.label for start in starts}
    times: defaultdict[Any, dict[str, int]] = defaultdict(
        dict
    )  # by process: engines side by side repeat ranks
    for row in rows["role_totals"]:
        if (row["session"], row["process"]) in ranked:
            times[row["session"], row["role"], row["activity"]][row["process"]] = row["total_ns"]
    spreads: defaultdict[Any, list[int]] = defaultdict(list)
    for (session, role, activity), of_rank in times.items():
        if len(of_rank) > 1:
            spread = max(of_rank.values()) - min(of_rank.values())
            spreads[labels[session], role, activity].append(spread)
    found = {(row["label"], row["role"], row["activity"]): row for row in duckdb.query("rank_spread")}
    assert found
    assert found.keys() <= spreads.keys()
    for key, row in found.items():
        assert row["starts"] == len(spreads[key])
        assert (row["p50"], row["p90"]) == (nearest_rank(spreads[key], 50), nearest_rank(spreads[key], 90))
        assert row["widest"] == max(spreads[key]) / SECOND
        of_widest = times[row["widest_in"], key[1], key[2]]
        assert max(of_widest.values()) - min(of_widest.values()) == max(spreads[key])
        assert 1 <= row["times_slowest"] <= row["starts"]


def test_cache_misses(duckdb: Fleet, rows: Mapping[str, Rows]) -> None:
    found = {(row["finding"], row["reason"]): row for row in duckdb.query("cache_misses")}
    for finding in ("cache_empty", "cache_load_failed"):
        of_start: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows["findings"]:
            if row["finding"] == finding:
                of_start[row["session"]].append(row["stake_ns"])
        if of_start:
            row = found[finding, None]
            assert (row["starts"], row["times"]) == (len(of_start), sum(map(len, of_start.values())))
            assert row["seconds"] == pytest.approx(sum(map(max, of_start.values())) / SECOND)
    changed = {row["session"] for row in rows["findings"] if row["finding"] == "cache_key_changed"}
    assert any(finding == "cache_key_changed" for finding, _ in found)
    for (finding, part), row in found.items():
        if finding == "cache_key_changed":
            having = {one["session"] for one in rows["cache_key_changes"] if one["part"] == part}
            assert 0 < row["starts"] <= len(changed & having)


def test_slowest_starts(duckdb: Fleet, starts: list[Start]) -> None:
    of_id = {start.id: start for start in starts}
    found = list(duckdb.query("slowest_starts"))
    expected = sorted(
        (start for start in starts if start.ready_ns is not None),
        key=lambda start: (-start.ready_ns, start.id),
    )
    assert [row["session"] for row in found] == [start.id for start in expected[:20]]
    for row in found:
        start = of_id[str(row["session"])]
        assert (row["label"], row["host"], row["model"], row["versions"], row["cache"]) == (
            start.label, start.host, start.model, start.versions, start.cache
        )  # fmt: skip


# Which part of a lake is asked, and how


def test_days_leave_out_the_others(lake: Path, starts: list[Start]) -> None:
    days = sorted({start.day for start in starts})
    count = "SELECT count(*) AS number FROM sessions"
    with Fleet.open(str(lake), days=Days(since=days[1])) as fleet:
        assert next(fleet.rows(count)) == {"number": sum(start.day >= days[1] for start in starts)}
    with Fleet.open(str(lake), days=Days(until=days[0])) as fleet:
        assert next(fleet.rows(count)) == {"number": sum(start.day <= days[0] for start in starts)}
    with pytest.raises(LedgerError, match="no session from 2000-01-01 to 2000-01-02"):
        Fleet.open(str(lake), days=Days("2000-01-01", "2000-01-02"))


def test_a_lake_whose_path_has_quotes_and_blanks_is_read(lake: Path, tmp_path: Path) -> None:
    odd = tmp_path / """it's "a" lake"""
    odd.symlink_to(lake)
    with Fleet.open(str(odd)) as fleet:
        assert list(fleet.rows("SELECT count(*) AS n FROM sessions")) == [{"n": 73}]


@pytest.mark.parametrize("place", [0, -1])
def test_a_column_that_files_of_another_version_lack_is_null_there_and_nowhere_else(
    lake: Path, tmp_path: Path, place: int
) -> None:
    copy = Path(shutil.copytree(lake, tmp_path / "lake"))
    part = Lake.open(str(copy)).parts[place]
    file = copy / data_path("sessions", part.date, part.part)
    older = pq.read_table(file, partitioning=None).drop_columns(["torch_version"])
    pq.write_table(older, file)
    files = {
        **part.files,
        "sessions": part.files["sessions"].model_copy(update={"bytes": file.stat().st_size}),
    }
    (copy / manifest_path(part.part)).write_text(
        part.model_copy(update={"written_by": "older", "files": files}).model_dump_json()
    )
    without = {each.session for each in part.sessions}
    text = "SELECT session, torch_version FROM sessions"
    with Fleet.open(str(lake)) as whole, Fleet.open(str(copy)) as fleet:
        expected = {row["session"]: row["torch_version"] for row in whole.rows(text)}
        found = {row["session"]: row["torch_version"] for row in fleet.rows(text)}
    assert any(expected[session] for session in without)
    assert any(version for session, version in expected.items() if session not in without)
    assert found == {one: None if one in without else version for one, version in expected.items()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "one SELECT statement is needed, not 0"),
        ("SELECT 1; SELECT 2", "one SELECT statement is needed, not 2"),
        ("INSERT INTO sessions VALUES (1)", "this is no SELECT"),
        ("COPY (SELECT 1) TO 'x'", "this is no SELECT"),
        ("SELECT * FROM (", r"Expected table name \(line 1, column 15\)"),
        ("SELECT nothing FROM sessions", "nothing"),
        ("SELECT * FROM nothing", "nothing"),
    ],
)
def test_what_is_no_query_is_refused_in_one_line(duckdb: Fleet, text: str, reason: str) -> None:
    with pytest.raises(InvalidQuery, match=reason) as caught:
        list(duckdb.rows(text))
    assert len(str(caught.value).splitlines()) == 1


def test_two_columns_of_one_name_are_both_there(duckdb: Fleet) -> None:
    assert list(duckdb.rows("SELECT 1 AS a, 2 AS a")) == [{"a": 1, "a_2": 2}]


def test_a_query_may_define_a_name_that_is_a_table(duckdb: Fleet) -> None:
    assert list(duckdb.rows("WITH starts AS (SELECT 1 AS a) SELECT a FROM starts")) == [{"a": 1}]


def test_an_unknown_name_or_engine_is_said(lake: Path) -> None:
    with pytest.raises(InvalidQuery, match="no query 'nothing'"):
        query_over_lake("nothing")
    with pytest.raises(LedgerError, match="unknown engine 'oracle'; available: duckdb"):
        Fleet.open(str(lake), engine="oracle")
    with pytest.raises(LedgerError, match="there is no lake here"):
        Fleet.open(str(lake.parent / "none"))
