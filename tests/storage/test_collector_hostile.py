"""Collecting where others have been: cut journals, files that can't be read or removed, links, pipes, owners.

Nothing is lost, nothing hangs, nothing is read that is not a journal, and each thing passed over is said.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Ledger, LedgerNotWritable
from ledger.events.models import to_line
from ledger.recording import journal as journal_module
from ledger.recording.journal import journal_folder, read_lines
from ledger.storage import collector
from ledger.storage.collector import Collected, collect_own
from ledger.storage.journal_folders import TRUST_VARIABLE
from ledger.storage.store import Store
from ledger.storage.verification import verify
from tests.support.collecting import GONE, collect_at, joined, keys, left, milestones, rows
from tests.support.journals import write
from tests.support.processes import NOBODY, Spawn, as_nobody, exit_code, needs_root

COMPILE_LEDGER = (sys.executable, "-m", "ledger.cli")


@contextmanager
def hanging_fails() -> Iterator[None]:
    """Let what waits for ever be an error."""
    signal.alarm(30)
    try:
        yield
    finally:
        signal.alarm(0)


def said(path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a ledger. It must not fail, and what it says on stderr is one line."""
    done = subprocess.run(
        [*COMPILE_LEDGER, *command, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") <= 1
    return done


class TestCutJournals:
    @pytest.mark.parametrize("is_at_a_line", [True, False])
    @pytest.mark.parametrize("kept", [3, 30])
    def test_one_that_was_cut_and_has_grown_again_is_read_anew(
        self, path: Path, is_at_a_line: bool, kept: int
    ) -> None:
        journal = write(path, "p", [joined("p"), *milestones("p", range(1, 53))])
        assert collect_at(path).events == 53
        lines = journal.read_bytes().splitlines(keepends=True)
        torn = b"" if is_at_a_line else lines[kept][:20]
        later = b"".join(map(to_line, [*milestones("p", range(53, 72)), left("p", 72)]))
        journal.write_bytes(b"".join(lines[:kept]) + torn + b"\n" * (not is_at_a_line) + later)
        assert collect_at(path).removed == 1
        assert rows(path) == keys("p", 73)
        assert len(rows(path, "SELECT * FROM rejected_lines")) == (not is_at_a_line)

    @given(st.data())
    def test_however_it_is_cut_no_event_is_missed(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("cut") / "startup.db"
        journal = write(path, "p", [joined("p")])
        written = 1
        for _ in range(data.draw(st.integers(1, 3))):
            with journal.open("ab") as file:
                file.write(b"\n")  # as a recorder does after a write that was cut
                number = data.draw(st.integers(0, 12))
                file.write(b"".join(map(to_line, milestones("p", range(written, written + number)))))
                written += number
            collect_at(path)
            size = journal.stat().st_size
            os.truncate(journal, data.draw(st.integers(size // 2, size)))
        with journal.open("ab") as file:
            file.write(b"\n" + b"".join(map(to_line, [*milestones("p", range(written, written + 5))])))
            file.write(to_line(left("p", written + 5)))
        assert collect_at(path).removed == 1
        assert rows(path) == keys("p", written + 6)

    def test_one_that_was_read_by_a_version_that_did_not_look_is_read_once_more(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", range(1, 10))])
        collect_at(path)
        store = Store.open(path)
        with store.transaction():
            store.connection.execute("UPDATE journal_progress SET tail = NULL")
        store.close()
        assert collect_at(path).duplicates == 10
        assert collect_at(path).duplicates == 0

    def test_a_line_that_comes_between_its_reading_and_its_end_is_no_unfinished_one(self, path: Path) -> None:
        def growing(*arguments: object) -> object:
            read = read_lines(*arguments)  # type: ignore[arg-type]
            with journal.open("ab") as file:
                file.write(to_line(milestones("p", [2])[0]))
            return read

        journal = write(path, "p", [joined("p"), left("p", 1)])
        with mock.patch.object(collector, "read_lines", growing):
            assert collect_at(path) == Collected(events=2, left=1)
        assert collect_at(path) == Collected(events=1, removed=1)
        assert rows(path) == keys("p", 3)

    def test_one_that_grows_between_its_reading_and_its_removal_stays(self, path: Path) -> None:
        journal = write(path, "p", [joined("p"), left("p", 1)])
        finish = collector._Batch._finish

        def late(batch: object, *arguments: object) -> None:
            finish(batch, *arguments)  # type: ignore[arg-type]
            with journal.open("ab") as file:
                file.write(to_line(milestones("p", [2])[0]))

        with mock.patch.object(collector._Batch, "_finish", late):
            assert collect_at(path) == Collected(events=2, left=1)
        assert collect_at(path) == Collected(events=1, removed=1)
        assert rows(path) == keys("p", 3)


def a_folder(place: Path) -> None:
    place.mkdir()


def a_pipe(place: Path) -> None:
    os.mkfifo(place)


def a_socket(place: Path) -> None:
    here = os.getcwd()
    os.chdir(place.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(place.name)
    finally:
        os.chdir(here)


def a_link_that_loops(place: Path) -> None:
    place.symlink_to(place)


def a_broken_link(place: Path) -> None:
    place.symlink_to(place.with_name("nowhere"))


def a_link_to_secrets(place: Path) -> None:
    secrets = place.parents[1] / "secrets"
    secrets.write_text("password\n")
    place.symlink_to(secrets)


def a_link_to_zeros(place: Path) -> None:
    place.symlink_to("/dev/zero")


ODD: list[Callable[[Path], None]] = [
    a_folder, a_pipe, a_socket, a_link_that_loops, a_broken_link, a_link_to_secrets, a_link_to_zeros,
]  # fmt: skip
odd = pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)


class TestWhatIsNoJournal:
    @odd
    def test_it_is_passed_over_and_said(self, path: Path, make: Callable[[Path], None]) -> None:
        write(path, "p", [joined("p"), left("p", 1)])
        strange = journal_folder(path) / "strange.jsonl"
        make(strange)
        with hanging_fails():
            done = collect_at(path)
        assert (done.events, done.removed, done.rejected) == (2, 1, 0)
        [why] = done.passed_over
        assert why.startswith(f"{strange}: ")
        assert os.path.lexists(strange)
        assert rows(path, "SELECT * FROM rejected_lines") == []
        with Ledger.open(path) as ledger:
            assert ledger.warning == why
        [finding] = verify(path)
        assert (finding.is_fault, finding.what) == (True, "not_a_journal")
        assert str(strange) in finding.detail

    @odd
    def test_what_takes_a_journal_s_place_while_it_is_collected_is_not_read(
        self, path: Path, make: Callable[[Path], None]
    ) -> None:
        def replaced(*_: object) -> object:
            if journal.is_file():
                journal.unlink()
                make(journal)
            return found

        journal = write(path, "p", [joined("p"), left("p", 1)])
        found = collector.look_into(journal_folder(path))
        with hanging_fails(), mock.patch.object(collector, "look_into", replaced):
            done = collector.collect(Store.in_memory(), journal_folder(path))
        assert (done.events, done.rejected) == (0, 0)
        assert len(done.passed_over) == 1

    def test_commands_say_it_in_a_line(self, path: Path) -> None:
        write(path, "p", [joined("p"), left("p", 1)])
        a_pipe(journal_folder(path) / "strange.jsonl")
        assert "strange.jsonl: not a regular file" in said(path, "collect").stderr

    @odd
    def test_a_lock_that_is_none_is_not_waited_for_nor_written_to(
        self, path: Path, make: Callable[[Path], None]
    ) -> None:
        journal = write(path, "p", [joined("p"), left("p", 1)])
        make(journal_folder(path) / "collector.lock")
        with hanging_fails():
            with pytest.raises(LedgerNotWritable, match=r"startup\.db\.journal: can't be written"):
                collect_at(path)
            with pytest.raises(LedgerNotWritable):
                collect_own(path, journal, is_exiting=False)
            with Ledger.open(path) as ledger:
                assert len(list(ledger.events())) == 2
                assert ledger.warning is not None
        assert not os.path.exists(journal_folder(path) / "nowhere")

    def test_a_file_where_the_folder_belongs_is_said(self, path: Path) -> None:
        journal_folder(path).touch()
        assert collect_at(path) == Collected(passed_over=(f"{journal_folder(path)}: Not a directory",))

    def test_the_lock_is_its_owner_s_alone(self, path: Path) -> None:
        write(path, "p", [joined("p")])
        collect_at(path)
        assert (journal_folder(path) / "collector.lock").stat().st_mode & 0o777 == 0o600


class TestNames:
    @pytest.mark.parametrize(
        "name", [b"\xff.jsonl", b"a\nb.jsonl", "\u202egnp.jsonl".encode(), b"\x1b]52;.jsonl"]
    )
    def test_whatever_a_journal_is_called_it_is_collected(self, path: Path, name: bytes) -> None:
        write(path, "p", [joined("p"), *milestones("p", [1])], b"garbled\n")
        journal = journal_folder(path) / "p.jsonl"
        strange = journal.rename(journal_folder(path) / os.fsdecode(name))
        assert collect_at(path) == Collected(events=2, rejected=1, left=1)
        assert collect_at(path) == Collected(left=1)
        [(file,)] = rows(path, "SELECT file FROM rejected_lines")
        assert str(file).isprintable()
        [detail] = [finding.detail for finding in verify(path) if finding.what == "journal"]
        assert detail.isprintable()
        strange.unlink()
        strange.symlink_to("nowhere")
        [why] = collect_at(path).passed_over
        assert why.isprintable()


class TestRights:
    def test_a_journal_that_can_not_be_removed_is_collected_once_and_said(self, path: Path) -> None:
        journal = write(path, "p", [joined("p", **GONE), *milestones("p", [1, 2])])
        refused = mock.patch.object(Path, "unlink", side_effect=PermissionError(1, "Operation not permitted"))
        with refused:
            done = collect_at(path)
        why = f"{journal}: is collected, but can't be removed (Operation not permitted)"
        assert done == Collected(events=4, left=1, passed_over=(why,))
        with refused:
            assert collect_at(path) == Collected(duplicates=1, left=1, passed_over=(why,))
        assert collect_at(path).removed == 1
        assert rows(path) == [*keys("p", 3), ("s", "p:lost", 0)]

    @needs_root
    def test_what_one_may_not_read_costs_nothing_else(self, public_folder: Path, spawn: Spawn) -> None:
        def program() -> None:
            as_nobody()
            done = collect_at(path)
            assert (done.events, done.left) == (2, 1)
            assert done.passed_over == (f"{secret}: can't be read (Permission denied)",)
            assert [finding.what for finding in verify(path) if finding.is_fault] == ["unreadable_journal"]

        path = public_folder / "startup.db"
        public_folder.chmod(0o777)
        secret = write(path, "a", [joined("a"), left("a", 1)])
        secret.chmod(0o600)
        write(path, "p", [joined("p"), left("p", 1)])
        os.chown(journal_folder(path), NOBODY, NOBODY)
        assert exit_code(spawn(program)) == 0

    @pytest.mark.parametrize("pid", [2**31, 2**32, 2**63 - 1, 0])
    def test_a_pid_that_no_process_has_can_not_be_judged(self, path: Path, pid: int) -> None:
        write(path, "p", [joined("p", pid=pid), *milestones("p", [1])])
        assert collect_at(path) == Collected(events=2, left=1)
        assert "journal" in [finding.what for finding in verify(path)]
        with Ledger.open(path) as ledger:
            assert [process.outcome for process in ledger.timeline().processes] == ["running"]


@needs_root
class TestOwners:
    """A folder that somebody else made is what they make it."""

    @pytest.fixture
    def foreign(self, path: Path) -> Path:
        write(path, "p", [joined("p"), left("p", 1)])
        os.chown(journal_folder(path), NOBODY, NOBODY)
        return path

    def test_its_journals_are_not_read_and_it_is_said(self, foreign: Path) -> None:
        done = collect_at(foreign)
        [why] = done.passed_over
        assert done == Collected(left=1, passed_over=(why,))
        assert why.startswith(f"{journal_folder(foreign)}: belongs to another user (uid {NOBODY})")
        assert f"{TRUST_VARIABLE}=1" in why
        assert [file.name for file in journal_folder(foreign).iterdir()] == ["p.jsonl"]
        with Ledger.open(foreign) as ledger:
            assert (ledger.warning, ledger.sessions()) == (why, [])

    def test_they_are_where_one_says_so(self, foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TRUST_VARIABLE, "1")
        assert collect_at(foreign) == Collected(events=2, removed=1)

    def test_a_process_that_exits_leaves_its_journal_there(self, foreign: Path) -> None:
        with pytest.raises(LedgerNotWritable, match="another user"):
            collect_own(foreign, journal_folder(foreign) / "p.jsonl", is_exiting=False)

    def test_a_link_belongs_to_who_made_it(self, path: Path) -> None:
        write(path, "p", [joined("p"), left("p", 1)])
        real = journal_folder(path).rename(path.with_name("real"))
        journal_folder(path).symlink_to(real)
        os.chown(journal_folder(path), NOBODY, NOBODY, follow_symlinks=False)
        assert collect_at(path).events == 0
        os.chown(journal_folder(path), 0, 0, follow_symlinks=False)
        assert collect_at(path).events == 2

    def test_root_s_is_everybody_s(self, public_folder: Path, spawn: Spawn) -> None:
        def program() -> None:
            as_nobody()
            done = collector.collect(Store.in_memory(), journal_folder(path))
            assert done == Collected(events=2, left=1)

        path = public_folder / "startup.db"
        write(path, "p", [joined("p"), left("p", 1)])
        assert exit_code(spawn(program)) == 0


class TestBesideACollector:
    def test_verify_passes_over_a_journal_that_has_just_been_removed(self, path: Path) -> None:
        def removed(journal: Path) -> object:
            journal.unlink()
            return open_journal(journal)

        open_journal = journal_module.open_journal
        write(path, "p", [joined("p")])
        Store.open(path).close()
        with mock.patch("ledger.storage.journal_writers.open_journal", removed):
            assert verify(path) == []


class TestWhatWaits:
    def test_journals_of_another_host_are_said_until_nothing_of_them_is_missing(self, path: Path) -> None:
        write(path, "p", [joined("p", host="container-1"), *milestones("p", [1])])
        write(path, "q", [joined("q", host="container-2")])
        with Ledger.open(path) as ledger:
            assert ledger.warning is not None
            assert ledger.warning.startswith(f"{journal_folder(path)}: 2 journals are left")
            assert "by 2 other hosts" in ledger.warning
        with mock.patch("socket.gethostname", return_value="container-1"):
            collect_at(path)
        (journal_folder(path) / "q.jsonl").unlink()
        with Ledger.open(path) as ledger:
            assert ledger.warning is None

    def test_a_ledger_that_is_reached_through_a_link_says_what_waits_beside_it(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", [1])])
        collect_at(path)
        link = path.with_name("link.db")
        link.symlink_to(path)
        with Ledger.open(link) as ledger:
            expected = f"{link}: is a link to {path}, beside which a journal waits to be collected"
            assert str(ledger.warning).startswith(expected)
        with Ledger.open(path) as ledger:
            assert ledger.warning is None
        folder = path.parent.with_name("linked folder")
        folder.symlink_to(path.parent)
        with Ledger.open(folder / path.name) as ledger:
            assert ledger.warning is None

    def test_report_and_sql_say_so_and_collect_lists_all(self, path: Path) -> None:
        write(path, "p", [joined("p"), left("p", 1)])
        write(path, "q", [joined("q", host="container-2")])
        a_folder(journal_folder(path) / "strange.jsonl")
        for command in (["report", str(path)], ["sql", str(path), "SELECT 1"]):
            ran = subprocess.run([*COMPILE_LEDGER, *command], capture_output=True, text=True, check=True)
            [line] = ran.stderr.splitlines()
            assert (
                "strange.jsonl: not a regular file, so not read (and 1 more; `compile-ledger collect` lists"
                in line
            )
        ran = subprocess.run([*COMPILE_LEDGER, "collect", path], capture_output=True, text=True, check=True)
        assert len(ran.stderr.splitlines()) == 2
        assert len(json.loads(said(path, "collect", "--json").stdout)["passed_over"]) == 2


class TestMemory:
    """What is kept of a journal at once does not grow with it."""

    def peak(self, path: Path) -> int:
        store = Store.in_memory()
        tracemalloc.start()
        try:
            collector.collect(store, journal_folder(path))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            store.close()

    def test_neither_more_journals_nor_longer_ones_need_more(self, path: Path) -> None:
        def peak_of(number: int) -> int:
            for name in ("p", "q"):
                write(path, name, [joined(name), *milestones(name, range(1, number))])
            return self.peak(path)

        batch = {"_BATCH_LINES": 500, "_BATCH_BYTES": 1 << 16}
        chunk = mock.patch.object(journal_module, "_CHUNK_BYTES", 4_096)
        with mock.patch.multiple(collector, **batch), chunk:
            # pydantic keeps strings that it has seen, some 16,000 of them.
            assert peak_of(10_000) < peak_of(1_000) + 1_000_000

    def test_long_lines_are_taken_a_few_at_once(self, path: Path) -> None:
        line = b'{"kind":"x","text":"' + b"x" * 1_000_000 + b'"}\n'
        write(path, "p", [joined("p")], line * 40)
        with mock.patch.object(collector, "_BATCH_BYTES", 1 << 21):
            assert self.peak(path) < 20_000_000

    @pytest.mark.parametrize("ending", [b"", b"\n"])
    def test_a_line_that_no_event_has_is_kept_by_its_beginning(self, path: Path, ending: bytes) -> None:
        longest = 1 << 23
        journal = write(path, "p", [joined("p", **GONE)], b'{"kind":"')
        os.truncate(journal, journal.stat().st_size + 10 * longest)  # zeros that take no room
        with journal.open("ab") as file:
            file.write(ending)
        with mock.patch.object(journal_module, "LONGEST_LINE", longest):
            assert self.peak(path) < 4 * longest
            assert collect_at(path).removed == 1
        [(text,)] = rows(path, "SELECT length(CAST(text AS BLOB)) FROM rejected_lines")
        assert 1_000_000 < int(str(text)) < 2_000_000

    def test_lines_after_it_are_read(self, path: Path) -> None:
        with mock.patch.multiple(
            journal_module, LONGEST_LINE=1_000, KEPT_OF_A_LONG_LINE=100, _CHUNK_BYTES=64
        ):
            more = b"x" * 5_000 + b"\n" + to_line(left("p", 1))
            journal = write(path, "p", [joined("p")], more)
            texts, end = read_lines(journal)
            assert (len(texts), end) == (3, journal.stat().st_size)
            assert texts[1] == b"x" * 100 + b"... (5000 bytes)"
            assert collect_at(path) == Collected(events=2, rejected=1, removed=1)
