"""What is compiled when the engine is ready already is a finding, for a request waited for it."""

from typing import Any

import pytest

from ledger import Finding, MilestoneReached, reduce
from tests.support.gpu_starts import gpu_starts
from tests.support.random_sessions import Tape
from tests.support.reconciled import ENCODER, MS, S


def findings(*tapes: Tape) -> list[Finding]:
    events = [event for tape in tapes for event in tape.events]
    return [one for one in reduce(events).findings if one.finding == "compiled_after_ready"]


def engine(process: str = "worker", ready: int | None = 10 * S, **joined: Any) -> Tape:
    """An engine's process, ready after 10 s of work."""
    tape = Tape(process)
    tape.join(0, **{"host": "host", **joined})
    tape.span(0, 0, 10 * S, stage="engine_init", source="engine")
    if ready is not None:
        tape.add(MilestoneReached, ready, name="engine_ready")
    return tape


def test_compiles_after_ready_are_a_finding_with_their_union() -> None:
    tape = engine()
    tape.span(1, 11 * S, 14 * S, stage="torch_compile", source="monitor", **ENCODER)
    tape.span(2, 12 * S, 13 * S, stage="graph_compile", source="backend", parent=1, **ENCODER)
    tape.span(3, 20 * S, 21 * S, stage="triton_compile", source="backend", data={"cache": "miss"})
    [found] = findings(tape)
    assert (found.stake_ns, found.process, found.role) == (4 * S, "worker", "encoder")
    assert [key.interval for key in found.intervals] == [1, 3]
    assert found.summary == "2 compiles after ready; longest 3.000 s, VisionBlock"


def test_a_tenth_of_a_second_is_enough() -> None:
    tape = engine()
    tape.span(1, 11 * S, 11 * S + 100 * MS, stage="dynamo")
    assert [found.stake_ns for found in findings(tape)] == [100 * MS]


@pytest.mark.parametrize("stage", ["warmup", "model_load"])
def test_what_is_no_compile_is_none(stage: str) -> None:
    tape = engine()
    tape.span(1, 11 * S, 14 * S, stage=stage, source="engine")
    assert findings(tape) == []


def test_what_is_loaded_then_is_none() -> None:
    tape = engine()
    tape.span(1, 11 * S, 14 * S, stage="torch_compile", source="monitor", data={"cache": "hit"})
    assert findings(tape) == []


def test_a_compile_that_began_before_ready_is_none() -> None:
    tape = engine()
    tape.span(1, 9 * S, 14 * S, stage="dynamo")
    assert findings(tape) == []


def test_a_program_that_is_never_ready_has_none() -> None:
    tape = engine(ready=None)
    tape.span(1, 11 * S, 14 * S, stage="dynamo")
    assert findings(tape) == []


def test_of_ranks_there_is_one_for_the_slowest() -> None:
    tapes = [engine(f"rank{rank}", rank=rank) for rank in range(2)]
    for number, tape in enumerate(tapes):
        tape.span(1, 11 * S, (14 + number) * S, stage="dynamo")
    [found] = findings(*tapes)
    assert (found.process, found.stake_ns) == ("rank1", 4 * S)
    assert found.summary == "1 compile after ready on 2 ranks; longest 4.000 s, model"


def test_of_several_hosts_nothing_can_be_said() -> None:
    tapes = [engine("one"), engine("two", host="other")]
    tapes[1].span(1, 11 * S, 14 * S, stage="dynamo")
    assert findings(*tapes) == []


@pytest.mark.parametrize("name", ["tp2-cold", "tp2-warm", "text-warm", "triton_cache/unset1-cold"])
def test_real_starts_that_compile_nothing_later(name: str) -> None:
    [timeline] = gpu_starts(name).values()
    assert "compiled_after_ready" not in {one.finding for one in timeline.findings}
