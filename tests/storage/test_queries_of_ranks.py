"""The saved queries of sessions with several ranks: no number adds up processes that ran side by side.

The answers of the recordings are written down from what the starts printed themselves: the log lines of vLLM,
and the tables of the report at the end of each log.
"""

from collections.abc import Iterable, Sequence

import pytest

from ledger import Event, parse_event, saved_queries
from ledger.events.models import ProcessJoined, StageStopped
from ledger.storage.queries import saved_query
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.gpu_starts import answer, recording
from tests.support.paths import DATA
from tests.support.reconciled import LANGUAGE, S, Worker, merged

DP0, DP1 = "Worker pid 10288", "Worker pid 10289"
"""The workers of two engines, which both call themselves Worker, of rank 0."""


# Tensor parallel, 2


def test_each_rank_of_a_recording_is_held_against_its_own_monitor_and_the_engine_against_both() -> None:
    columns = ("label", "process", "role", "measured", "monitor", "backend", "backend_added_up", "engine")
    assert answer(recording("tp2"), "who_says_what", *columns) == [
        ("tp2-cold", "Worker_TP0", "language_model", 10.507, 10.383, 10.383, 28.231, 10.38),
        ("tp2-cold", "Worker_TP1", "language_model", 10.370, 10.248, 10.248, 28.329, 10.38),
        ("tp2-warm", "Worker_TP0", "language_model", 1.603, 1.603, 1.603, 4.178, 2.05),
        ("tp2-warm", "Worker_TP1", "language_model", 2.054, 2.054, 2.054, 5.296, 2.05),
    ]


def test_a_range_is_the_sum_of_all_its_graphs_as_the_line_says() -> None:
    rows = answer(recording("tp2"), "graphs", "label", "process", "cache", "of_range", "line_says")
    cold = [row[1:] for row in rows if row[0] == "tp2-cold"]
    assert set(cold) == {
        ("Worker_TP0", "miss", 7.521, 7.52),
        ("Worker_TP0", "reused", 7.521, 7.52),
        ("Worker_TP1", "miss", 7.755, None),
        ("Worker_TP1", "reused", 7.755, None),
    }
    warm = [row[1:] for row in rows if row[0] == "tp2-warm"]
    assert set(warm) == {
        ("Worker_TP0", "hit", 0.382, 0.383),
        ("Worker_TP0", "reused", 0.382, 0.383),
        ("Worker_TP1", "hit", 0.497, None),
        ("Worker_TP1", "reused", 0.497, None),
    }
    assert len(cold) == len(warm) == 2 * 5


def test_the_stages_of_two_starts_are_compared_by_their_slowest_rank() -> None:
    rows = answer(recording("tp2"), "stage_by_stage", "stage", "slowest", "processes", "seconds", "more")
    by_stage = {row[0]: row[1:] for row in rows}
    assert by_stage["engine_init"] == ("EngineCore", 1, 5.418, -22.545)  # 27.96 s, then 5.42 s
    name, processes, seconds, more = by_stage["warmup"]
    assert (name in ("Worker_TP0", "Worker_TP1"), processes) == (True, 2)
    assert (seconds, more) == (1.308, -13.195)
    assert by_stage["torch_compile"] == ("Worker_TP1", 2, 2.054, -8.329)  # 10.38 s of rank 0, then 2.05


def test_each_rank_says_what_it_compiled_or_loaded() -> None:
    columns = ("label", "process", "cache", "times", "seconds")
    assert answer(recording("tp2"), "components", *columns) == [
        ("tp2-cold", "Worker_TP0", "miss", 1, 0.0),
        ("tp2-cold", "Worker_TP0", "compiled", 1, 10.383),
        ("tp2-cold", "Worker_TP1", "miss", 1, 0.0),
        ("tp2-cold", "Worker_TP1", "compiled", 1, 10.248),
        ("tp2-warm", "Worker_TP0", "hit", 1, 1.603),
        ("tp2-warm", "Worker_TP1", "hit", 1, 2.054),
    ]


def test_kernels_that_no_role_compiled_are_not_held_against_the_engine() -> None:
    """A warm start that was recorded from the birth of its processes, and with Triton's kernels."""
    columns = ("process", "role", "measured", "monitor", "engine")
    assert answer(recording("tp2-warm"), "who_says_what", *columns) == [
        ("Worker_TP0", None, 0.098, None, None),
        ("Worker_TP0", "language_model", 1.593, 1.593, 1.59),
        ("Worker_TP1", None, 0.113, None, None),
        ("Worker_TP1", "language_model", 1.269, 1.268, 1.59),
    ]
    rows = answer(recording("tp2-warm"), "graphs", "process", "of_range", "line_says")
    assert set(rows) == {("Worker_TP0", 0.309, 0.31), ("Worker_TP1", 0.287, None)}
    assert len(rows) == 2 * 5


# Data parallel, 2


def test_workers_of_two_engines_that_have_one_name_are_told_apart() -> None:
    columns = ("process", "role", "measured", "monitor", "backend", "backend_added_up", "engine")
    # The start was stopped before an engine said anything.
    assert answer(recording("dp2"), "who_says_what", *columns) == [
        (DP0, "language_model", 12.196, 12.087, 12.087, 32.304, None),
        (DP1, "language_model", 15.473, 15.368, 15.368, 42.078, None),
    ]
    rows = answer(recording("dp2"), "graphs", "process", "of_range", "line_says")
    assert set(rows) == {(DP0, 8.322, 8.32), (DP1, 11.489, None)}
    assert len(rows) == 2 * 5
    assert answer(recording("dp2"), "rank_skew", "ranks", "slowest", "spread") == [(2, DP1, 3.278)]
    names = [name for (name,) in answer(recording("dp2"), "who_took_part", "name")]
    assert {DP0, DP1, "EngineCore_DP0", "EngineCore_DP1"} < set(names)
    assert len(set(names)) == len(names)


def joined(builder: SessionBuilder, **fields: object) -> None:
    """Change what a process said of itself when it joined."""
    at = next(at for at, event in enumerate(builder.events) if isinstance(event, ProcessJoined))
    builder.events[at] = builder.events[at].model_copy(update=fields)


def engine(process: str, pid: int, seconds: float, role: str | None = None) -> SessionBuilder:
    builder = SessionBuilder(process=process)
    builder.begin()
    joined(builder, pid=pid)
    total = round(seconds * S)
    text = f"init engine (profile, create kv cache, warmup model) took 9.00 s (compilation: {seconds:.2f} s)"
    builder.claim(10 * S, total, source="engine", counts="ranks", role=role, text=text)
    return builder


def worker(process: str, seconds: float, pid: int, parent_pid: int, name: str | None = None) -> Worker:
    builder = Worker(process)
    joined(builder, pid=pid, parent_pid=parent_pid, name=name or process)
    builder.compile(seconds, **LANGUAGE)
    return builder


def test_a_worker_is_compared_with_the_engine_that_started_it() -> None:
    events = merged(
        engine("EngineCore_DP0", 10, 3.0),
        engine("EngineCore_DP1", 11, 5.0),
        worker("first", 3.0, 20, 10, "Worker"),
        worker("second", 5.0, 21, 11, "Worker"),
        worker("elsewhere", 4.0, 22, 12),
    )
    assert answer(events, "who_says_what", "process", "measured", "monitor", "engine") == [
        ("Worker pid 20", 3.0, 3.0, 3.0),
        ("Worker pid 21", 5.0, 5.0, 5.0),
        ("elsewhere", 4.0, 4.0, None),
    ]


def test_an_engine_that_is_alone_speaks_for_workers_of_unknown_parents() -> None:
    events = merged(engine("EngineCore", 10, 5.0), worker("here", 5.0, 20, 10), worker("far", 4.0, 20, 1))
    assert answer(events, "who_says_what", "process", "engine") == [("far", 5.0), ("here", 5.0)]


def test_a_number_for_all_roles_is_not_given_to_one_of_several() -> None:
    one = worker("worker", 5.0, 20, 10)
    one.compile(2.0, role="encoder", component="VisionBlock")
    events = merged(engine("EngineCore", 10, 7.0), one)
    assert answer(events, "who_says_what", "role", "engine") == [("encoder", None), ("language_model", None)]
    events = merged(engine("EngineCore", 10, 2.0, "encoder"), one)
    assert answer(events, "who_says_what", "role", "engine") == [("encoder", 2.0), ("language_model", None)]


def test_what_the_engine_core_has_added_up_stands_where_its_line_names_no_role() -> None:
    core = engine("EngineCore", 10, 7.0)
    text = "engine core: compilation_time = 5.001"
    core.claim(10 * S, 5_001_000_000, source="engine", counts="ranks", role="language_model", text=text)
    one = worker("worker", 5.0, 20, 10)
    one.compile(2.0, role="encoder", component="VisionBlock")
    events = merged(core, one)
    assert answer(events, "who_says_what", "role", "engine") == [("encoder", None), ("language_model", 5.001)]


# Pipeline parallel, 2: each rank has layers of its own


def stages_of_a_pipeline(label: str, at_s: int, *seconds: tuple[float, float]) -> list[Event]:
    """Two ranks, each with the seconds of its graphs, which one after the other make a range."""
    core = engine("EngineCore", 10, max(map(sum, seconds)))
    builders = [core]
    for rank, graphs in enumerate(seconds):
        builder = Worker(f"Worker_PP{rank}")
        joined(builder, pid=20 + rank, parent_pid=10, rank=rank)
        compile_ = builder.open("torch_compile", source="monitor", **LANGUAGE)
        for index, of_graph in enumerate(graphs):
            builder.stage("graph_compile", of_graph, source="backend", **LANGUAGE)
            noted(builder, range="(1, 8192)", graph_index=index, cache="miss")
        builder.shut(compile_)
        noted(builder, cache="compiled")
        builder.add(sum(graphs), compile_, **LANGUAGE)
        builders.append(builder)
    return [
        event.model_copy(
            update={"session": label} | ({"wall_ns": at_s * S} if hasattr(event, "wall_ns") else {})
        )
        for event in merged(*builders)
    ]


def noted(builder: SessionBuilder, **data: object) -> None:
    """Add to what the last stop says."""
    stop = builder.events[-1]
    assert isinstance(stop, StageStopped)
    builder.events[-1] = stop.model_copy(update={"data": data})


def test_the_stages_of_a_pipeline_stand_side_by_side() -> None:
    cold = stages_of_a_pipeline("cold", 1, (2.0, 1.0), (4.0, 1.0))
    warm = stages_of_a_pipeline("warm", 2, (0.5, 0.5), (0.25, 0.25))
    events = [*cold, *warm]
    assert answer(events, "who_says_what", "label", "process", "measured", "monitor", "engine") == [
        ("cold", "Worker_PP0", 3.0, 3.0, 5.0),
        ("cold", "Worker_PP1", 5.0, 5.0, 5.0),
        ("warm", "Worker_PP0", 1.0, 1.0, 1.0),
        ("warm", "Worker_PP1", 0.5, 0.5, 1.0),
    ]
    assert answer(cold, "graphs", "process", "graph", "seconds", "of_range") == [
        ("Worker_PP0", 0, 2.0, 3.0),
        ("Worker_PP0", 1, 1.0, 3.0),
        ("Worker_PP1", 0, 4.0, 5.0),
        ("Worker_PP1", 1, 1.0, 5.0),
    ]
    assert answer(events, "stage_by_stage", "stage", "slowest", "seconds", "more") == [
        ("graph_compile", "Worker_PP0", 1.0, -4.0),
        ("torch_compile", "Worker_PP0", 1.0, -4.0),
    ]
    assert answer(cold, "rank_skew", "ranks", "slowest", "spread", "sum_of_maxima") == [
        (2, "Worker_PP1", 2.0, 5.0)
    ]
    assert answer(cold, "role_totals", "role", "seconds", "slowest", "processes") == [
        ("language_model", 5.0, "Worker_PP1", 2)
    ]


# What was loaded though it is called a compile


@pytest.mark.parametrize(
    ("caches", "shown"),
    [
        (("hit", "hit"), "graphs loaded"),
        (("hit", "reused"), "graphs loaded"),
        (("hit", "miss"), "compiled"),
        (("miss", "reused"), "compiled"),
        (("hit", "outdated"), "compiled"),
        ((), "compiled"),
    ],
)
def test_a_compile_all_of_whose_graphs_were_loaded_is_no_compile(caches: Sequence[str], shown: str) -> None:
    builder = Worker()
    whole = builder.open("torch_compile", source="monitor", **LANGUAGE)
    for index, cache in enumerate(caches):
        stage = "graph_load" if cache == "hit" else "graph_compile"
        builder.stage(stage, 1.0, source="backend", **LANGUAGE)
        noted(builder, range="(1, 8192)", graph_index=index, cache=cache)
    builder.at += 1
    builder.shut(whole)
    noted(builder, cache="compiled")
    # Another one, later, of the same component: each is judged by its own graphs.
    again = builder.open("torch_compile", source="monitor", role="encoder", component="VisionBlock")
    builder.stage("graph_compile", 1.0, source="backend", role="encoder", component="VisionBlock")
    noted(builder, range="(1, 8192)", graph_index=0, cache="miss")
    builder.shut(again)
    noted(builder, cache="compiled")
    assert answer(builder.events, "components", "role", "cache", "times") == [
        ("language_model", shown, 1),
        ("encoder", "compiled", 1),
    ]


# No sum over processes

COUNTS_OF_PROCESSES = {"processes", "ranks"}
ONE_TIME_FOR_ALL = {"startup", "holes"}
"""The time to ready is of all processes, and each piece of it is charged to one of them."""


def twins(events: Iterable[Event]) -> list[Event]:
    """Processes, and for each a second that did the same at the same time."""
    changed: list[Event] = []
    for event in events:
        update: dict[str, object] = {"process": f"{event.process}-twin"}
        if isinstance(event, ProcessJoined):
            update |= {"name": f"{event.name}-twin", "pid": (event.pid or 0) + 100_000}
        changed.append(event.model_copy(update=update))
    return changed


def numbers(events: Sequence[Event], query: str) -> set[float]:
    with MemoryLedger(events) as ledger:
        # All rows: twice as many rows would be cut off earlier.
        rows = ledger.sql(saved_query(query).rpartition("LIMIT ")[0] or saved_query(query))
    return {
        round(value, 9)
        for row in rows
        for column, value in row.items()
        if isinstance(value, (int, float)) and column not in COUNTS_OF_PROCESSES
    }


def side_by_side() -> list[tuple[list[Event], set[str]]]:
    """Sessions, and the processes that get a twin, one of each."""
    lines = (DATA / "compilations.jsonl").read_bytes().splitlines()
    compilations = [parse_event(line) for line in lines]
    most = max({event.process for event in compilations}, key=[e.process for e in compilations].count)
    return [(recording("tp2"), {"8780-141dd789", "9362-f273b59f"}), (compilations, {most})]


@pytest.mark.parametrize("name", sorted(set(saved_queries()) - ONE_TIME_FOR_ALL))
def test_a_second_process_that_does_the_same_adds_to_no_number(name: str) -> None:
    for events, processes in side_by_side():
        one = [event for event in events if event.process in processes]
        assert numbers([*one, *twins(one)], name) <= numbers(one, name)
