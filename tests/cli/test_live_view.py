"""What the live view says of a session's processes, from its events so far."""

from io import StringIO

from rich.console import Console

from ledger.cli.console.live_view import LINES_AROUND, LiveState
from ledger.clock import ClockDomain
from ledger.events.models import ProcessJoined, ProcessLeft, ProcessLost
from ledger.events.rows import to_row
from ledger.testing import SessionBuilder

SECOND = 1_000_000_000
INTO = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
WAITING = "Waiting for the first stage (imports run here)"
HEADER = ["process", "stage", "role", "innermost", "outermost"]


class Session:
    """What `LiveState` has seen of some processes, and how it shows that."""

    def __init__(self, *processes: SessionBuilder, here: ClockDomain | None = None) -> None:
        self.state = LiveState(here)
        for process in processes:
            for event in process.events:
                self.state.add(to_row(event))

    def lines(self, now: int = 0, shown: int = 12, width: int = 100) -> list[str]:
        console = Console(width=width, file=StringIO())
        with console.capture() as capture:
            console.print(self.state.render(now * SECOND, shown))
        return [" ".join(line.split()) for line in capture.get().splitlines()]


def process(name: str = "Worker", host: str = "host", at: int = 0) -> SessionBuilder:
    builder = SessionBuilder(process=name)
    builder.begin(at * SECOND, host=host)
    return builder


def command() -> SessionBuilder:
    """Return what records a command, from its start on."""
    builder = process("compile-ledger")
    builder.milestone(0, "command_started")
    return builder


def joined(process: str, seq: int, **fields: object) -> ProcessJoined:
    key = {"session": "session", "process": process, "seq": seq, "at_ns": 0}
    return ProcessJoined.model_validate({**key, **fields})


def left(worker: SessionBuilder, at: int) -> None:
    seq = len(worker.events)
    key = {"session": "session", "process": worker.process, "seq": seq, "at_ns": at * SECOND}
    worker.events.append(ProcessLeft(**key, outcome="completed", event_count=seq + 1))


class TestStages:
    def test_of_a_process_are_the_outermost_and_the_innermost_open_one(self) -> None:
        worker = process()
        outer = worker.start(0, "torch_compile", role="encoder", source="monitor")
        inner = worker.start(2 * SECOND, "dynamo", source="torch", parent=outer)
        worker.start(70 * SECOND, "compile_attempt_0", source="torch", parent=inner)
        _, header, line, _ = Session(worker).lines(now=71)
        assert header.split() == HEADER
        assert line == f"Worker torch_compile {INTO} … {INTO} compile_attempt_0 encoder 1.0 s 1 min 11 s"

    def test_that_import_name_the_module(self) -> None:
        worker = process()
        outer = worker.start(0, "import", component="torch", source="python")
        worker.start(SECOND, "import", component="torch._inductor", source="python", parent=outer)
        line = Session(worker).lines(now=3)[2]
        assert line == f"Worker import torch {INTO} import torch._inductor 2.0 s 3.0 s"

    def test_are_cut_where_there_is_no_room_and_nothing_else_is(self) -> None:
        worker = process("EngineCore")
        worker.start(0, "import", component="torch.distributed.tensor.placement_types", source="python")
        _, header, line, *_ = Session(worker).lines(now=3, width=60)
        assert header.split() == HEADER
        assert line == "EngineCore import torch.distri… 3.0 s 3.0 s"

    def test_that_a_parent_left_open_end_with_it(self) -> None:
        worker = process()
        outer = worker.start(0, "torch_compile", role="encoder", source="monitor")
        worker.start(SECOND, "dynamo", source="torch", parent=outer)
        worker.stop(2 * SECOND, outer)
        assert Session(worker).lines(now=5)[2:] == [
            "Worker (unattributed) after torch_compile 3.0 s",
            "compiled so far: encoder 2.0 s",
        ]

    def test_end_with_their_process(self) -> None:
        gone, lost = process("left"), process("lost")
        for worker in (gone, lost):
            worker.start(0, "torch_compile", role="encoder", source="monitor")
        left(gone, 1)
        loss = SessionBuilder(process="lost:lost")
        loss.events.append(
            ProcessLost(session="session", process="lost:lost", seq=0, at_ns=0, lost="lost", last_seq=2)
        )
        assert [line.split()[0] for line in Session(gone, lost).lines()[2:]] == ["lost"]
        assert Session(gone, lost, loss).lines(now=1)[1] == "no stage is open"

    def test_may_stop_without_a_start_and_start_twice(self) -> None:
        worker = process()
        worker.stop(SECOND, 99)
        worker.start(0, "dynamo", role="encoder", source="torch")
        worker.events.append(worker.events[-1])
        assert Session(worker).lines()[2].startswith("Worker dynamo encoder")


class TestProcesses:
    def test_wait_for_their_first_stage_from_the_command_s_start_on(self) -> None:
        assert Session().lines() == [WAITING]
        assert Session(command()).lines(now=1) == ["1.0 s since the start", WAITING]

    def test_wait_for_it_while_they_start_and_between_their_imports(self) -> None:
        worker = process(at=1)
        worker.stop(SECOND, worker.start(0, "interpreter_start", source="python", activity="startup"))
        assert Session(command(), worker).lines(now=3)[2] == f"Worker {WAITING} 2.0 s"
        worker.stop(2 * SECOND, worker.start(SECOND, "import", component="torch", source="python"))
        assert Session(command(), worker).lines(now=3)[2] == f"Worker {WAITING} 2.0 s"
        worker.stop(3 * SECOND, worker.start(2 * SECOND, "weights_load", source="engine"))
        assert Session(command(), worker).lines(now=4)[2] == "Worker (unattributed) after weights_load 1.0 s"

    def test_that_are_busy_come_first_by_rank(self) -> None:
        waiting, second, first = process("a"), process("b"), process("c")
        for rank, worker in enumerate((first, second)):
            worker.events.append(joined(worker.process, len(worker.events), name="Worker", rank=rank))
            worker.start(0, "dynamo", source="torch")
        lines = Session(waiting, second, first).lines()
        assert [line.split(" dynamo")[0] for line in lines[2:5]] == [
            "Worker rank 0", "Worker rank 1", f"a {WAITING} 0.0 s"
        ]  # fmt: skip

    def test_of_one_name_carry_their_pid(self) -> None:
        state = Session()
        for pid in (7, 8):
            state.state.add(to_row(joined(f"{pid}-a", 0, name="python", pid=pid)))
        assert [line.split()[:3] for line in state.lines()[2:]] == [
            ["python", "pid", "7"], ["python", "pid", "8"]
        ]  # fmt: skip

    def test_that_are_too_many_are_counted(self) -> None:
        workers = [process(f"worker {number}") for number in range(30)]
        for worker in workers[:20]:
            worker.start(0, "dynamo", source="torch")
        shown = Session(*workers)
        assert shown.lines(shown=5)[-1] == "… and 25 more"
        assert shown.lines(shown=25)[-1] == "… and 5 more"
        assert len(shown.lines(shown=5, width=20)) <= 5 + LINES_AROUND

    def test_have_the_names_that_they_have(self) -> None:
        worker = process("[bold]w[/bold]")
        worker.start(0, "\x1b[2Jdynamo\n", role="[red]", source="torch", activity="compile")
        line = Session(worker).lines()[2]
        assert line.startswith("[bold]w[/bold] \ufffd[2Jdynamo\ufffd [red] ")

    def test_with_another_clock_have_no_times(self) -> None:
        here, there = process("here", host="host"), process("there", host="elsewhere")
        for worker in (here, there):
            worker.start(0, "dynamo", source="torch")
        idle = process("idle", host="elsewhere")
        lines = Session(here, there, idle, here=ClockDomain("host", "host", None)).lines(now=1)
        assert lines[2].split()[-2:] == ["1.0", "s"]
        assert lines[3].split()[-2:] == ["other", "clock"]
        assert lines[4].split()[-2:] == ["other", "clock"]
        assert lines[5] == "compiled so far: model 1.0 s"

    def test_that_are_named_later_keep_their_clock(self) -> None:
        worker = process("spawn", host="host")
        worker.start(0, "dynamo", source="torch")
        worker.events.append(joined("spawn", len(worker.events), name="Worker_TP1", rank=1))
        line = Session(worker, here=ClockDomain("host", "host", None)).lines(now=1)[2]
        assert line.startswith("Worker_TP1")
        assert line.split()[-2:] == ["1.0", "s"]


class TestElapsedTime:
    def test_runs_from_the_command_s_start(self) -> None:
        assert Session(command(), process(at=4)).lines(now=9)[0] == "9.0 s since the start"

    def test_runs_from_the_first_process_where_there_is_no_command(self) -> None:
        worker = process(at=4)
        worker.start(3 * SECOND, "interpreter_start", source="python", activity="startup")
        assert Session(worker).lines(now=9)[0] == "6.0 s since the start"

    def test_names_what_was_reached_and_stops_with_the_session(self) -> None:
        recording, worker = command(), process()
        worker.milestone(5 * SECOND, "engine_ready")
        worker.milestone(6 * SECOND, "engine_ready")
        expected = "9.0 s since the start, engine_ready after 5.0 s"
        assert Session(recording, worker).lines(now=9)[0] == expected
        recording.end(9 * SECOND)
        assert Session(recording, worker).lines(now=20)[0] == expected

    def test_of_another_clock_is_none(self) -> None:
        there = process("there", host="elsewhere")
        there.start(0, "dynamo", source="torch")
        assert Session(there, here=ClockDomain("host", "host", None)).lines(now=1)[0].split() == HEADER


class TestCompileTime:
    def test_is_what_the_reducer_would_say_with_what_is_open_ended_now(self) -> None:
        worker = process()
        outer = worker.start(0, "torch_compile", role="encoder", source="monitor")
        inner = worker.start(SECOND, "dynamo", source="torch", parent=outer)
        assert Session(worker).lines(now=2)[-1] == "compiled so far: encoder 2.0 s"
        worker.stop(2 * SECOND, inner)
        assert Session(worker).lines(now=2)[-1] == "compiled so far: encoder 2.0 s"
        worker.stop(3 * SECOND, outer)
        again = worker.start(10 * SECOND, "dynamo", role="encoder", source="torch")
        assert Session(worker).lines(now=11)[-1] == "compiled so far: encoder 4.0 s"
        worker.stop(12 * SECOND, again)
        load = worker.start(12 * SECOND, "weights_load", source="engine")
        worker.stop(99 * SECOND, load)
        assert Session(worker).lines(now=99)[-1] == "compiled so far: encoder 5.0 s"

    def test_counts_what_is_open_once_more_each_time_that_it_is_drawn(self) -> None:
        worker = process()
        worker.start(0, "dynamo", source="torch")
        session = Session(worker)
        assert [session.lines(now=now)[-1] for now in (1, 2)] == [
            "compiled so far: model 1.0 s",
            "compiled so far: model 2.0 s",
        ]

    def test_is_the_slowest_one_s_of_several_processes(self) -> None:
        workers = [process("a"), process("b")]
        for seconds, worker in enumerate(workers, 1):
            worker.stop(seconds * SECOND, worker.start(0, "dynamo", source="torch"))
        assert Session(*workers).lines(now=2)[-1] == "compiled so far: model 2.0 s (in the slowest process)"
