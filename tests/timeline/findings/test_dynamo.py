"""Functions that are compiled again, and places where Dynamo can't go on, are findings with their cost."""

from typing import Any

import pytest

from ledger import Finding, reduce
from tests.support import recordings
from tests.support.random_sessions import Tape
from tests.support.reconciled import MS, S


def findings(name: str, *tapes: Tape) -> list[Finding]:
    events = [event for tape in tapes for event in tape.events]
    return [one for one in reduce(events).findings if one.finding == name]


class Program(Tape):
    """A program whose compiles come one after the other."""

    def __init__(self, process: str = "p", **joined: Any) -> None:
        super().__init__(process)
        self.join(0, **{"host": "host", **joined})
        self.number = 0
        self.at = 0

    def frame(
        self, compile_id: str, seconds: float, name: str = "f", stage: str = "dynamo", **facts: Any
    ) -> int:
        """The compile of a frame of a file `/src/model.py`; `facts` are what its end says."""
        self.number += 1
        facts = {"co_name": name, "co_filename": "/src/model.py", "co_firstlineno": 12, **facts}
        self.start(self.number, self.at, stage, data={"compile_id": compile_id})
        self.at += round(seconds * S)
        self.stop(self.number, self.at, data=facts)
        return self.number


def test_a_function_that_is_compiled_again_is_a_finding_with_its_guard() -> None:
    program = Program()
    program.frame("0/0", 9)
    first = program.frame("0/1", 2, recompile_reason="0/0: n == 2    # return n * x  # model.py:13 in f")
    second = program.frame("0/2", 1, recompile_reason="0/1: n == 3    # return n * x  # model.py:13 in f")
    [found] = findings("recompiles", program)
    assert (found.stake_ns, found.process, found.role) == (3 * S, "p", "model")
    assert [key.interval for key in found.intervals] == [first, second]
    assert found.summary == "f (model.py:12), 2 times more: n == 2"
    assert found.advice == "Pass what changes as a tensor, or keep it constant"


def test_the_backward_graphs_of_recompiles_count_too() -> None:
    program = Program()
    program.frame("0/0", 9)
    program.frame("0/0", 9, stage="entire_backward_compile")
    program.frame("0/1", 2, recompile_reason="0/0: tensor 'x' size mismatch at index 0")
    program.frame("0/1", 3, stage="entire_backward_compile")
    [found] = findings("recompiles", program)
    assert found.stake_ns == 5 * S
    assert "mark_dynamic" in found.advice


@pytest.mark.parametrize(
    ("guard", "shown"),
    [
        ("tensor 'x' size mismatch at index 0. expected 32, actual 24", "x.size(0) 32 → 24"),
        ("tensor 'x' stride mismatch at index 1. expected 4, actual 1", "x.stride(1) 4 → 1"),
        ("tensor 'L['x']' dtype mismatch. expected Float, actual Double", "L['x'].dtype Float → Double"),
        ("x.requires_grad == 1", None),
        ("GLOBAL_STATE changed: grad_mode", None),
    ],
)
def test_a_guard_of_a_tensor_is_shown_in_short(guard: str, shown: str | None) -> None:
    program = Program()
    program.frame("0/0", 9)
    program.frame("0/1", 2, recompile_reason=f"0/0: {guard}")
    [found] = findings("recompiles", program)
    assert found.summary == f"f (model.py:12), 1 time more: {shown or guard}"


def test_the_piece_after_a_break_is_named_as_its_function_at_the_line_of_the_break() -> None:
    program = Program()
    program.frame("0/0", 9, "torch_dynamo_resume_in_f_at_22", co_firstlineno=22)
    program.frame(
        "0/1", 2, "torch_dynamo_resume_in_f_at_22", co_firstlineno=22, recompile_reason="0/0: n == 2"
    )
    [found] = findings("recompiles", program)
    assert found.summary == "f (model.py:22), 1 time more: n == 2"


def test_where_there_is_no_room_for_the_function_its_line_and_the_guard_stay() -> None:
    program = Program()
    program.frame("0/0", 9, "a_function_with_a_long_name" * 2)
    program.frame("0/1", 2, "a_function_with_a_long_name" * 2, recompile_reason="0/0: n == 2")
    [found] = findings("recompiles", program)
    assert found.summary == "model.py:12, 1 time more: n == 2"


def test_ids_begin_anew_with_a_reset() -> None:
    program = Program()
    program.frame("0/0", 9)
    program.frame("0/1", 2, recompile_reason="0/0: n == 2")
    program.frame("0/0", 9, name="g")
    program.frame("0/1", 3, name="g", accumulated_cache_size=0)
    program.frame("0/1", 4, name="g", stage="entire_backward_compile")
    assert [found.stake_ns for found in findings("recompiles", program)] == [2 * S]


def test_a_function_that_is_compiled_once_is_none() -> None:
    program = Program()
    program.frame("0/0", 9)
    program.frame("1/0", 9, name="g")
    assert findings("recompiles", program) == []


def test_short_recompiles_are_none() -> None:
    program = Program()
    program.frame("0/0", 99)
    program.frame("0/1", 1.9, recompile_reason="0/0: n == 2")
    assert findings("recompiles", program) == []


def test_what_follows_the_compiles_changes_nothing() -> None:
    program = Program()
    program.frame("0/0", 9)
    program.frame("0/1", 2, recompile_reason="0/0: n == 2")
    program.span(99, program.at, program.at + 3600 * S, stage="training", source="user", activity="startup")
    assert [found.stake_ns for found in findings("recompiles", program)] == [2 * S]


def test_of_many_functions_there_are_the_worst_three() -> None:
    program = Program()
    for number, name in enumerate("abcde"):
        program.frame(f"{number}/0", 1, name)
        program.frame(f"{number}/1", 1 + number, name, recompile_reason=f"{number}/0: n == 2")
    assert [found.summary[0] for found in findings("recompiles", program)] == ["e", "d", "c"]


def test_a_function_that_reached_the_limit_says_so() -> None:
    program = Program()
    program.frame("0/0", 9)
    program.frame("0/1", 2, recompile_reason="0/0: n == 2")
    refused = {"fail_type": "Unsupported", "fail_reason": "limit exceeded", "fallback": "eager"}
    program.frame("0/2", 1, recompile_reason="0/1: n == 2", **refused)
    [found] = findings("recompiles", program)
    assert found.summary == "f (model.py:12) reached the limit: n == 2"
    assert findings("graph_breaks", program) == []


def test_recompiles_of_ranks_are_one_finding_for_the_slowest() -> None:
    programs = [Program(f"rank{rank}", rank=rank) for rank in range(2)]
    for number, program in enumerate(programs):
        program.frame("0/0", 9)
        program.frame("0/1", 2 + number, recompile_reason="0/0: n == 2")
    [found] = findings("recompiles", *programs)
    assert (found.process, found.stake_ns) == ("rank1", 3 * S)
    assert found.summary == "f (model.py:12), 1 time more on 2 ranks: n == 2"


PRINTED = {
    "reason": "Failed to trace builtin operator\n  Explanation: does not know the builtin operator `print`",
    "file": "/src/model.py",
    "line": 22,
}


def test_a_break_is_a_finding_with_the_pieces_after_it() -> None:
    program = Program()
    program.frame("0/0", 5, graph_breaks=[PRINTED])
    piece = program.frame("1/0", 2, name="torch_dynamo_resume_in_f_at_22")
    program.frame("2/0", 3, name="torch_dynamo_resume_in_g_at_22")
    [found] = findings("graph_breaks", program)
    assert (found.stake_ns, [key.interval for key in found.intervals]) == (2 * S, [piece])
    assert found.summary == "model.py:22: Failed to trace builtin operator print"


def test_a_break_within_what_the_function_calls_has_the_piece_of_the_functions_line() -> None:
    program = Program()
    program.frame("0/0", 5, graph_breaks=[PRINTED | {"file": "/src/other.py", "line": 7}, PRINTED])
    program.frame("1/0", 2, name="torch_dynamo_resume_in_f_at_22")
    program.frame("2/0", 3, name="torch_dynamo_resume_in_f_at_15")
    assert [
        (found.summary.partition(":")[0], found.stake_ns) for found in findings("graph_breaks", program)
    ] == [
        ("other.py", 3 * S),
        ("model.py", 2 * S),
    ]


def test_a_frame_that_is_given_up_costs_the_attempt() -> None:
    program = Program()
    given_up = {"fail_type": "Unsupported", "fail_reason": "graph_break()", "fallback": "eager"}
    program.frame("0/0", 2, **given_up)
    [found] = findings("graph_breaks", program)
    assert (found.stake_ns, found.summary) == (2 * S, "model.py:12: graph_break()")


@pytest.mark.parametrize("outcome", ["failed", "completed"])
def test_a_break_without_a_piece_or_with_a_failure_is_none(outcome: str) -> None:
    program = Program()
    program.number, program.at = 1, 9 * S
    program.start(1, 0, "dynamo", data={"compile_id": "0/0"})
    failed = {"has_guarded_code": False} if outcome == "failed" else {}
    program.stop(1, 9 * S, outcome=outcome, data={"graph_breaks": [PRINTED], "co_name": "f", **failed})
    assert findings("graph_breaks", program) == []


def test_a_tenth_of_a_second_is_enough_for_a_break() -> None:
    program = Program()
    program.frame("0/0", 99, graph_breaks=[PRINTED])
    program.frame("1/0", 0.1, name="torch_dynamo_resume_in_f_at_22")
    assert [found.stake_ns for found in findings("graph_breaks", program)] == [100 * MS]


def test_a_recorded_program_that_breaks() -> None:
    timeline = recordings.recorded("compilations").timeline()
    [found] = [one for one in timeline.findings if one.finding == "graph_breaks"]
    assert found.summary.endswith(":22: Failed to trace builtin operator print")
    pieces = {
        one.interval for one in timeline.compilations if one.function == "torch_dynamo_resume_in_broken_at_22"
    }
    assert {key.interval for key in found.intervals} == pieces
    # Its recompiles take a second of 80 s of compiles.
    assert "recompiles" not in {one.finding for one in timeline.findings}


def test_a_recorded_program_until_its_first_expensive_compile_recompiles() -> None:
    events = list(recordings.events("compilations"))
    compiled = reduce(events).compilations
    expensive = min(one.start_ns for one in compiled if one.function == "forward")
    before = [event for event in events if event.at_ns < expensive]
    scaled, *_ = [one for one in reduce(before).findings if one.finding == "recompiles"]
    [first, *again] = [one for one in compiled if one.function == "scaled"]
    assert {key.interval for key in scaled.intervals} == {one.interval for one in again}
    assert scaled.stake_ns == sum(one.duration_ns or 0 for one in again)
    assert scaled.summary.startswith("scaled (<path-2>:34), 3 times more: ")
    assert first.kind == "first"
