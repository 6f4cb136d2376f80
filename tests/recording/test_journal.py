"""The journal: lines go in with one write each and come out as they went in, whatever the disk does."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Ledger, Recorder
from ledger.clock import monotonic_ns
from ledger.recording import journal
from ledger.recording.journal import journal_folder, journals, read_lines
from ledger.storage.verification import verify
from ledger.testing import FakeClock
from ledger_birth import line_writer
from ledger_birth.journal_writer import JournalWriter
from tests.support.journals import one_journal
from tests.support.processes import Spawn, exit_code

BYTES_OF_A_LINE = st.binary(min_size=1, max_size=12).map(lambda text: text.replace(b"\n", b"."))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "startup.db.journal" / "1-ab.jsonl"


def test_journals_lie_beside_their_ledger() -> None:
    assert journal_folder(Path("runs/startup.db")) == Path("runs/startup.db.journal")


def test_a_folder_that_does_not_exist_has_no_journals(tmp_path: Path) -> None:
    assert journals(tmp_path / "none") == []


def test_only_journals_count_and_they_come_by_name(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.new", "collector.lock"):
        (tmp_path / name).touch()
    assert [found.name for found in journals(tmp_path)] == ["a.jsonl", "b.jsonl"]


class TestWriting:
    def test_a_journal_appears_with_its_first_lines_in_it(self, file: Path) -> None:
        seen: list[list[str]] = []
        write = os.write

        def looking(fd: int, line: bytes) -> int:
            seen.append([path.name for path in file.parent.iterdir()])
            return write(fd, line)

        with mock.patch("os.write", looking):
            JournalWriter(file, b"1\n2\n").close()
        assert seen == [["1-ab.new"]]
        assert [path.name for path in file.parent.iterdir()] == ["1-ab.jsonl"]
        assert file.read_bytes() == b"1\n2\n"

    def test_each_line_is_one_write(self, file: Path) -> None:
        writer = JournalWriter(file, b"1\n")
        with mock.patch("os.write", side_effect=os.write) as write:
            writer.append(b"2\n")
            writer.append(b"3\n")
        writer.close()
        assert [call.args[1] for call in write.call_args_list] == [b"2\n", b"3\n"]

    def test_a_first_line_that_can_not_be_written_leaves_nothing(self, file: Path) -> None:
        fault = OSError(errno.ENOSPC, "the disk is full")
        with mock.patch("os.write", side_effect=fault), pytest.raises(OSError, match="full"):
            JournalWriter(file, b"1\n")
        assert list(file.parent.iterdir()) == []

    def test_a_first_line_that_is_cut_leaves_nothing(self, file: Path) -> None:
        with mock.patch("os.write", side_effect=cutting([1])), pytest.raises(OSError, match="No space"):
            JournalWriter(file, b"1\n")
        assert list(file.parent.iterdir()) == []

    def test_a_collector_that_tidies_the_folder_away_meanwhile_does_not_matter(self, file: Path) -> None:
        open_file, tries = os.open, []

        def tidied(*arguments: object) -> int:
            tries.append(arguments)
            if len(tries) < 3:
                file.parent.rmdir()
            return open_file(*arguments)  # type: ignore[arg-type]

        with mock.patch("os.open", tidied):
            JournalWriter(file, b"1\n").close()
        assert file.read_bytes() == b"1\n"

    def test_a_file_descriptor_does_not_cross_an_exec(self, file: Path) -> None:
        with mock.patch("os.open", side_effect=os.open) as opened:
            writer = JournalWriter(file, b"1\n")
        assert opened.call_count == 1
        same = [fd for fd in map(int, os.listdir("/proc/self/fd")) if is_open_at(fd, file)]
        assert len(same) == 1
        assert not os.get_inheritable(same[0])
        writer.close()
        assert not is_open_at(same[0], file)

    def test_after_a_short_write_the_next_line_begins_anew(self, file: Path) -> None:
        writer = JournalWriter(file, b"first\n")
        with mock.patch("os.write", side_effect=cutting([4])), pytest.raises(OSError, match="No space"):
            writer.append(b"second\n")
        writer.append(b"third\n")
        writer.append(b"fourth\n")
        writer.close()
        assert file.read_bytes() == b"first\nseco\nthird\nfourth\n"

    def test_after_a_write_that_took_nothing_no_line_is_empty(self, file: Path) -> None:
        writer = JournalWriter(file, b"first\n")
        for fault in (OSError(errno.ENOSPC, "No space"), cutting([0])):
            with mock.patch("os.write", side_effect=fault), pytest.raises(OSError, match="No space"):
                writer.append(b"second\n")
        writer.append(b"third\n")
        writer.close()
        assert file.read_bytes() == b"first\nthird\n"

    @given(st.lists(st.tuples(BYTES_OF_A_LINE, st.none() | st.integers(0, 12)), max_size=30))
    def test_what_was_acknowledged_is_there_in_order_whatever_was_cut(
        self, tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[bytes, int | None]]
    ) -> None:
        file = tmp_path_factory.mktemp("journal") / "1-ab.jsonl"
        writer = JournalWriter(file, b"first\n")
        acknowledged = [b"first"]
        for text, cut in lines:
            room = [len(text) + 2 if cut is None else cut]
            with mock.patch("os.write", side_effect=cutting(room)):
                try:
                    writer.append(text + b"\n")
                except OSError:
                    continue
            acknowledged.append(text)
        writer.close()
        found = read_lines(file)[0]
        remaining = iter(found)
        assert all(text in remaining for text in acknowledged)
        assert len([text for text in found if text]) <= len(lines) + 1


class TestReading:
    @given(st.binary(max_size=60).map(lambda text: text.replace(b"0", b"\n")), st.integers(1, 9), st.data())
    def test_lines_come_as_they_stand_from_any_line_on(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk: int, data: st.DataObject
    ) -> None:
        file = tmp_path_factory.mktemp("journal") / "1-ab.jsonl"
        file.write_bytes(content)
        starts = [0, *(at + 1 for at, byte in enumerate(content) if byte == ord("\n"))]
        offset = data.draw(st.sampled_from(starts))
        limit = data.draw(st.none() | st.integers(0, 8))
        expected = content[offset:].split(b"\n")[:-1][:limit]
        with mock.patch.object(journal, "_CHUNK_BYTES", chunk):
            texts, end = read_lines(file, offset, limit)
        assert texts == expected
        assert end == offset + sum(len(text) + 1 for text in expected)

    def test_what_has_no_newline_is_not_a_line_yet(self, file: Path) -> None:
        file.parent.mkdir()
        file.write_bytes(b"one\ntwo")
        assert read_lines(file) == ([b"one"], 4)
        with file.open("ab") as more:
            more.write(b"\nthree")
        assert read_lines(file, 4) == ([b"two"], 8)

    def test_a_line_longer_than_what_is_read_at_once_is_one_line(self, file: Path) -> None:
        file.parent.mkdir()
        long = b"x" * 3_000_000
        file.write_bytes(b"a\n" + long + b"\nb\n")
        assert read_lines(file) == ([b"a", long, b"b"], 3_000_005)


class TestFullDisk:
    """What the recorder makes of it: the host goes on, and what is missing is counted."""

    def test_when_there_is_room_again_events_are_recorded_and_the_gap_is_noted(self, path: Path) -> None:
        recorder = Recorder.open(path)
        recorder.milestone("before")
        with mock.patch("os.write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            for number in range(10):
                recorder.milestone(f"lost {number}")
        recorder.milestone("after")
        recorder.close()
        check_gap(path, lost=10)

    def test_a_line_that_was_cut_costs_one_event(self, path: Path) -> None:
        recorder = Recorder.open(path)
        recorder.milestone("before")
        with mock.patch("os.write", side_effect=cutting([30])):
            recorder.milestone("lost")
        recorder.milestone("after")
        recorder.close()
        check_gap(path, lost=1, rejected=1)

    def test_a_stage_whose_start_is_lost_has_no_stop_either(self, path: Path) -> None:
        recorder = Recorder.open(path)
        recorder.milestone("before")
        with mock.patch("os.write", side_effect=OSError(errno.ENOSPC, "No space")):
            stage = recorder.stage("dynamo")
            stage.__enter__()
        stage.__exit__(None, None, None)
        recorder.milestone("after")
        recorder.close()
        check_gap(path, lost=1)

    def test_a_journal_that_can_not_be_begun_is_tried_again_later(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        recorder = Recorder.open(path)
        journal_folder(path).touch()
        now_ns = FakeClock(monotonic_ns())
        with mock.patch.object(line_writer, "monotonic_ns", now_ns):
            for number in range(4):
                recorder.milestone(f"lost {number}")
            [warning] = caplog.records
            assert "events are not recorded" in warning.message
            journal_folder(path).unlink()
            now_ns.advance(line_writer._OPEN_AGAIN_AFTER_NS - 1)
            recorder.milestone("too early to look again")
            now_ns.advance(1)
            recorder.milestone("after")
        recorder.close()
        with Ledger.open(path) as ledger:
            gaps = ledger.sql("SELECT what, count FROM gaps")
            [process] = ledger.timeline().processes
        assert gaps == [{"what": "events_not_written", "count": 5}]
        assert process.lost_events == 0

    def test_a_limit_on_the_size_of_files_is_met_like_a_full_disk(self, path: Path, spawn: Spawn) -> None:
        def program() -> None:
            recorder = Recorder.open(path)
            recorder.milestone("before")
            room = one_journal(path).stat().st_size + 1_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            for number in range(40):
                recorder.milestone(f"m{number}")
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            recorder.milestone("after")
            recorder.close()

        assert exit_code(spawn(program)) == 0
        with Ledger.open(path) as ledger:
            written = ledger.sql("SELECT name FROM milestones WHERE name LIKE 'm%'")
        assert 0 < len(written) < 40
        check_gap(path, lost=40 - len(written), rejected=1)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
    @pytest.mark.skipif(not shutil.which("unshare"), reason="there is no `unshare` to mount it with")
    def test_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        alone = ["unshare", "--mount", sys.executable, "-c", ON_A_SMALL_DISK, tmp_path]
        done = subprocess.run(alone, check=False)
        if done.returncode == CAN_NOT_MOUNT:
            pytest.skip("no file system can be mounted here")
        assert done.returncode == 0


CAN_NOT_MOUNT = 77
ON_A_SMALL_DISK = f"""
import subprocess, sys
from pathlib import Path
from ledger import Ledger, LedgerNotWritable, Recorder
from ledger.storage.refreshing import refresh
place = Path(sys.argv[1])
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False).returncode:
    sys.exit({CAN_NOT_MOUNT})
path = place / "startup.db"
recorder = Recorder.open(path)
recorder.milestone("before")
(place / "ballast").write_bytes(bytes(100_000))
for number in range(3_000):
    recorder.milestone(f"m{{number}}")
try:
    refresh(path)
except LedgerNotWritable as error:
    assert "the disk is full" in str(error), error
else:
    raise AssertionError("there was room for a ledger")
with Ledger.open(path) as ledger:
    assert "the disk is full" in ledger.warning, ledger.warning
    before = ledger.sql("SELECT count(*) AS n FROM milestones")[0]["n"]
place.joinpath("ballast").unlink()
subprocess.run(["mount", "-o", "remount,size=4m", place], check=True)
recorder.milestone("after")
recorder.close()
with Ledger.open(path) as ledger:
    [gap] = ledger.sql("SELECT count FROM gaps WHERE what = 'events_not_written'")
    [row] = ledger.sql("SELECT count(*) AS n FROM milestones")
    assert row["n"] == before + 1, row
    assert gap["count"] == 3_002 - row["n"], (gap, row)
"""


def check_gap(path: Path, *, lost: int, rejected: int = 0) -> None:
    """The ledger must hold what came before and after, and say how much is missing between."""
    with Ledger.open(path) as ledger:
        names = [row["name"] for row in ledger.sql("SELECT name FROM milestones ORDER BY at_ns")]
        gaps = ledger.sql("SELECT what, count FROM gaps")
        bad = ledger.sql("SELECT reason FROM rejected_lines")
        [process] = ledger.timeline().processes
    assert (names[0], names[-1]) == ("before", "after")
    assert gaps == [{"what": "events_not_written", "count": lost}]
    assert len(bad) == rejected
    assert process.outcome == "completed"
    assert process.lost_events in (0, lost)
    assert [finding for finding in verify(path) if finding.is_fault] == []


def cutting(sizes: Iterable[int]) -> Callable[[int, bytes], int]:
    """Return an `os.write` that takes so many bytes of each line, and no more."""
    write, left = os.write, iter(sizes)

    def short(fd: int, line: bytes) -> int:
        piece = line[: next(left)]
        return write(fd, piece) if piece else 0

    return short


def is_open_at(fd: int, file: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == str(file)
    except OSError:
        return False


@pytest.mark.parametrize("path", [".", "..", "/", "a.db", "folder/a.db"])
def test_any_path_has_a_folder_of_journals_beside_it(path: str) -> None:
    assert journal_folder(Path(path)) == Path(f"{path}.journal")
