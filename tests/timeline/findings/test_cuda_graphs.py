"""Graphs that are captured to measure them, and captured again, are a finding."""

from typing import Any

from ledger import Finding, reduce
from tests.support.gpu_starts import gpu_starts
from tests.support.random_sessions import Tape
from tests.support.reconciled import MS, S


def findings(*tapes: Tape) -> list[Finding]:
    events = [event for tape in tapes for event in tape.events]
    return [one for one in reduce(events).findings if one.finding == "graphs_captured_twice"]


def captured(process: str, *, probe_ns: int | None, capture_ns: int | None = 3 * S, **joined: Any) -> Tape:
    tape = Tape(process)
    tape.join(**joined)
    if probe_ns is not None:
        tape.span(0, 0, probe_ns, stage="graph_capture_probe", source="engine")
    if capture_ns is not None:
        tape.span(1, 5 * S, 5 * S + capture_ns, stage="graph_capture", source="engine")
    return tape


def test_a_probe_beside_the_capture_is_a_finding_with_the_probes_time() -> None:
    [found] = findings(captured("worker", probe_ns=2 * S))
    assert (found.stake_ns, found.process) == (2 * S, "worker")
    assert found.summary == "captured once more, to measure their memory"


def test_one_capture_is_none_and_a_probe_alone_is_none() -> None:
    assert findings(captured("worker", probe_ns=None)) == []
    assert findings(captured("worker", probe_ns=2 * S, capture_ns=None)) == []


def test_a_probe_that_captures_nothing_is_none() -> None:
    assert findings(captured("worker", probe_ns=99 * MS)) == []


def test_a_probe_of_one_process_and_a_capture_of_another_are_none() -> None:
    probe, capture = captured("a", probe_ns=2 * S, capture_ns=None), captured("b", probe_ns=None)
    assert findings(probe, capture) == []


def test_of_ranks_there_is_one_for_the_slowest() -> None:
    [found] = findings(
        *(captured(f"rank{rank}", probe_ns=(1 + rank) * S, rank=rank, host="host") for rank in range(2))
    )
    assert (found.stake_ns, found.process) == (2 * S, "rank1")
    assert found.summary == "captured once more on 2 ranks, to measure their memory"


def test_a_real_start_that_captures_twice_and_one_whose_probe_is_empty() -> None:
    timeline = gpu_starts("v1")["v1-runner-warm"]
    [found] = [one for one in timeline.findings if one.finding == "graphs_captured_twice"]
    [key] = found.intervals
    [probe] = [one for one in timeline.intervals if one.stage == "graph_capture_probe"]
    assert (key, found.stake_ns) == ((probe.process, probe.interval), probe.duration_ns)
    [empty] = gpu_starts("text-warm").values()
    assert any(one.stage == "graph_capture_probe" for one in empty.intervals)
    assert "graphs_captured_twice" not in {one.finding for one in empty.findings}
