"""A thread that waited for a processor for a fifth of the start: the machine had something else to do."""

import pytest

from tests.support.reconciled import S, ns
from tests.support.start_processes import StartedProcess, findings


def waiting(
    *stages: tuple[str, float, float, float], ready: float = 10, process: str = "worker"
) -> StartedProcess:
    """A process with stages from one second to another, and for how long each waited for a processor."""
    started = StartedProcess(process)
    for stage, start, stop, waited in stages:
        started.stage(stage, start, stop, data={"cpu_ns": 1, "cpu_wait_ns": ns(waited)})
    started.ready(ready)
    return started


def test_a_start_on_a_loaded_machine_says_who_waited_and_where() -> None:
    [found] = findings("loaded_machine", waiting(("worker_init", 0, 4, 1), ("warmup", 5, 10, 2)))
    assert (found.stake_ns, found.process) == (3 * S, "worker")
    assert found.summary == "worker waited for a processor, most of it in warmup"
    assert len(found.intervals) == 2


def test_processes_that_wait_beside_each_other_are_not_added_up() -> None:
    one = waiting(("warmup", 0, 9, 2.5), process="worker1")
    other = waiting(("warmup", 0, 9, 3), process="worker2")
    [found] = findings("loaded_machine", one, other)
    assert (found.stake_ns, found.process) == (3 * S, "worker2")


@pytest.mark.parametrize(
    "stages",
    [[("warmup", 0, 9, 1.9)], [("warmup", 9, 30, 8)], [("warmup", 11, 20, 8)], [("warmup", 0, 9, -5)]],
    ids=["a little", "mostly after ready", "after ready", "what no kernel counts"],
)
def test_what_waits_little_in_the_start_is_none(stages: list[tuple[str, float, float, float]]) -> None:
    assert findings("loaded_machine", waiting(*stages)) == []


def test_threads_that_each_wait_a_little_do_not_make_one_that_waits_much() -> None:
    worker = StartedProcess("worker")
    for thread in ("main", "loader"):
        worker.stage("load", 0, 9, thread=thread, data={"cpu_wait_ns": ns(1.5)})
    worker.ready(10)
    assert findings("loaded_machine", worker) == []
