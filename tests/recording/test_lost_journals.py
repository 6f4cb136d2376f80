"""Journals that somebody removes, replaces or cuts while they are written: nothing is lost in silence."""

import os
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from ledger import GapNoted, Ledger, MilestoneReached, Recorder
from ledger.recording.journal import journal_folder
from ledger.storage.verification import verify
from ledger_birth.journal_writer import JournalWriter
from tests.support.journals import events_in, one_journal
from tests.support.processes import NOBODY, Spawn, exit_code, needs_root

EVENTS = 50


def removed(path: Path) -> None:
    one_journal(path).unlink()


def folder_removed(path: Path) -> None:
    shutil.rmtree(journal_folder(path))


def renamed(path: Path) -> None:
    one_journal(path).rename(path.with_name("elsewhere.jsonl"))


def folder_renamed(path: Path) -> None:
    journal_folder(path).rename(path.with_name("elsewhere"))


def replaced(path: Path) -> None:
    journal = one_journal(path)
    journal.unlink()
    journal.write_bytes(b"somebody else's\n")


def folder_replaced(path: Path) -> None:
    shutil.rmtree(journal_folder(path))
    journal_folder(path).mkdir()


def replaced_by_a_link(path: Path) -> None:
    journal = one_journal(path)
    journal.unlink()
    journal.symlink_to(path.with_name("target"))


HARMS = [removed, folder_removed, renamed, folder_renamed, replaced, folder_replaced, replaced_by_a_link]


def names(path: Path) -> set[str]:
    with Ledger.open(path) as ledger:
        return {str(row["name"]) for row in ledger.sql("SELECT name FROM milestones")}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_what_was_acknowledged_is_there_whatever_became_of_the_file(
    path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder.open(path)
    for number in range(EVENTS):
        recorder.milestone(f"before {number}")
    harm(path)
    for number in range(EVENTS):
        recorder.milestone(f"after {number}")
    recorder.close()
    if harm is replaced_by_a_link:
        [link] = (file for file in journal_folder(path).iterdir() if file.is_symlink())
        link.unlink()
    assert names(path) == {f"{when} {number}" for when in ("before", "after") for number in range(EVENTS)}
    assert "removed or replaced" in caplog.text
    with Ledger.open(path) as ledger:
        [process] = ledger.timeline().processes
    assert (process.outcome, process.lost_events) == ("completed", 0)
    assert [finding for finding in verify(path) if finding.is_fault] == []


def test_it_is_found_out_at_the_end_at_the_latest(path: Path) -> None:
    with Recorder.open(path) as recorder:
        recorder.milestone("before")
        folder_removed(path)
    assert names(path) == {"before"}


def test_what_comes_later_survives_a_kill(path: Path, spawn: Spawn) -> None:
    def program() -> None:
        recorder = Recorder.open(path)
        recorder.milestone("before")
        removed(path)
        lines = recorder.writer.lines  # type: ignore[union-attr]
        lines.look_at_ns = 0  # as some milliseconds later
        recorder.milestone("after")
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_code(spawn(program)) == -signal.SIGKILL
    assert names(path) == {"before", "after"}


def test_of_a_journal_that_was_cut_the_missing_events_are_counted(path: Path) -> None:
    recorder = Recorder.open(path)
    for number in range(EVENTS):
        recorder.milestone(f"before {number}")
    journal = one_journal(path)
    lines = journal.read_bytes().splitlines(keepends=True)
    os.truncate(journal, sum(map(len, lines[:10])) + 20)
    with mock.patch.object(recorder.writer.lines, "look_at_ns", 0):  # type: ignore[union-attr]
        for number in range(EVENTS):
            recorder.milestone(f"after {number}")
    events = events_in(path)
    recorder.close()
    assert len(names(path)) == 8 + EVENTS
    found = {event.name for event in events if isinstance(event, MilestoneReached)}
    assert found == {f"before {n}" for n in range(8)} | {f"after {n}" for n in range(EVENTS)}
    assert sum(event.count for event in events if isinstance(event, GapNoted)) == EVENTS - 8
    assert [finding for finding in verify(path) if finding.is_fault] == []


def test_where_nothing_can_be_made_again_what_comes_is_counted_and_told(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder.open(path)
    recorder.milestone("before")
    folder_removed(path)
    journal_folder(path).touch()  # a file of that name
    lines = recorder.writer.lines  # type: ignore[union-attr]
    lines.look_at_ns = 0
    for number in range(EVENTS):
        recorder.milestone(f"lost {number}")
    assert "removed or replaced" in caplog.text
    journal_folder(path).unlink()
    lines._retry_at_ns = 0
    recorder.milestone("after")
    recorder.close()
    assert names(path) == {"before", "after"}
    with Ledger.open(path) as ledger:
        assert ledger.sql("SELECT what, count FROM gaps") == [{"what": "events_not_written", "count": EVENTS}]


def test_a_ledger_s_own_folder_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "startup.db"
    with Recorder.open(path) as recorder:
        recorder.milestone("before")
        shutil.rmtree(path.parent)
    assert not path.parent.exists()


class TestHowItIsMade:
    def test_it_is_its_user_s_alone(self, path: Path, recorder: Recorder) -> None:
        before = os.umask(0)
        try:
            recorder.milestone("m")
        finally:
            os.umask(before)
        assert stat.S_IMODE(one_journal(path).stat().st_mode) == 0o600

    def test_no_link_is_followed(self, tmp_path: Path) -> None:
        folder = tmp_path / "startup.db.journal"
        folder.mkdir()
        target = tmp_path / "target"
        target.write_text("somebody's")
        (folder / "1-ab.new").symlink_to(target)
        (folder / "1-ab.jsonl").symlink_to(target)
        JournalWriter(folder / "1-ab.jsonl", b"1\n").close()
        assert target.read_text() == "somebody's"
        assert (folder / "1-ab.jsonl").read_bytes() == b"1\n"
        assert not (folder / "1-ab.jsonl").is_symlink()

    def test_what_an_attempt_left_is_in_nobody_s_way(self, tmp_path: Path) -> None:
        (tmp_path / "1-ab.new").write_bytes(b"half a li")
        JournalWriter(tmp_path / "1-ab.jsonl", b"1\n").close()
        assert [file.name for file in tmp_path.iterdir()] == ["1-ab.jsonl"]

    @needs_root
    @pytest.mark.parametrize("is_link", [False, True])
    def test_another_user_s_folder_gets_no_journal_unless_they_are_trusted(
        self, path: Path, is_link: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = journal_folder(path)
        if is_link:
            (path.parent / "real").mkdir()
            folder.symlink_to(path.parent / "real")
        else:
            folder.mkdir()
        os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
        with Recorder.open(path) as recorder:
            recorder.milestone("m")
        assert list(folder.iterdir()) == []
        assert f"uid {NOBODY}" in caplog.text
        monkeypatch.setenv("COMPILE_LEDGER_TRUST_FOLDERS", "1")
        with Recorder.open(path) as recorder:
            recorder.milestone("trusted")
        assert names(path) == {"trusted"}


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_a_look_that_fails_is_made_again_with_the_next_event(path: Path, error: type[Exception]) -> None:
    recorder = Recorder.open(path)
    recorder.milestone("before")
    assert recorder.writer is not None
    recorder.writer.lines.look_at_ns = 0
    removed(path)
    with mock.patch("os.lstat", side_effect=error):
        recorder.milestone("not recorded")
    recorder.milestone("after")
    events = events_in(path)
    found = [event.name for event in events if isinstance(event, MilestoneReached)]
    assert found == ["before", "after"]
    assert sum(event.count for event in events if isinstance(event, GapNoted)) == 1
