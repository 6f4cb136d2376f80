"""Claims that are about pieces of what they name: vLLM's V1 runner on an H200, and sessions made for it."""

from typing import Any

import pytest

from ledger import Timeline, reduce
from tests.support.gpu_starts import gpu_starts
from tests.support.reconciled import CENT, LANGUAGE, Breakdown, S, Worker, parts_of


def load(*stages: tuple[str, float], own: float = 1) -> tuple[Worker, int, list[int]]:
    """A load with stages inside, and its own time before, between and after them."""
    worker = Worker()
    whole = worker.open("model_load", source="engine")
    worker.at += own
    pieces: list[int] = []
    for stage, seconds in stages:
        pieces.append(worker.stage(stage, seconds, source="engine"))
        worker.at += own
    return worker, whole, pieces


def say(worker: Worker, whole: int, seconds: float, at: float | None = None, **known: Any) -> Timeline:
    """The load ends now, and a line about it was logged."""
    worker.shut(whole)
    known = {"interval": whole, "resolution_ns": 1_000, **known}
    ns = round(seconds * S)
    worker.claim(
        round((worker.at if at is None else at) * S), ns, source="engine", stage="model_load", **known
    )
    return reduce(worker.events)


def parts(timeline: Timeline) -> Breakdown:
    """The parts of the only claim's difference."""
    [claim] = timeline.claims
    return parts_of(timeline, claim.claim)


@pytest.mark.parametrize(
    ("label", "claimed_ns", "pieces_ns"),
    [("v1-runner-cold", 178_831_000, 176_029_622), ("v1-runner-warm", 174_779_000, 172_128_685)],
)
def test_the_v1_runners_line_is_from_its_models_start_to_its_weights_end(
    label: str, claimed_ns: int, pieces_ns: int
) -> None:
    timeline = gpu_starts("v1")[label]
    [row] = [row for row in timeline.reconciliation if row.stage == "model_load"]
    assert (row.claimed_ns, row.measured_ns) == (claimed_ns, pieces_ns)
    [cause] = [c for c in timeline.causes if (c.process, c.claim) == (row.process, row.claim)]
    assert (cause.cause, cause.ns) == ("rounding", claimed_ns - pieces_ns)
    stage_of = {(i.process, i.interval): i.stage for i in timeline.intervals}
    assert [stage_of[shown] for shown in cause.intervals] == ["model_init", "weights_load"]


@pytest.mark.parametrize("at", [5, 6.9, 9])
def test_wherever_a_line_was_logged_it_is_about_the_pieces_that_it_fits(at: float) -> None:
    worker, whole, pieces = load(("model_init", 2), ("weights_load", 1), ("a_stage", 2.5))
    timeline = say(worker, whole, 4.003, at)
    assert timeline.reconciliation[0].measured_ns == 4 * S
    assert parts(timeline) == {("rounding", "model_load"): (3_000_000, pieces[:2])}


def test_of_two_places_that_it_fits_none_is_shown() -> None:
    worker, whole, _ = load(("model_init", 2), ("weights_load", 4), ("a_stage", 2))
    assert parts(say(worker, whole, 2)) == {("unexplained", "model_load"): (-10 * S, [whole])}


def test_a_clock_that_begins_with_a_piece_leaves_the_ones_before_it_out() -> None:
    worker, whole, [first, _] = load(("model_init", 2), ("weights_load", 1))
    assert parts(say(worker, whole, 2)) == {
        ("omitted_stage", "model_load"): (-2 * S, [whole]),
        ("omitted_stage", "model_init"): (-2 * S, [first]),
    }


def test_a_clock_does_not_begin_in_the_midst_of_a_piece() -> None:
    worker, whole, _ = load(("model_init", 2), ("weights_load", 1))
    assert parts(say(worker, whole, 3.5)) == {("unexplained", "model_load"): (-2.5 * S, [whole])}


def test_a_coarse_number_that_fits_the_whole_is_about_it() -> None:
    worker, whole, _ = load(("model_init", 0.6), own=0.2)
    timeline = say(worker, whole, 1, resolution_ns=S)
    assert timeline.reconciliation[0].measured_ns == S


def test_an_addition_counts_the_pieces_that_it_fits() -> None:
    worker = Worker()
    whole = worker.open("torch_compile", source="monitor", **LANGUAGE)
    worker.at += 1
    worker.stage("dynamo", 2, source="backend", **LANGUAGE)
    worker.at += 1
    last = worker.stage("aot_save", 3, source="backend", **LANGUAGE)
    worker.at += 1
    worker.shut(whole)
    worker.add(2, whole, "compilation_time", stage="torch_compile", **LANGUAGE)
    total = worker.say(
        2, counts="total", source="monitor", role="language_model", data={"accumulator": "compilation_time"}
    )
    assert parts_of(reduce(worker.events), total) == {
        ("omitted_stage", "torch_compile"): (-3 * S, [whole]),
        ("omitted_stage", "aot_save"): (-3 * S, [last]),
    }


def test_many_short_stages_that_an_accumulator_leaves_out_are_all_named() -> None:
    worker = Worker()
    worker.compile(2, **LANGUAGE)
    short: list[int] = []
    for _ in range(10):
        worker.at += 1
        short.append(worker.stage("triton_compile", 0.003, source="backend", activity="compile"))
    line = worker.say(2, counts="ranks", source="engine", stage="torch_compile", resolution_ns=CENT)
    assert parts_of(reduce(worker.events), line) == {
        ("omitted_stage", "triton_compile"): (-30_000_000, short)
    }
