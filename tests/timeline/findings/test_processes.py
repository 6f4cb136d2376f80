"""A rank that others waited for, and processes that started in a row: with those that only look like it."""

import pytest

from ledger.testing import SessionBuilder
from tests.support import recordings
from tests.support.gpu_starts import gpu_events, gpu_starts
from tests.support.reconciled import S, ns
from tests.support.start_processes import StartedProcess, findings

RECORDED = ["dp2", "fails", "killed", "text-warm", "tp2-cold", "tp2-warm", "tp2", "tp2killed", "v1"]


def ranks(
    *stages: dict[str, tuple[float, float]], ready: float = 20, hosts: bool = False
) -> list[StartedProcess]:
    """Processes of one program, a rank for each mapping of a stage to its bounds."""
    started: list[StartedProcess] = []
    for rank, of_rank in enumerate(stages):
        host = f"host{rank}" if hosts else "host"
        process = StartedProcess(f"worker{rank}", name=f"Worker_TP{rank}", rank=rank, host=host)
        for stage, (start, stop) in of_rank.items():
            process.stage(stage, start, stop)
        started.append(process)
    started[0].ready(ready)
    return started


def test_the_rank_that_took_longer_is_named_with_its_stage() -> None:
    [found] = findings(
        "straggling_rank",
        *ranks(
            {"worker_init": (0, 4)},
            {"worker_init": (0, 5)},
            {"worker_init": (0, 4.5)},
            {"worker_init": (0, 12)},
        ),
    )
    assert (found.process, found.stake_ns) == ("worker3", ns(7.5))
    assert found.summary == "rank 3 took 12.0 s in worker_init, the 3 others 4.5 s"


def test_a_rank_that_waits_for_a_late_one_is_not_late_itself() -> None:
    # The second stage is a collective: who gets there first waits in it.
    [found] = findings(
        "straggling_rank",
        *ranks({"load": (0, 4), "profile": (4, 14)}, {"load": (0, 12), "profile": (12, 14)}),
    )
    assert (found.process, found.summary) == ("worker1", "rank 1 took 12.0 s in load, the other 4.0 s")


def test_ranks_that_start_later_and_take_as_long_are_not_slower() -> None:
    assert findings("straggling_rank", *ranks({"load": (0, 4)}, {"load": (5, 9)})) == []


def test_ranks_that_are_about_as_fast_are_fine() -> None:
    assert findings("straggling_rank", *ranks({"load": (0, 4)}, {"load": (0, 4.3)})) == []


def test_what_is_late_after_ready_is_no_part_of_the_start() -> None:
    assert findings("straggling_rank", *ranks({"load": (0, 4)}, {"load": (0, 12)}, ready=4)) == []


def test_a_rank_that_waits_says_so() -> None:
    assert findings("straggling_rank", *ranks({"waiting": (0, 4)}, {"waiting": (0, 12)})) == []


def test_a_stage_that_was_cut_short_says_nothing_of_the_others() -> None:
    first, second = ranks({"load": (0, 12)}, {})
    second.stage("load", 0, 3, outcome="failed")
    assert findings("straggling_rank", first, second) == []


def test_engines_whose_workers_have_the_same_ranks_do_not_wait_for_each_other() -> None:
    first, second = (StartedProcess(f"worker{engine}", name="Worker", rank=0) for engine in range(2))
    first.stage("load", 0, 4)
    second.stage("load", 0, 12)
    first.ready(20)
    assert findings("straggling_rank", first, second) == []


def test_ranks_of_several_hosts_are_compared_by_what_they_took() -> None:
    stages = [{"load": (0.0, 4.0)}, {"load": (0.0, 4.0)}, {"load": (0.0, 12.0)}]
    [found] = findings("straggling_rank", *ranks(*stages, hosts=True))
    assert (found.process, found.stake_ns) == ("worker2", 8 * S)
    assert findings("straggling_rank", *ranks(*stages[1:], hosts=True)) == [], "either may wait for the other"


@pytest.mark.parametrize("name", RECORDED)
def test_no_rank_straggled_in_the_recorded_starts(name: str) -> None:
    for timeline in gpu_starts(name).values():
        assert [one for one in timeline.findings if one.finding == "straggling_rank"] == []


def in_a_row(
    *bounds: tuple[float, float], name: str = "EngineCore_DP", ready: bool = True
) -> list[StartedProcess]:
    """Engines of one parent, each from its beginning until it is ready."""
    started: list[StartedProcess] = []
    for number, (start, stop) in enumerate(bounds):
        process = StartedProcess(f"engine{number}", at=start, name=f"{name}{number}", parent_pid=7)
        process.stage("engine_init", start, stop)
        if ready:
            process.ready(stop)
        started.append(process)
    return started


def test_engines_that_start_one_after_the_other_could_start_at_once() -> None:
    [found] = findings("serial_processes", *in_a_row((0, 4), (4.1, 10), (10.1, 13)))
    assert found.stake_ns == ns(6.9)
    assert found.process is None
    assert found.summary == "3 EngineCore_DP processes started one after the other"
    assert found.advice == "Start them at once: the longest alone takes 5.9 s"


def test_ranks_that_start_one_after_the_other_could_start_at_once() -> None:
    first, second, engine = (
        *ranks({"worker_init": (0, 4)}, {"worker_init": (4.1, 9)}),
        StartedProcess("engine"),
    )
    engine.ready(9)
    first.events.pop()
    [found] = findings("serial_processes", first, second, engine)
    assert found.stake_ns == 4 * S


NEAR = {
    "at once": in_a_row((0, 4), (0.2, 5)),
    "before the other was ready": in_a_row((0, 4), (3.5, 9)),
    "long after the other was ready": in_a_row((0, 4), (6, 9)),
    "what one needs the other may have made": in_a_row((0, 4), (4.1, 9), name="python", ready=False),
    "of different kinds": [*in_a_row((0, 4)), *in_a_row((4.1, 9), name="Registry")],
    "it goes on with its start beside the other": ranks(
        {"worker_init": (0, 4), "memory_profile": (9, 12)},
        {"worker_init": (4.1, 9), "memory_profile": (9, 12)},
    ),
    "alone": in_a_row((0, 4)),
}


@pytest.mark.parametrize("processes", NEAR.values(), ids=NEAR)
def test_what_only_looks_like_a_row_is_none(processes: list[StartedProcess]) -> None:
    for number, process in enumerate(processes):
        # Their ids are by number, and two kinds have the same ones.
        process.events[:] = [
            event.model_copy(update={"process": f"{event.process}.{number}"}) for event in process.events
        ]
    assert findings("serial_processes", *processes) == []


def test_engines_of_other_parents_are_not_started_by_one() -> None:
    first, second = in_a_row((0, 4), (4.1, 9))
    joined = second.events[0].model_copy(update={"parent_pid": 8})
    other: SessionBuilder = second
    other.events[0] = joined
    assert findings("serial_processes", first, other) == []


@pytest.mark.parametrize("name", RECORDED)
def test_no_recorded_start_on_gpus_has_a_row(name: str) -> None:
    for events in gpu_events(name).values():
        assert findings("serial_processes", list(events)) == []


@pytest.mark.parametrize("name", ["demo", "vllm"])
def test_compilers_that_are_started_when_they_are_needed_are_no_row(name: str) -> None:
    events = list(recordings.events(name))
    for session in {event.session for event in events}:
        of_session = [event for event in events if event.session == session]
        assert findings("serial_processes", of_session) == []
