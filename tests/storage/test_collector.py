"""Collecting: each event of each journal gets into the ledger once, whoever else collects, writes or dies."""

import os
import shutil
import time
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Ledger, MilestoneReached, Recorder, StageStarted
from ledger.events.models import to_line
from ledger.recording.journal import journal_folder, journals, read_lines
from ledger.storage import collector, journal_folders
from ledger.storage.collector import Collected, collect_own
from ledger.storage.store import Store
from ledger.storage.verification import verify
from tests.support.collecting import GONE, collect_at, joined, keys, left, milestones, rows
from tests.support.journals import one_journal, write
from tests.support.processes import Spawn, as_nobody, exit_code, has_ended, needs_root, wait_for_end


class Killed(BaseException):
    """Ends a collector where it is, as a signal does."""


class TestOnce:
    def test_a_finished_journal_goes_into_the_ledger_and_away(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", range(1, 9)), left("p", 9)])
        assert collect_at(path) == Collected(events=10, removed=1)
        assert rows(path) == keys("p", 10)
        assert rows(path, "SELECT wall_ns FROM events WHERE seq = 5") == [(1_000_005,)]
        assert [file.name for file in path.parent.iterdir()] == ["startup.db"]
        with Ledger.open(path):
            assert verify(path) == []

    def test_collecting_again_changes_nothing(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", range(1, 9))])
        assert collect_at(path) == Collected(events=9, left=1)
        assert collect_at(path) == Collected(left=1)
        assert rows(path) == keys("p", 9)

    def test_a_copy_under_another_name_adds_nothing(self, path: Path) -> None:
        journal = write(path, "p", [joined("p"), *milestones("p", range(1, 9)), left("p", 9)])
        shutil.copy(journal, journal.with_name("copy.jsonl"))
        done = collect_at(path)
        assert (done.events, done.duplicates) == (10, 10)
        assert rows(path) == keys("p", 10)

    def test_a_copy_that_comes_first_has_the_same_times_on_the_wall(self, path: Path) -> None:
        journal = write(path, "p", [joined("p"), *milestones("p", range(1, 3_000)), left("p", 3_000)])
        journal.rename(journal.with_name("copy.jsonl"))
        collect_at(path)
        assert rows(path, "SELECT count(*) FROM events WHERE wall_ns IS NULL") == [(0,)]

    @pytest.mark.parametrize("number", [3, 30])
    def test_a_journal_that_was_replaced_by_another_is_read_from_its_beginning(
        self, path: Path, number: int
    ) -> None:
        write(path, "p", [joined("p"), *milestones("p", range(1, 10))])
        collect_at(path)
        write(path, "p", [joined("q"), *milestones("q", range(1, number)), left("q", number)])
        collect_at(path)
        assert rows(path) == [*keys("p", 10), *keys("q", number + 1)]

    def test_a_journal_that_a_power_cut_shortened_takes_nothing_back(self, path: Path) -> None:
        journal = write(path, "p", [joined("p"), *milestones("p", range(1, 10))])
        collect_at(path)
        os.truncate(journal, journal.stat().st_size // 2)
        assert collect_at(path).events == 0
        assert rows(path) == keys("p", 10)

    def test_a_collector_that_died_before_it_removed_the_journal_did_no_harm(self, path: Path) -> None:
        write(path, "p", [joined("p", **GONE), *milestones("p", range(1, 9))])
        with mock.patch.object(Path, "unlink", side_effect=Killed), pytest.raises(Killed):
            collect_at(path)
        assert rows(path) == [*keys("p", 9), ("s", "p:lost", 0)]
        assert collect_at(path).removed == 1
        assert rows(path) == [*keys("p", 9), ("s", "p:lost", 0)]
        assert not journal_folder(path).exists()

    def test_nothing_is_removed_that_is_not_committed(self, path: Path) -> None:
        journal = write(path, "p", [joined("p"), left("p", 1)])
        with mock.patch.object(Store, "append", side_effect=Killed), pytest.raises(Killed):
            collect_at(path)
        assert journal.exists()
        assert collect_at(path) == Collected(events=2, removed=1)

    def test_many_journals_in_small_batches_are_all_taken(self, path: Path) -> None:
        for number in range(5):
            name = f"p{number}"
            write(path, name, [joined(name), *milestones(name, range(1, 20)), left(name, 20)])
        seen: list[int] = []
        size = sum(journal.stat().st_size for journal in journals(journal_folder(path)))
        with mock.patch.multiple(collector, _BATCH_LINES=7, _PARSED_AT_ONCE=3):
            assert collect_at(path, progress=seen.append) == Collected(events=105, removed=5)
        assert rows(path) == [key for number in range(5) for key in keys(f"p{number}", 21)]
        assert sum(seen) == size

    @given(st.data())
    def test_however_a_journal_grows_between_collections_each_line_comes_once(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("grows") / "startup.db"
        content = b"".join(map(to_line, [joined("p"), *milestones("p", range(1, 12)), left("p", 12)]))
        cuts = data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4).map(sorted))
        journal = write(path, "p", [])
        batch = data.draw(st.integers(1, 20))
        with mock.patch.object(collector, "_BATCH_LINES", batch):
            for start, stop in zip([0, *cuts], [*cuts, len(content)], strict=True):
                with journal.open("ab") as file:
                    file.write(content[start:stop])
                collect_at(path)
        assert rows(path) == keys("p", 13)
        assert rows(path, "SELECT * FROM rejected_lines") == []


BAD_LINES = {
    "cut": to_line(milestones("p", [5])[0])[:-9],
    "two in one": to_line(milestones("p", [5])[0])[:-1] * 2,
    "garbled": b'{"kind":"milestone_reached","session":"s","pro@@@ess":"p","seq":5,"at_ns":5,"name":"x"}',
    "of 10 MB": b'{"kind":"' + b"x" * 10_000_000 + b'"}',
    "NUL": bytes(500),
    "NUL inside": b'{"kind":"milestone_reached","session":"s\0"}',
    "not UTF-8": b'{"kind":"milestone_reached","name":"\xff\xfe"}',
    "not an object": b"[1, 2, 3]",
    "deep": b'{"a":' * 10_000,
    "a stranger's": b'{"hello": "world"}',
}


class TestBadLines:
    @pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
    def test_what_is_no_event_is_kept_aside_and_costs_nothing_else(self, path: Path, bad: bytes) -> None:
        events = [joined("p"), *milestones("p", [1, 2, 3, 4])]
        more = b"".join(map(to_line, [*milestones("p", [6, 7]), left("p", 8)]))
        write(path, "p", events, bad + b"\n" + more)
        assert collect_at(path) == Collected(events=8, rejected=1, removed=1)
        assert [row[2] for row in rows(path)] == [0, 1, 2, 3, 4, 6, 7, 8]
        [(file, line, reason, text)] = rows(path, "SELECT file, line, reason, text FROM rejected_lines")
        assert (file, line) == ("p.jsonl", 6)
        assert str(reason).count("\n") == 0
        assert str(reason).partition(":")[0] in ("event", "kind", "milestone_reached.process")
        assert text == bad.decode("utf-8", "backslashreplace")
        with Ledger.open(path) as ledger:
            assert ledger.timeline().processes[0].lost_events == 1

    def test_the_first_line_may_be_bad_too(self, path: Path) -> None:
        events = b"".join(map(to_line, [joined("p", **GONE), *milestones("p", [1])]))
        write(path, "p", [], b"garbled\n" + events)
        assert collect_at(path) == Collected(events=3, rejected=1, removed=1)

    def test_an_empty_line_after_a_cut_one_is_nothing(self, path: Path) -> None:
        write(path, "p", [joined("p")], b"\n\n" + to_line(left("p", 1)))
        assert collect_at(path) == Collected(events=2, removed=1)

    def test_another_event_under_a_key_that_is_taken_is_kept_aside(self, path: Path) -> None:
        other = MilestoneReached(session="s", process="p", seq=2, at_ns=2, name="another")
        write(path, "p", [joined("p"), *milestones("p", [1, 2, 3]), other, left("p", 4)])
        assert collect_at(path) == Collected(events=5, rejected=1, removed=1)
        [(line, reason, text)] = rows(path, "SELECT line, reason, text FROM rejected_lines")
        assert (line, reason) == (5, "another event has the key (s, p, 2)")
        assert str(text).encode() + b"\n" == to_line(other)

    def test_a_number_that_json_does_not_have_breaks_no_query(self, path: Path) -> None:
        stage = {"interval": 1, "stage": "dynamo", "source": "user", "data": {"loss": 0.5}}
        start = StageStarted(session="s", process="p", seq=1, at_ns=1, **stage)
        line = to_line(start).replace(b"0.5", b"NaN")
        write(path, "p", [joined("p")], line + to_line(left("p", 2)))
        with Ledger.open(path) as ledger:
            ledger.sql("SELECT stage, data FROM intervals")

    def test_a_hole_in_the_numbers_is_seen(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", [1, 2, 5]), left("p", 6)])
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT lost_events FROM processes") == [{"lost_events": 2}]
        assert [finding.what for finding in verify(path) if finding.is_fault] == ["lost_events"]


class TestWhoIsGone:
    def test_a_living_process_s_journal_stays_and_what_comes_later_is_read(self, path: Path) -> None:
        journal = write(path, "p", [joined("p"), *milestones("p", [1, 2])], tail=b'{"kind":"mil')
        assert collect_at(path) == Collected(events=3, left=1)
        with journal.open("ab") as file:
            file.write(to_line(milestones("p", [3])[0])[len(b'{"kind":"mil') :])
        assert rows(path, "SELECT * FROM rejected_lines") == []

    @pytest.mark.parametrize("identity", [GONE, {"pid_start": 1}], ids=["no such pid", "its pid has another"])
    def test_the_journal_of_one_that_is_gone_is_removed_and_it_is_lost(
        self, path: Path, identity: dict[str, int]
    ) -> None:
        write(path, "p", [joined("p", **identity), *milestones("p", [1, 2])])
        assert collect_at(path) == Collected(events=4, removed=1)
        with Ledger.open(path) as ledger:
            [lost] = [event for event in ledger.events() if event.kind == "process_lost"]
            [process] = ledger.timeline().processes
        assert (lost.process, lost.seq, lost.at_ns, lost.lost, lost.last_seq) == ("p:lost", 0, 2, "p", 2)
        assert (process.process, process.outcome, process.lost_events) == ("p", "lost", 0)
        assert verify(path) == []

    def test_one_that_ended_and_was_not_asked_for_yet_is_gone(self, path: Path, spawn: Spawn) -> None:
        child = spawn(lambda: write(path, "p", [joined("p")]))
        wait_for_end(child)
        assert collect_at(path).removed == 1
        assert exit_code(child) == 0

    @pytest.mark.parametrize("elsewhere", ["boot_id", "pid_namespace"])
    def test_one_that_can_not_be_judged_from_here_keeps_its_journal(self, path: Path, elsewhere: str) -> None:
        write(path, "p", [joined("p", **GONE, **{elsewhere: "elsewhere"}), *milestones("p", [1])])
        assert collect_at(path).left == 1
        assert [finding for finding in verify(path) if finding.is_fault] == []
        with Ledger.open(path) as ledger:
            assert [process.outcome for process in ledger.timeline().processes] == ["running"]

    def test_another_hosts_journal_is_left_to_it_unless_collected_into_a_ledger_elsewhere(
        self, path: Path
    ) -> None:
        write(path, "p", [joined("p", **GONE, host="elsewhere"), *milestones("p", [1])])
        done = collect_at(path)
        assert done._replace(passed_over=()) == Collected(left=1)
        [why] = done.passed_over
        assert "a journal is left to be collected by the host 'elsewhere'" in why
        assert [finding for finding in verify(path) if finding.is_fault] == []
        store = Store.in_memory()
        assert collector.collect(store, journal_folder(path), remove=False) == Collected(events=2, left=1)

    def test_into_memory_no_journal_is_moved(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", [1]), left("p", 2)])
        assert collector.collect(Store.in_memory(), journal_folder(path)) == Collected(events=3, left=1)
        assert collect_at(path) == Collected(events=3, removed=1)

    def test_one_whose_journal_was_renamed_is_lost_too(self, path: Path) -> None:
        journal = write(path, "p", [joined("p", **GONE), *milestones("p", [1])])
        journal.rename(journal.with_name("copy.jsonl"))
        with Ledger.open(path) as ledger:
            assert [process.outcome for process in ledger.timeline().processes] == ["lost"]

    def test_an_unfinished_last_line_of_one_that_is_gone_is_counted_and_no_event(self, path: Path) -> None:
        write(path, "p", [joined("p", **GONE)], tail=to_line(milestones("p", [1])[0])[:-1])
        assert collect_at(path) == Collected(events=2, rejected=1, removed=1)
        [(line, reason)] = rows(path, "SELECT line, reason FROM rejected_lines")
        assert line == 2
        assert "never" in str(reason)

    def test_what_a_writer_left_that_died_before_its_first_line_is_tidied_up(self, path: Path) -> None:
        journal_folder(path).mkdir()
        unnamed = journal_folder(path) / "1-ab.new"
        unnamed.write_bytes(b'{"kind":"sess')
        collect_at(path)
        assert unnamed.exists()
        os.utime(unnamed, (0, 0))
        collect_at(path)
        assert not journal_folder(path).exists()


class TestTogether:
    def test_collectors_at_once_all_succeed_and_give_each_event_once(self, path: Path, spawn: Spawn) -> None:
        def collect_all() -> None:
            while not go.exists():
                time.sleep(0.001)
            with mock.patch.object(collector, "_BATCH_LINES", 50):
                collect_at(path)
                Ledger.open(path).close()

        go = path.with_name("go")
        for attempt in range(4):
            names = [f"p{attempt}{number}" for number in range(8)]
            for name in names:
                write(path, name, [joined(name, **GONE), *milestones(name, range(1, 100))])
            children = [spawn(collect_all) for _ in range(6)]
            go.touch()
            assert [exit_code(child) for child in children] == [0] * 6
            go.unlink()
        assert len(rows(path)) == 4 * 8 * 101
        assert not journal_folder(path).exists()
        assert verify(path) == []

    def test_where_another_collects_for_long_a_reader_says_so(self, path: Path) -> None:
        write(path, "p", [joined("p"), *milestones("p", [1])])
        with journal_folders.only_collector(journal_folder(path), 0):
            assert collect_at(path, wait_s=0.05) == Collected(is_waiting=True)
        assert collect_at(path).events == 2

    def test_where_another_has_finished_meanwhile_nothing_is_left_to_do(self, path: Path) -> None:
        write(path, "p", [joined("p"), left("p", 1)])
        found = journals(journal_folder(path))
        collect_at(path)
        with mock.patch.object(collector, "journals", side_effect=[found, [], [], []]):
            assert collect_at(path) == Collected()

    def test_a_journal_that_another_removes_while_it_is_read_is_no_error(self, path: Path) -> None:
        def removing(journal: Path, *arguments: object) -> object:
            read = read_lines(journal, *arguments)  # type: ignore[arg-type]
            if arguments:
                journal.unlink()
            return read

        write(path, "p", [joined("p"), left("p", 1)])
        with mock.patch.object(collector, "read_lines", removing):
            collect_at(path)
        assert rows(path) == keys("p", 2)

    def test_collecting_ends_where_somebody_writes_faster_than_it_collects(self, path: Path) -> None:
        def write_more(_: int) -> None:
            nonlocal written
            assert written < 3_000
            with journal.open("ab") as file:
                file.write(b"".join(map(to_line, milestones("p", range(written, written + 60)))))
            written += 60

        written = 100
        journal = write(path, "p", [joined("p"), *milestones("p", range(1, written))])
        with mock.patch.object(collector, "_BATCH_LINES", 50):
            assert collect_at(path, progress=write_more).events >= 100

    def test_reading_goes_on_while_others_write_and_leave(self, path: Path, spawn: Spawn) -> None:
        def work() -> None:
            with Recorder.open(path) as recorder:
                for number in range(300):
                    recorder.milestone(str(number))
                    time.sleep(0.0005)

        children = [spawn(work) for _ in range(4)]
        seen = [0]
        while not all(map(has_ended, children)):
            if path.exists():
                with Ledger.open(path) as ledger:
                    seen.append(int(str(ledger.sql("SELECT count(*) AS n FROM events")[0]["n"])))
        assert [exit_code(child) for child in children] == [0] * 4
        assert seen == sorted(seen)
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT count(*) AS n FROM milestones") == [{"n": 1_200}]
        assert verify(path) == []

    def test_at_exit_a_process_collects_its_own_journal_alone(self, path: Path) -> None:
        mine = write(path, "mine", [joined("mine"), left("mine", 1)])
        other = write(path, "other", [joined("other"), left("other", 1)])
        collect_own(path, mine, is_exiting=True)
        assert (mine.exists(), other.exists()) == (False, True)
        assert rows(path) == keys("mine", 2)


class TestWithoutRights:
    """What a reader may not write is read into memory, and the reader is told."""

    @needs_root
    @pytest.mark.parametrize("writable", ["nothing", "the file", "the file and its folder"])
    @pytest.mark.parametrize("is_there", [True, False])
    def test_a_reader_sees_the_ledger_and_the_journals(
        self, public_folder: Path, spawn: Spawn, writable: str, is_there: bool
    ) -> None:
        def read() -> None:
            as_nobody()
            with Ledger.open(path) as ledger:
                assert ledger.warning is not None
                assert str(path) in ledger.warning
                assert "memory" in ledger.warning
                assert "\n" not in ledger.warning
                assert len(list(ledger.events())) == 4

        path = public_folder / "startup.db"
        write(path, "p", [joined("p"), *milestones("p", [1, 2])])
        if is_there:
            collect_at(path)
            path.chmod(0o666 if "file" in writable else 0o644)
        write(path, "p", [joined("p"), *milestones("p", [1, 2, 3])])
        public_folder.chmod(0o777 if "folder" in writable else 0o755)
        before = one_journal(path).read_bytes()
        assert exit_code(spawn(read)) == 0
        assert one_journal(path).read_bytes() == before

    def test_journals_without_a_ledger_make_one(self, path: Path) -> None:
        write(path, "p", [joined("p"), left("p", 1)])
        with Ledger.open(path) as ledger:
            assert ledger.warning is None
            assert len(ledger.sessions()) == 1
        assert path.exists()
