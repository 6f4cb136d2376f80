"""Whatever a session's events say, its claims are reconciled: nothing raises, and all parts add up."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Event, Timeline, reduce
from ledger.events.models import GapNoted, ProcessJoined, ProcessLeft
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.vocabulary import CAUSES

MOST = 2**63 - 1

IDS = st.integers(0, 20)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | IDS | st.integers() | st.floats() | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=5,
)
DATA = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "intervals": st.lists(IDS, max_size=5) | st.lists(JSON, max_size=3) | JSON,
        "accumulator": st.sampled_from(["compilation_time", "other"]) | JSON,
        "range": st.sampled_from(["small", "large"]) | JSON,
        "clock": st.just("wall") | JSON,
        "adds_up": st.dictionaries(st.sampled_from(["torch_compile", "dynamo"]), IDS | JSON) | JSON,
        "within": st.lists(st.lists(IDS | JSON, max_size=3), max_size=2) | JSON,
        "": JSON,
    },
)
TIMES = st.integers(0, 40) | st.sampled_from([0, MOST]) | st.integers(0, MOST)
NUMBERS = st.integers(-5, 40) | st.sampled_from([0, MOST, -(2**63)]) | st.integers(-(2**63), MOST)
RESOLUTIONS = st.sampled_from([None, 0, 1, 10_000_000, MOST])
STAGES = st.sampled_from(["torch_compile", "dynamo", "aot_load", "engine_init", "something"])
SOURCES = st.sampled_from(["monitor", "backend", "engine", "torch", "python", "log", "user"])
ROLES = st.sampled_from([None, "encoder", "language_model"])
DETAILS = st.sampled_from([None, "+5 ns", "-3000000000 ns", "9 ns", f"+{2**70} ns", "x"]) | st.text(
    max_size=3
)


@st.composite
def processes(draw: st.DrawFn, name: str) -> list[Event]:
    builder = SessionBuilder(process=name)
    known: dict[str, Any] = {"session": "session", "process": name}
    if draw(st.booleans()):
        host = draw(st.sampled_from([None, "host", "other"]))
        builder.events.append(ProcessJoined(**known, seq=0, at_ns=0, name=name, host=host))
    for what in draw(
        st.lists(st.sampled_from(["start", "stop", "claim", "ready", "gap", "left"]), max_size=20)
    ):
        at_ns, seq = draw(TIMES), len(builder.events)
        if what == "start":
            builder.start(
                at_ns, draw(STAGES), role=draw(ROLES), source=draw(SOURCES),
                thread=draw(st.sampled_from("ab")), parent=draw(st.none() | IDS),
            )  # fmt: skip
        elif what == "stop":
            builder.stop(at_ns, draw(IDS), draw(st.sampled_from(["completed", "failed"])))
        elif what == "claim":
            claim = builder.claim(
                at_ns, draw(NUMBERS), source=draw(SOURCES), stage=draw(st.none() | STAGES),
                counts=draw(st.sampled_from(["interval", "addition", "total", "ranks"])),
                role=draw(ROLES), component=draw(st.sampled_from([None, "a"])),
                interval=draw(st.none() | IDS), resolution_ns=draw(RESOLUTIONS),
                text=draw(st.sampled_from([None, "init engine took"])), data=draw(DATA),
            )  # fmt: skip
            # Two claims of one id are two claims.
            builder.events[-1] = builder.events[-1].model_copy(update={"claim": draw(st.just(claim) | IDS)})
        elif what == "ready":
            builder.milestone(at_ns, "engine_ready")
        elif what == "gap":
            builder.events.append(
                GapNoted(**known, seq=seq, at_ns=at_ns, what="clock_stepped", detail=draw(DETAILS))
            )
        else:
            builder.events.append(
                ProcessLeft(**known, seq=seq, at_ns=at_ns, outcome="completed", event_count=seq)
            )
    return builder.events


SESSIONS = st.tuples(processes("a"), processes("b")).map(lambda parts: [*parts[0], *parts[1]])
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def check(timeline: Timeline) -> None:
    assert len(timeline.reconciliation) == len(timeline.claims)
    differences: Counter[tuple[str, int]] = Counter()
    # What does not fit into 64 bits is fitted, and says so: its parts add up to more.
    fitted = {(one.process, one.claim) for one in timeline.anomalies if one.what == "number_out_of_range"}
    for claim, row in zip(timeline.claims, timeline.reconciliation, strict=True):
        assert (row.process, row.claim, row.claimed_ns) == (claim.process, claim.claim, claim.claimed_ns)
        assert (row.measured_ns is None) == (row.difference_ns is None) == (row.main_cause == "unmatched")
        if row.measured_ns is not None and row.difference_ns is not None:
            exact = claim.claimed_ns - row.measured_ns
            is_beyond = not -(2**63) <= exact <= MOST
            assert row.difference_ns == (max(-MOST, min(MOST, exact)) if is_beyond else exact)
            assert not is_beyond or (row.process, row.claim) in fitted
            assert row.measured_ns >= 0
            differences[row.process, row.claim] += row.difference_ns
    intervals = {(interval.process, interval.interval) for interval in timeline.intervals}
    for share in timeline.causes:
        assert share.cause in CAUSES
        assert share.ns != 0
        shown_by = list(share.intervals)
        assert intervals.issuperset(shown_by)
        assert len(set(shown_by)) == len(shown_by)
        differences[share.process, share.claim] -= share.ns
    assert not any(number for claim, number in differences.items() if claim not in fitted)


@given(SESSIONS, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
def test_whatever_is_claimed_is_taken_apart_in_whatever_order_it_came(
    events: list[Event], random: Any
) -> None:
    timeline = reduce(events)
    check(timeline)
    shuffled = list(events)
    random.shuffle(shuffled)
    assert reduce(shuffled) == timeline


@pytest.mark.parametrize("counts", ["interval", "addition", "total", "ranks"])
@pytest.mark.parametrize("claimed_ns", [0, 1, MOST, -(2**63)])
@pytest.mark.parametrize("resolution_ns", [None, 0, MOST])
def test_numbers_as_large_as_they_can_be(counts: Any, claimed_ns: int, resolution_ns: int | None) -> None:
    builder = SessionBuilder()
    for start_ns, stop_ns in ((0, MOST), (0, 0), (MOST, MOST)):
        builder.stop(stop_ns, builder.start(start_ns, "torch_compile", source="monitor"))
    for at_ns in (0, MOST):
        builder.claim(at_ns, claimed_ns, source="monitor", counts=counts, resolution_ns=resolution_ns)
    check(reduce(builder.events))


def test_two_claims_of_one_id_are_two_claims() -> None:
    builder = SessionBuilder()
    for number in (1, 2):
        interval = builder.start(0, "torch_compile", source="monitor")
        builder.stop(number * 10**9, interval)
        claim = builder.claim(10**10, 10**9, source="monitor", data={"intervals": [interval]})
        builder.events[-1] = builder.events[-1].model_copy(update={"claim": 0})
        assert claim
    timeline = reduce(builder.events)
    check(timeline)
    assert [row.measured_ns for row in timeline.reconciliation] == [10**9, 2 * 10**9]
    with MemoryLedger(builder.events) as ledger:
        assert ledger.sql("SELECT sum(ns) AS ns FROM causes") == [{"ns": -(10**9)}]


def test_a_number_of_more_digits_than_python_reads_says_nothing() -> None:
    builder = SessionBuilder()
    builder.stop(10**9, builder.start(0, "torch_compile", source="monitor"))
    builder.claim(10**9, 10**9, source="monitor", data={"intervals": [10**5_000]})
    check(reduce(builder.events))
