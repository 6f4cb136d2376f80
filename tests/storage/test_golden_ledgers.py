"""Ledgers that every version of the schema made, opened by the newest code."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from ledger import Event, Ledger, LedgerLocked, reduce, saved_queries
from ledger.storage.projections import current_timeline
from ledger.storage.store import SCHEMA_VERSION, Store
from ledger.storage.verification import verify
from ledger.testing import MemoryLedger
from ledger.timeline.reducer import REDUCER_VERSION
from tests.support.golden_ledgers import golden_events, golden_file, unpacked

VERSIONS = range(1, SCHEMA_VERSION + 1)
EVENTS = golden_events()
SESSIONS = sorted({event.session for event in EVENTS})


def by_key(event: Event) -> tuple[str, str, int]:
    return (event.session, event.process, event.seq)


def events_of(session: str) -> list[Event]:
    return [event for event in EVENTS if event.session == session]


def relations(ledger: Ledger) -> list[tuple[object, ...]]:
    """Return everything that a ledger's schema has, whatever spaces it was created with."""
    rows = ledger.sql("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2")
    return [(*[row[name] for name in ("type", "name", "tbl_name")], str(row["sql"]).split()) for row in rows]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_the_schema_has_its_golden_ledger(version: int, path: Path) -> None:
    assert golden_file(version).exists(), "make it with `python -m tests.take.golden_ledger`"
    with closing(sqlite3.connect(unpacked(version, path))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
        projected = connection.execute("SELECT session FROM projected_sessions ORDER BY 1").fetchall()
        assert [session for (session,) in projected] == SESSIONS


@pytest.mark.parametrize("version", VERSIONS)
class TestOpened:
    """A golden ledger after the newest code has opened it."""

    @pytest.fixture
    def ledger(self, version: int, path: Path) -> Iterator[Ledger]:
        with Ledger.open(unpacked(version, path)) as ledger:
            yield ledger

    def test_it_is_migrated_and_current(self, ledger: Ledger) -> None:
        assert ledger.warning is None
        [info] = ledger.sql("SELECT schema_version, events_not_projected FROM ledger_info")
        assert info == {"schema_version": SCHEMA_VERSION, "events_not_projected": 0}

    def test_it_has_the_events_that_were_recorded(self, ledger: Ledger) -> None:
        for session in SESSIONS:
            assert sorted(ledger.events(session), key=by_key) == sorted(events_of(session), key=by_key)

    def test_its_timelines_are_what_the_events_reduce_to(self, ledger: Ledger) -> None:
        for session in SESSIONS:
            assert ledger.timeline(session) == reduce(events_of(session))

    def test_tables_and_views_are_those_of_a_new_ledger(self, ledger: Ledger, tmp_path: Path) -> None:
        Store.open(tmp_path / "new.db").close()
        with Ledger.open(tmp_path / "new.db") as new:
            assert relations(ledger) == relations(new)

    def test_saved_queries_answer_as_of_a_new_ledger(self, ledger: Ledger) -> None:
        new = MemoryLedger(EVENTS)
        for name, query in saved_queries().items():
            assert ledger.sql(query) == new.sql(query), name

    def test_what_was_rejected_is_still_there(self, ledger: Ledger) -> None:
        [row] = ledger.sql("SELECT file, line, text FROM rejected_lines")
        assert (row["file"], row["line"]) == ("engine.jsonl", 22)

    def test_verify_finds_no_fault(self, ledger: Ledger) -> None:
        assert {finding.what for finding in verify(ledger.path)} == {"rejected_lines"}


@pytest.mark.parametrize("version", VERSIONS)
class TestNotMigrated:
    """A golden ledger that nobody could write to since."""

    def test_its_timelines_are_what_the_events_reduce_to(self, version: int, path: Path) -> None:
        before = unpacked(version, path).read_bytes()
        with closing(Store.open_to_read_migrated(path)) as store:
            for session in SESSIONS:
                assert current_timeline(store, session) == reduce(events_of(session))
        assert path.read_bytes() == before

    def test_it_is_read_while_another_process_writes(
        self, version: int, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ledger.storage.ledger.refresh", mock.Mock(side_effect=LedgerLocked("locked")))
        with Ledger.open(unpacked(version, path)) as ledger:
            assert ledger.warning == "locked; this is what was there before"
            assert len(ledger.timeline_excerpt("nightly", 3).processes) == 2
            assert len(ledger.sql(saved_queries()["components"])) > 0

    def test_verify_finds_no_fault_and_changes_nothing(self, version: int, path: Path) -> None:
        before = unpacked(version, path).read_bytes()
        assert [finding for finding in verify(path) if finding.is_fault] == []
        assert path.read_bytes() == before

    def test_verify_finds_a_wrong_projection(self, version: int, path: Path) -> None:
        with closing(sqlite3.connect(unpacked(version, path))) as connection, connection:
            connection.execute("UPDATE sessions SET label = 'wrong' WHERE session = 'nightly'")
            [(reducer,)] = connection.execute("SELECT max(reducer_version) FROM projected_sessions")
        found = Counter(finding.what for finding in verify(path))
        # What an older reducer made is no fault: it is derived again when the ledger is opened.
        is_older = reducer < REDUCER_VERSION
        assert (found["not_projected"], found["wrong_projection"]) == ((2, 0) if is_older else (0, 1))
