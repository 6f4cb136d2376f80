"""Sessions moved out of a ledger into a lake and back: whole, verified, and never in neither place."""

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger import Ledger, LedgerError, Recorder
from ledger.cli import app
from ledger.errors import LedgerDamaged, LedgerLocked
from ledger.interchange import archiving
from ledger.interchange.folder_exporters import the_folder_exporter
from ledger.storage.archiving import remove_sessions
from ledger.storage.record_rows import TABLES
from ledger.storage.verification import verify
from ledger.testing import SessionBuilder
from tests.support.killed_commands import NEVER, Killer
from tests.support.lakes import exported, valid_bytes
from tests.support.small_ledgers import write_sessions

NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
_OLD, _NEW = ("a", "b", "c"), ("y", "z")
_EVENTS = 15
"""Of each."""
_WRITE = "INSERT INTO rejected_lines (file, line, reason, text) VALUES ('f', 1, 'r', 't')"


def a_start(session: str, age_days: int, *, ends: bool = True) -> SessionBuilder:
    builder = SessionBuilder(session)
    wall_ns = int((NOW - timedelta(days=age_days)).timestamp()) * 10**9
    builder.begin(0, wall_ns=wall_ns, label=f"label of {session}")
    for number in range(5):
        interval = builder.start(number * 10, "torch_compile", role="encoder", source="monitor")
        builder.stop(number * 10 + 5, interval)
    builder.claim(60, 45, source="monitor", role="encoder")
    if ends:
        builder.end(110)
    return builder


@pytest.fixture
def ledger(path: Path) -> Path:
    """A ledger of three sessions that ended long ago, and two that did not."""
    return write_sessions(
        path, *(a_start(name, 5_000) for name in _OLD), *(a_start(name, -5_000) for name in _NEW)
    )


def contents(path: Path, without: str = "''") -> dict[str, Any]:
    """Return everything that is in a ledger, of all but some sessions."""
    found: dict[str, Any] = {}
    with closing(sqlite3.connect(path)) as connection:
        for table in ("events", "projected_sessions", *TABLES):
            query = f"SELECT * FROM {table} WHERE session NOT IN ({without}) ORDER BY session, rowid"
            found[table] = connection.execute(query).fetchall()
        found["schema"] = connection.execute(
            "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"
        ).fetchall()
    return found


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_old_sessions_are_moved_and_the_others_stay_as_they_are(ledger: Path, tmp_path: Path) -> None:
    expected = contents(ledger, "'a', 'b', 'c'")
    result = run("archive", ledger, "--older-than", "90d", "-o", tmp_path / "lake")
    assert result.exit_code == 0, result.output
    assert "3 sessions moved" in result.output
    assert contents(ledger) == expected
    assert not [finding for finding in verify(ledger) if finding.is_fault]
    assert list(tmp_path.glob(".*")) == []
    with closing(sqlite3.connect(ledger)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM events")
    again = run("archive", ledger, "--older-than", "90d", "-o", tmp_path / "lake")
    assert (again.exit_code, "no session is older than 90d" in again.output) == (0, True)


def test_nothing_of_an_archived_session_is_left_in_any_table(ledger: Path, tmp_path: Path) -> None:
    assert run("archive", ledger, "--older-than", "90d", "-o", tmp_path / "lake").exit_code == 0
    with closing(sqlite3.connect(ledger)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        having = [
            table
            for table in tables
            if any(row[1] == "session" for row in connection.execute(f"PRAGMA table_info({table})"))
        ]
        assert len(having) > 10
        for table in having:
            sessions = {name for (name,) in connection.execute(f"SELECT session FROM {table}")}
            assert not sessions & set(_OLD), table


def test_a_session_comes_back_event_by_event(ledger: Path, tmp_path: Path) -> None:
    with Ledger.open(ledger) as opened:
        events, timeline = list(opened.events("a")), opened.timeline("a")
    assert run("archive", ledger, "--older-than", "90d", "-o", tmp_path / "lake").exit_code == 0
    result = run("restore", tmp_path / "lake", "a", "-o", tmp_path / "back.db")
    assert f"session a restored, {_EVENTS} new events" in result.output, result.output
    with Ledger.open(tmp_path / "back.db") as opened:
        assert list(opened.events("a")) == events
        assert opened.timeline("a") == timeline
    result = run("restore", tmp_path / "lake", "a", "-o", tmp_path / "back.db")
    assert "0 new events" in result.output
    assert run("restore", tmp_path / "lake", "b", "-o", ledger).exit_code == 0
    with Ledger.open(ledger) as opened:
        assert set(opened.sessions()) == {"b", *_NEW}


def test_what_an_archive_would_remove_is_compared_first(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = the_folder_exporter("parquet")
    exported(ledger, tmp_path / "lake")
    with Ledger.open(ledger) as opened:
        assert archiving.check_archived(opened, _OLD, exporter, str(tmp_path / "lake")) == dict.fromkeys(
            _OLD, 15
        )
        whole = type(exporter).events

        def one_less(self: Any, folder: str, sessions: Any) -> Any:
            for session, events in whole(self, folder, sessions):
                rows = list(events)
                yield session, iter(rows[:-1] if session == "b" else rows)

        monkeypatch.setattr(type(exporter), "events", one_less)
        with pytest.raises(LedgerDamaged, match="session b is not there as it is in"):
            archiving.check_archived(opened, _OLD, exporter, str(tmp_path / "lake"))


def test_a_session_that_grew_meanwhile_stays(ledger: Path) -> None:
    before = contents(ledger)
    with pytest.raises(LedgerLocked, match="session a had 14 events, and has 15 by now"):
        remove_sessions(ledger, {"a": _EVENTS - 1})
    assert contents(ledger) == before


def test_a_ledger_that_is_written_to_meanwhile_stays(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.storage import archiving as storage

    check = storage._check

    def somebody_writes(*arguments: Any) -> None:
        check(*arguments)
        with closing(sqlite3.connect(ledger)) as connection:
            connection.execute(
                "INSERT INTO rejected_lines (file, line, reason, text) VALUES ('f', 1, 'r', 't')"
            )
            connection.commit()

    monkeypatch.setattr(storage, "_check", somebody_writes)
    with pytest.raises(LedgerLocked, match="was written to meanwhile"):
        remove_sessions(ledger, dict.fromkeys(_OLD, _EVENTS))
    with Ledger.open(ledger) as opened:
        assert set(opened.sessions()) == {*_OLD, *_NEW}
        assert len(opened.sql("SELECT * FROM rejected_lines")) == 1
    assert list(ledger.parent.glob(".*")) == []


def test_who_has_the_ledger_open_goes_on_with_what_is_in_it_then(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as other:
        assert other.execute("SELECT count(*) FROM sessions").fetchone() == (5,)
        remove_sessions(ledger, dict.fromkeys(_OLD, _EVENTS))
        assert other.execute("SELECT count(*) FROM sessions").fetchone() == (2,)
        other.execute(_WRITE)
        other.commit()
    with Ledger.open(ledger) as opened:
        assert len(opened.sql("SELECT * FROM rejected_lines")) == 1


def test_a_session_that_is_being_recorded_stays(path: Path, tmp_path: Path) -> None:
    write_sessions(path, a_start("running", 5_000, ends=False))
    result = run("archive", path, "--older-than", "90d", "-o", tmp_path / "lake")
    assert "stays: running: its processes run" in result.stderr
    assert result.exit_code == 0
    recorder = Recorder.open(path)
    recorder.milestone("engine_ready")
    with Ledger.open(path) as opened:
        session = opened.sql("SELECT session FROM sessions WHERE session <> 'running'")[0]["session"]
        later = datetime.now(timezone.utc) + timedelta(days=100)
        found = archiving.candidates(opened, archiving.age_of("90d"), later)
        assert session in found.live
    recorder.close()


def test_sessions_without_a_date_stay(path: Path, tmp_path: Path) -> None:
    builder = SessionBuilder("undated")
    builder.milestone(1, "engine_ready")
    write_sessions(path, builder)
    result = run("archive", path, "--older-than", "0h", "-o", tmp_path / "lake")
    assert "stays: 1 session of which the date is not known" in result.stderr


@pytest.mark.parametrize("text", ["90", "d", "90 days", "-1d", "1.5d"])
def test_what_is_no_age_is_one_line(ledger: Path, tmp_path: Path, text: str) -> None:
    result = run("archive", ledger, f"--older-than={text}", "-o", tmp_path / "lake")
    assert isinstance(result.exception, LedgerError)
    assert "is no age" in str(result.exception)


def test_an_unknown_session_is_one_line(ledger: Path, tmp_path: Path) -> None:
    exported(ledger, tmp_path / "lake")
    result = run("restore", tmp_path / "lake", "nosuch", "-o", tmp_path / "back.db")
    assert "no session 'nosuch'" in str(result.exception)
    assert not (tmp_path / "back.db").exists()


def test_another_event_under_the_same_key_is_refused_and_nothing_restored(
    ledger: Path, tmp_path: Path
) -> None:
    exported(ledger, tmp_path / "lake")
    other = SessionBuilder("a")
    other.milestone(1, "first_token")
    target = write_sessions(tmp_path / "back.db", other)
    before = contents(target)
    result = run("restore", tmp_path / "lake", "a", "-o", target)
    assert "nothing was restored" in str(result.exception)
    assert contents(target) == before


KILLS = int(os.environ.get("ARCHIVE_KILLS", "6"))
"""Of each command; `make faults` has 200 of each."""
SHARE = 25
"""Kills of one test, so that several processes can share them."""
SHARED_BY_TWO = {
    "ledger_parquet.worker_processes._EVENTS_A_PROCESS": 1,
    "ledger_parquet.worker_processes._MOST": 2,
    "ledger_parquet.jobs.READING_EVENTS": 1,
    "ledger_parquet.plans.EVENTS_A_PART": 20,
}
"""Lets two processes share even the export of a small ledger."""


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with closing(Killer()) as opened:
        yield opened


@pytest.fixture(scope="module")
def killer_of_two() -> Iterator[Killer]:
    with closing(Killer(SHARED_BY_TWO)) as opened:
        yield opened


def state_of(folder: Path) -> dict[str, Any]:
    """Return what must be the same after an undisturbed run and after one that was killed and done again."""
    found: dict[str, Any] = {"lake": valid_bytes(folder / "lake")}
    for name in ("startup.db", "back.db"):
        if (folder / name).exists():
            found[name] = contents(folder / name)
    return found


def event_keys(path: Path) -> set[tuple[str, str, int]]:
    """Return the keys of a ledger's events; none of one that is not there, or was just being made."""
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'events'").fetchall():
            return set()
        return set(connection.execute("SELECT session, process, seq FROM events"))


EXPORT = ("export", "startup.db", "--format", "parquet", "-o", "lake")
ARCHIVE = ("archive", "startup.db", "--older-than", "90d", "-o", "lake")
RESTORE = ("restore", "lake", "a", "-o", "back.db")
MERGE = ("merge", "startup.db", "-o", "back.db")


@pytest.mark.slow
@pytest.mark.parametrize("share", range(-(-KILLS // SHARE)))
@pytest.mark.parametrize("arguments", [EXPORT, ARCHIVE, RESTORE, MERGE], ids=lambda arguments: arguments[0])
def test_a_command_that_is_killed_and_done_again_gives_the_same(
    ledger: Path, tmp_path: Path, killer: Killer, arguments: tuple[str, ...], share: int
) -> None:
    kill_often(killer, ledger, tmp_path, arguments, share, min(SHARE, KILLS))


@pytest.mark.slow
@pytest.mark.parametrize("share", range(-(-KILLS // SHARE)))
def test_an_export_by_several_processes_that_is_killed_and_done_again_gives_the_same(
    ledger: Path, tmp_path: Path, killer_of_two: Killer, share: int
) -> None:
    kill_often(killer_of_two, ledger, tmp_path, EXPORT, share, max(2, min(SHARE, KILLS) // 4))


def kill_often(
    killer: Killer, ledger: Path, tmp_path: Path, arguments: tuple[str, ...], share: int, kills: int
) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    shutil.copy(ledger, prepared / "startup.db")
    # A part that is there, and that one session of it has outgrown: it is replaced.
    small = [a_start("a", 5_000), a_start("other", 5_000)]
    del small[0].events[9:]
    exported(write_sessions(tmp_path / "small.db", *small), prepared / "lake")
    if arguments[0] == "restore":
        exported(ledger, prepared / "lake")
    whole = Path(shutil.copytree(prepared, tmp_path / "whole"))
    undisturbed = killer.run(whole, arguments, NEVER)
    assert undisturbed.code == 0, undisturbed.errors
    calls = undisturbed.calls
    expected = state_of(whole)
    assert expected["lake"]
    chance = random.Random(f"{arguments[0]}/{share}")
    killed = 0
    for number in range(kills):
        folder = Path(shutil.copytree(prepared, tmp_path / f"{number}"))
        # Most of it is reading; what changes something comes last.
        nth = calls - int(chance.random() ** 2 * calls) if number % 2 else chance.randrange(calls) + 1
        killed += killer.run(folder, arguments, nth).code == -9
        events = {name: event_keys(folder / name) for name in ("startup.db", "back.db")}
        if arguments[0] == "archive":
            has = {key[0] for key in events["startup.db"]}
            assert has in ({*_OLD, *_NEW}, {*_NEW}), "half of the sessions have been moved"
        if arguments[0] == "restore":
            assert len(events["back.db"]) in (0, _EVENTS), "half of a session was restored"
        again = killer.run(folder, arguments)
        assert again.code == 0, f"killed at call {nth} of {calls}: {again.errors}"
        assert state_of(folder) == expected, f"killed at call {nth} of {calls}"
        shutil.rmtree(folder)
    assert killed > kills // 2
