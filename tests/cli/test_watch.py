"""What a watcher sees of a ledger that others fill, also where it may only read."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger import Ledger, Recorder
from ledger.cli.console.live_view import LiveView
from ledger.cli.watch import _refreshes, _Watched
from ledger.events.models import Event, to_line
from ledger.recording.journal import journal_folder
from ledger.storage.store import Store
from tests.support.collecting import collect_at, joined, keys, left, milestones, rows
from tests.support.journals import write
from tests.support.processes import Spawn, as_nobody, exit_code, needs_root
from tests.support.terminals import terminal
from tests.support.waiting import DEADLINE_S


def new(watched: _Watched) -> list[tuple[str, int]]:
    return [(row.process, row.seq) for row in watched.new_events()]


def append(journal: Path, events: list[Event]) -> None:
    with journal.open("ab") as opened:
        opened.writelines(map(to_line, events))


@needs_root
@pytest.mark.parametrize("has_ledger", [False, True], ids=["no ledger yet", "a ledger"])
def test_where_the_ledger_can_not_be_written_events_are_seen_once_and_their_journals_stay(
    public_folder: Path, spawn: Spawn, has_ledger: bool
) -> None:
    path = public_folder / "live.db"
    for process in "ab":
        write(path, process, [joined(process), *milestones(process, [1, 2])])
    if has_ledger:
        collect_at(path)
    journal_folder(path).mkdir(exist_ok=True)
    # Who looks can't write the ledger, but could remove the journals.
    journal_folder(path).chmod(0o777)
    for journal in journal_folder(path).iterdir():
        journal.chmod(0o666)
    before = sorted(journal_folder(path).glob("*.jsonl"))

    def look_on() -> None:
        as_nobody()
        watched = _Watched(path, "s")
        assert new(watched) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]
        assert new(watched) == []
        for process in "ab":
            append(journal_folder(path) / f"{process}.jsonl", [*milestones(process, [3]), left(process, 4)])
        assert new(watched) == [("a", 3), ("a", 4), ("b", 3), ("b", 4)]
        assert watched.is_copied
        assert watched.is_over
        watched.close()

    assert exit_code(spawn(look_on)) == 0
    assert has_ledger or sorted(journal_folder(path).glob("*.jsonl")) == before
    collect_at(path)
    assert rows(path) == [*keys("a", 5), *keys("b", 5)]


def test_a_ledger_in_the_place_of_another_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with Recorder.open(path) as recorder:
        recorder.milestone("first")
        watched = _Watched(path, str(recorder.session))
        assert len(watched.new_events()) == 3
        path.unlink()
        recorder.milestone("second")
        assert len(watched.new_events()) == 1
        assert path.exists()
        watched.close()


def test_it_looks_until_the_session_is_over(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    recorder = Recorder.open(path)
    recorder.milestone("first")
    looks = _refreshes(path, str(recorder.session), LiveView())
    next(looks)
    recorder.milestone("second")
    next(looks)
    recorder.close()
    next(looks)
    assert list(looks) == []


PROGRAM = [sys.executable, "-m", "ledger.cli"]
RECORDED = """
import pathlib, sys, time
from ledger import Ledger, Recorder
with Recorder.from_environment().stage("weights_load", source="engine"):
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.01)
"""


def started(path: Path, go_on: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [*PROGRAM, "record", "--quiet", "-o", str(path), *options, "--"]
    return subprocess.Popen([*command, sys.executable, "-c", RECORDED, str(go_on)])


@pytest.mark.parametrize("options", [(), ("--label", "nightly")], ids=["the newest", "by its label"])
def test_it_can_be_started_before_the_program_and_ends_with_the_report(
    path: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    session = ["--session", "nightly"] if options else []
    with terminal([*PROGRAM, "watch", str(path), *session]) as screen:
        subject = "session 'nightly' in " if session else ""
        screen.wait_for(f"Waiting for {subject}{path}; start the program")
        program = started(path, tmp_path / "go on", *options)
        for text in (" since the start", "weights_load"):
            screen.wait_for(text)
        (tmp_path / "go on").touch()
        assert program.wait(timeout=DEADLINE_S) == 0
        assert screen.finish() == 0
    with Ledger.open(path) as ledger:
        session_id = ledger.session()
    screen_text = screen.screen.decode()
    assert 0 < screen_text.index(": completed after ") < screen_text.index(session_id)


def test_it_waits_for_the_session_of_a_ledger_without_one(path: Path, tmp_path: Path) -> None:
    Store.open(path).close()
    with terminal([*PROGRAM, "watch", str(path)]) as screen:
        screen.wait_for("Waiting for ")
        (tmp_path / "go on").touch()
        assert started(path, tmp_path / "go on").wait(timeout=DEADLINE_S) == 0
        assert screen.finish() == 0
    assert b": completed after " in screen.screen


def test_it_can_be_left_while_it_waits(path: Path) -> None:
    with terminal([*PROGRAM, "watch", str(path)]) as screen:
        screen.wait_for("Waiting for ")
        screen.type("\x03")
        assert screen.finish() == 0
    assert not path.exists()


@pytest.mark.parametrize("place", ["no/such/folder/startup.db", "startup.db"])
def test_it_does_not_wait_for_what_can_not_come(tmp_path: Path, place: str) -> None:
    Recorder.open(tmp_path / "startup.db").milestone("first")
    command = [*PROGRAM, "watch", str(tmp_path / place), "--session", "no such one"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=DEADLINE_S)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
