"""Kernels that Triton compiles just in time are a finding, and those that its cache has are none."""

from typing import Any

import pytest

from ledger import Finding, MilestoneReached, reduce
from ledger.timeline.spans import union_ns
from tests.support.gpu_starts import gpu_starts
from tests.support.random_sessions import Tape
from tests.support.reconciled import S


def findings(*tapes: Tape) -> list[Finding]:
    events = [event for tape in tapes for event in tape.events]
    return [one for one in reduce(events).findings if one.finding == "kernels_compiled"]


def engine(process: str = "worker", **joined: Any) -> Tape:
    tape = Tape(process)
    tape.join(0, **{"host": "host", **joined})
    return tape


def kernel(tape: Tape, interval: int, start: int, stop: int, cache: str = "miss", **rest: Any) -> None:
    """A kernel that is compiled, or loaded, in whole seconds."""
    given = {"stage": "triton_compile", "source": "backend", "data": {"cache": cache}, **rest}
    tape.span(interval, start * S, stop * S, **given)


def test_kernels_that_no_cache_had_are_a_finding_with_their_union() -> None:
    tape = engine()
    kernel(tape, 0, 0, 3)
    kernel(tape, 1, 2, 5, thread="other")
    kernel(tape, 2, 5, 9, cache="hit")
    [found] = findings(tape)
    assert (found.stake_ns, found.process) == (5 * S, "worker")
    assert found.summary == "2 kernels compiled, which no cache had"


def test_their_launchers_count_too() -> None:
    tape = engine()
    kernel(tape, 0, 0, 3)
    tape.start(1, 3 * S, "triton_load", "backend", activity="compile")
    tape.span(2, 4 * S, 5 * S, stage="triton_build", source="backend", activity="compile", parent=1)
    tape.stop(1, 6 * S)
    tape.span(3, 6 * S, 9 * S, stage="triton_load", source="backend", activity="compile")
    [found] = findings(tape)
    assert found.stake_ns == 6 * S


def test_kernels_that_the_cache_has_are_none() -> None:
    tape = engine()
    kernel(tape, 0, 0, 3, cache="hit")
    assert findings(tape) == []


def test_kernels_after_ready_are_none_here() -> None:
    tape = engine()
    tape.add(MilestoneReached, 2 * S, name="engine_ready")
    kernel(tape, 0, 2, 5)
    assert findings(tape) == []
    kernel(tape, 1, 0, 1)
    [found] = findings(tape)
    assert (found.stake_ns, found.summary) == (S, "1 kernel compiled, which no cache had")
    assert [key.interval for key in found.intervals] == [1]


def test_kernels_of_a_compile_are_none() -> None:
    tape = engine()
    tape.start(0, 0, "dynamo", data={"compile_id": "0/0"})
    kernel(tape, 1, 1, 4, source="torch", parent=0)
    kernel(tape, 2, 5, 8, thread="pool")
    tape.stop(0, 9 * S)
    assert findings(tape) == []


def test_nor_are_those_that_a_process_compiles_for_the_compile_of_the_one_above_it() -> None:
    program = engine("program", pid=1)
    program.span(0, 0, 9 * S, stage="dynamo", data={"compile_id": "0/0"})
    pool, worker = engine("pool", pid=2, parent_pid=1), engine("pool worker", pid=3, parent_pid=2)
    kernel(worker, 0, 1, 4)
    assert findings(program, pool, worker) == []
    kernel(worker, 1, 10, 13)
    [found] = findings(program, pool, worker)
    assert (found.process, found.stake_ns) == ("pool worker", 3 * S)


def test_where_the_model_was_loaded_it_is_said() -> None:
    tape = engine()
    tape.span(5, 0, S, stage="torch_compile", source="monitor", data={"cache": "hit"})
    kernel(tape, 0, 1, 3)
    [found] = findings(tape)
    assert found.summary == "1 kernel compiled, though the model was loaded"


def of(name: str) -> list[Finding]:
    [timeline] = gpu_starts(name).values()
    return [one for one in timeline.findings if one.finding == "kernels_compiled"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_warm_start_without_a_cache_folder_compiles_them_again_and_one_with_it_does_not(
    number: int,
) -> None:
    [found] = of(f"triton_cache/unset{number}-warm")
    assert found.summary == "24 kernels compiled, though the model was loaded"
    [timeline] = gpu_starts(f"triton_cache/unset{number}-warm").values()
    of_triton = [
        (one.start_ns, one.stop_ns)
        for one in timeline.intervals
        if one.stage in ("triton_compile", "triton_load", "triton_build") and one.stop_ns is not None
    ]
    assert 0 <= union_ns(of_triton) - found.stake_ns < S
    assert of(f"triton_cache/pinned{number}-warm") == []


def test_a_cold_start_on_two_ranks() -> None:
    [found] = of("tp2-cold")
    assert found.summary == "21 kernels compiled on 2 ranks, which no cache had"
    assert of("tp2-warm") == []
