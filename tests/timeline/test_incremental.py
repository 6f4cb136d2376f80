"""What a session has come to after each of its events, against what the reducer makes of those events."""

from hypothesis import HealthCheck, given, settings

from ledger.events.models import Event
from ledger.events.rows import to_row
from ledger.testing import SessionBuilder
from ledger.timeline.incremental import IncrementalReducer, RunningTotals
from ledger.timeline.reducer import reduce_session
from tests.support.random_sessions import sessions


def folded(events: list[Event]) -> RunningTotals:
    reducer, state = IncrementalReducer(), RunningTotals()
    for event in events:
        for change in reducer.take(to_row(event)):
            state.apply(change)
    return state


def assert_agrees(state: RunningTotals, events: list[Event]) -> None:
    reduced = reduce_session(events)
    totals = {(t.process, t.role, t.activity): t.total_ns for t in reduced.role_totals if t.total_ns}
    assert state.totals_ns() == totals
    still_open = {(i.process, i.interval) for i in reduced.intervals if i.outcome == "open"}
    assert {(begun.process, begun.start.interval) for begun in state.open} == still_open


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_after_each_event_it_is_what_the_reducer_makes_of_the_events_so_far(events: list[Event]) -> None:
    in_order = sorted(events, key=lambda event: (event.at_ns, event.process, event.seq))
    reducer, state = IncrementalReducer(), RunningTotals()
    for number, event in enumerate(in_order, 1):
        for change in reducer.take(to_row(event)):
            state.apply(change)
        assert_agrees(state, in_order[:number])


def test_a_role_comes_to_what_is_inside_when_that_which_names_it_has_ended() -> None:
    builder = SessionBuilder()
    outer = builder.start(0, "torch_compile", role="encoder", source="monitor", thread="main")
    inner = builder.start(10, "dynamo", source="torch", thread="pool")
    builder.stop(30, inner)
    assert folded(builder.events).totals_ns() == {("process", "model", "compile"): 20}
    builder.stop(100, outer)
    assert folded(builder.events).totals_ns() == {("process", "encoder", "compile"): 100}


def test_a_copy_goes_its_own_way() -> None:
    builder = SessionBuilder()
    interval = builder.start(0, "dynamo", role="encoder", source="torch")
    state = folded(builder.events)
    copied = state.copy()
    builder.stop(7, interval)
    reducer = IncrementalReducer()
    changes = [reducer.take(to_row(event)) for event in builder.events]
    for change in changes[-1]:
        copied.apply(change)
    assert (len(state.open), state.totals_ns()) == (1, {})
    assert copied.totals_ns() == {("process", "encoder", "compile"): 7}


def test_ten_thousand_stages_within_one_another_are_no_trouble() -> None:
    builder = SessionBuilder()
    parent = None
    for depth in range(10_000):
        parent = builder.start(depth, "dynamo", role="encoder", source="torch", parent=parent)
    builder.end(20_000)
    state = folded(builder.events)
    assert (state.open, state.totals_ns()) == ([], {("process", "encoder", "compile"): 9_999})
