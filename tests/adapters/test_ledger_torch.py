"""torch.compile as the recorder sees it: the adapter alone, with a stand-in for torch, then real compiles."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ledger import Ledger
from ledger_torch import autoload, hooks
from ledger_torch.claims import claim, durations
from ledger_torch.compile_facts import MAX_ITEMS, MAX_TEXT
from ledger_torch.spans import Ended, Spans
from tests.support.paths import TESTS

EVENTS, METRICS = "record_chromium_event_internal", "log_compilation_event"
PROGRAMS = TESTS / "programs"


class Recorded:
    """What an adapter said to its recorder, which is this."""

    enabled = True

    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.stops: dict[int, dict[str, Any]] = {}
        self.claims: list[dict[str, Any]] = []
        self.gaps: list[tuple[str, str | None]] = []
        self.hooks: list[str] = []
        self.missing: dict[str, str] = {}
        self.before_leaving: list[Callable[[], object]] = []

    innermost: int | None = None

    def start(self, stage: str, **fields: Any) -> int:
        self.starts.append({"stage": stage, **fields})
        return len(self.starts) - 1

    def stop(self, interval: int, **fields: Any) -> None:
        assert interval not in self.stops
        self.stops[interval] = {"outcome": "completed", "error": None, "data": None, **fields}

    def claim(self, seconds: float, **fields: Any) -> None:
        self.claims.append({"seconds": seconds, **fields})

    def gap(self, what: str, *, count: int = 1, detail: str | None = None) -> None:
        self.gaps.append((what, detail))

    def add_hook(self, name: str) -> None:
        self.hooks.append(name)

    def hook_missing(self, name: str, reason: str) -> None:
        self.missing[name] = reason

    def on_close(self, callback: Callable[[], object]) -> None:
        self.before_leaving.append(callback)

    def stop_of(self, stage: str) -> dict[str, Any] | None:
        """The stop of the last interval of a stage; None where it has none."""
        last = max(at for at, start in enumerate(self.starts) if start["stage"] == stage)
        return self.stops.get(last)


# The funnel of torch's `_dynamo/utils.py`, as it is in every version that tests/torch_compat has facts of.
FUNNEL = """
import threading
from contextlib import contextmanager

heard = []

def record_chromium_event_internal(event):
    heard.append(event)

def log_compilation_event(metrics):
    heard.append(metrics)

class ChromiumEventLogger:
    def __init__(self):
        self.tls = threading.local()

    def get_stack(self):
        if not hasattr(self.tls, "stack"):
            self.tls.stack = []
        return self.tls.stack

    def log_event_start(self, name, time_ns, metadata):
        self._log_timed_event(name, time_ns, "B", metadata)
        self.get_stack().append(name)

    def log_event_end(self, name, time_ns, metadata):
        self._log_timed_event(name, time_ns, "E", metadata)
        stack = self.get_stack()
        if name in stack:
            while stack.pop() != name:
                pass

    def _log_timed_event(self, name, time_ns, phase, metadata):
        event = {"name": name, "ts": time_ns / 1000, "args": metadata, "ph": phase}
        record_chromium_event_internal(event)

LOGGER = ChromiumEventLogger()

def get_chromium_event_logger():
    return LOGGER

def record_compilation_metrics(metrics):
    log_compilation_event(metrics)

@contextmanager
def dynamo_timed(key, time_ns=0, end=None, **metadata):
    LOGGER.log_event_start(key, time_ns, metadata)
    try:
        yield
    finally:
        LOGGER.log_event_end(key, time_ns, {**metadata, **(end or {})})
"""


def make_funnel(source: str = FUNNEL) -> Any:
    funnel = ModuleType(f"funnel_{os.urandom(4).hex()}")
    exec(source, funnel.__dict__)
    return funnel


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def funnel(recorded: Recorded) -> Any:
    """A stand-in for torch's funnel, with our hooks in it."""
    module = make_funnel()
    hooks.install(module, recorded)  # pyright: ignore[reportArgumentType]
    return module


def torchs(name: str, *bases: type[BaseException], module: str = "torch._dynamo.exc") -> type[BaseException]:
    """An exception's class as it looks from outside: by the name of its module and its own."""
    return type(name, bases or (RuntimeError,), {"__module__": module})


def test_spans_become_intervals_with_the_enclosing_one_as_parent(funnel: Any, recorded: Recorded) -> None:
    with funnel.dynamo_timed("dynamo"), funnel.dynamo_timed("backend_compile"):
        with funnel.dynamo_timed("code_gen"):
            pass
        with funnel.dynamo_timed("compile_file"):
            pass

    assert [(start["stage"], start.get("parent")) for start in recorded.starts] == [
        ("dynamo", None), ("backend_compile", 0), ("code_gen", 1), ("compile_file", 1),
    ]  # fmt: skip
    assert {start["source"] for start in recorded.starts} == {"torch"}
    assert all("role" not in start for start in recorded.starts)
    assert Counter(stop["outcome"] for stop in recorded.stops.values()) == {"completed": 4}


def test_the_parent_is_what_began_last_a_span_or_a_stage_of_the_programs(
    funnel: Any, recorded: Recorded
) -> None:
    with funnel.dynamo_timed("dynamo"), funnel.dynamo_timed("backend_compile"):
        recorded.innermost = 7
        with funnel.dynamo_timed("code_gen"):
            pass
        recorded.innermost = 0
        with funnel.dynamo_timed("gc"):
            pass
    assert [start["parent"] for start in recorded.starts] == [None, 0, 7, 1]


def test_each_thread_has_its_own_stack(funnel: Any, recorded: Recorded) -> None:
    def compile_file() -> None:
        with funnel.dynamo_timed("compile_file"):
            pass

    with funnel.dynamo_timed("async_compile.wait"):
        thread = threading.Thread(target=compile_file)
        thread.start()
        thread.join()

    assert recorded.starts[1]["parent"] is None
    assert len(recorded.stops) == 2


def test_a_stop_has_only_what_its_start_did_not_say(funnel: Any, recorded: Recorded) -> None:
    end = {"cache_size": 0, "is_backward": True}
    with funnel.dynamo_timed("dynamo", end=end, compile_id="0/0", is_backward=False):
        pass
    assert recorded.starts[0]["data"] == {"compile_id": "0/0", "is_backward": False}
    assert recorded.stops[0]["data"] == {"cache_size": 0, "is_backward": True}


def test_data_is_plain_and_a_copy_and_texts_are_whole(funnel: Any, recorded: Recorded) -> None:
    metadata: dict[str, Any] = {
        "compile_id": "None", "fail_reason": "why " * 5_000, "key": object(),
        "restart_reasons": {"b " * 900, "a"},
        "dynamo_config": "{}", "parts": ["y"] * 500, "cache_size": None, "seconds": 0.5,
    }  # fmt: skip
    funnel.LOGGER.log_event_start("compile_attempt_0", 0, metadata)
    metadata["seconds"] = 1.5
    data = recorded.starts[0]["data"]
    assert data.pop("parts") == ["y"] * MAX_ITEMS
    assert data == {"fail_reason": "why " * 5_000, "restart_reasons": ["a", "b " * 900], "seconds": 0.5}


def test_of_a_text_without_an_end_the_beginning_is_kept_and_it_says_so(
    funnel: Any, recorded: Recorded
) -> None:
    funnel.LOGGER.log_event_start("dynamo", 0, {"fail_reason": "x" * (MAX_TEXT + 1_234)})
    assert recorded.starts[0]["data"] == {"fail_reason": "x" * MAX_TEXT + " … and 1,234 more characters"}


def test_an_exception_that_leaves_a_span_fails_it(funnel: Any, recorded: Recorded) -> None:
    with pytest.raises(KeyError), funnel.dynamo_timed("dynamo"), funnel.dynamo_timed("backend_compile"):
        raise KeyError("lost")
    assert {(stop["outcome"], stop["error"]) for stop in recorded.stops.values()} == {("failed", "KeyError")}


def test_an_exception_that_is_caught_inside_or_was_handled_before_fails_nothing(
    funnel: Any, recorded: Recorded
) -> None:
    with funnel.dynamo_timed("dynamo"):
        try:
            raise KeyError("caught")
        except KeyError:
            with funnel.dynamo_timed("retry"):
                pass
    assert {stop["outcome"] for stop in recorded.stops.values()} == {"completed"}


def test_a_new_exception_while_another_is_handled_fails_the_span(funnel: Any, recorded: Recorded) -> None:
    try:
        raise KeyError("handled")
    except KeyError:
        with pytest.raises(ValueError, match="new"), funnel.dynamo_timed("retry"):
            raise ValueError("new") from None
    assert recorded.stops[0]["error"] == "ValueError"


@pytest.mark.parametrize(
    "kind",
    [
        torchs("RestartAnalysis"),
        torchs("SpeculationRestartAnalysis", torchs("RestartAnalysis")),
        torchs("SkipFrame"),
        torchs(
            "FXGraphCacheMiss",
            torchs("BypassAOTAutogradCache", module="torch._functorch._aot_autograd.autograd_cache"),
            module="torch._functorch._aot_autograd.autograd_cache",
        ),
        torchs("StopCompiling", BaseException, module="vllm.compilation.backends"),
    ],
    ids=lambda kind: kind.__name__,
)
def test_control_flow_by_exception_completes_a_span(
    kind: type[BaseException], funnel: Any, recorded: Recorded
) -> None:
    with pytest.raises(kind), funnel.dynamo_timed("compile_attempt_0", end={"cache_size": 1}):
        raise kind
    assert recorded.stops[0] == {
        "outcome": "completed", "error": None, "data": {"cache_size": 1, "control": kind.__name__},
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [torchs("SkipFrame", module="elsewhere"), torchs("StopCompiling", module="mine"), torchs("Unsupported")],
)
def test_a_name_alone_is_not_control_flow(kind: type[BaseException], funnel: Any, recorded: Recorded) -> None:
    # Unsupported, because no frame of Dynamo's is on the stack that would answer it with eager execution.
    with pytest.raises(kind), funnel.dynamo_timed("compile_attempt_0"):
        raise kind
    assert recorded.stops[0]["outcome"] == "failed"


def test_a_begin_that_never_ends_swallows_nothing(funnel: Any, recorded: Recorded) -> None:
    with funnel.dynamo_timed("outer"):
        funnel.LOGGER.log_event_start("compiled_autograd", 0, {})
        with funnel.dynamo_timed("inside"):
            pass
    with funnel.dynamo_timed("later"):
        pass

    assert [start.get("parent") for start in recorded.starts] == [None, 0, 1, None]
    assert recorded.stop_of("compiled_autograd") is None
    assert len(recorded.stops) == 3
    assert recorded.gaps == []


def test_what_torch_dropped_from_its_stack_is_no_parent_any_more(funnel: Any, recorded: Recorded) -> None:
    funnel.LOGGER.log_event_start("crashed", 0, {})
    funnel.LOGGER.get_stack().clear()
    with funnel.dynamo_timed("next"):
        pass
    assert recorded.starts[1]["parent"] is None
    assert recorded.stop_of("crashed") is None


def test_an_end_that_comes_after_torch_forgot_its_begin_is_its_end(funnel: Any, recorded: Recorded) -> None:
    # torch 2.6, when a compile runs inside another one's backend: it empties the stack, and all ends come.
    with funnel.dynamo_timed("dynamo"), funnel.dynamo_timed("backend_compile"):
        funnel.LOGGER.get_stack().clear()
        with funnel.dynamo_timed("dynamo"):
            pass
    assert [start["stage"] for start in recorded.starts] == ["dynamo", "backend_compile", "dynamo"]
    assert sorted(recorded.stops) == [0, 1, 2]
    assert recorded.gaps == []


def test_an_end_without_a_begin_is_a_gap(funnel: Any, recorded: Recorded) -> None:
    funnel.LOGGER.log_event_end("dynamo", 0, {})
    assert recorded.gaps == [("unmatched_end", "dynamo")]


def test_an_interval_that_was_not_recorded_is_nobodys_parent(recorded: Recorded) -> None:
    spans = Spans(recorded, None)  # pyright: ignore[reportArgumentType]
    recorded.start = lambda stage, **fields: recorded.starts.append({"stage": stage, **fields}) or -1
    spans.observe({"name": "dynamo", "ph": "B", "ts": 0, "args": {}})
    spans.observe({"name": "code_gen", "ph": "B", "ts": 0, "args": {}})
    assert recorded.starts[1]["parent"] is None


def test_what_was_there_before_is_called_and_its_exceptions_flow(recorded: Recorded) -> None:
    module = make_funnel()
    hooks.install(module, recorded)  # pyright: ignore[reportArgumentType]
    with module.dynamo_timed("dynamo"):
        pass
    assert [event["ph"] for event in module.heard] == ["B", "E"]

    failing = make_funnel(FUNNEL.replace("heard.append(event)", "raise OSError('its own')"))
    hooks.install(failing, recorded)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OSError, match="own"):
        failing.LOGGER.log_event_start("dynamo", 0, {})


def test_no_exception_of_ours_gets_out(
    funnel: Any, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise RuntimeError("the recorder is broken")

    recorded.start = broken
    for _ in range(3):
        with funnel.dynamo_timed("dynamo"):
            pass
    funnel.record_compilation_metrics("not a record")

    details = [detail for what, detail in recorded.gaps if what == "hook_failed"]
    assert len(details) == 4
    assert "the recorder is broken" in str(details[0])
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2


def test_installing_twice_records_once(funnel: Any, recorded: Recorded) -> None:
    hooks.install(funnel, recorded)  # pyright: ignore[reportArgumentType]
    with funnel.dynamo_timed("dynamo"):
        pass
    assert len(recorded.starts) == 1
    assert recorded.hooks == [f"{funnel.__name__}.{EVENTS}", f"{funnel.__name__}.{METRICS}"]


@pytest.mark.parametrize(
    ("name", "was", "becomes", "reason"),
    [
        (EVENTS, f"def {EVENTS}", "def renamed", "no such function"),
        (EVENTS, f"{EVENTS}(event)\n\nL", "pass\n\nL", "not call it"),
        (EVENTS, "class ChromiumEventLogger", "class Renamed", "ChromiumEventLogger"),
        (METRICS, f"{METRICS}(metrics)\n\n@", "pass\n\n@", "not call it"),
    ],
)
def test_a_missing_hook_is_said_with_its_reason(name: str, was: str, becomes: str, reason: str) -> None:
    assert was in FUNNEL
    source = FUNNEL.replace(was, becomes)
    recorded = Recorded()
    if "class Renamed" in source:
        source = source.replace("LOGGER = ChromiumEventLogger()", "LOGGER = Renamed()")
    module = make_funnel(source)
    hooks.install(module, recorded)  # pyright: ignore[reportArgumentType]
    assert reason in recorded.missing[f"{module.__name__}.{name}"]
    assert f"{module.__name__}.{name}" not in recorded.hooks
    assert len(recorded.hooks) == 1


@dataclasses.dataclass
class Metrics:
    """Some fields of torch's CompilationMetrics."""

    compile_id: str | None = "0/0"
    start_time: float | None = 1_000.0
    start_time_us: int | None = 1_000_000_000
    end_time_us: int | None = 1_000_900_000
    duration_us: int | None = 900_000
    dynamo_cumulative_compile_time_us: int | None = 900_000
    entire_frame_compile_time_s: float | None = 0.9
    post_grad_pass_time_us: int | None = 20_000
    triton_compile_time_us: int | None = 0
    gc_time_us: int | None = None
    guard_latency_us: float | None = 77.0
    a_field_of_tomorrow_ms: int | None = 5
    structured_logging_overhead_s: float | None = 0.25
    triton_kernel_compile_times_us: str | None = "[1, 2]"
    cache_size: int | None = 3
    is_forward: bool | None = True
    is_runtime: bool | None = False
    fail_type: str | None = None


def test_the_durations_of_a_record_without_twins_and_zeros() -> None:
    found = {duration.field: (duration.seconds, duration.resolution_ns) for duration in durations(Metrics())}
    assert found == {
        "duration_us": (pytest.approx(0.9), 1_000),
        "dynamo_cumulative_compile_time_us": (pytest.approx(0.9), 1_000),
        "post_grad_pass_time_us": (pytest.approx(0.02), 1_000),
        "guard_latency_us": (pytest.approx(77e-6), 1_000),
        "a_field_of_tomorrow_ms": (pytest.approx(5e-3), 1_000_000),
        # Its twin in microseconds is not in this record.
        "structured_logging_overhead_s": (0.25, 1_000),
    }


def test_a_compile_that_claims_no_time_at_all_is_kept() -> None:
    nothing = Metrics(duration_us=0, dynamo_cumulative_compile_time_us=0, entire_frame_compile_time_s=0.0)
    assert "duration_us" in {duration.field for duration in durations(nothing)}


def test_a_claim_names_the_interval_that_torch_timed(recorded: Recorded) -> None:
    ended = [
        Ended("_recursive_post_grad_passes", 5, 1_000_000_500.0),
        Ended("_recursive_post_grad_passes", 7, 1_000_000_600.0),
        Ended("entire_frame_compile", 3, 1_000_000_010.0),
    ]
    claim(recorded, Metrics(), ended)  # pyright: ignore[reportArgumentType]
    claims = {said["data"]["field"]: said for said in recorded.claims}

    total = claims["duration_us"]
    assert (total["stage"], total["interval"]) == ("entire_frame_compile", 3)
    assert total["text"] == "duration_us=900000"
    assert total["data"] == {
        "field": "duration_us", "compile_id": "0/0", "is_forward": True, "is_runtime": False,
        "record": {"cache_size": 3, "triton_kernel_compile_times_us": "[1, 2]"},
    }  # fmt: skip
    passes = claims["post_grad_pass_time_us"]
    assert (passes["stage"], passes["interval"]) == ("_recursive_post_grad_passes", None)
    assert passes["data"]["intervals"] == [5, 7]
    # No span of this compile's: what it is instead is said.
    assert claims["guard_latency_us"]["stage"] == "guard_latency_us"
    assert "guards" in claims["guard_latency_us"]["data"]["means"]
    assert "means" not in passes["data"]
    assert {said["source"] for said in recorded.claims} == {"torch"}


def test_a_record_claims_what_ended_since_the_one_before(funnel: Any, recorded: Recorded) -> None:
    for _ in range(2):
        with funnel.dynamo_timed("entire_frame_compile", time_ns=1_000_000_010_000_000, compile_id="0/0"):
            pass
        funnel.record_compilation_metrics(Metrics())
    assert [said["interval"] for said in recorded.claims if said["text"].startswith("duration_us")] == [0, 1]


def test_a_runtime_s_record_has_what_belongs_to_no_compile(funnel: Any, recorded: Recorded) -> None:
    inductor = funnel.dynamo_timed("inductor_compile", time_ns=900_000_000_000)
    with inductor, funnel.dynamo_timed("code_gen", time_ns=900_100_000_000):
        pass
    with funnel.dynamo_timed("entire_frame_compile", time_ns=1_000_000_010_000_000, compile_id="0/0"):
        pass
    with funnel.dynamo_timed("_recursive_joint_graph_passes", time_ns=1_100_000_000_000_000):
        pass
    funnel.record_compilation_metrics(Metrics())
    funnel.record_compilation_metrics(Metrics(is_runtime=True))
    of_frame, of_runtime = (said for said in recorded.claims if said["data"]["field"] == "duration_us")
    assert (of_frame["stage"], of_frame["interval"]) == ("entire_frame_compile", 2)
    # torch adds up the outermost alone.
    assert (of_runtime["stage"], of_runtime["data"]["intervals"]) == ("duration_us", [0, 3])


def test_a_backward_and_a_runtime_record_say_so(recorded: Recorded) -> None:
    claim(recorded, Metrics(is_forward=False), ())  # pyright: ignore[reportArgumentType]
    claim(recorded, Metrics(is_runtime=True), ())  # pyright: ignore[reportArgumentType]
    stages = [said["stage"] for said in recorded.claims if said["text"].startswith("duration_us")]
    assert stages == ["entire_backward_compile", "duration_us"]


def python(*arguments: str | Path, **environment: str | None) -> str:
    """Run Python with `environment` added (None: taken away), and return what it printed."""
    merged: dict[str, str | None] = {**os.environ, "COMPILE_LEDGER": None, "COMPILE_LEDGER_SESSION": None}
    merged |= environment
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={name: value for name, value in merged.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_where_recording_is_off_nothing_is_imported() -> None:
    python(
        "-c",
        "import sys; before = set(sys.modules); import ledger_torch.autoload as it; it.activate();"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert not new & {'ledger', 'wrapt', 'pydantic', 'torch', 'logging'}, new",
    )


def test_activate_lets_no_exception_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise OSError("no such place")

    monkeypatch.setenv("COMPILE_LEDGER", "x.db")
    monkeypatch.setattr(hooks, "install_on_import", broken)
    autoload.activate()
    assert [record.getMessage() for record in caplog.records] == [
        "compile-ledger: torch.compile is not recorded: OSError: no such place"
    ]


def test_the_entry_point_is_what_torch_will_call() -> None:
    (point,) = (point for point in entry_points(group="torch.backends") if point.name == "compile_ledger")
    assert point.load() is autoload.activate


def test_importing_torch_imports_no_dynamo_and_records_nothing_of_torch_s(tmp_path: Path) -> None:
    ledger = tmp_path / "x.db"
    printed = python(
        "-c", "import sys, torch; print('ledger_torch.hooks' in sys.modules, 'torch._dynamo' in sys.modules)",
        COMPILE_LEDGER=str(ledger),
    )  # fmt: skip
    assert printed == "True False\n"
    assert Ledger.open(ledger).sql("select distinct source from intervals") == [{"source": "python"}]


def test_a_forked_child_starts_with_an_empty_stack(tmp_path: Path) -> None:
    ledger = tmp_path / "x.db"
    python(
        "-c",
        "import os, torch, torch._dynamo.utils as utils\n"
        "with utils.dynamo_timed('outer'):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        with utils.dynamo_timed('in the child'):\n"
        "            pass\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n",
        COMPILE_LEDGER=str(ledger),
    )
    rows = Ledger.open(ledger).sql(
        "select process, stage, parent, outcome from intervals where source = 'torch' order by stage"
    )
    assert [(row["stage"], row["parent"], row["outcome"]) for row in rows] == [
        ("in the child", None, "completed"), ("outer", None, "completed"),
    ]  # fmt: skip
    assert rows[0]["process"] != rows[1]["process"]


class Recording:
    """A program that ran with recording on: what it printed, and its ledger."""

    def __init__(self, program: str, *arguments: str, ledger: Path, **environment: str) -> None:
        printed = python(PROGRAMS / program, *arguments, COMPILE_LEDGER=str(ledger), **environment)
        self.said: list[dict[str, Any]] = json.loads(printed.splitlines()[-1])
        self.ledger = Ledger.open(ledger)
        # Imports, of which torch has many while it compiles, are tested in tests/birth.
        query = "select * from intervals where source <> 'python' order by start_ns"
        self.intervals = self.ledger.sql(query)

    def within(self, said: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in self.intervals if said["start_ns"] <= row["start_ns"] < said["stop_ns"]]

    def check_outcomes(self) -> None:
        """Stages are failed in every unhealthy case, and in no healthy one."""
        wrong: list[object] = []
        for case in self.said:
            rows = self.within(case)
            assert rows, case
            failed = [(row["stage"], row["error"]) for row in rows if row["outcome"] == "failed"]
            if case["healthy"] == bool(failed):
                wrong.append((case["case"], case["caught"], failed))
            open_ones = [row["stage"] for row in rows if row["outcome"] not in ("completed", "failed")]
            if open_ones:
                wrong.append((case["case"], open_ones))
        assert wrong == []


@pytest.fixture(scope="module")
def dynamos_outcomes(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Recording("outcomes.py", "eager", ledger=tmp_path_factory.mktemp("eager") / "x.db")


def test_dynamo_fails_where_the_user_sees_it_and_only_there(dynamos_outcomes: Recording) -> None:
    dynamos_outcomes.check_outcomes()


def test_what_the_user_saw_is_the_error_of_the_outermost_stage(dynamos_outcomes: Recording) -> None:
    for case in dynamos_outcomes.said:
        if not case["healthy"] and case["caught"]:
            outermost = [row for row in dynamos_outcomes.within(case) if row["enclosing"] is None]
            assert outermost[-1]["error"] == case["caught"], case


def test_a_break_is_said_as_control_flow(dynamos_outcomes: Recording) -> None:
    def control(name: str) -> set[tuple[str, str | None]]:
        (case,) = (case for case in dynamos_outcomes.said if case["case"] == name)
        said = [json.loads(row["data"] or "{}") for row in dynamos_outcomes.within(case)]
        return {(data["control"], data.get("fallback")) for data in said if "control" in data}

    assert control("no break") == set()
    assert control("a break") == {("SpeculationRestartAnalysis", None)}
    assert control("a break in a loop") == {("Unsupported", "eager")}
    assert control("nothing to compile") == {("SkipFrame", None)}


def test_nothing_is_lost_or_doubled(dynamos_outcomes: Recording) -> None:
    ledger = dynamos_outcomes.ledger
    assert ledger.sql("select * from gaps") == []
    assert ledger.sql("select * from anomalies") == []
    compiles = ledger.sql("select * from intervals where stage = 'entire_frame_compile'")
    claims = ledger.sql("select interval, claimed_ns from claims where text like 'duration_us=%'")
    measured_ns = {row["interval"]: row["duration_ns"] for row in compiles}
    assert len(claims) > 30
    assert len({row["interval"] for row in claims}) == len(claims)
    # torch reads its clock just outside of where we read ours; a compile inside another one has no claim.
    assert all(abs(row["claimed_ns"] - measured_ns[row["interval"]]) < 20_000_000 for row in claims)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inductor")


@pytest.fixture(scope="module")
def unaware(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Recording:
    """A cold compile by a program that knows nothing of us."""
    ledger = tmp_path_factory.mktemp("unaware") / "x.db"
    return Recording("unaware.py", ledger=ledger, TORCHINDUCTOR_CACHE_DIR=str(cache))


def missing_share(recording: Recording) -> float:
    """The largest part of a wall time that top-level intervals lack: of all calls, and of the long ones."""
    wall_ns = [call["stop_ns"] - call["start_ns"] for call in recording.said]
    (total,) = recording.ledger.sql("select role, total_ns from role_totals where activity = 'compile'")
    assert total["role"] == "model"
    assert total["total_ns"] <= sum(wall_ns)
    shares = [1 - total["total_ns"] / sum(wall_ns)]
    for call, call_ns in zip(recording.said[:2], wall_ns, strict=False):
        top_level_ns = sum(row["duration_ns"] for row in recording.within(call) if row["is_top_level"])
        assert top_level_ns <= call_ns
        shares.append(1 - top_level_ns / call_ns)
    return max(shares)


@pytest.mark.slow
def test_an_unaware_programs_top_level_compile_is_its_wall_time(unaware: Recording, tmp_path: Path) -> None:
    # What another program takes of this machine between two intervals counts as missing: the best of a few.
    missing = [missing_share(unaware)]
    while missing[-1] > 0.02 and len(missing) < 3:
        folder = tmp_path / str(len(missing))
        cache = str(folder / "cache")
        again = Recording("unaware.py", ledger=folder / "x.db", TORCHINDUCTOR_CACHE_DIR=cache)
        missing.append(missing_share(again))
    assert min(missing) <= 0.02, missing


@pytest.mark.slow
def test_an_unaware_programs_intervals_are_closed_and_failed_only_where_it_failed(unaware: Recording) -> None:
    assert [call["caught"] for call in unaware.said] == [None, None, "BackendCompilerFailed"]
    assert {row["outcome"] for row in unaware.intervals} == {"completed", "failed"}
    failed = [row for row in unaware.intervals if row["outcome"] == "failed"]
    assert failed == [row for row in unaware.within(unaware.said[2]) if row["outcome"] == "failed"]
    assert {row["error"] for row in failed} == {"BackendCompilerFailed"}
    assert {"backend_compile", "dynamo"} <= {row["stage"] for row in failed}
    assert "SpeculationRestartAnalysis" in str([row["data"] for row in unaware.intervals])
    assert unaware.ledger.sql("select * from gaps") == []


@pytest.mark.slow
def test_inductor_fails_where_the_user_sees_it_and_only_there(
    unaware: Recording, cache: Path, tmp_path: Path
) -> None:
    # After the cold run, so that the compiler's own probes and precompiled headers are in the cache.
    assert unaware.said
    ran = Recording("outcomes.py", "inductor", ledger=tmp_path / "x.db", TORCHINDUCTOR_CACHE_DIR=str(cache))
    ran.check_outcomes()


def test_the_self_test_finds_all_that_recording_rests_on() -> None:
    findings = json.loads(python("-m", "ledger_torch.self_test"))
    assert [finding["name"] for finding in findings if not finding["found"]] == []
    assert len(findings) == 4


def test_the_self_test_says_what_is_turned_off() -> None:
    findings = json.loads(
        python("-m", "ledger_torch.self_test", TORCHDYNAMO_DISABLE="1", TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    )
    details = [finding["detail"] for finding in findings if not finding["found"]]
    assert [detail.rpartition(" ")[2] for detail in details] == ["off", "TORCHDYNAMO_DISABLE"]
