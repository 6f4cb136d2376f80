"""The start-ups of a log: each is a session, where the next one begins, and how each ended."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from ledger import (
    Event,
    Ledger,
    MilestoneReached,
    ProcessJoined,
    SessionEnded,
    SessionStarted,
    StageStopped,
    Timeline,
    TotalClaimed,
    reduce,
)
from ledger.interchange.importers import import_into
from ledger.storage.store import Store
from ledger_log_lines.stamps import Calendar, iso_wall_ns
from ledger_vllm_log.importer import importer
from tests.support.reading_logs import LOGS, Imported, S, import_content, line, read

API, ENGINE, WORKER = "(APIServer pid=1) ", "(EngineCore pid=5) ", "(Worker pid=7) "
ARGUMENTS = "non-default args: {'model_tag': 'm'}"
BEGINS = "Initializing a V1 LLM engine (v0.24.0) with config: model='m'"
COMPILING, COMPILED = "[backbone] Starting torch.compile", "[backbone] torch.compile took 2.00 s in total"
INIT = "init engine (profile, create kv cache, warmup model) took 9.00 s (compilation: 2.00 s)"
READY = "Starting vLLM API server 0 on http://0.0.0.0:8000"
FRONT_FAILS = (
    API + "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
)


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Imported]:
    """Return a function that imports lines."""
    return partial(import_content, tmp_path)


def begins(at: str = "09:00", version: str = "0.24.0", api: str = API, engine: str = ENGINE) -> list[str]:
    """The lines with which a service begins, in a minute of the day."""
    return [
        line(f"vLLM API server version {version}", f"{at}:00", api),
        line(ARGUMENTS, f"{at}:00", api),
        line(BEGINS.replace("0.24.0", version), f"{at}:10", engine),
    ]


def whole(at: str = "09:00", version: str = "0.24.0", worker: str = WORKER) -> list[str]:
    """The lines of a service that comes to be ready."""
    return [
        *begins(at, version),
        line(COMPILED, f"{at}:20", worker),
        line(INIT, f"{at}:25", ENGINE),
        line(READY, f"{at}:30", API),
    ]


def timelines(imported: Imported) -> list[Timeline]:
    return [reduce(events) for events in imported.sessions]


def outcomes(imported: Imported) -> list[str]:
    return [timeline.session.outcome for timeline in timelines(imported) if timeline.session]


def gaps(timeline: Timeline) -> list[tuple[str, str]]:
    """What a session's log does not contain, besides year and zone."""
    return [(gap.what, gap.process) for gap in timeline.gaps if gap.what != "wall_clock"]


def processes(events: Sequence[Event]) -> set[str]:
    return {event.process for event in events if isinstance(event, ProcessJoined)}


def texts(events: Sequence[Event]) -> set[str | None]:
    return {event.text for event in events if isinstance(event, TotalClaimed)}


class TestWhereOneBegins:
    def test_a_restart_in_a_container_is_a_session_of_its_own_with_the_same_pids(
        self, log: Callable[..., Imported]
    ) -> None:
        found = log(*whole("09:00"), *whole("10:00", "0.25.0"), *whole("11:00"))
        assert len(found.sessions) == 3
        for events, minute, version in zip(found.sessions, (0, 60, 120), ("24", "25", "24"), strict=True):
            assert processes(events) == {"pid-1", "pid-5", "pid-7"}
            [started] = [event for event in events if isinstance(event, SessionStarted)]
            [ready] = [event for event in events if isinstance(event, MilestoneReached)]
            assert started.versions == {"vllm": f"0.{version}.0"}
            assert (started.process, ready.process, ready.name) == ("pid-1", "pid-1", "engine_ready")
            assert ready.at_ns - started.at_ns == 30 * S
            first = next(event for event in found.sessions[0] if isinstance(event, SessionStarted))
            assert started.at_ns - first.at_ns == minute * 60 * S
        for timeline in timelines(found):
            assert {one.stage for one in timeline.intervals} == {"torch_compile", "engine_init"}
            assert timeline.anomalies == ()
            assert {total.total_ns for total in timeline.role_totals if total.activity == "compile"} == {
                2 * S
            }

    def test_so_is_one_with_other_pids(self, log: Callable[..., Imported]) -> None:
        again = [each.replace("pid=", "pid=9") for each in whole("10:00")]
        found = log(*whole(), *again)
        assert [processes(events) for events in found.sessions] == [
            {"pid-1", "pid-5", "pid-7"},
            {"pid-91", "pid-95", "pid-97"},
        ]

    def test_a_front_end_that_never_comes_to_its_engine_is_one_each_time(
        self, log: Callable[..., Imported]
    ) -> None:
        found = log(*begins("09:00")[:2], *begins("09:01")[:2], *whole("09:02"))
        assert outcomes(found) == ["lost", "lost", "completed"]

    def test_engines_in_parallel_are_of_one_start(self, log: Callable[..., Imported]) -> None:
        engines = [f"(EngineCore_DP{n} pid={n + 5}) " for n in (0, 1)]
        lines = [
            *begins(engine=engines[0]),
            line(COMPILED, "09:00:20", engines[0]),
            line(BEGINS, "09:00:21", engines[1]),
            line(COMPILED, "09:00:30", engines[1]),
            line(INIT, "09:00:32", engines[0]),
            line(INIT, "09:00:33", engines[1]),
            line(READY, "09:00:40", API),
        ]
        found = log(*lines, *lines)
        assert [processes(events) for events in found.sessions] == [{"pid-1", "pid-5", "pid-6"}] * 2
        for timeline in timelines(found):
            [total] = [total for total in timeline.session_totals if total.activity == "compile"]
            assert (total.process_count, total.max_ns, total.sum_ns) == (2, 2 * S, 4 * S)

    def test_so_are_engines_that_join_later(self, log: Callable[..., Imported]) -> None:
        found = log(*whole(), line(BEGINS, "10:00:00", "(EngineCore_DP1 pid=99) "))
        assert [processes(events) for events in found.sessions] == [{"pid-1", "pid-5", "pid-7", "pid-99"}]

    def test_so_are_front_ends_in_parallel(self, log: Callable[..., Imported]) -> None:
        both = [
            begins(api=f"(APIServer_DP{n} pid={n}) ", engine=f"(EngineCore_DP{n} pid={n + 5}) ")
            for n in (0, 1)
        ]
        assert len(log(both[0][0], both[1][0], *both[0][1:], *both[1][1:]).sessions) == 1

    def test_so_are_engines_of_rays_that_all_have_one_name(self, log: Callable[..., Imported]) -> None:
        actors = [line(BEGINS, "09:00:00", f"(EngineCoreActor pid={n}, ip=192.0.2.{n}) ") for n in (1, 2)]
        assert len(log(*actors).sessions) == 1

    def test_engines_without_names_are_in_parallel_where_nothing_is_between_them(
        self, log: Callable[..., Imported]
    ) -> None:
        engine = line(BEGINS, "09:00:00", "")
        assert len(log(engine, engine, line(COMPILED, who="")).sessions) == 1
        assert len(log(engine, line(COMPILED, who=""), engine).sessions) == 2

    def test_another_program_begins_after_one_has_come_to_its_end(self, log: Callable[..., Imported]) -> None:
        script = [line(ARGUMENTS, "08:00:00", "(MainProcess pid=77) "), line(INIT, "08:00:30", ENGINE)]
        found = log(*script, *whole())
        assert [processes(events) for events in found.sessions] == [
            {"pid-77", "pid-5"},
            {"pid-1", "pid-5", "pid-7"},
        ]

    def test_a_log_that_is_cut_at_its_beginning_has_a_session_of_the_rest(
        self, log: Callable[..., Imported]
    ) -> None:
        for number in range(3, 6):
            found = log(*whole()[number:], *whole("10:00"))
            cut, complete = timelines(found)
            assert "log_begins" in {gap.what for gap in cut.gaps}
            assert "log_begins" not in {gap.what for gap in complete.gaps}
            assert texts(found.sessions[1]) == {COMPILED, INIT}

    def test_it_may_be_cut_between_the_front_end_and_the_engine(self, log: Callable[..., Imported]) -> None:
        warmup = line("Multi-modal warmup completed in 0.50s", "09:00:05", API)
        assert len(log(warmup, *begins()[2:], *whole()[3:]).sessions) == 1
        # Here it is the engine of a start-up before.
        assert len(log(line(INIT, "08:59:00", ENGINE), *begins()[2:], *whole()[3:]).sessions) == 2

    @pytest.mark.parametrize(
        "message",
        [
            "vLLM API server version 0.14.1",
            "vLLM server version 0.14.1, serving model m/n",
            "▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.14.1",
            "\x1b[93m▄▄\x1b[0m \x1b[94m▄█\x1b[0m █     █ ▀▄▀ █\x1b[0m  version \x1b[1m0.14.1\x1b[0m",
        ],
    )
    def test_a_front_end_tells_the_version(self, log: Callable[..., Imported], message: str) -> None:
        found = log(line(message, who=API))
        [started] = [event for event in found.events if isinstance(event, SessionStarted)]
        assert started.versions == {"vllm": "0.14.1"}

    def test_each_has_its_own_wall_clock(self, log: Callable[..., Imported]) -> None:
        stamps = ["2026-11-22T08:00:00Z ", "2026-11-22T08:00:10.000Z ", "2026-11-22T10:00:00Z "]
        first = [stamps[0] + each if n == 0 else each for n, each in enumerate(whole("09:00"))]
        # Between the two, the clock that the log was stamped by was put back by an hour.
        second = [stamps[2] + each if n == 0 else each for n, each in enumerate(whole("10:00"))]
        found = log(*first, *second, *whole("11:00"))
        started = [event for event in found.events if isinstance(event, SessionStarted)]
        walls = [iso_wall_ns(stamps[0]), iso_wall_ns(stamps[2])]
        assert [event.wall_ns for event in started[:2]] == walls
        # Where one says nothing, the last one's is the best there is.
        assert started[2].wall_ns == (walls[1] or 0) + 3_600 * S
        joined = [event for event in found.sessions[1] if isinstance(event, ProcessJoined)]
        assert {(event.wall_ns or 0) - event.at_ns for event in joined} == {
            (walls[1] or 0) - started[1].at_ns
        }

    def test_the_same_log_twice_changes_nothing(self, path: Path, tmp_path: Path) -> None:
        file = tmp_path / "vllm.log"
        file.write_text("".join(f"{each}\n" for at in range(10, 20) for each in whole(f"{at}:00")))
        store = Store.open(path)
        first, second = (import_into(store, file, importer(), lambda _: None) for _ in range(2))
        store.close()
        assert (len(first.sessions), first.duplicates, second.events) == (10, 0, 0)
        assert (second.duplicates, second.sessions) == (first.events, first.sessions)
        with Ledger.open(path) as ledger:
            assert ledger.sessions() == list(first.sessions)


class TestHowFarOneReaches:
    """From the first stamp to the last one, whatever the lines say."""

    def test_a_real_log_is_a_session_from_its_first_stamp_to_its_last(self) -> None:
        for file in LOGS.glob("*.log"):
            stamps = re.findall(r"(?:INFO|WARNING|ERROR) (\d\d-\d\d [\d:]{8}) ", file.read_text())
            first_ns, last_ns = (Calendar().at_ns(stamp) for stamp in (stamps[0], stamps[-1]))
            events = read(file).events
            assert (min(event.at_ns for event in events), max(event.at_ns for event in events)) == (
                first_ns,
                last_ns,
            )
            assert [event.at_ns for event in events if isinstance(event, SessionStarted)] == [first_ns]
            assert [event.at_ns for event in events if isinstance(event, SessionEnded)] == [last_ns]

    @pytest.mark.parametrize("number", [1, 100_000])
    def test_lines_that_mean_nothing_count_as_far_as_the_next_start(
        self, log: Callable[..., Imported], number: int
    ) -> None:
        before, after = line("Using max model len 256", "08:59:00", API), line("Bye", "09:30:00", API)
        other = "2026-11-22 23:00:00,123 INFO x: y"
        unstamped = ["Traceback (most recent call last):"] * number
        lines = [
            other,
            before,
            *whole(),
            after,
            other,
            *unstamped,
            *whole("10:00"),
            after.replace("09:", "10:"),
        ]
        first, second = log(*lines, *unstamped, other).sessions
        for events, minutes in ((first, 31), (second, 30)):
            start, end = min(event.at_ns for event in events), max(event.at_ns for event in events)
            assert end - start == minutes * 60 * S
            [ended] = [event.at_ns for event in events if isinstance(event, SessionEnded)]
            assert ended == end

    def test_so_they_do_where_a_start_is_lost(self, log: Callable[..., Imported]) -> None:
        lost, _ = log(*begins(), line("Using x", "09:20:00", API), *whole("10:00")).sessions
        assert max(event.at_ns for event in lost) - min(event.at_ns for event in lost) == 20 * 60 * S


SERVES = API + "\x1b[32mINFO\x1b[0m:     Application startup complete."
BAR = "Processed prompts:   0%|          | 0/1 [00:00<?, ?it/s, est. speed input: 0.00 toks/s]"


class TestWhenOneIsReady:
    def milestones(self, imported: Imported) -> list[tuple[str, str, int]]:
        """Name, process, and seconds after the session's start."""
        [start] = [event.at_ns for event in imported.events if isinstance(event, SessionStarted)]
        found = [event for event in imported.events if isinstance(event, MilestoneReached)]
        return [(one.name, one.process, (one.at_ns - start) // S) for one in found]

    def test_an_engine_that_is_initialized_is_not(self, log: Callable[..., Imported]) -> None:
        assert self.milestones(log(*whole()[:-1])) == []

    @pytest.mark.parametrize(
        ("message", "names"),
        [
            ("Core engine process 0 ready.", ["engine_ready"]),
            ("Supported tasks: ('generate',)", ["engine_ready"]),
            (READY, ["engine_ready"]),
            ("Starting vLLM server on unix:/tmp/x", ["engine_ready"]),
            ("Application startup complete.", ["engine_ready", "server_ready"]),
        ],
    )
    def test_the_first_line_that_shows_it_counts(
        self, log: Callable[..., Imported], message: str, names: list[str]
    ) -> None:
        lines = [*whole()[:-1], line(message, "09:00:28", API), line(message, "09:00:29", API), whole()[-1]]
        assert self.milestones(log(*lines)) == [(name, "pid-1", 28) for name in names]

    def test_a_server_is_when_uvicorn_says_so_at_the_last_stamp_before(
        self, log: Callable[..., Imported]
    ) -> None:
        route = line("Route: /health, Methods: GET", "09:00:31", API)
        imported = log(*whole(), route, SERVES, line("x", "09:00:50", API), SERVES)
        assert self.milestones(imported) == [("engine_ready", "pid-1", 30), ("server_ready", "pid-1", 31)]

    def test_another_programs_server_is_none(self, log: Callable[..., Imported]) -> None:
        assert self.milestones(log(SERVES, *begins(), SERVES, BAR, whole()[3])) == []

    @pytest.mark.parametrize(
        "text", [BAR, "Rendering prompts: 100%|██| 1/1", "Adding requests:   0%|  | 0/1"]
    )
    def test_a_program_that_generates_is(self, log: Callable[..., Imported], text: str) -> None:
        script = [
            line(ARGUMENTS, "09:00:00", ""),
            line(BEGINS, "09:00:10", ENGINE),
            line(INIT, "09:00:25", ENGINE),
        ]
        later = line("Final IR op priority", "09:00:27", ENGINE)
        warning = line("Triton kernel JIT compilation during inference: x", "09:00:29", ENGINE)
        expected = [("engine_ready", "unnamed", 27)]
        assert self.milestones(log(*script, later, text, warning, text)) == expected
        # What is logged meanwhile follows on the same line.
        assert self.milestones(log(*script, later, text + warning)) == expected

    def test_of_several_engines_all_are(self, log: Callable[..., Imported]) -> None:
        engines = [f"(EngineCore_DP{n} pid={n + 5}) " for n in (0, 1)]
        answers = [line(f"Core engine process {n} ready.", f"09:00:3{n}", API) for n in (0, 1)]
        lines = [line(ARGUMENTS, "09:00:00", API), *(line(BEGINS, "09:00:01", engine) for engine in engines)]
        lines += [
            line(INIT, "09:00:29", engines[0]),
            answers[0],
            line(INIT, "09:00:31", engines[1]),
            answers[1],
        ]
        assert self.milestones(log(*lines)) == [("engine_ready", "pid-1", 31)]

    @pytest.mark.parametrize(
        ("name", "process", "after_s", "init_s"),
        [
            ("vllm-0.24.0-h200-llama-cold.log", "unnamed", 53, 52),
            ("vllm-0.24.0-h200-vl-cold.log", "unnamed", 58, 56),
            ("vllm-0.32.0-cpu-llama-cold.log", "pid-20985", 51, 50),
            # It printed itself that making `LLM` took 97.2 s.
            ("vllm-0.32.0-cpu-llama-stock-mode.log", "pid-9777", 97, 97),
            ("vllm-0.32.0-cpu-vl-cold.log", "pid-20194", 79, 78),
        ],
    )
    def test_a_real_script_is_where_it_generates(
        self, name: str, process: str, after_s: int, init_s: int
    ) -> None:
        imported = read(LOGS / name)
        assert self.milestones(imported) == [("engine_ready", process, after_s)]
        [start] = [event.at_ns for event in imported.events if isinstance(event, SessionStarted)]
        assert ((imported.stage("engine_init").stop_ns or 0) - start) // S == init_s


class TestWhoStartedWhom:
    def parents(self, imported: Imported) -> dict[str, int | None]:
        return {one.name: one.parent_pid for one in imported.joined.values()}

    def test_an_engine_starts_its_workers(self, log: Callable[..., Imported]) -> None:
        workers = [line(COMPILED, who=f"(Worker_TP{n} pid={n}) ") for n in (8, 9)]
        others = [line(COMPILED, who=f"({name} pid=99) ") for name in ("Registry",)]
        ray = line(COMPILED, who="(RayWorkerWrapper pid=77, ip=192.0.2.4) ")
        assert self.parents(log(*begins(), *workers, *others, ray)) == {
            "APIServer": None, "EngineCore": None, "Worker_TP8": 5, "Worker_TP9": 5, "Registry": None,
            "RayWorkerWrapper": None,
        }  # fmt: skip

    def test_of_several_engines_the_one_of_its_number(self, log: Callable[..., Imported]) -> None:
        engines = [line(BEGINS, who=f"(EngineCore_DP{n} pid={n}) ") for n in (1, 2, 11)]
        names = ("Worker_DP1_TP0", "Worker_DP2_TP0", "Worker")
        workers = [line(COMPILED, who=f"({name} pid={n}) ") for n, name in enumerate(names, 50)]
        parents = self.parents(log(*engines, *workers))
        assert [parents[name] for name in names] == [1, 2, None]


class TestHowOneEnded:
    def test_one_that_was_ready_is_completed_and_what_came_of_it_is_not_known(
        self, log: Callable[..., Imported]
    ) -> None:
        [timeline] = timelines(log(*whole()))
        assert timeline.session is not None
        assert timeline.session.outcome == "completed"
        assert {process.outcome for process in timeline.processes} == {"running"}
        assert gaps(timeline) == [("log_ends", process) for process in ("pid-1", "pid-5", "pid-7")]

    def test_so_is_one_whose_engines_were_all_made(self, log: Callable[..., Imported]) -> None:
        engines = [f"(EngineCore_DP{n} pid={n}) " for n in (0, 1)]
        lines = [line(BEGINS, "09:00:00", engine) for engine in engines]
        one, other = (line(INIT, "09:01:00", engine) for engine in engines)
        assert outcomes(log(*lines, one)) == ["running"]
        assert outcomes(log(*lines, one, other)) == ["completed"]
        for file in LOGS.glob("*.log"):
            [timeline] = timelines(log(file.read_bytes()))
            assert timeline.session is not None
            assert timeline.session.outcome == "completed"
            # All of them shut down in the end.
            assert {process.outcome for process in timeline.processes} == {"completed"}
            assert gaps(timeline) == []

    def test_one_that_failed_says_in_which_stage_and_with_what(self, log: Callable[..., Imported]) -> None:
        found = log(
            *begins(),
            line("Warming up model for the compilation...", "09:00:20", WORKER),
            line(COMPILING, "09:00:20", WORKER),
            line(COMPILING, "09:00:22", WORKER),
            line("WorkerProc hit an exception.", "09:00:30", WORKER).replace("INFO", "ERROR"),
            line("Traceback (most recent call last):", "09:00:30", WORKER),
            line("KeyError: 'x'", "09:00:30", WORKER),
            line("torch.OutOfMemoryError: CUDA out of memory.", "09:00:30", WORKER),
            line("EngineCore failed to start.", "09:00:31", ENGINE),
            FRONT_FAILS,
        )
        [timeline] = timelines(found)
        assert timeline.session is not None
        assert timeline.session.outcome == "failed"
        assert {process.outcome for process in timeline.processes} == {"failed"}
        assert gaps(timeline) == []
        assert [(one.stage, one.outcome, one.duration_ns) for one in timeline.intervals] == [
            ("warmup", "failed", 10 * S),
            ("torch_compile", "abandoned", 0),
            ("torch_compile", "failed", 8 * S),
        ]
        errors = {event.error for event in found.events if isinstance(event, StageStopped)}
        assert errors == {"torch.OutOfMemoryError"}

    @pytest.mark.parametrize(
        "message",
        ["EngineCore failed to start.", "EngineCore hit an exception: Traceback (most recent call last):"],
    )
    def test_an_engine_says_that_it_failed(self, log: Callable[..., Imported], message: str) -> None:
        [timeline] = timelines(log(*begins(), line(message, "09:00:31", ENGINE)))
        assert timeline.session is not None
        assert timeline.session.outcome == "failed"
        assert {one.process: one.outcome for one in timeline.processes} == {
            "pid-1": "running", "pid-5": "failed",
        }  # fmt: skip

    def test_a_front_end_says_that_its_engine_never_came(self, log: Callable[..., Imported]) -> None:
        [timeline] = timelines(log(*begins(), FRONT_FAILS))
        assert timeline.session is not None
        assert timeline.session.outcome == "failed"
        assert {one.process: one.outcome for one in timeline.processes} == {
            "pid-1": "failed", "pid-5": "running",
        }  # fmt: skip
        assert log(FRONT_FAILS).events == []

    def test_a_failure_after_it_was_ready_ends_no_stage(self, log: Callable[..., Imported]) -> None:
        lines = whole()
        lines.insert(3, line(COMPILING, "09:00:15", ENGINE))
        [timeline] = timelines(log(*lines, line("EngineCore encountered a fatal error.", "23:00:00", ENGINE)))
        assert timeline.session is not None
        assert timeline.session.outcome == "failed"
        assert {"abandoned", "completed"} == {one.outcome for one in timeline.intervals}
        assert [milestone.name for milestone in timeline.milestones] == ["engine_ready"]

    def test_one_that_another_follows_without_a_word_is_lost(self, log: Callable[..., Imported]) -> None:
        found = log(*begins(), line(COMPILING, "09:00:20", WORKER), *whole("10:00"), *whole("11:00"))
        lost, completed, last = timelines(found)
        assert outcomes(found) == ["lost", "completed", "completed"]
        assert {process.outcome for process in lost.processes} == {"lost"}
        assert {process.process for process in lost.processes} == {"pid-1", "pid-5", "pid-7"}
        assert [one.outcome for one in lost.intervals] == ["abandoned"]
        assert {process.outcome for process in completed.processes} == {"lost"}
        assert (gaps(lost), gaps(completed)) == ([("next_start", "pid-1")], [])
        assert {what for what, _ in gaps(last)} == {"log_ends"}

    def test_of_one_in_whose_middle_the_log_ends_the_rest_is_not_known(
        self, log: Callable[..., Imported]
    ) -> None:
        waits = "No available shared memory broadcast block found in 60 seconds. (e.g. compilation)"
        [timeline] = timelines(
            log(*begins(), line(COMPILING, "09:00:20", WORKER), line(waits, "09:08:20", ENGINE))
        )
        assert timeline.session is not None
        assert timeline.session.outcome == "running"
        assert {what for what, _ in gaps(timeline)} == {"log_ends"}
        # The log went on for eight minutes more.
        [compiling] = timeline.intervals
        assert (compiling.outcome, compiling.open_ns) == ("open", 480 * S)

    def test_one_that_shuts_down_was_completed_where_it_had_been_ready(
        self, log: Callable[..., Imported]
    ) -> None:
        shutdown = line("[shutdown] EngineCore: trigger received signal=SIGTERM", "12:00:00", ENGINE)
        for lines, outcome in ((whole(), "completed"), (begins(), "failed")):
            [timeline] = timelines(log(*lines, shutdown))
            assert timeline.session is not None
            assert timeline.session.outcome == outcome
            assert {process.outcome for process in timeline.processes} == {"completed"}
            assert gaps(timeline) == []
