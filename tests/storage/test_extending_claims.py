"""What claims and findings come to, as events come in, is what a rebuild gives; and it stays where it can."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, event, given, settings

from ledger import Event
from ledger.events.models import MilestoneReached, TotalClaimed
from ledger.events.rows import to_row
from ledger.storage import extending, projections
from ledger.storage.projections import bring_up_to_date
from tests.support.extended import assert_same_as_rebuilt, keeping_all, projected_in_parts, tables
from tests.support.growing_sessions import growing_starts
from tests.support.random_sessions import SECOND, Tape


@pytest.fixture(autouse=True)
def _keeping_all() -> Iterator[None]:
    with keeping_all():
        yield


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(growing_starts())
def test_a_start_with_claims_is_projected_part_by_part_as_at_once(parts: list[list[Event]]) -> None:
    with counting_kept() as kept:
        store, extended = projected_in_parts(parts, each=True)
    event(f"extended {min(extended, 3)} times")
    has_claims = store.select("SELECT count(*) FROM claims")[0][0]
    has_findings = store.select("SELECT count(*) FROM projected_findings")[0][0]
    event(f"kept {min(kept.call_count, 3)} times: claims {bool(has_claims)}, findings {bool(has_findings)}")
    store.close()


def claimed_start(number: int) -> list[Event]:
    """Two ranks that compiled, claimed what that took, and were ready; and units of other work after that."""
    tape, about = Tape(), {"stage": "torch_compile", "source": "monitor", "role": "encoder"}
    for rank, process in enumerate(("p", "q")):
        tape.process = process
        tape.join(1, pid=rank + 2, parent_pid=1, rank=rank, host="one", boot_id="b")
        for compiled in range(4):
            at = 100 + SECOND * compiled
            tape.span(compiled, at, at + SECOND // 2, **about)
            for counts in ("interval", "addition", "total", "ranks"):
                named = {} if counts in ("total", "ranks") else {"interval": compiled}
                tape.add(
                    TotalClaimed, at + SECOND // 2, claim=len(tape.events), counts=counts,
                    claimed_ns=SECOND // 4, **about, **named,
                )  # fmt: skip
        tape.add(MilestoneReached, 5 * SECOND, name="engine_ready")
    for unit in range(number):
        tape.process = "pq"[unit % 2]
        at = 6 * SECOND + 10 * unit
        tape.span(100 + 2 * unit, at, at + 9, stage="serve", source="user", activity="work")
        tape.span(101 + 2 * unit, at + 1, at + 5, stage="batch", source="user", activity="work")
    return tape.events


@contextmanager
def counting_kept() -> Generator[mock.Mock]:
    """Count how often what is derived of claims and findings stays as it is."""
    with mock.patch.object(extending, "complete_totals", wraps=extending.complete_totals) as kept:
        yield kept


def test_work_after_a_start_with_claims_leaves_its_claims_and_findings_alone() -> None:
    events = claimed_start(40)
    parts = [events[:-80], *(events[at : at + 8] for at in range(len(events) - 80, len(events), 8))]
    with counting_kept() as kept:
        store, _ = projected_in_parts(parts, each=True)
    assert kept.call_count == len(parts) - 1
    assert store.select("SELECT count(*) FROM reconciliation") == [(32,)]
    assert store.select("SELECT count(*) FROM projected_findings WHERE finding = 'wrong_claim'") == [(1,)]
    store.close()


LATE_AND_LOOKED_AT = {
    "a compile": [{"stage": "torch_compile", "source": "monitor", "role": "encoder"}],
    "a compile of another role": [{"stage": "torch_compile", "source": "monitor", "role": "drafter"}],
    "a frame": [{"stage": "dynamo", "source": "torch"}],
    "an import": [{"stage": "import", "source": "python", "component": "a"}],
    "what waited for a processor": [
        {"stage": "serve", "source": "user", "activity": "work", "data": {"cpu_wait_ns": 5 * SECOND}}
    ],
}


@pytest.mark.parametrize("about", LATE_AND_LOOKED_AT.values(), ids=LATE_AND_LOOKED_AT)
def test_what_claims_or_findings_look_at_has_them_derived_anew(about: list[dict[str, Any]]) -> None:
    tape = Tape(events=claimed_start(40))
    before, number = [*tape.events], len(tape.events)
    for place, each in enumerate(about):
        at = 7 * SECOND + place
        tape.span(1_000 + place, at, at + SECOND, process="p", **each)
    with counting_kept() as kept:
        store, extended = projected_in_parts([before, tape.events[number:]], each=True)
    assert (extended, kept.call_count) == (1, 0)
    store.close()


WORK: dict[str, Any] = {"stage": "serve", "source": "user", "activity": "work"}
LOAD: dict[str, Any] = {"stage": "model_load", "source": "engine"}


def reconciled_anew(tape: Tape, first: int) -> None:
    """What comes after the first events changes rows of claims or findings, and is projected bit by bit."""
    parts = [tape.events[:first], tape.events[first:]]
    store, _ = projected_in_parts(parts[:1], each=True)
    before = tables(store)
    with store.transaction():
        store.append([to_row(event) for event in parts[1]])
    with mock.patch.object(projections, "keep_checkpoints", wraps=extending.keep_checkpoints) as whole:
        bring_up_to_date(store)
    assert not whole.called
    assert_same_as_rebuilt(store)
    after = tables(store)
    assert any(before[table] != after[table] for table in ("reconciliation", "projected_findings"))
    store.close()


def claimed_before_serving(process: str, **claim: object) -> Tape:
    """A start in which a process of the engine makes one more claim, and what it serves after that."""
    tape = Tape(events=claimed_start(0))
    tape.add(
        TotalClaimed, 5 * SECOND, process=process, claim=500, source="engine", claimed_ns=SECOND, **claim
    )
    tape.events += claimed_start(40)[len(claimed_start(0)) :]
    tape.events = renumbered(tape.events)
    return tape


def test_a_total_grows_with_what_is_measured_for_it() -> None:
    tape = claimed_before_serving("p", counts="total", stage="model_load")
    first = len(tape.events)
    tape.span(1_000, 7 * SECOND, 8 * SECOND, process="p", **LOAD)
    reconciled_anew(tape, first)


def test_a_maximum_grows_with_what_is_measured_in_another_process() -> None:
    tape = claimed_before_serving("q", counts="ranks", stage="model_load")
    # Of several that claim maxima, each speaks of its own processes.
    tape.events = renumbered(
        [
            one
            for one in tape.events
            if not (isinstance(one, TotalClaimed) and (one.process, one.counts) == ("p", "ranks"))
        ]
    )
    first = len(tape.events)
    tape.span(1_000, 7 * SECOND, 8 * SECOND, process="p", **LOAD)
    reconciled_anew(tape, first)


def test_a_claim_waits_for_the_interval_that_it_names() -> None:
    tape = claimed_before_serving("p", counts="interval", stage="serve", interval=1_000)
    first = len(tape.events)
    tape.span(1_000, 7 * SECOND, 8 * SECOND, process="p", **WORK)
    reconciled_anew(tape, first)


def test_a_claim_finds_an_interval_that_comes_late_into_the_ledger() -> None:
    tape = Tape(events=claimed_start(40))
    tape.add(TotalClaimed, 9 * SECOND, process="p", claim=500, counts="interval", source="engine",
             stage="model_load", claimed_ns=SECOND)  # fmt: skip
    first = len(tape.events)
    tape.span(1_000, 7 * SECOND, 8 * SECOND, process="p", **LOAD)
    reconciled_anew(tape, first)


def test_a_rank_straggles_once_the_last_of_the_others_has_the_stage_too() -> None:
    tape = Tape()
    for rank, process in enumerate("pqrs"):
        tape.process = process
        tape.join(1, pid=rank + 2, parent_pid=1, rank=rank, host="one", boot_id="b")
        tape.span(0, 10, SECOND // 2, **WORK)
        if process != "s":
            tape.span(1, SECOND, (4 if process == "p" else 2) * SECOND, **LOAD)
        tape.add(MilestoneReached, 5 * SECOND, name="engine_ready")
        for unit in range(20):
            at = 6 * SECOND + 10 * unit
            tape.span(100 + unit, at, at + 9, stage="batch", source="user", activity="work")
    first = len(tape.events)
    tape.span(1_000, 7 * SECOND, 7 * SECOND + 9, process="s", **LOAD)
    reconciled_anew(tape, first)


def renumbered(events: Sequence[Event]) -> list[Event]:
    """The same events, numbered in their processes in the order in which they are here."""
    numbers: dict[str, int] = {}
    found: list[Event] = []
    for one in events:
        seq = numbers[one.process] = numbers.get(one.process, -1) + 1
        found.append(one.model_copy(update={"seq": seq}))
    return found


@pytest.mark.parametrize("counts", ["interval", "total", "ranks"])
def test_a_claim_that_comes_late_is_reconciled(counts: str) -> None:
    tape = Tape(events=claimed_start(40))
    before = [*tape.events]
    tape.add(
        TotalClaimed, 7 * SECOND, claim=999, counts=counts, source="engine", stage="torch_compile",
        claimed_ns=SECOND,
    )  # fmt: skip
    with counting_kept() as kept:
        store, _ = projected_in_parts([before, tape.events[-1:]], each=True)
    assert not kept.called
    assert store.select("SELECT count(*) FROM reconciliation WHERE claim = 999") == [(1,)]
    store.close()
