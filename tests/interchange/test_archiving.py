"""Sessions moved out of a ledger into a lake and back: whole, verified, and never in neither place."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
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

        def one_less(self: Any, folder: str, session: str) -> Any:
            rows = list(whole(self, folder, session))
            return iter(rows[:-1] if session == "b" else rows)

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
"""Of each command; `make faults` has 50 of each."""

_KILLED = """
import os, signal, sys, threading, time
from ledger.cli import main
sys.argv = ["compile-ledger", *sys.argv[2:]]
import adbc_driver_sqlite, pyarrow.parquet, ledger_parquet.exporter, ledger.cli.archive, ledger.cli.export
import ledger.cli.restore
calls = 0
nth = int(os.environ["KILL_AT"])
def trace(frame, event, argument):
    global calls
    calls += 1
    if calls == nth:
        os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(trace)
threading.setprofile(trace)
try:
    main()
finally:
    sys.setprofile(None)
    threading.setprofile(None)
    with open(os.environ["CALLS"], "w") as file:
        file.write(str(calls))
"""
"""Kills itself at a call, Python's or one of C's: each of the file system's, SQLite's and Arrow's is one."""


def kill_at(nth: int, folder: Path, *arguments: str) -> tuple[int, int]:
    """Run a command that is killed at its nth call; return its exit code, and how many calls it made."""
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, "-", *arguments],
        cwd=folder, capture_output=True, env={**os.environ, "KILL_AT": str(nth), "CALLS": str(calls)},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, int(calls.read_text()) if calls.exists() else nth


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "startup.db", "--format", "parquet", "-o", "lake"),
        ("archive", "startup.db", "--older-than", "90d", "-o", "lake"),
        ("restore", "lake", "a", "-o", "back.db"),
        ("merge", "startup.db", "-o", "back.db"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_that_is_killed_and_done_again_gives_the_same(
    ledger: Path, tmp_path: Path, arguments: tuple[str, ...]
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
    code, calls = kill_at(-1, whole, *arguments)
    assert code == 0
    expected = state_of(whole)
    assert json.dumps(sorted(expected["lake"])) != json.dumps([])
    chance = random.Random(7)
    killed = 0
    for number in range(KILLS):
        folder = Path(shutil.copytree(prepared, tmp_path / f"{number}"))
        # Most of it is reading; what changes something comes last.
        nth = calls - int(chance.random() ** 2 * calls) if number % 2 else chance.randrange(calls) + 1
        code, _ = kill_at(nth, folder, *arguments)
        killed += code == -9
        events = {name: event_keys(folder / name) for name in ("startup.db", "back.db")}
        if arguments[0] == "archive":
            has = {key[0] for key in events["startup.db"]}
            assert has in ({*_OLD, *_NEW}, {*_NEW}), "half of the sessions have been moved"
        if arguments[0] == "restore":
            assert len(events["back.db"]) in (0, _EVENTS), "half of a session was restored"
        again, _ = kill_at(-1, folder, *arguments)
        assert again == 0
        assert state_of(folder) == expected, f"killed at call {nth} of {calls}"
        shutil.rmtree(folder)
    assert killed > KILLS // 2
