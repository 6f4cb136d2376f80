"""The projections give back the timeline that they were made of, and are read only where they are current."""

from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings

from ledger import Event, Ledger, Recorder, parse_event, reduce
from ledger.events.rows import to_row
from ledger.storage import projections
from ledger.storage.projections import bring_up_to_date, current_timeline
from ledger.storage.store import Store
from tests.support.paths import DATA
from tests.support.random_sessions import sessions
from tests.support.starts import kept


def stored(events: Sequence[Event]) -> Store:
    """A ledger in memory that holds events and their projections."""
    store = Store.in_memory()
    with store.transaction():
        store.append([to_row(event) for event in events])
    bring_up_to_date(store)
    return store


def assert_read_back(events: Sequence[Event]) -> None:
    """Read a session from its projections alone, and compare that with what its events reduce to."""
    store = stored(events)
    with mock.patch.object(projections, "reduced_timeline", side_effect=AssertionError("reduced again")):
        timeline = current_timeline(store, events[0].session)
    store.close()
    assert timeline == reduce(events)
    assert [type(interval.is_top_level) for interval in timeline.intervals] == [bool] * len(
        timeline.intervals
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_any_session_is_read_back_as_its_events_reduce(events: list[Event]) -> None:
    if events:
        assert_read_back(events)


@pytest.mark.parametrize("label", ["cold", "warm"])
def test_recorded_starts_of_vllm_are_read_back(label: str) -> None:
    for events in kept(label):
        assert_read_back(events)


@pytest.mark.parametrize("name", ["demo.jsonl", "vllm.jsonl"])
def test_recordings_are_read_back(name: str) -> None:
    events = [parse_event(line) for line in (DATA / name).read_bytes().splitlines()]
    for session in dict.fromkeys(event.session for event in events):
        assert_read_back([event for event in events if event.session == session])


def test_events_that_are_not_projected_yet_are_in_the_timeline_all_the_same(path: Path) -> None:
    with Recorder.open(path) as recorder:
        recorder.stop(recorder.start("dynamo"))
    with Ledger.open(path) as ledger:
        session = ledger.session()
        events = list(ledger.events())
    late = events[-1].model_copy(update={"process": "late", "seq": 0})
    store = Store.open(path)
    with store.transaction():
        store.append([to_row(late)])
    timeline = current_timeline(store, session)
    store.close()
    assert timeline == reduce([*events, late])
    assert "late" in [process.process for process in timeline.processes]


def test_what_another_version_of_the_reducer_made_is_not_read(path: Path) -> None:
    with Recorder.open(path) as recorder:
        recorder.stop(recorder.start("dynamo"))
    with Ledger.open(path) as ledger:
        expected = ledger.timeline()
        session = ledger.session()
    store = Store.open(path)
    with store.transaction():
        store.connection.execute("UPDATE projected_sessions SET reducer_version = reducer_version - 1")
        store.connection.execute("UPDATE projected_intervals SET stage = 'wrong'")
    assert current_timeline(store, session) == expected
    store.close()


def test_an_interval_says_what_its_events_say(path: Path) -> None:
    with Recorder.open(path) as recorder:
        with pytest.raises(ValueError, match="no"), recorder.stage("dynamo", data={"compile_id": "0/0"}):
            raise ValueError("no")
        recorder.stop(recorder.start("warmup", source="engine"))
    with Ledger.open(path) as ledger:
        failed, warmup = ledger.timeline().intervals
        assert failed.data is not None
        assert (failed.error, failed.outcome, failed.data["compile_id"]) == ("ValueError", "failed", "0/0")
        assert (warmup.error, warmup.data) == (None, None)
        assert [failed.duration_s, warmup.duration_s] == [
            row["duration_s"] for row in ledger.sql("SELECT duration_s FROM intervals ORDER BY start_ns")
        ]
