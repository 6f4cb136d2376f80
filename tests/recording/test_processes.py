"""Recording in real processes, threads, tasks and signal handlers: each process has its own journal."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from unittest import mock

import pytest

from ledger import Event, GapNoted, Ledger, MilestoneReached, Recorder, StageStarted
from ledger.recording.journal import journal_folder, journals
from ledger.storage.journal_writers import writer_is_gone
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE
from tests.support.collecting import collected
from tests.support.journals import events_in
from tests.support.processes import Spawn, exit_code
from tests.support.waiting import wait_until

HANGS_AFTER_S = 120
"""A deadline against deadlocks, which nothing is timed by."""


def by_process(path: Path) -> dict[str, list[Event]]:
    """Return the events in the journals, by process; no number may be missing."""
    found: dict[str, list[Event]] = {}
    for event in events_in(path):
        found.setdefault(event.process, []).append(event)
    for events in found.values():
        assert [event.seq for event in events] == list(range(len(events)))
    return found


def milestones(events: list[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, MilestoneReached)]


class TestFork:
    def test_a_forked_child_has_a_journal_of_its_own(self, path: Path, spawn: Spawn) -> None:
        with Recorder.open(path) as recorder:
            recorder.milestone("parent")
            child = spawn(lambda: recorder.milestone("child"))
            assert exit_code(child) == 0
            recorder.milestone("parent again")
            written = by_process(path)
            assert sorted(map(milestones, written.values())) == [["child"], ["parent", "parent again"]]
            assert len({events[0].session for events in written.values()}) == 1

    def test_a_child_that_leaves_its_parent_s_stage_writes_nothing(self, path: Path, spawn: Spawn) -> None:
        def leave() -> None:
            stage.__exit__(None, None, None)

        recorder = Recorder.open(path)
        with recorder.stage("engine_init") as stage:
            before = events_in(path)
            assert exit_code(spawn(leave)) == 0
            assert events_in(path) == before
        recorder.close()
        [process] = collected(path).values()
        assert process["outcome"] == "completed"

    def test_a_parent_s_stage_is_no_parent_in_the_child(self, path: Path, spawn: Spawn) -> None:
        def work() -> None:
            with recorder.stage("model_load"), recorder.stage("weights_load"):
                pass
            recorder.close()

        recorder = Recorder.open(path)
        with recorder.stage("engine_init"):
            assert exit_code(spawn(work)) == 0
        recorder.close()
        with Ledger.open(path) as ledger:
            stages = {i.stage: i for i in ledger.timeline().intervals}
        assert (stages["engine_init"].parent, stages["model_load"].parent) == (None, None)
        assert stages["weights_load"].parent == stages["model_load"].interval
        assert stages["engine_init"].process != stages["model_load"].process

    def test_the_file_descriptor_does_not_cross(self, path: Path, spawn: Spawn) -> None:
        def journals_open() -> list[str]:
            found = []
            for fd in os.listdir("/proc/self/fd"):
                with contextlib.suppress(OSError):  # the one that lists the folder
                    found.append(os.readlink(f"/proc/self/fd/{fd}"))
            return [file for file in found if file.startswith(str(journal_folder(path)))]

        def look() -> None:
            assert journals_open() == []

        with Recorder.open(path) as recorder:
            recorder.milestone("parent")
            assert len(journals_open()) == 1
            assert exit_code(spawn(look)) == 0
            recorder.milestone("parent again")

    def test_a_fork_while_another_thread_records_is_no_deadlock(self, path: Path, spawn: Spawn) -> None:
        def record() -> None:
            while not done.is_set():
                recorder.stop(recorder.start("dynamo"))
                time.sleep(0.0001)

        def work() -> None:
            signal.alarm(HANGS_AFTER_S)
            recorder.milestone("child")
            recorder.close()

        done = threading.Event()
        recorder = Recorder.open(path)
        thread = threading.Thread(target=record)
        thread.start()
        try:
            assert [exit_code(spawn(work)) for _ in range(20)] == [0] * 20
        finally:
            done.set()
            thread.join()
        recorder.close()
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT count(*) AS n FROM milestones") == [{"n": 20}]
            processes = ledger.timeline().processes
        assert {(process.outcome, process.lost_events) for process in processes} == {("completed", 0)}

    def test_a_child_that_leaves_its_parent_s_stage_waits_for_no_thread_of_the_parent(
        self, path: Path, spawn: Spawn
    ) -> None:
        def record() -> None:
            while not done.is_set():
                recorder.stop(recorder.start("dynamo", data={"text": "x" * 30_000}))
                time.sleep(0)

        def numbers() -> Iterator[int]:
            with recorder.stage("model_load"):
                yield 1

        def work() -> None:
            signal.alarm(HANGS_AFTER_S)
            stage.__exit__(None, None, None)
            generators.clear()  # it is collected here, and leaves its stage
            gc.collect()
            recorder.milestone("child")
            recorder.close()

        done = threading.Event()
        recorder = Recorder.open(path)
        thread = threading.Thread(target=record)
        thread.start()
        generators = [numbers()]
        next(generators[0])
        try:
            # Each child would import SQLite to collect what it wrote.
            with mock.patch("ledger.storage.collector.collect_own"), recorder.stage("engine_init") as stage:
                assert [exit_code(spawn(work)) for _ in range(20)] == [0] * 20
        finally:
            done.set()
            thread.join()
        generators.clear()
        recorder.close()
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT count(*) AS n FROM milestones") == [{"n": 20}]
            stages = {i.stage: i.outcome for i in ledger.timeline().intervals}
            assert stages == {"engine_init": "completed", "dynamo": "completed", "model_load": "failed"}
            assert ledger.timeline().anomalies == ()

    def test_a_child_that_ends_its_parent_s_interval_by_its_id_ends_none_of_its_own(
        self, path: Path, spawn: Spawn
    ) -> None:
        def work() -> None:
            own = [recorder.start("dynamo", parent=interval) for _ in range(20)]
            recorder.claim(1.0, source="log", interval=interval)
            recorder.stop(interval)
            assert interval not in own
            recorder.stop(own[0])
            recorder.close()

        recorder = Recorder.open(path)
        recorder.milestone("parent")
        interval = recorder.start("engine_init")
        assert exit_code(spawn(work)) == 0
        recorder.stop(interval)
        recorder.close()
        with Ledger.open(path) as ledger:
            timeline = ledger.timeline()
        assert timeline.anomalies == ()
        assert [i.outcome for i in timeline.intervals if i.stage == "dynamo"] == [
            "completed",
            *["abandoned"] * 19,
        ]
        assert {i.parent for i in timeline.intervals} == {None}
        assert [claim.interval for claim in timeline.claims] == [None]

    @pytest.mark.parametrize("is_half_done", [True, False])
    def test_a_fork_while_another_thread_finds_one_out_makes_a_process_as_well(
        self, path: Path, spawn: Spawn, is_half_done: bool
    ) -> None:
        def program() -> None:
            recorder = Recorder.open(path)
            recorder.milestone("parent")
            child = ctypes.PyDLL(None).fork()
            if child == 0:
                signal.alarm(HANGS_AFTER_S)
                assert recorder.writer is not None
                # What another thread has done so far, as it records first after a fork below Python.
                found_out = recorder.writer.lines if is_half_done else recorder.writer
                found_out.forked()
                if (grandchild := os.fork()) == 0:
                    recorder.milestone("grandchild")
                    os._exit(0)
                os.waitpid(grandchild, 0)
                recorder.milestone("child")
                os._exit(0)
            os.waitpid(child, 0)

        assert exit_code(spawn(program)) == 0
        milestones = [event for event in events_in(path) if isinstance(event, MilestoneReached)]
        assert {event.name for event in milestones} == {"parent", "child", "grandchild"}
        assert len({event.process for event in milestones}) == 3

    def test_a_fork_below_python_makes_a_process_as_well(self, path: Path, spawn: Spawn) -> None:
        def program() -> None:
            libc = ctypes.PyDLL(None)  # which forks with Python's lock held, as C code does
            recorder = Recorder.open(path)
            with recorder.stage("engine_init") as stage:
                recorder.milestone("parent")
                for _ in range(10):
                    if libc.fork() == 0:
                        signal.alarm(HANGS_AFTER_S)
                        stage.__exit__(None, None, None)
                        recorder.stop(stage.interval)
                        with recorder.stage("model_load"):
                            recorder.milestone("child")
                        recorder.close()
                        os._exit(0)
                    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
            recorder.close()

        assert exit_code(spawn(program)) == 0
        with Ledger.open(path) as ledger:
            timeline = ledger.timeline()
            assert ledger.sql("SELECT * FROM rejected_lines") == []
        assert len(timeline.processes) == 11
        assert {process.outcome for process in timeline.processes} == {"completed"}
        assert sorted(i.stage for i in timeline.intervals) == ["engine_init", *["model_load"] * 10]
        assert {i.outcome for i in timeline.intervals} == {"completed"}
        assert timeline.anomalies == ()

    def test_a_child_that_ends_without_leaving_is_lost(self, path: Path, spawn: Spawn) -> None:
        with Recorder.open(path) as recorder:
            recorder.milestone("parent")
            assert exit_code(spawn(lambda: recorder.start("dynamo"))) == 0
        with Ledger.open(path) as ledger:
            assert sorted(p.outcome for p in ledger.timeline().processes) == ["completed", "lost"]
            assert [i.outcome for i in ledger.timeline().intervals] == ["abandoned"]


PROGRAM = """
import multiprocessing, sys
from ledger import Recorder
def work(name):
    with Recorder.from_environment().stage("model_load"):
        Recorder.from_environment().milestone(name)
if __name__ == "__main__":
    method = sys.argv[1]
    context = multiprocessing.get_context(method)
    with Recorder.from_environment().stage("engine_init"):
        children = [context.Process(target=work, args=(name,), name=f"Worker_{name}") for name in "ab"]
        for child in children: child.start()
        for child in children: child.join()
"""


FORK_AT_THE_FIRST_EVENT = f"""
import os, signal, threading
from ledger import Recorder
recorder = Recorder.from_environment()
thread = threading.Thread(target=lambda: recorder.stop(recorder.start("dynamo")))
thread.start()
children = []
for _ in range(5):
    if (pid := os.fork()) == 0:
        signal.alarm({HANGS_AFTER_S})
        recorder.claim(1.0, source="log")
        recorder.close()
        os._exit(0)
    children.append(pid)
thread.join()
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 5
"""


class TestPrograms:
    def run(self, path: Path, program: str, *arguments: str, code: int = 0) -> None:
        """Run a program with recording on."""
        script = path.with_name("program.py")
        script.write_text(program)
        environment = {**os.environ, FILE_VARIABLE: path.name, LABEL_VARIABLE: "nightly"}
        command = [sys.executable, str(script), *arguments]
        done = subprocess.run(
            command, cwd=path.parent, env=environment, timeout=2 * HANGS_AFTER_S, check=False
        )
        assert done.returncode == code
        # A fork server is no child of whoever waits here, and leaves a little later than its program.
        wait_until(lambda: all(map(writer_is_gone, journals(journal_folder(path)))), "the end of the helpers")

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_the_children_of_multiprocessing_join_and_leave(self, path: Path, method: str) -> None:
        self.run(path, PROGRAM, method)
        processes = collected(path)
        helpers = {"forkserver"} if method == "forkserver" else set()
        assert processes.keys() == {"program.py", "Worker_a", "Worker_b", *helpers}
        assert {row["outcome"] for row in processes.values()} == {"completed"}
        with Ledger.open(path) as ledger:
            assert len(ledger.sessions()) == 1
            assert {i.outcome for i in ledger.timeline().intervals if i.source == "user"} == {"completed"}

    def test_a_command_that_a_program_starts_joins_its_session(self, path: Path) -> None:
        child = "from ledger import Recorder; Recorder.from_environment().milestone('child')"
        program = f"""
import os, subprocess, sys
from ledger import Recorder
Recorder.from_environment().milestone("parent")
os.mkdir("elsewhere")
subprocess.run([sys.executable, "-c", {child!r}], cwd="elsewhere", check=True)
"""
        self.run(path, program)
        processes = collected(path)
        assert processes.keys() == {"program.py", "python"}
        assert processes["python"]["parent_pid"] == processes["program.py"]["pid"]
        with Ledger.open(path) as ledger:
            [session] = ledger.sql("SELECT label, outcome, process_count FROM sessions")
        assert session == {"label": "nightly", "outcome": "completed", "process_count": 2}

    def test_a_program_that_an_exception_ends_has_failed(self, path: Path) -> None:
        program = "import ledger\nwith ledger.Recorder.from_environment().stage('dynamo'): raise KeyError"
        self.run(path, program, code=1)
        assert collected(path)["program.py"]["outcome"] == "failed"

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    @pytest.mark.parametrize(
        ("ends_with", "outcome"),
        [
            ("raise KeyError", "failed"),
            ("sys.exit(3)", "failed"),
            ("sys.exit(0)", "completed"),
            ("pass", "completed"),
        ],
    )
    def test_a_child_of_multiprocessing_leaves_as_it_ended(
        self, path: Path, method: str, ends_with: str, outcome: str
    ) -> None:
        program = f"""
import multiprocessing, sys
from ledger import Recorder

def child():
    Recorder.from_environment().milestone("child")
    {ends_with}

if __name__ == "__main__":
    Recorder.from_environment().milestone("parent")
    started = multiprocessing.get_context({method!r}).Process(target=child, name="child")
    started.start()
    started.join()
"""
        self.run(path, program)
        helpers = {"forkserver": "completed"} if method == "forkserver" else {}
        assert {name: row["outcome"] for name, row in collected(path).items()} == {
            "child": outcome,
            "program.py": "completed",
            **helpers,
        }

    def test_the_end_of_a_forked_child_has_the_id_of_no_other_interval(self, path: Path) -> None:
        program = """
import multiprocessing
from ledger import Recorder

def child():
    recorder = Recorder.from_environment()
    for _ in range(200):  # their ids go on where the parent's stop: one is the number of the last event here
        recorder.start("dynamo")
    raise KeyError

recorder = Recorder.from_environment()
for _ in range(5):
    recorder.stop(recorder.start("engine_init"))
started = multiprocessing.get_context("fork").Process(target=child, name="child")
started.start()
started.join()
"""
        self.run(path, program)
        assert collected(path)["child"]["outcome"] == "failed"

    def test_exec_makes_another_process_of_the_same_session(self, path: Path) -> None:
        child = "from ledger import Recorder; Recorder.from_environment().milestone('after')"
        program = f"""
import os, sys
from ledger import Recorder
recorder = Recorder.from_environment()
recorder.start("engine_init")
recorder.milestone("before")
os.execv(sys.executable, [sys.executable, "-c", {child!r}])
"""
        self.run(path, program)
        processes = collected(path)
        assert processes["program.py"]["outcome"] == "lost"
        assert processes["python"]["outcome"] == "completed"
        assert processes["program.py"]["pid"] == processes["python"]["pid"]
        assert journals(journal_folder(path)) == []
        with Ledger.open(path) as ledger:
            assert [row["name"] for row in ledger.sql("SELECT name FROM milestones ORDER BY at_ns")] == [
                "before",
                "after",
            ]
            assert len(ledger.sessions()) == 1

    def test_a_process_collects_its_own_journal_when_it_exits(self, path: Path) -> None:
        program = """
from ledger import Recorder
from ledger.storage import collector
collector._OWN_BUDGET_S = 60.0  # a second may not be enough here: other tests run beside this one
Recorder.from_environment().milestone("m")
"""
        self.run(path, program)
        assert sorted(file.name for file in path.parent.iterdir()) == ["program.py", "startup.db"]
        self.run(path, program)
        assert sorted(file.name for file in path.parent.iterdir()) == ["program.py", "startup.db"]
        assert len(collected(path)) == 1

    def test_a_fork_while_another_thread_records_its_first_event_is_fine(self, path: Path) -> None:
        for _ in range(4):  # of four runs one met it, almost always
            self.run(path, FORK_AT_THE_FIRST_EVENT)
        collected(path)

    def test_a_program_that_recorded_nothing_itself_has_no_more_than_its_birth(self, path: Path) -> None:
        self.run(path, "from ledger import Recorder; Recorder.from_environment().stage('dynamo')")
        collected(path)
        with Ledger.open(path) as ledger:
            assert {i.stage for i in ledger.timeline().intervals} <= {"interpreter_start", "import"}


class TestThreads:
    def test_each_thread_has_its_own_innermost_stage(self, path: Path) -> None:
        def work(number: int) -> None:
            with recorder.stage("graph_compile", component=str(number)), recorder.stage("dynamo"):
                time.sleep(0.001)

        recorder = Recorder.open(path)
        with recorder.stage("engine_init"), ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(100)))
        [events] = by_process(path).values()
        starts = {event.interval: event for event in events if isinstance(event, StageStarted)}
        for start in starts.values():
            if start.stage == "dynamo":
                assert start.parent is not None
                assert starts[start.parent].stage == "graph_compile"
                assert starts[start.parent].thread == start.thread
            else:
                assert start.parent is None
        recorder.close()
        collected(path)

    def test_many_threads_leave_no_hole(self, path: Path) -> None:
        def work(_: int) -> None:
            for _ in range(300):
                recorder.stop(recorder.start("dynamo"))
                recorder.claim(1.0, source="log")

        recorder = Recorder.open(path)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        [events] = by_process(path).values()
        assert len(events) == 2 + 8 * 300 * 3
        recorder.close()
        collected(path)


class TestTasks:
    def test_each_task_has_its_own_innermost_stage_and_role(self, path: Path) -> None:
        recorder = Recorder.open(path)

        @recorder.stage("weights_load")
        async def load(number: int) -> None:
            await asyncio.sleep(0.001 * (number % 3))

        async def work(number: int) -> None:
            with recorder.role(f"role {number}"), recorder.stage("model_load"):
                await asyncio.sleep(0.001)
                await load(number)

        async def main() -> None:
            with recorder.stage("engine_init"):
                await asyncio.gather(*map(work, range(30)))

        asyncio.run(main())
        recorder.close()
        collected(path)
        with Ledger.open(path) as ledger:
            found = {i.interval: i for i in ledger.timeline().intervals}
        parents = [(i, found[i.parent]) for i in found.values() if i.parent is not None]
        assert len(parents) == 60
        for interval, parent in parents:
            expected = {"weights_load": "model_load", "model_load": "engine_init"}
            assert parent.stage == expected[interval.stage]
            assert interval.role == parent.role or parent.role is None


class Stop(BaseException):
    """What a signal handler raises, as Python's own does with KeyboardInterrupt."""


class TestSignals:
    def record_under_signals(self, path: Path, handle: Callable[[Recorder, int], None], signals: int) -> None:
        """Record, while a signal comes every half millisecond and is handled where it meets `once`."""

        def once() -> None:
            with recorder.stage("dynamo"):
                recorder.claim(1.0, source="log")

        def handler(_: int, frame: FrameType | None) -> None:
            nonlocal handled, is_handling
            while frame and frame.f_code is not once.__code__:
                frame = frame.f_back
            if frame and handled < signals and not is_handling:
                handled += 1
                is_handling = True
                try:
                    handle(recorder, handled)
                finally:
                    is_handling = False

        handled, is_handling = 0, False
        recorder = Recorder.open(path)
        recorder.milestone("begin")
        once()
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while handled < signals:
            with contextlib.suppress(Stop):
                once()
        signal.setitimer(signal.ITIMER_REAL, 0)
        recorder.milestone("end")

    def check_counted(self, path: Path) -> list[Event]:
        """Return what was recorded; numbers that are missing must have been counted as gaps."""
        events = events_in(path)
        counted = sum(event.count for event in events if isinstance(event, GapNoted))
        assert 0 <= events[-1].seq + 1 - len({event.seq for event in events}) <= counted
        assert len({event.seq for event in events}) == len(events)
        return events

    def test_a_handler_that_records_meets_no_lock_and_costs_no_number(self, path: Path, spawn: Spawn) -> None:
        def handle(recorder: Recorder, number: int) -> None:
            recorder.milestone(str(number))
            recorder.stop(recorder.start("warmup"))

        assert exit_code(spawn(lambda: self.record_under_signals(path, handle, 500))) == 0
        events = events_in(path)
        assert sorted(event.seq for event in events) == list(range(len(events)))
        assert sorted(milestones(events)) == sorted(["begin", *map(str, range(1, 501)), "end"])
        collected(path)

    def test_what_a_handler_that_raises_may_have_cost_is_counted(self, path: Path, spawn: Spawn) -> None:
        def handle(_: Recorder, __: int) -> None:
            raise Stop

        assert exit_code(spawn(lambda: self.record_under_signals(path, handle, 500))) == 0
        self.check_counted(path)

    def test_what_it_may_have_cost_where_the_journal_is_begun_is_counted_too(
        self, tmp_path: Path, spawn: Spawn
    ) -> None:
        def begin(number: int) -> None:
            recorder = Recorder.open(tmp_path / f"{number}.db")
            with contextlib.suppress(Stop):
                signal.setitimer(signal.ITIMER_REAL, 0.00002 * (number + 1))
                recorder.milestone("first")
                signal.setitimer(signal.ITIMER_REAL, 0)
            recorder.milestone("second")

        def program() -> None:
            signal.signal(signal.SIGALRM, stop)
            for number in range(100):
                begin(number)

        def stop(_: int, __: FrameType | None) -> None:
            raise Stop

        assert exit_code(spawn(program)) == 0
        for number in range(100):
            assert milestones(self.check_counted(tmp_path / f"{number}.db"))[-1] == "second"


@pytest.mark.parametrize("takes_long", ["claim", "stage"])
def test_a_fork_waits_until_another_thread_has_encoded_its_event(
    path: Path, spawn: Spawn, takes_long: str
) -> None:
    recorder = Recorder.open(path)
    recorder.milestone("first")
    begun, done = threading.Event(), threading.Event()

    class Slow:
        def __str__(self) -> str:
            if threading.current_thread() is thread:
                begun.set()
                time.sleep(0.1)
                done.set()
            return "slow"

    def record() -> None:
        if takes_long == "claim":
            recorder.claim(1.5, source="log", data={"slow": Slow()})
        else:
            recorder.start("dynamo", data={"slow": Slow()})

    thread = threading.Thread(target=record)
    thread.start()
    begun.wait()

    def child() -> None:
        assert done.is_set()
        recorder.milestone("of the child")

    assert exit_code(spawn(child)) == 0
    thread.join()
    names = [event.name for event in events_in(path) if isinstance(event, MilestoneReached)]
    assert sorted(names) == ["first", "of the child"]
    recorder.close()
