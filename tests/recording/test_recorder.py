"""The recorder: what it writes for each call, and that nothing which it is given or meets harms its host."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import ModuleType
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    Event,
    GapNoted,
    Ledger,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    Recorder,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger.clock import monotonic_ns
from ledger.recording import start_templates
from ledger.recording.settings import versions
from ledger_birth.environment import FILE_VARIABLE, SESSION_VARIABLE
from tests.support.collecting import collected
from tests.support.journals import events_in, intervals, recorded
from tests.support.processes import Spawn, exit_code


class TestWhatIsWritten:
    def test_a_package_that_is_being_imported_has_no_version_yet(self) -> None:
        half_imported = ModuleType("torch")
        with mock.patch.dict(sys.modules, {"torch": half_imported}):
            assert "torch" not in versions()
            half_imported.__dict__["__version__"] = "2.13.0"
            assert versions()["torch"] == "2.13.0"

    def test_recording_nothing_leaves_nothing(self, path: Path) -> None:
        with Recorder.open(path) as recorder:
            recorder.add_hook("dynamo")
            recorder.hook_missing("inductor", "no such function")
            recorder.stage("dynamo")
        assert list(path.parent.iterdir()) == []

    def test_an_event_is_on_disk_when_the_call_returns(self, path: Path, recorder: Recorder) -> None:
        for number in range(5):
            recorder.milestone(f"m{number}")
            assert len(recorded(path)) == number + 1

    def test_a_process_joins_with_its_first_event(self, path: Path, recorder: Recorder) -> None:
        recorder.add_hook("dynamo")
        recorder.hook_missing("inductor", "no such function")
        recorder.milestone("engine_ready")
        started, joined, reached = events_in(path)
        assert isinstance(started, SessionStarted)
        assert isinstance(joined, ProcessJoined)
        assert isinstance(reached, MilestoneReached)
        assert (started.session, started.label) == (recorder.session, "nightly")
        assert started.command == tuple(sys.orig_argv)
        assert (joined.pid, joined.hooks) == (os.getpid(), ("dynamo",))
        assert joined.missing_hooks == ("inductor: no such function",)
        assert joined.at_ns <= reached.at_ns <= monotonic_ns()
        assert joined.wall_ns is not None
        assert abs(joined.wall_ns + (reached.at_ns - joined.at_ns) - time.time_ns()) < 10e9

    def test_a_stage_is_a_start_and_a_stop(self, path: Path, recorder: Recorder) -> None:
        before = monotonic_ns()
        with recorder.stage(
            "torch_compile", role="encoder", source="monitor", component="Block", data={"range": "(1, 2048)"}
        ):
            inside = monotonic_ns()
        [(start, stop)] = intervals(path)
        assert before <= start.at_ns <= inside <= stop.at_ns <= monotonic_ns()
        assert (start.stage, start.activity, start.source) == ("torch_compile", "compile", "monitor")
        assert (start.role, start.component, start.data) == ("encoder", "Block", {"range": "(1, 2048)"})
        assert start.thread is not None
        assert start.thread.startswith("MainThread-")
        assert start.parent is None
        assert (stop.outcome, stop.error, stop.data) == ("completed", None, None)

    def test_start_and_stop_do_the_same_by_hand(self, path: Path, recorder: Recorder) -> None:
        outer = recorder.start("my_stage", activity="load")
        inner = recorder.start("dynamo", parent=outer)
        recorder.stop(outer, data={"cache": "miss"})
        recorder.stop(inner, outcome="failed", error="ValueError")
        [(first, first_stop), (second, second_stop)] = intervals(path)
        assert (first.interval, second.interval) == (outer, inner)
        assert (first.parent, second.parent) == (None, outer)
        assert (first_stop.outcome, first_stop.data) == ("completed", {"cache": "miss"})
        assert (second_stop.outcome, second_stop.error) == ("failed", "ValueError")

    def test_a_percent_sign_stands_for_itself_wherever_it_comes_from(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FILE_VARIABLE, str(path))
        monkeypatch.setenv(SESSION_VARIABLE, "50%d-%b%%")
        with Recorder.from_environment() as recorder:
            recorder.stop(recorder.start("%d", role="%b", component="100%", data={"%s": "%"}), error="%r")
            recorder.claim(1, source="log", text="%d of %")
            recorder.stop(recorder.start("%d", parent=recorder.start("%%")))
            recorder.milestone("%(name)s")
            events = events_in(path)
        assert {event.session for event in events} == {"50%d-%b%%"}
        first, second, third = (event for event in events if isinstance(event, StageStarted))
        assert (first.stage, first.role, first.component, first.data) == ("%d", "%b", "100%", {"%s": "%"})
        assert (second.stage, third.stage, third.parent) == ("%%", "%d", second.interval)
        [error] = [event.error for event in events if isinstance(event, StageStopped) and event.error]
        [text] = [event.text for event in events if isinstance(event, TotalClaimed)]
        [name] = [event.name for event in events if isinstance(event, MilestoneReached)]
        assert (error, text, name) == ("%r", "%d of %", "%(name)s")

    def test_more_stages_than_a_thread_keeps_are_each_written_as_they_are(
        self, path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(start_templates, "_TEMPLATES_KEPT", 3)
        names = [f"stage_{number % 5}" for number in range(12)]
        for name in names:
            recorder.start(name)
        started = [event for event in recorded(path) if isinstance(event, StageStarted)]
        assert [event.stage for event in started] == names
        assert recorder.writer is not None
        assert len(recorder.writer._of_thread.templates) <= 3

    def test_a_stage_that_several_threads_begin_has_each_ones_name(
        self, path: Path, recorder: Recorder
    ) -> None:
        recorder.start("dynamo")
        for name in ("first", "second"):
            thread = Thread(target=recorder.start, args=("dynamo",), name=name)
            thread.start()
            thread.join()
        recorder.start("dynamo")
        threads = [event.thread for event in recorded(path) if isinstance(event, StageStarted)]
        assert [str(thread).split("-")[0] for thread in threads] == [
            "MainThread", "first", "second", "MainThread",
        ]  # fmt: skip

    def test_the_parent_is_the_innermost_open_stage(self, path: Path, recorder: Recorder) -> None:
        with recorder.stage("engine_init") as outer:
            with recorder.stage("model_load") as inner:
                recorder.start("weights_load")
            recorder.start("profile_run")
            recorder.start("warmup", parent=None)
        recorder.start("first_run")
        parents = {event.stage: event.parent for event in recorded(path) if isinstance(event, StageStarted)}
        assert parents == {
            "engine_init": None, "model_load": outer.interval, "weights_load": inner.interval,
            "profile_run": outer.interval, "warmup": None, "first_run": None,
        }  # fmt: skip

    def test_a_stage_of_another_recorder_is_no_parent(self, path: Path, recorder: Recorder) -> None:
        with Recorder.open(path.with_name("other.db")) as other, other.stage("engine_init"):
            recorder.stop(recorder.start("dynamo"))
        [(start, _)] = intervals(path)
        assert start.parent is None

    def test_a_role_is_for_all_that_has_none_of_its_own(self, path: Path, recorder: Recorder) -> None:
        with recorder.role("encoder"):
            recorder.start("dynamo")
            with recorder.role("drafter"):
                recorder.claim(1.0, source="log")
            recorder.start("dynamo", role="language_model")
            recorder.start("dynamo")
        recorder.start("dynamo")
        roles = [event.role for event in recorded(path) if isinstance(event, (StageStarted, TotalClaimed))]
        assert roles == ["encoder", "drafter", "language_model", "encoder", None]

    def test_a_claim_is_in_whole_nanoseconds_with_what_it_was_read_from(
        self, path: Path, recorder: Recorder
    ) -> None:
        text = "torch.compile took 16.77 s in total"
        recorder.claim(16.77, source="monitor", counts="total", resolution_ns=10**7, text=text)
        [claim] = recorded(path)
        assert isinstance(claim, TotalClaimed)
        assert (claim.claimed_ns, claim.resolution_ns, claim.text) == (16_770_000_000, 10_000_000, text)
        assert (claim.claim, claim.counts, claim.stage) == (claim.seq, "total", "torch_compile")

    def test_an_interval_may_be_of_a_time_that_has_passed(self, path: Path, recorder: Recorder) -> None:
        before = recorder.start("process_start", source="engine", at_ns=5)
        recorder.stop(before, at_ns=8)
        started, stopped = events_in(path)[-2:]
        assert (started.at_ns, stopped.at_ns) == (5, 8)
        recorder.start("process_start", at_ns="no time")  # type: ignore[arg-type]
        assert [event.what for event in events_in(path) if isinstance(event, GapNoted)] == ["event_not_valid"]

    def test_a_host_may_name_its_process_and_the_last_name_counts(
        self, path: Path, recorder: Recorder
    ) -> None:
        recorder.name_process("Worker_TP1", rank=-1)
        recorder.name_process(17, rank="first")  # type: ignore[arg-type]
        recorder.name_process("Worker_TP1", rank=1)
        recorder.milestone("first")
        recorder.milestone("no other name")
        recorder.name_process("Worker_TP3", rank=3)
        recorder.add_hook("dynamo")
        recorder.milestone("second")
        first, last = (event for event in events_in(path) if isinstance(event, ProcessJoined))
        assert (first.name, first.rank, first.hooks) == ("Worker_TP1", 1, ())
        assert (last.name, last.rank, last.hooks) == ("Worker_TP3", 3, ("dynamo",))
        assert (first.pid, last.pid, last.wall_ns) == (os.getpid(), None, None)
        recorder.name_process("Worker_TP4", rank=4)
        recorder.close()
        [process] = collected(path).values()
        assert (process["name"], process["rank"], process["pid"]) == ("Worker_TP4", 4, os.getpid())

    def test_a_process_that_its_host_calls_failed_has_failed(self, path: Path, recorder: Recorder) -> None:
        recorder.milestone("first")
        recorder.process_failed()
        recorder.close()
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT outcome FROM processes") == [{"outcome": "failed"}]
            assert ledger.sql("SELECT outcome FROM sessions") == [{"outcome": "completed"}]

    def test_a_stage_may_end_before_it_is_left_and_say_more(self, path: Path, recorder: Recorder) -> None:
        with recorder.stage("graph_load") as stage:
            stage.note(cache="hit")
            stage.mark_stopped()
            recorder.milestone("after")
            stage.note(size=3)
        milestone, stopped = events_in(path)[-2:]
        assert isinstance(stopped, StageStopped)
        assert stopped.at_ns <= milestone.at_ns
        assert stopped.data == {"cache": "hit", "size": 3}
        stage.note(too="late")
        stage.mark_stopped()
        with recorder.stage("graph_load") as nothing_said:
            pass
        assert (nothing_said.interval, events_in(path)[-1].data) == (stage.interval + 3, None)  # type: ignore[union-attr]

    def test_a_gap_and_a_hook_found_missing_later_are_written(self, path: Path, recorder: Recorder) -> None:
        recorder.gap("dropped", count=3, detail="why")
        recorder.hook_missing("inductor", "gone")
        recorder.hook_missing("inductor", "gone")
        gaps = [(e.what, e.count, e.detail) for e in recorded(path) if isinstance(e, GapNoted)]
        assert gaps == [("dropped", 3, "why"), ("hook_missing", 1, "inductor: gone")]

    def test_leaving_says_how_many_events_there_were(self, path: Path, recorder: Recorder) -> None:
        recorder.milestone("engine_ready")
        with mock.patch("ledger.storage.collector.collect_own"):
            recorder.close()
        _, ended, left = recorded(path)
        assert isinstance(ended, SessionEnded)
        assert isinstance(left, ProcessLeft)
        assert left.event_count == 5

    def test_after_closing_nothing_is_taken(self, path: Path, recorder: Recorder) -> None:
        with mock.patch("ledger.storage.collector.collect_own"), recorder.stage("dynamo"):
            recorder.close()
            recorder.milestone("late")
        recorder.close()
        assert [event.kind for event in recorded(path)] == ["stage_started", "session_ended", "process_left"]

    def test_who_asked_for_it_may_record_before_the_process_leaves(
        self, path: Path, recorder: Recorder, spawn: Spawn
    ) -> None:
        def fail() -> None:
            raise KeyError("total")

        recorder.milestone("engine_ready")
        recorder.on_close(fail)
        recorder.on_close(lambda: recorder.claim(5, source="torch", counts="total", stage=None))
        with mock.patch("ledger.storage.collector.collect_own"):
            assert exit_code(spawn(recorder.close)) == 0  # it has recorded nothing of its own but this
            with recorder.role("encoder"):
                recorder.close()
            recorder.close()
        by_process: dict[str, list[Event]] = {}
        for event in events_in(path):
            by_process.setdefault(event.process, []).append(event)
        for events in by_process.values():
            gap, claim, *rest = [e for e in events if isinstance(e, (GapNoted, TotalClaimed, ProcessLeft))]
            assert isinstance(gap, GapNoted)
            assert (gap.what, gap.detail) == ("callback_failed", "KeyError: 'total'")
            assert isinstance(claim, TotalClaimed)
            assert (claim.claimed_ns, claim.stage, claim.role) == (5_000_000_000, None, None)
            assert isinstance(rest.pop(), ProcessLeft)
            assert not rest
        assert len(by_process) == 2

    def test_where_recording_is_off_nothing_is_called_before_it_closes(self) -> None:
        called: list[int] = []
        recorder = Recorder.from_environment()
        recorder.on_close(lambda: called.append(1))
        recorder.close()
        assert called == []

    def test_a_context_left_by_an_exception_has_failed(self, path: Path) -> None:
        def program() -> None:
            with Recorder.open(path) as recorder:
                recorder.milestone("engine_ready")
                raise KeyError

        with mock.patch("ledger.storage.collector.collect_own"), pytest.raises(KeyError):
            program()
        ends = [event for event in recorded(path) if isinstance(event, (SessionEnded, ProcessLeft))]
        assert [event.outcome for event in ends] == ["failed", "failed"]


class TestDecorator:
    def test_each_call_is_one_interval(self, path: Path, recorder: Recorder) -> None:
        @recorder.stage("graph_compile", role="encoder")
        def compile_graph(depth: int) -> int:
            """Compile."""
            return depth and 1 + compile_graph(depth - 1)

        assert compile_graph(2) == 2
        assert (compile_graph.__name__, compile_graph.__doc__) == ("compile_graph", "Compile.")
        starts = [start for start, _ in intervals(path)]
        assert [start.parent for start in starts] == [None, starts[0].interval, starts[1].interval]

    def test_a_coroutine_is_timed_to_its_end(self, path: Path, recorder: Recorder) -> None:
        @recorder.stage("model_load")
        async def load() -> tuple[int, int]:
            before_ns = monotonic_ns()
            await asyncio.sleep(0.001)
            return before_ns, monotonic_ns()

        before_ns, after_ns = asyncio.run(load())
        [(start, stop)] = intervals(path)
        assert start.at_ns <= before_ns < after_ns <= stop.at_ns


class TestOutcome:
    @pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit(0), GeneratorExit()])
    def test_a_stage_that_an_exception_leaves_has_failed(
        self, path: Path, recorder: Recorder, error: BaseException
    ) -> None:
        with pytest.raises(type(error)), recorder.stage("dynamo"):
            raise error
        [(_, stop)] = intervals(path)
        assert (stop.outcome, stop.error) == ("failed", type(error).__name__)

    @pytest.mark.parametrize(
        ("raised", "outcome"), [(None, ("completed", None)), (KeyError(), ("failed", "KeyError"))]
    )
    def test_an_exception_that_was_being_handled_already_is_not_this_stage_s(
        self, path: Path, recorder: Recorder, raised: BaseException | None, outcome: object
    ) -> None:
        def handle() -> None:
            with recorder.stage("cache_save"):
                if raised:
                    raise raised
                raise  # the one that is being handled  # noqa: PLE0704

        def program() -> None:
            try:
                raise ValueError
            except ValueError:
                handle()

        with pytest.raises(type(raised) if raised else ValueError):
            program()
        [(_, stop)] = intervals(path)
        assert (stop.outcome, stop.error) == outcome

    def test_an_exception_that_stays_inside_fails_nothing(self, path: Path, recorder: Recorder) -> None:
        with recorder.stage("dynamo"), suppress(ValueError), recorder.stage("graph_compile"):
            raise ValueError
        assert [stop.outcome for _, stop in intervals(path)] == ["completed", "failed"]


class TestHarmless:
    def test_a_stage_of_ones_own_is_part_of_the_startup_and_any_word_is_an_activity(
        self, path: Path, recorder: Recorder
    ) -> None:
        recorder.start("read_config")
        recorder.start("read_table", activity="tables")
        recorder.start("a_name_of_torch", source="torch")
        started = [event for event in recorded(path) if isinstance(event, StageStarted)]
        assert [(event.stage, event.activity) for event in started] == [
            ("read_config", "startup"), ("read_table", "tables"), ("a_name_of_torch", "compile")
        ]  # fmt: skip

    def test_what_was_refused_is_noted_each_time_and_warned_of_once(
        self, path: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(3):
            recorder.start("")
            recorder.milestone("")
        gaps = [event for event in recorded(path) if isinstance(event, GapNoted)]
        assert {gap.what for gap in gaps} == {"event_not_valid"}
        assert [str(gap.detail).partition(":")[0] for gap in gaps] == 3 * [
            "stage_started",
            "milestone_reached",
        ]
        assert [record.name for record in caplog.records] == ["ledger"]

    def test_a_log_handler_that_raises_stops_nothing(self, recorder: Recorder) -> None:
        handler = logging.Handler()
        handler.emit = mock.Mock(side_effect=RuntimeError)
        logging.getLogger("ledger").addHandler(handler)
        try:
            recorder.claim(float("nan"), source="log")
        finally:
            logging.getLogger("ledger").removeHandler(handler)

    @given(st.data())
    def test_any_calls_give_lines_that_are_events(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("any") / "startup.db"
        anything = st.none() | st.booleans() | st.integers(-2, 2**64) | st.floats() | st.text(max_size=5)
        values = st.recursive(
            anything, lambda a: st.lists(a, max_size=3) | st.dictionaries(anything, a, max_size=3)
        )
        recorder = Recorder.open(path)
        for _ in range(data.draw(st.integers(0, 12))):
            calls = ["start", "stop", "claim", "milestone", "gap", "hook_missing"]
            call = data.draw(st.sampled_from(calls))
            names = {
                "start": ["role", "component", "activity", "source", "parent", "data"],
                "stop": ["outcome", "error", "data"],
                "claim": ["role", "component", "counts", "resolution_ns", "text", "interval", "data"],
                "gap": ["count", "detail"],
            }.get(call, ["-"])
            words = data.draw(st.dictionaries(st.sampled_from(names), values, max_size=2))
            words |= {"claim": {"source": "log"}, "hook_missing": {"reason": "gone"}}.get(call, {})
            words.pop("-", None)
            getattr(recorder, call)(data.draw(st.sampled_from(["dynamo", 2, 2.5]) | values), **words)
        recorded(path)
        with mock.patch("ledger.storage.collector.collect_own"):
            recorder.close()


class TestEnvironment:
    def test_without_the_variable_nothing_is_recorded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        recorder = Recorder.from_environment()
        assert (recorder.enabled, recorder.session) == (False, None)
        use_everything(recorder)
        assert list(tmp_path.iterdir()) == []

    def test_the_variable_turns_it_on_and_is_handed_on(self, path: Path, spawn: Spawn) -> None:
        def program() -> None:
            os.chdir(path.parent)
            os.environ[FILE_VARIABLE] = path.name
            recorder = Recorder.from_environment()
            assert recorder is Recorder.from_environment()
            assert os.environ[FILE_VARIABLE] == str(path)
            assert os.environ[SESSION_VARIABLE] == recorder.session
            use_everything(recorder)

        assert exit_code(spawn(program)) == 0
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT outcome, process_count FROM sessions") == [
                {"outcome": "completed", "process_count": 1}
            ]

    @pytest.mark.parametrize("rank", ["", "-1", "one", "9" * 30, "\u0663"])
    def test_an_odd_rank_does_not_stop_it(self, path: Path, spawn: Spawn, rank: str) -> None:
        def program() -> None:
            os.environ["RANK"] = rank
            with Recorder.open(path) as recorder:
                recorder.milestone("m")

        assert exit_code(spawn(program)) == 0
        assert len(collected(path)) == 1

    def test_a_working_directory_that_is_gone_stops_nothing(self, tmp_path: Path, spawn: Spawn) -> None:
        def program() -> None:
            (tmp_path / "gone").mkdir()
            os.chdir(tmp_path / "gone")
            (tmp_path / "gone").rmdir()
            os.environ[FILE_VARIABLE] = "startup.db"
            use_everything(Recorder.from_environment())

        assert exit_code(spawn(program)) == 0


def use_everything(recorder: Recorder) -> None:
    """Call every method once."""
    with recorder.role("encoder"), recorder.stage("dynamo", data={"a": 1}):
        recorder.stop(recorder.start("graph_compile"))
        assert recorder.stage("warmup")(len)([]) == 0
        recorder.claim(1.5, source="log")
    recorder.milestone("engine_ready")
    recorder.gap("dropped")
    recorder.add_hook("dynamo")
    recorder.hook_missing("inductor", "gone")
    recorder.close()


def test_importing_the_recorder_imports_what_it_needs_and_no_more() -> None:
    program = """
import json, sys
import ledger
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    modules = json.loads(done.stdout)
    for name in (
        "sqlite3",
        "sqlite_utils",
        "torch",
        "typer",
        "rich",
        "ledger.storage.store",
        "ledger.storage.collector",
    ):
        assert name not in modules


class TestStandardDescriptors:
    def test_a_host_that_closed_its_stderr_does_not_write_into_the_journal(self, path: Path) -> None:
        program = (
            "import os, sys; os.close(2); from ledger import Recorder; "
            f"r = Recorder.open({str(path)!r}); r.milestone('one'); os.system('echo noise >&2'); "
            "r.milestone('two'); os._exit(0)"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
        assert [event.name for event in recorded(path)] == ["one", "two"]


def test_a_wall_clock_that_was_set_is_noted_and_explains_what_was_timed_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_ns, set_by_ns = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + set_by_ns[0])
    with Recorder.open(tmp_path / "startup.db") as recorder:
        recorder.claim(1.0, source="engine", stage="engine_init")
        began_s = time.time_ns() / 1e9
        with recorder.stage("engine_init", source="engine"):
            set_by_ns[0] = -5_000_000_000
        took_s = time.time_ns() / 1e9 - began_s
        recorder.claim(
            took_s, source="engine", stage="engine_init", resolution_ns=1_000, data={"clock": "wall"}
        )
        recorder.claim(1.0, source="engine", stage="engine_init")
    with Ledger.open(tmp_path / "startup.db") as ledger:
        timeline = ledger.timeline()
    [gap] = timeline.gaps
    stepped_ns = int((gap.detail or "").split()[0])
    assert (gap.what, round(stepped_ns / 1e9)) == ("clock_stepped", -5)
    [share] = [share for share in timeline.causes if share.cause == "clock"]
    assert share.ns == stepped_ns


class TestRefused:
    """What no event can be is refused at the door, and counted: nothing is missing without a word."""

    @pytest.mark.parametrize("at_ns", [-5, 2**63, 2**70, "123", 1.5, float("nan"), b"1"])
    def test_times_that_are_none(self, path: Path, recorder: Recorder, at_ns: object) -> None:
        interval = recorder.start("dynamo")
        assert recorder.start("dynamo", at_ns=at_ns) < 0  # type: ignore[arg-type]
        recorder.stop(interval, at_ns=at_ns)  # type: ignore[arg-type]
        recorder.milestone("after")
        assert [event.kind for event in recorded(path)] == [
            "stage_started", "gap_noted", "gap_noted", "milestone_reached",
        ]  # fmt: skip

    @pytest.mark.parametrize("interval", [-7, 2**63, "1", 1.0, None])
    def test_ids_that_are_none(self, path: Path, recorder: Recorder, interval: object) -> None:
        recorder.stop(interval)  # type: ignore[arg-type]
        recorder.start("dynamo", parent=interval)  # type: ignore[arg-type]
        recorder.claim(1.0, source="log", interval=interval)  # type: ignore[arg-type]
        kinds = [event.kind for event in recorded(path)]
        assert kinds == ["gap_noted"] * 3 or interval is None

    @pytest.mark.parametrize(
        "seconds", [9.3e9, -9.3e9, float("inf"), float("nan"), 1e300, "1", None, 10**400]
    )
    def test_durations_beyond_64_bits(self, path: Path, recorder: Recorder, seconds: object) -> None:
        recorder.claim(seconds, source="log")  # type: ignore[arg-type]
        [gap] = recorded(path)
        assert isinstance(gap, GapNoted)
        assert (gap.what, gap.count) == ("event_not_valid", 1)

    @pytest.mark.parametrize("time_ns", [-1, 2**63, 1.5, None, "now"])
    def test_a_clock_that_tells_no_time(self, path: Path, time_ns: object) -> None:
        times: list[object] = [5, 5, 5]
        recorder = Recorder.open(path, clock=lambda: times.pop(0) if times else time_ns)  # type: ignore[arg-type,return-value]
        recorder.milestone("good")
        with recorder.stage("dynamo") as stage:
            stage.mark_stopped()
        recorder.claim(1.0, source="log")
        times += [7] * 20
        recorder.milestone("after")
        events = recorded(path)
        assert sum(event.count for event in events if isinstance(event, GapNoted)) >= 3
        assert [event.name for event in events if isinstance(event, MilestoneReached)] == ["good", "after"]
        recorder.close()

    def test_the_end_of_the_stack(self, path: Path, recorder: Recorder) -> None:
        acknowledged: list[int] = []
        calls = 0

        def recurse() -> None:
            nonlocal calls
            with recorder.role("encoder"), recorder.stage("dynamo"):
                acknowledged.append(recorder.start("graph_compile"))
                recorder.milestone("m")
                recorder.claim(1.0, source="log", data={"a": [1]})
                calls += 4
                recurse()

        for _ in range(5):
            with suppress(RecursionError):
                recurse()
        recorder.milestone("after")
        events = events_in(path)
        gaps = sum(event.count for event in events if isinstance(event, GapNoted))
        found = {event.interval for event in events if isinstance(event, StageStarted)}
        assert {interval for interval in acknowledged if interval >= 0} <= found
        counted = len(events) + gaps
        assert counted >= calls
        assert events[-1].seq + 1 - len({event.seq for event in events}) <= gaps

    def test_no_memory(self, path: Path, recorder: Recorder) -> None:
        recorder.milestone("before")
        for number in range(6):
            with mock.patch("ledger_birth.journal_writer.os.write", side_effect=MemoryError):
                [
                    lambda: recorder.milestone("lost"),
                    lambda: recorder.start("dynamo"),
                    lambda: recorder.stop(0),
                    lambda: recorder.claim(1.0, source="log"),
                    lambda: recorder.gap("lost"),
                    lambda: recorder.stage("dynamo").__enter__(),
                ][number]()
        recorder.milestone("after")
        events = events_in(path)
        assert sum(event.count for event in events if isinstance(event, GapNoted)) == 6
        assert events[-2].seq + 1 - len(events) + 1 == 6
