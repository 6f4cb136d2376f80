"""Imports and weights are a finding where they are a large part of the start."""

import pytest

from ledger import reduce
from tests.support import recordings
from tests.support.gpu_starts import gpu_starts
from tests.support.reconciled import S, ns
from tests.support.start_processes import StartedProcess, findings


def importing(*imports: tuple[str, float, float], ready: float, process: str = "engine") -> StartedProcess:
    """A process that imports modules, and is ready at a time."""
    started = StartedProcess(process)
    for module, start, stop in imports:
        started.stage("import", start, stop, component=module, source="python")
    started.ready(ready)
    return started


def test_imports_of_a_fifth_of_the_start_name_the_package_that_takes_most() -> None:
    imports = importing(("host", 0, 4), ("torch", 0.2, 3), ("torch._dynamo", 1, 2), ("numpy", 2, 3), ready=10)
    [found] = findings("slow_imports", imports)
    assert (found.component, found.stake_ns, found.process) == ("torch", ns(1.8), "engine")
    assert found.summary == "imports take 4.0 s (40%), torch most: 1.8 s"


def test_what_a_package_imports_of_others_is_theirs() -> None:
    [found] = findings(
        "slow_imports", importing(("torch", 0, 4), ("sympy", 1, 2), ("torch.fx", 2.5, 3), ready=10)
    )
    assert (found.component, found.stake_ns) == ("torch", 3 * S)
    assert [one.interval for one in found.intervals] == [1], "the outermost import shows it"


def test_several_processes_that_import_a_package_are_counted_in_words() -> None:
    server, worker = StartedProcess("server"), StartedProcess("worker", at=4)
    server.stage("import", 0, 4, component="torch", source="python")
    worker.stage("import", 4, 7, component="torch", source="python")
    server.ready(10, "server_ready")
    [found] = findings("slow_imports", server, worker)
    assert (found.stake_ns, found.process) == (7 * S, None)
    assert found.summary == "imports take 7.0 s (70%), torch most: 7.0 s (in 2 processes)"
    assert found.advice == "Import torch in fewer processes, or fork them after its import"


@pytest.mark.parametrize(("took", "ready", "is_one"), [(1.1, 10, True), (0.9, 8, False), (1.1, 12, False)])
def test_a_second_and_a_tenth_of_the_start_are_enough(took: float, ready: float, *, is_one: bool) -> None:
    assert bool(findings("slow_imports", importing(("torch", 0, took), ready=ready))) is is_one


def test_imports_after_ready_are_no_part_of_the_start() -> None:
    assert findings("slow_imports", importing(("torch", 11, 20), ready=10)) == []


def test_a_short_start_has_no_slow_imports() -> None:
    assert findings("slow_imports", importing(("json", 0, 0.09), ready=0.2)) == []


def test_no_package_of_many_is_worth_naming_where_each_takes_little() -> None:
    modules = [(f"package{number}", number / 10, (number + 1) / 10) for number in range(60)]
    assert findings("slow_imports", importing(*modules, ready=12)) == []


def test_a_real_start_on_gpus_imports_torch_in_several_processes() -> None:
    [found] = [one for one in gpu_starts("tp2-cold")["tp2-cold"].findings if one.finding == "slow_imports"]
    assert found.component == "torch"
    assert found.summary == "imports take 34.5 s (48%), torch most: 14.0 s (in 3 processes)"


def test_a_real_program_of_torch_alone_imports_it_once() -> None:
    demo = list(recordings.events("demo"))
    [found] = [
        one
        for one in reduce(event for event in demo if event.session == demo[0].session).findings
        if one.finding == "slow_imports"
    ]
    assert found.component == "torch"
    assert "processes" not in found.summary


def test_weights_of_a_tenth_of_the_start_are_the_slowest_process_s() -> None:
    first, second = (
        StartedProcess("worker0", rank=0),
        StartedProcess("worker1", rank=1),
    )
    first.stage("weights_load", 1, 3)
    second.stage("weights_load", 1, 4)
    second.ready(10)
    [found] = findings("slow_weights", first, second)
    assert (found.stake_ns, found.process) == (3 * S, "worker1")
    assert found.summary == "weights were loaded on 2 ranks"


def test_a_rate_is_given_where_the_size_is_recorded() -> None:
    worker = StartedProcess("worker")
    worker.stage("weights_load", 1, 3, data={"bytes": 5_000_000_000})
    worker.ready(10)
    [found] = findings("slow_weights", worker)
    assert found.summary == "weights were loaded at 2.5 GB/s"


@pytest.mark.parametrize(
    ("start", "stop"), [(1, 1.9), (9.5, 20), (11, 20)], ids=["short", "mostly after ready", "after ready"]
)
def test_weights_that_take_little_of_the_start_are_none(start: float, stop: float) -> None:
    worker = StartedProcess("worker")
    worker.stage("weights_load", start, stop)
    worker.ready(10)
    assert findings("slow_weights", worker) == []


@pytest.mark.parametrize("name", ["tp2-cold", "tp2-warm"])
def test_real_starts_with_random_weights_load_them_at_once(name: str) -> None:
    assert [one for one in gpu_starts(name)[name].findings if one.finding == "slow_weights"] == []


def test_the_stake_of_weights_is_what_lies_in_the_start() -> None:
    worker = StartedProcess("worker")
    worker.stage("weights_load", 8, 20)
    worker.ready(10)
    [found] = findings("slow_weights", worker)
    assert found.stake_ns == ns(2)
