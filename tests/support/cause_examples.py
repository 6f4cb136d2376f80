"""A small session for each cause, from which the page of causes draws its picture."""

from collections.abc import Callable
from typing import Final, NamedTuple

from ledger import Event
from tests.support.reconciled import CENT, DRAFTER, ENCODER, LANGUAGE, Worker, merged, ns


class Example(NamedTuple):
    """A session, and the claim in it that a cause explains."""

    events: list[Event]
    process: str
    claim: int


def double_counted() -> Example:
    worker = Worker()
    compiled = worker.compile(11.98, **ENCODER)
    worker.add(11.98, compiled, **{**ENCODER, "source": "backend"})
    total = worker.say(23.96, counts="total", source="engine", role="encoder")
    return Example(worker.events, "worker", total)


def overlapping_ranges() -> Example:
    worker = Worker()
    compiling = worker.open("torch_compile", source="monitor", **LANGUAGE)
    graphs: dict[str, list[int]] = {"(1, 1)": [], "(1, 2048)": []}
    spoken_at: dict[str, float] = {}
    for _ in range(2):
        for range_ in graphs:
            graphs[range_].append(worker.stage("graph_compile", 3, source="backend", **LANGUAGE))
            spoken_at[range_] = worker.at
    worker.shut(compiling)
    for range_, found in graphs.items():
        data = {"range": range_, "intervals": found}
        worker.say(9, counts="addition", source="backend", stage="graph_compile", data=data, **LANGUAGE)
    total = worker.say(18, counts="total", source="backend", role="language_model")
    return Example(worker.events, "worker", total)


def role_lumping() -> Example:
    worker = Worker()
    for seconds, part in ((10, LANGUAGE), (3, DRAFTER)):
        interval = worker.compile(seconds, added=False, **part)
        worker.add(seconds, interval, "compilation_time", **part)
    data = {"accumulator": "compilation_time"}
    total = worker.say(13, counts="total", source="monitor", role="language_model", data=data)
    return Example(worker.events, "worker", total)


def cumulative() -> Example:
    worker = Worker()
    backbone = worker.compile(5.71, added=False, **LANGUAGE)
    worker.say(5.71, source="monitor", interval=backbone, **LANGUAGE)
    worker.at += 1
    eagle = worker.compile(0.54, added=False, **DRAFTER)
    return Example(worker.events, "worker", worker.say(6.25, source="monitor", interval=eagle, **DRAFTER))


def lost_on_failure() -> Example:
    worker = Worker()
    worker.compile(4, added=False, outcome="failed", **LANGUAGE)
    worker.compile(9, **LANGUAGE)
    total = worker.say(9, counts="total", source="monitor", role="language_model")
    return Example(worker.events, "worker", total)


def not_reported() -> Example:
    worker = Worker()
    compiling = worker.open("torch_compile", source="monitor", **ENCODER)
    worker.stage("dynamo", 3, source="backend", **ENCODER)
    worker.stage("graph_compile", 9, source="backend", **ENCODER)
    worker.shut(compiling)
    return Example(worker.events, "worker", worker.say(0, counts="total", source="engine", role="encoder"))


def late() -> Example:
    worker = Worker()
    worker.compile(8, **LANGUAGE)
    total = worker.say(8, counts="total", source="engine", role="language_model")
    worker.milestone(ns(worker.at), "engine_ready")
    worker.at += 2
    worker.compile(4, added=False, **LANGUAGE)
    return Example(worker.events, "worker", total)


def omitted_stage() -> Example:
    worker = Worker()
    compiling = worker.open("torch_compile", source="monitor", **LANGUAGE)
    for stage, seconds, is_added in (
        ("dynamo", 2, True), ("graph_split", 0.5, False), ("graph_compile", 7.18, True),
        ("aot_save", 2.3, False),
    ):  # fmt: skip
        interval = worker.stage(stage, seconds, source="backend", **LANGUAGE)
        if is_added:
            worker.add(seconds, interval, **{**LANGUAGE, "source": "backend"})
    worker.shut(compiling)
    total = worker.say(9.18, counts="total", source="engine", role="language_model")
    return Example(worker.events, "worker", total)


def mixed_ranks() -> Example:
    ranks = [Worker("rank0"), Worker("rank1")]
    for rank, encoder, language in zip(ranks, (5, 3), (10, 14), strict=True):
        rank.compile(encoder, **ENCODER)
        rank.compile(language, **LANGUAGE)
    ranks[0].at = max(rank.at for rank in ranks)
    claim = ranks[0].say(19, counts="ranks", source="engine")
    return Example(merged(*ranks), "rank0", claim)


def clock() -> Example:
    worker = Worker()
    interval = worker.open("engine_init", source="engine")
    worker.at += 20
    worker.gap(ns(12), "clock_stepped", f"{ns(-3):+} ns")
    worker.shut(interval)
    data = {"clock": "wall"}
    claim = worker.say(17, source="engine", stage="engine_init", interval=interval, data=data)
    return Example(worker.events, "worker", claim)


def not_in_log() -> Example:
    engine, rank = Worker("engine"), Worker("rank0")
    compiled = rank.stage("torch_compile", 55.25, source="log", **LANGUAGE)
    rank.say(55.25, source="monitor", interval=compiled, resolution_ns=CENT, **LANGUAGE)
    engine.at = rank.at
    claim = engine.say(55.52, counts="ranks", source="engine", resolution_ns=CENT)
    return Example(merged(engine, rank), "engine", claim)


def rounding() -> Example:
    worker = Worker()
    compiled = worker.compile(11.984, added=False, **LANGUAGE)
    claim = worker.say(11.98, source="monitor", interval=compiled, resolution_ns=CENT, **LANGUAGE)
    return Example(worker.events, "worker", claim)


def unexplained() -> Example:
    worker = Worker()
    compiled = worker.compile(5, added=False, **LANGUAGE)
    return Example(worker.events, "worker", worker.say(7, source="monitor", interval=compiled, **LANGUAGE))


def unmatched() -> Example:
    worker = Worker()
    worker.compile(5, added=False, **LANGUAGE)
    return Example(worker.events, "worker", worker.say(3, source="log", stage="graph_capture"))


EXAMPLES: Final[tuple[Callable[[], Example], ...]] = (
    double_counted, overlapping_ranges, role_lumping, cumulative, lost_on_failure, not_reported, late,
    omitted_stage, mixed_ranks, clock, not_in_log, rounding, unexplained, unmatched,
)  # fmt: skip
