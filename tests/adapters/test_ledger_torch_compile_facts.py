"""What torch keeps of a compile besides its duration, out of stand-ins for its lists and records."""

import sys
import threading
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import pytest

from ledger_torch import hooks
from ledger_torch.compile_facts import GraphBreaks, Kernels, record_of
from ledger_torch.hook_targets import GRAPH_BREAKS, GUARD_FAILURES, KERNELS
from tests.adapters.test_ledger_torch import Recorded, make_funnel


def module(**attributes: object) -> ModuleType:
    made = ModuleType("torch_utils")
    vars(made).update(attributes)
    return made


def a_break(reason: str, file: str = "model.py", line: int = 7) -> SimpleNamespace:
    """A reason as torch adds it to its list: its place is the last of its user's frames."""
    frames = [SimpleNamespace(filename="main.py", lineno=1), SimpleNamespace(filename=file, lineno=line)]
    return SimpleNamespace(reason=reason, user_stack=frames)


def test_a_frame_has_the_breaks_that_came_while_it_was_compiled() -> None:
    reasons = [a_break("before")]
    breaks = GraphBreaks(module(**{GRAPH_BREAKS: reasons}))
    mark = breaks.begin()
    reasons.append(a_break("in it", "model.py", 12))
    assert breaks.end(mark) == [{"reason": "in it", "file": "model.py", "line": 12}]
    assert breaks.end(breaks.begin()) == []


def test_a_break_of_a_frame_inside_another_one_is_not_the_others_too() -> None:
    reasons: list[SimpleNamespace] = []
    breaks = GraphBreaks(module(**{GRAPH_BREAKS: reasons}))
    outer = breaks.begin()
    reasons.append(a_break("outer"))
    inner = breaks.begin()
    reasons.append(a_break("inner"))
    assert [each["reason"] for each in breaks.end(inner) or ()] == ["inner"]
    reasons.append(a_break("outer again"))
    assert [each["reason"] for each in breaks.end(outer) or ()] == ["outer", "outer again"]


def test_a_torch_without_the_list_says_nothing_about_breaks() -> None:
    breaks = GraphBreaks(module())
    assert breaks.end(breaks.begin()) is None


def test_a_reason_without_a_place_is_kept() -> None:
    reasons: list[object] = []
    breaks = GraphBreaks(module(**{GRAPH_BREAKS: reasons}))
    mark = breaks.begin()
    reasons += [SimpleNamespace(reason="no stack", user_stack=[]), "another class"]
    assert breaks.end(mark) == [{"reason": "no stack"}, {"reason": "another class"}]


def test_the_stop_of_a_frame_has_its_breaks_in_whatever_thread() -> None:
    recorded, funnel = Recorded(), make_funnel()
    setattr(funnel, GRAPH_BREAKS, [])
    hooks.install(funnel, recorded)  # type: ignore[arg-type]

    def compile_frame() -> None:
        with funnel.dynamo_timed("dynamo"), funnel.dynamo_timed("entire_frame_compile"):
            getattr(funnel, GRAPH_BREAKS).append(a_break("print"))

    compile_frame()
    thread = threading.Thread(target=compile_frame)
    thread.start()
    thread.join()
    found = [stop["data"] for at, stop in sorted(recorded.stops.items())]
    of_frame = {"graph_breaks": [{"reason": "print", "file": "model.py", "line": 7}]}
    assert found == [of_frame, None, of_frame, None]


def test_the_autotune_caches_answers_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    name, attribute = KERNELS
    compiling = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, compiling)
    kernels = Kernels()
    assert kernels.take_answers() == {}
    found: dict[str, Any] = {"one": {"autotune_cache_state": "hit"}, "two": {"compile_time_us": 3}}
    setattr(compiling, attribute, found)
    assert kernels.take_answers() == {"hit": 1}
    found["three"] = {"autotune_cache_state": "miss"}
    found["four"] = {"autotune_cache_state": "miss"}
    assert kernels.take_answers() == {"miss": 2}
    setattr(compiling, attribute, None)
    assert kernels.take_answers() == {}
    setattr(compiling, attribute, {"one": {"autotune_cache_state": "only 1 config"}})
    assert kernels.take_answers() == {"only 1 config": 1}


def test_a_record_is_kept_but_for_durations_configurations_and_what_is_none() -> None:
    kept: dict[str, object] = {
        "co_name": "forward",
        "guard_count": 3,
        "recompile_reason": "2/0: " + "n == 2 " * 500,
        "has_guarded_code": True,
        "triton_kernel_compile_times_us": '[["k", 3]]',
    }
    left_out: dict[str, object] = {
        "duration_us": 5,
        "gc_time_us": 1,
        "remote_cache_time_saved_s": 0.5,
        "dynamo_config": "{}",
        "stack_trace": ["frame"],
        "python_version": "3.12",
        "fail_type": None,
    }
    record = record_of({**left_out, **kept, "restart_reasons": {"b", "a"}})
    assert record == {**kept, "restart_reasons": ["a", "b"]}


def example() -> None: ...


def of_example(**more: object) -> dict[str, object]:
    """The fields of a record of torch 2.6, which has no reason of a recompile."""
    assert isinstance(example, FunctionType)
    code = example.__code__
    place = {"co_filename": code.co_filename, "co_firstlineno": code.co_firstlineno}
    return {"co_name": code.co_name, **place, **more}


def test_torch_2_6_has_the_reason_in_its_list_of_failed_guards() -> None:
    failures = {example.__code__: ["0/0: first recompile", "0/1: n == 3", "0/0: n == 2"]}
    utils = module(**{GUARD_FAILURES: failures})
    # At the second recompile there were two versions, and each one's guard has failed.
    assert record_of(of_example(accumulated_cache_size=2), utils)["recompile_reason"] == "0/1: n == 3"
    assert "recompile_reason" not in record_of(of_example(accumulated_cache_size=0), utils)
    assert "recompile_reason" not in record_of(of_example(accumulated_cache_size=9), utils)
    assert "recompile_reason" not in record_of(of_example(accumulated_cache_size=2), module())
    assert "recompile_reason" not in record_of(
        of_example(accumulated_cache_size=2, recompile_reason=None), utils
    )
