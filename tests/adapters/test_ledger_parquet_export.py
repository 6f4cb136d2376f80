"""Sessions exported to a lake: every row as SQL gives it, whole or not at all, the same bytes each time."""

import gzip
import json
import multiprocessing
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ledger import Event, Ledger, LedgerError, Recorder
from ledger.cli import app
from ledger.events.rows import EventRow, to_row
from ledger.storage.merging import merge
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from ledger.testing import SessionBuilder
from ledger_parquet import Lake, jobs, leftovers, part_writer
from ledger_parquet.exporter import ParquetExporter
from ledger_parquet.ledger_tables import LedgerTables
from ledger_parquet.manifest import LAKE_FORMAT
from ledger_parquet.tables import table_names
from tests.benchmarks.fleet_lake import write_lake
from tests.support.lakes import exported, lake_rows, ledger_rows, small_ledger, valid_bytes
from tests.support.paths import DATA
from tests.support.random_sessions import sessions
from tests.support.small_ledgers import write_sessions

GOLDEN = DATA / "lakes"


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of four real starts, on several days."""
    return small_ledger(tmp_path_factory.mktemp("four") / "four.db", 1, 2, 4, 5)


@pytest.fixture(scope="module")
def lake_of_four(four: Path) -> Path:
    exported(four, four.parent / "lake")
    return four.parent / "lake"


def test_every_row_of_every_table_is_as_sql_gives_it(four: Path, lake_of_four: Path) -> None:
    expected, found = ledger_rows(four), lake_rows(lake_of_four)
    assert expected["events"]
    assert expected["startup_breakdown"]
    assert expected["findings"]
    for table, rows in expected.items():
        assert found[table] == rows, table


@pytest.mark.parametrize("is_merged", [True, False])
def test_the_lake_of_a_benchmark_has_so_many_copies_of_each_session(
    lake_of_four: Path, tmp_path: Path, is_merged: bool
) -> None:
    small = Lake.open(str(lake_of_four)).sessions()
    events = write_lake(lake_of_four, tmp_path / "large", copies=3, hosts=2, is_merged=is_merged)
    large = Lake.open(str(tmp_path / "large"))
    assert len(large.sessions()) == 3 * len(small)
    assert (
        sum(each.event_count for each in large.sessions())
        == events
        == 3 * sum(each.event_count for each in small)
    )
    hosts = pyarrow.parquet.read_table(large.files("processes"), columns=["host"]).column("host")
    assert set(hosts.to_pylist()) == {"host-00", "host-01"}


_SUBQUERIES = {f"(subquery-{number})" for number in range(1, 20)}
_OVER_ALL = ("cache_key_changes", "findings")
"""They compare each session with the one before: their rows are found once for all sessions."""


def test_rows_of_some_sessions_are_looked_up_and_no_table_is_gone_through_for_them(four: Path) -> None:
    with closing(LedgerTables(four)) as tables:
        some = [each.session for each in tables.sessions()[:2]]
        with tables.at_one_moment(some):
            for table in set(table_names()) - {*_OVER_ALL}:
                query = tables._query(table)  # pyright: ignore[reportPrivateUsage]
                rows = tables._rows(f"EXPLAIN QUERY PLAN {query}")  # pyright: ignore[reportPrivateUsage]
                details = [str(detail) for *_, detail in rows]
                assert details
                gone_through = [one for one in details if one.startswith("SCAN ")]
                assert {one.split()[1] for one in gone_through} <= {"CONSTANT", "w", *_SUBQUERIES}, table


def test_a_part_has_one_date_and_says_its_versions(four: Path, lake_of_four: Path) -> None:
    with Ledger.open(four) as ledger:
        [info] = ledger.sql("SELECT schema_version, event_format, reducer_version FROM ledger_info")
        dates = {
            str(row["session"]): str(row["started_at"])[:10]
            for row in ledger.sql("SELECT session, started_at FROM sessions")
        }
    lake = Lake.open(str(lake_of_four))
    assert {each.session: each.date for each in lake.sessions()} == dates
    assert len(lake.parts) == len(set(dates.values()))
    for file in lake.files("intervals"):
        metadata = pyarrow.parquet.read_metadata(file).metadata
        for name, version in {**info, "lake_format": LAKE_FORMAT}.items():
            assert metadata[f"compile_ledger.{name}".encode()] == str(version).encode()
        assert f"date={metadata[b'compile_ledger.date'].decode()}" in file


def test_rows_are_sorted_by_session_in_groups_of_a_bounded_size(
    four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_writer, "_ROWS_A_GROUP", 1_000)
    exported(four, tmp_path / "lake")
    for file in Lake.open(str(tmp_path / "lake")).files("events"):
        opened = pyarrow.parquet.ParquetFile(file)
        groups = [opened.metadata.row_group(n).num_rows for n in range(opened.num_row_groups)]
        assert all(size == 1_000 for size in groups[:-1])
        rows = opened.read(["session", "process", "seq"]).to_pylist()
        keys = [tuple(row.values()) for row in rows]
        assert keys == sorted(keys)


def test_the_bytes_do_not_depend_on_how_the_ledger_is_read(
    four: Path, lake_of_four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "READING_EVENTS", 1)
    monkeypatch.setattr("ledger_parquet.ledger_tables._ROWS_A_BATCH", 7)
    exported(four, tmp_path / "lake")
    assert valid_bytes(tmp_path / "lake") == valid_bytes(lake_of_four)


def test_what_is_there_already_is_left_as_it_is(four: Path, lake_of_four: Path, tmp_path: Path) -> None:
    lake = Path(shutil.copytree(lake_of_four, tmp_path / "lake"))
    before = {file: file.stat().st_mtime_ns for file in lake.rglob("*") if file.is_file()}
    done = exported(four, lake)
    assert (done.written, done.unchanged, done.events) == (0, 4, 0)
    assert {file: file.stat().st_mtime_ns for file in lake.rglob("*") if file.is_file()} == before


def test_a_merged_copy_with_its_events_in_another_order_is_the_same(
    four: Path, lake_of_four: Path, tmp_path: Path
) -> None:
    lake = Path(shutil.copytree(lake_of_four, tmp_path / "lake"))
    with closing(Store.open(tmp_path / "all.db")) as store:
        merge(store, small_ledger(tmp_path / "other.db", 7))
        merge(store, four)
        bring_up_to_date(store)
    done = exported(tmp_path / "all.db", lake)
    assert (done.written, done.unchanged) == (1, 4)


def a_start(session: str, day: int = 1, more: int = 0) -> SessionBuilder:
    builder = SessionBuilder(session)
    builder.begin(0, wall_ns=(1_790_000_000 + day * 86_400) * 10**9)
    for number in range(3 + more):
        interval = builder.start(number * 10, "torch_compile", role="encoder", source="monitor")
        builder.stop(number * 10 + 5, interval)
    return builder


def test_a_session_that_grew_is_replaced_whole_and_no_other_day_is_touched(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    exported(
        write_sessions(tmp_path / "1.db", a_start("a"), a_start("b"), a_start("c"), a_start("x", 2)), lake
    )
    before = {each.session: each for each in Lake.open(str(lake)).sessions()}
    done = exported(write_sessions(tmp_path / "2.db", a_start("b", more=4), a_start("d")), lake)
    assert (done.written, done.unchanged) == (2, 0)
    after = {each.session: each for each in Lake.open(str(lake)).sessions()}
    assert after["x"] == before["x"]
    assert after["b"].event_count == before["b"].event_count + 8
    assert len({after[name].part for name in "abcd"}) == 1
    assert after["a"].part != before["a"].part
    whole = write_sessions(
        tmp_path / "3.db", a_start("a"), a_start("b", more=4), a_start("c"), a_start("d"), a_start("x", 2)
    )
    found, expected = lake_rows(lake), ledger_rows(whole)
    for rows in (found["events"], expected["events"]):
        for row in rows:
            del row["id"]
        rows.sort(key=repr)
    assert found == expected


def test_a_ledger_that_lacks_events_of_the_lake_is_refused_and_shown(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_sessions(tmp_path / "more.db", a_start("a", more=2))
    exported(tmp_path / "more.db", lake)
    write_sessions(tmp_path / "less.db", a_start("a"), a_start("b"))
    before = lake_rows(lake)
    arguments = ["export", str(tmp_path / "less.db"), "--format", "parquet", "-o", str(lake)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "refused: a:" in result.stderr
    assert "1 session written" in result.stderr
    after = lake_rows(lake)
    assert [row for row in after["events"] if row["session"] == "a"] == before["events"]


def test_rows_that_were_derived_by_older_rules_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sessions(tmp_path / "a.db", a_start("a"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE projected_sessions SET reducer_version = 1")
        connection.execute("UPDATE versions SET reducer_version = 1")
        connection.commit()
    ParquetExporter().write(path, ["a"], str(tmp_path / "lake"), lambda _: None)
    assert Lake.open(str(tmp_path / "lake")).parts[0].reducer_version == 1
    done = exported(path, tmp_path / "lake")
    assert done.written == 1
    [part] = Lake.open(str(tmp_path / "lake")).parts
    assert part.reducer_version > 1
    assert part.sessions[0].reducer_version == part.reducer_version


def test_sessions_without_a_date_have_a_place_of_their_own(tmp_path: Path) -> None:
    builder = SessionBuilder("undated")
    builder.milestone(1, "engine_ready")
    exported(write_sessions(tmp_path / "a.db", builder), tmp_path / "lake")
    [session] = Lake.open(str(tmp_path / "lake")).sessions()
    assert session.date is None
    assert (tmp_path / "lake" / "events" / "date=__HIVE_DEFAULT_PARTITION__").is_dir()


def test_two_exports_at_once_into_one_lake_are_both_there(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    ledgers = [
        write_sessions(tmp_path / f"{host}.db", *(a_start(f"{host}{n}", n % 3) for n in range(9)))
        for host in ("one", "two")
    ]
    lake = tmp_path / "lake"
    processes = [fork.Process(target=exported, args=(each, lake)) for each in ledgers]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(Lake.open(str(lake)).sessions()) == 18


def test_a_session_that_two_exports_wrote_at_once_is_left_in_one_part(tmp_path: Path) -> None:
    lake, other = tmp_path / "lake", tmp_path / "other"
    exported(write_sessions(tmp_path / "1.db", a_start("a"), a_start("b")), lake)
    exported(write_sessions(tmp_path / "2.db", a_start("b", more=1), a_start("c")), other)
    shutil.copytree(other, lake, dirs_exist_ok=True)  # as if neither had seen the other
    with pytest.raises(LedgerError, match="session b is in it twice"):
        Lake.open(str(lake))
    exported(write_sessions(tmp_path / "3.db", a_start("d")), lake)
    found = {each.session: each.event_count for each in Lake.open(str(lake)).sessions()}
    assert sorted(found) == ["a", "b", "c", "d"]
    assert found["b"] == found["a"] + 2
    events = lake_rows(lake)["events"]
    assert len(events) == sum(found.values())


def test_what_killed_exports_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    path = write_sessions(tmp_path / "a.db", a_start("a"))
    exported(path, lake)
    unnamed = lake / "events" / "date=2026-01-01" / "0123.parquet"
    unnamed.parent.mkdir()
    unnamed.write_bytes(b"PAR1")
    staged = lake / "_staging" / f"{os.uname().nodename}-1-0"
    staged.mkdir()
    (staged / "lock").touch()
    elsewhere = lake / "_staging" / "another-host-1-0"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    exported(path, lake)
    assert unnamed.exists()  # it may be of an export on another host
    assert elsewhere.exists()
    assert not staged.exists()
    system = Lake.open(str(lake)).filesystem
    later = unnamed.stat().st_mtime + leftovers.UNCOMMITTED_FOR_S + 1
    removed = leftovers.remove_leftovers(system, str(lake), later)
    assert removed == ["events/date=2026-01-01/0123.parquet"]
    assert len(lake_rows(lake)["sessions"]) == 1


def test_a_replaced_part_stays_for_those_who_read_it_and_goes_then(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    exported(write_sessions(tmp_path / "1.db", a_start("a")), lake)
    reader = Lake.open(str(lake))
    exported(write_sessions(tmp_path / "2.db", a_start("a", more=1)), lake)
    assert all(Path(file).exists() for file in reader.files("events"))
    new = Lake.open(str(lake))
    [part] = new.parts
    assert part.replaces == (reader.parts[0].part,)
    later = (lake / "_parts" / f"{part.part}.json").stat().st_mtime + leftovers.REPLACED_FOR_S + 1
    leftovers.remove_leftovers(new.filesystem, str(lake), later)
    assert not any(Path(file).exists() for file in [str(lake / f"_parts/{reader.parts[0].part}.json")])
    with pytest.raises(LedgerError, match="is missing; open the lake again"):
        Lake.open_if_there(str(lake)).checked_path(reader.parts[0], "events")
    assert len(lake_rows(lake)["sessions"]) == 1


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    exported(write_sessions(tmp_path / "1.db", a_start("a")), lake)
    [file] = Lake.open(str(lake)).files("claims")
    ParquetExporter().check(str(lake), ["a"])
    text = bytearray(Path(file).read_bytes())
    text[len(text) // 2] ^= 1
    Path(file).write_bytes(bytes(text))
    with pytest.raises(LedgerError, match="damaged"):
        ParquetExporter().check(str(lake), ["a"])


def test_redacted_sessions_have_no_host_and_another_id(tmp_path: Path) -> None:
    builder = SessionBuilder("20261128-secrethost")
    builder.begin(0, wall_ns=10**18, host="secrethost.example")
    path = write_sessions(tmp_path / "a.db", builder)
    arguments = ["export", str(path), "--format", "parquet", "--redact", "-o", str(tmp_path / "lake")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "were replaced; review the folder" in result.stderr
    assert "secrethost" not in repr(lake_rows(tmp_path / "lake"))


def test_a_ledger_that_can_not_be_written_to_is_exported_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sessions(tmp_path / "a.db", a_start("a"))
    recorder = Recorder.open(path)
    recorder.milestone("engine_ready")
    monkeypatch.setattr("ledger.storage.ledger.refresh", _not_writable)
    arguments = ["export", str(path), "--format", "parquet", "-o", str(tmp_path / "lake")]
    result = CliRunner().invoke(app, arguments)
    recorder.close()
    assert result.exit_code == 0, result.output
    assert "read into memory instead" in result.stderr
    assert len(Lake.open(str(tmp_path / "lake")).sessions()) == 2


def _not_writable(*_: Any, **__: Any) -> None:
    from ledger import LedgerNotWritable

    raise LedgerNotWritable("a.db: can't be written to")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a folder with -o"),
        (["-o", "lake", "--session", "nosuch"], "no session 'nosuch'"),
        (["-o", "lake", "--session", "a", "--all"], "give one of them"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    path = write_sessions(tmp_path / "a.db", a_start("a"))
    result = CliRunner().invoke(app, ["export", str(path), "--format", "parquet", *arguments])
    assert words in str(result.exception)
    assert isinstance(result.exception, LedgerError)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_whatever_was_recorded_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    _comes_back(folder, list(map(to_row, events)))


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_NUMBERS = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            EventRow,
            session=st.sampled_from(["s", "ß\U0001f600", "t"]),
            process=st.sampled_from(["p", "'; --", "\n"]),
            seq=st.integers(0, 2**63 - 1),
            kind=st.sampled_from(["session_started", "gap_noted", "another"]),
            at_ns=st.integers(0, 2**63 - 1),
            interval=st.none() | _NUMBERS,
            stage=st.none() | _TEXTS,
            activity=st.none() | _TEXTS,
            role=st.none() | _TEXTS,
            component=st.none() | _TEXTS,
            source=st.none() | _TEXTS,
            thread=st.none() | _TEXTS,
            parent=st.none() | _NUMBERS,
            outcome=st.none() | _TEXTS,
            error=st.none() | _TEXTS,
            data=st.none() | st.dictionaries(_TEXTS, _TEXTS, max_size=2).map(json.dumps),
            body=st.none() | _TEXTS,
            wall_ns=st.none() | _NUMBERS,
        ),
        unique_by=lambda row: row[:3],
        min_size=1,
        max_size=12,
    )
)
def test_odd_texts_and_large_numbers_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[EventRow]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    _comes_back(folder, rows, is_reduced=False)


def _comes_back(folder: Path, rows: list[EventRow], *, is_reduced: bool = True) -> None:
    names = sorted({row.session for row in rows})
    with closing(Store.open(folder / "a.db")) as store:
        with store.transaction():
            assert not store.append(rows).conflicting
            for name in [] if is_reduced else names:  # no reducer would take these
                store.insert("projected_sessions", "session, last_event_id, event_count, reducer_version",
                             [(name, 1, sum(row.session == name for row in rows), 1)])  # fmt: skip
                store.insert("sessions", "session, outcome, process_count, event_count, versions",
                             [(name, "running", 1, 1, "{}")])  # fmt: skip
        if is_reduced:
            bring_up_to_date(store)
    found: list[EventRow] = []
    if names:
        done = ParquetExporter().write(folder / "a.db", names, str(folder / "lake"), lambda _: None)
        assert done.written == len(names)
        for _, events in ParquetExporter().events(str(folder / "lake"), names):
            found += events
    found.sort(key=lambda row: row[:3])
    assert found == sorted(rows, key=lambda row: row[:3])
    shutil.rmtree(folder)


def test_the_golden_lake_is_read_and_added_to(tmp_path: Path) -> None:
    """A lake of each format is kept: `python -m tests.take.golden_lake` makes that of a new one."""
    for packed in sorted(each for each in GOLDEN.glob("format-*") if each.is_dir()):
        lake = Path(shutil.copytree(packed, tmp_path / packed.name))
        rows = lake_rows(lake)
        expected = json.loads(gzip.decompress((GOLDEN / f"{packed.name}.json.gz").read_bytes()))
        for table, of_table in expected.items():
            kept = [{name: row[name] for name in of_table[0]} for row in rows[table]] if of_table else []
            assert kept == of_table, table
        names = {row["session"] for row in expected["sessions"]}
        exported(write_sessions(tmp_path / f"{packed.name}.db", a_start("new")), lake)
        assert {each.session for each in Lake.open(str(lake)).sessions()} == {*names, "new"}
    assert (GOLDEN / f"format-{LAKE_FORMAT}").is_dir()


def test_a_locked_ledger_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sessions(tmp_path / "a.db", a_start("a"))
    monkeypatch.setattr("ledger_parquet.ledger_tables._WAIT_MS", 50)
    fork = multiprocessing.get_context("fork")
    ready, done = fork.Event(), fork.Event()

    def hold() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            ready.set()
            done.wait(30)

    holder = fork.Process(target=hold)
    holder.start()
    try:
        assert ready.wait(30)
        with pytest.raises(LedgerError, match="locked by another process"):
            LedgerTables(path).sessions()
    finally:
        done.set()
        holder.join()
