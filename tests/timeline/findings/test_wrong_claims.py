"""A claim that is far from the measurement is a finding; what is rounded, uncertain or small is none."""

import pytest

from ledger import Finding, reduce
from ledger.timeline.findings.finding import LONGEST
from ledger.timeline.findings.wrong_claims import _BECAUSE
from tests.support import recordings
from tests.support.gpu_starts import gpu_starts
from tests.support.reconciled import CENT, ENCODER, LANGUAGE, S, Worker, merged
from tests.support.start_processes import findings


def claimed(seconds: float, took: float, **known: object) -> list[Finding]:
    """The findings of a compile that took some time, of which somebody claims another."""
    worker = Worker()
    compile_ = worker.compile(took, added=False, **ENCODER)
    fields = {"source": "monitor", "counts": "interval", "interval": compile_, **ENCODER, **known}
    worker.say(seconds, **fields)
    return findings("wrong_claim", worker)


def test_a_claim_that_is_far_off_says_which_number_to_believe() -> None:
    [found] = claimed(4, 9)
    assert (found.stake_ns, found.process, found.role) == (5 * S, "worker", "encoder")
    assert found.summary == "monitor says 4.0 s of encoder, it was 9.0 s: part left out"
    assert found.advice == "Believe the 9.0 s; the query `why` takes the difference apart"
    assert len(found.claims) == 1


@pytest.mark.parametrize(
    ("seconds", "took", "known"),
    [
        (9.4, 9, {}),
        (0.3, 0.39, {}),
        (1, 0.6, {"resolution_ns": S}),
        (4, 9, {"source": "torch"}),
        (9, 9, {}),
    ],
    ids=["within 5 %", "less than a tenth of a second", "its last digit", "torch's", "right"],
)
def test_what_is_right_or_nearly_so_is_none(seconds: float, took: float, known: dict[str, object]) -> None:
    assert claimed(seconds, took, **known) == []


def test_a_difference_that_is_small_beside_the_start_is_none() -> None:
    worker = Worker()
    compile_ = worker.compile(1, added=False, **ENCODER)
    worker.say(0.7, source="monitor", counts="interval", interval=compile_, **ENCODER)
    assert len(findings("wrong_claim", worker)) == 1
    worker.stage("engine_init", 30)
    assert findings("wrong_claim", worker) == []


def test_the_stage_that_a_total_leaves_out_is_named() -> None:
    worker = Worker()
    compile_ = worker.open("torch_compile", source="monitor", **LANGUAGE)
    worker.stage("aot_save", 6, source="backend", **LANGUAGE)
    worker.at += 4
    worker.shut(compile_)
    save = worker.stage("aot_save", 3, source="backend", **LANGUAGE)
    worker.add(10, compile_, **LANGUAGE)
    worker.say(10, source="monitor", counts="total", **{**LANGUAGE, "component": None})
    [found] = findings("wrong_claim", worker)
    assert found.stake_ns == 3 * S
    assert found.summary == "monitor says 10.0 s of language_model, it was 13.0 s: no aot_save"
    assert [one.interval for one in found.intervals] == [save]


def test_ranks_that_say_the_same_are_one_claimant() -> None:
    workers: list[Worker] = []
    for rank, took in enumerate((9, 8)):
        worker = Worker(f"Worker_TP{rank}")
        compile_ = worker.compile(took, added=False, **ENCODER)
        worker.say(4, source="monitor", counts="interval", interval=compile_, **ENCODER)
        workers.append(worker)
    [found] = findings("wrong_claim", merged(*workers))
    assert (found.process, found.stake_ns) == ("Worker_TP0", 5 * S)


def test_only_the_worst_three_are_shown() -> None:
    worker = Worker()
    for number in range(5):
        compile_ = worker.stage(f"stage{number}", 5 + number, activity="startup", source="engine")
        worker.say(1, source="engine", counts="interval", interval=compile_, stage=f"stage{number}")
    found = findings("wrong_claim", worker)
    assert [one.stake_ns // S for one in found] == [8, 7, 6]


@pytest.mark.parametrize(("seconds", "is_one"), [(0, True), (9, False)])
def test_a_process_that_reports_nothing_misleads_only_where_no_other_reports_it(
    seconds: float, *, is_one: bool
) -> None:
    worker, front_end = Worker(), Worker("front_end")
    compile_ = worker.compile(9, added=False, **ENCODER)
    if seconds:
        worker.add(seconds, compile_, **ENCODER)
        worker.say(seconds, source="engine", counts="total", role="encoder", resolution_ns=CENT)
    front_end.say(0, source="engine", counts="ranks", role="encoder")
    found = findings("wrong_claim", merged(worker, front_end))
    assert [one.summary for one in found] == (
        ["engine says 0.0 s of encoder, it was 9.0 s: never reported"] if is_one else []
    )


def test_a_real_engine_leaves_out_the_kernels_that_it_compiles_in_its_warm_up() -> None:
    timeline = gpu_starts("tp2-cold")["tp2-cold"]
    [found] = [one for one in timeline.findings if one.finding == "wrong_claim"]
    assert found.summary == "engine says 11.6 s of torch_compile, it was 24.8 s: no triton_compile"


@pytest.mark.parametrize("name", ["text-warm", "tp2-warm"])
def test_real_warm_starts_are_reported_nearly_right(name: str) -> None:
    assert [one for one in gpu_starts(name)[name].findings if one.finding == "wrong_claim"] == []


@pytest.mark.parametrize("name", ["demo", "compilations"])
def test_sums_of_torch_are_none_in_a_real_program(name: str) -> None:
    events = list(recordings.events(name))
    of_session = [event for event in events if event.session == events[0].session]
    assert [one for one in reduce(of_session).findings if one.finding == "wrong_claim"] == []


@pytest.mark.parametrize("why", _BECAUSE.values())
def test_no_reason_is_cut(why: str) -> None:
    assert len(f"monitor says 99.8 s of language_model, it was 119.5 s: {why}") <= LONGEST
