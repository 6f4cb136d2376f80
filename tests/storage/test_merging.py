"""Ledgers merged into one: as if all had been recorded there, however often; nothing is lost or replaced."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ledger import Event, Ledger, Recorder, reduce
from ledger.cli import app
from ledger.errors import LedgerError, LedgerMissing
from ledger.events.rows import to_row
from ledger.recording.journal import journal_folder, journals
from ledger.storage.archiving import remove_sessions
from ledger.storage.merge_output import PAGE_BYTES
from ledger.storage.merging import Merged, ledgers_in, merge
from ledger.storage.store import Store
from ledger.storage.verification import verify
from ledger.testing import SessionBuilder
from tests.benchmarks.fleet_of_sessions import write_ledger
from tests.support.random_sessions import sessions
from tests.support.small_ledgers import write_sessions


def write(path: Path, events: Sequence[Event]) -> Path:
    with closing(Store.open(path)) as store, store.transaction():
        store.append(list(map(to_row, events)))
    return path


def merged(into: Path, *sources: Path) -> Merged:
    total = Merged()
    with closing(Store.open(into)) as store:
        for source in sources:
            total = total.plus(merge(store, source))
    return total


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM events ORDER BY id").fetchall()


def a_host(name: str, process: str, at_ns: int) -> SessionBuilder:
    """One process of a session, on a host whose clock and boot are its own."""
    builder = SessionBuilder("20261128-120000-00000001", process)
    builder.begin(at_ns, host=name, wall_ns=10**18)
    interval = builder.start(at_ns + 10, "torch_compile", role="encoder", source="monitor")
    builder.stop(at_ns + 10 + 10**9, interval)
    return builder


def test_a_session_over_two_hosts_is_whole(tmp_path: Path) -> None:
    one, other = a_host("node1", "p1", 0), a_host("node2", "p2", 5_000 * 10**9)
    paths = [write_sessions(tmp_path / f"{number}.db", each) for number, each in enumerate((one, other))]
    assert merged(tmp_path / "all.db", *paths).events == len(one.events) + len(other.events)
    with Ledger.open(tmp_path / "all.db") as ledger:
        timeline = ledger.timeline()
    assert timeline == reduce([*one.events, *other.events])
    assert {process.host for process in timeline.processes} == {"node1", "node2"}
    [total] = timeline.session_totals
    assert (total.max_ns, total.sum_ns, total.union_ns) == (10**9, 2 * 10**9, None)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions(), st.data())
def test_parts_in_any_order_and_as_often_as_you_like(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    number = data.draw(st.integers(1, 3))
    places = [data.draw(st.sets(st.integers(0, number - 1), min_size=1)) for _ in events]
    paths = [
        write(folder / f"{part}.db", [e for e, where in zip(events, places, strict=True) if part in where])
        for part in range(number)
    ]
    order = data.draw(st.lists(st.sampled_from(paths), max_size=4)) + data.draw(st.permutations(paths))
    found = merged(folder / "all.db", *order)
    assert (found.events, found.conflicting) == (len(events), ())
    before = rows(folder / "all.db")
    again = merged(folder / "all.db", *paths)
    assert (again.events, again.duplicates) == (0, sum(map(len, places)))
    assert rows(folder / "all.db") == before
    if events:
        with Ledger.open(folder / "all.db") as ledger:
            assert ledger.timeline(events[0].session) == reduce(events)


def test_another_event_under_the_same_key_is_refused_and_shown(tmp_path: Path) -> None:
    first, second = SessionBuilder(), SessionBuilder()
    first.milestone(1, "engine_ready")
    second.milestone(2, "engine_ready")
    second.milestone(3, "first_token")
    paths = [write_sessions(tmp_path / f"{n}.db", each) for n, each in enumerate((first, second))]
    arguments = ["merge", *map(str, paths), "-o", str(tmp_path / "all.db")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "refused: another event has the key (session, process, 0)" in result.stderr
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["events"], answer["duplicates"]) == (0, 2)
    assert answer["conflicting"] == ["(session, process, 0)"]
    with Ledger.open(tmp_path / "all.db") as ledger:
        assert [(one.name, one.at_ns) for one in ledger.timeline().milestones] == [
            ("engine_ready", 1),
            ("first_token", 3),
        ]


def test_a_live_ledger_is_copied_with_its_journals_and_stays_as_it_is(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "live.db", label="live")
    recorder.milestone("engine_ready")
    waiting = [path.read_bytes() for path in journals(journal_folder(tmp_path / "live.db"))]
    assert waiting
    found = merged(tmp_path / "copy.db", tmp_path / "live.db")
    assert found.events > 0
    assert [path.read_bytes() for path in journals(journal_folder(tmp_path / "live.db"))] == waiting
    recorder.milestone("first_token")
    recorder.close()
    assert merged(tmp_path / "copy.db", tmp_path / "live.db").events > 0
    with Ledger.open(tmp_path / "copy.db") as copy, Ledger.open(tmp_path / "live.db") as live:
        assert copy.timeline() == live.timeline()
        assert [one.name for one in copy.timeline().milestones] == ["engine_ready", "first_token"]


def test_a_folder_gives_its_ledgers_and_nothing_else(tmp_path: Path) -> None:
    runs, empty = tmp_path / "runs", tmp_path / "empty"
    runs.mkdir()
    empty.mkdir()
    write_sessions(runs / "a.db")
    (runs / "notes.txt").write_text("no ledger")
    with closing(sqlite3.connect(runs / "other.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    assert ledgers_in([tmp_path]) == [runs / "a.db"]
    with pytest.raises(LedgerMissing, match="no ledger in this folder"):
        ledgers_in([empty])
    with pytest.raises(LedgerMissing, match="there is no ledger here"):
        ledgers_in([tmp_path / "gone.db"])


def test_a_ledger_is_not_merged_into_itself(tmp_path: Path) -> None:
    path = write_sessions(tmp_path / "a.db", SessionBuilder())
    os.link(path, tmp_path / "b.db")
    with pytest.raises(LedgerError, match="name another file with -o"):
        merged(path, tmp_path / "b.db")


def test_a_ledger_with_the_pages_of_a_merge_does_all_that_others_do(tmp_path: Path) -> None:
    write_ledger(tmp_path / "host.db", range(2), 1, 1)
    arguments = ["merge", str(tmp_path / "host.db"), "-o", str(tmp_path / "all.db")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    with closing(Store.open_to_read(tmp_path / "all.db")) as store:
        assert store.select("PRAGMA page_size") == [(PAGE_BYTES,)]
        with closing(store.copied_to_memory()) as copy:
            assert copy.select("SELECT count(*) FROM events") == store.select("SELECT count(*) FROM events")
        sessions = store.select("SELECT session, count(*) FROM events GROUP BY session ORDER BY session")
    gone, stays = ((str(session), int(str(number))) for session, number in sessions)
    remove_sessions(tmp_path / "all.db", dict([gone]))
    assert [finding for finding in verify(tmp_path / "all.db") if finding.is_fault] == []
    with closing(Store.open_to_read(tmp_path / "all.db")) as store:
        assert store.select("SELECT session, count(*) FROM events GROUP BY session") == [stays]
