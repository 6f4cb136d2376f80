"""An excerpt of a timeline has every record but intervals, and of those all that a list can ask for."""

from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import reduce
from ledger.events.models import Event
from ledger.interchange.importers import store_of
from ledger.reports.sections import LedgerFacts, report_of
from ledger.storage.excerpts import timeline_excerpt, timeline_tables
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.timeline.timeline import Timeline
from tests.support.random_sessions import sessions


@settings(max_examples=60)
@given(sessions().filter(bool), st.integers(1, 6))
def test_an_excerpt_gives_the_lists_that_all_intervals_give(events: list[Event], number: int) -> None:
    ledger = MemoryLedger(events)
    whole, excerpt = ledger.timeline(), ledger.timeline_excerpt(ledger.session(), number)
    for part in fields(Timeline):
        if part.name != "intervals":
            assert getattr(excerpt, part.name) == getattr(whole, part.name)
    assert set(excerpt.intervals) <= set(whole.intervals)
    of_whole, of_excerpt = (report_of(timeline, LedgerFacts()) for timeline in (whole, excerpt))
    assert of_excerpt.unattributed.rows[:number] == of_whole.unattributed.rows[:number]
    assert of_excerpt.failed == of_whole.failed
    assert of_excerpt.unended == of_whole.unended
    assert of_excerpt.processes == of_whole.processes


def test_an_excerpt_leaves_out_what_completed_with_less_unattributed_time() -> None:
    builder = SessionBuilder()
    builder.begin()
    for at_ns in range(0, 1_000, 100):
        outer = builder.start(at_ns, "torch_compile", role="encoder")
        builder.stop(at_ns + 20, builder.start(at_ns + 10, "dynamo", role="encoder", parent=outer))
        builder.stop(at_ns + 30 + at_ns // 100, outer)
    builder.end(2_000)
    ledger = MemoryLedger(builder.events)
    assert [one.start_ns for one in ledger.timeline_excerpt("session", 3).intervals] == [700, 800, 900]


def test_where_the_projections_are_not_current_the_excerpt_is_of_the_events() -> None:
    builder = SessionBuilder()
    builder.begin()
    builder.stop(20, builder.start(10, "dynamo", role="encoder"))
    builder.end(30)
    store = store_of(builder.events)
    store.connection.execute("UPDATE projected_sessions SET reducer_version = 0")
    store.connection.execute("DELETE FROM reconciliation")
    store.connection.execute("DELETE FROM processes")
    assert timeline_excerpt(store, "session", 1) == reduce(builder.events)
    assert timeline_tables(store, "session", "processes") == reduce(builder.events)


@settings(max_examples=30)
@given(sessions().filter(bool), st.sampled_from(["session_totals", "startup_breakdown", "compilations"]))
def test_single_tables_are_read_and_no_others(events: list[Event], table: str) -> None:
    store = store_of(events)
    whole = reduce(events)
    read = timeline_tables(store, events[0].session, table)
    assert {part.name: getattr(read, part.name) for part in fields(Timeline)} == {
        part.name: getattr(whole, part.name) if part.name == table else None if part.name == "session" else ()
        for part in fields(Timeline)
    }
