"""What is projected bit by bit, as events come in, is what a rebuild gives, wherever they were cut apart."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ledger import Event
from ledger.events.rows import to_row
from ledger.storage import (
    completing,
    extending_process,
    projecting_parts,
    projections,
    steps,
)
from ledger.storage.projections import bring_up_to_date, rebuild
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store
from tests.support.extended import assert_same_as_rebuilt, keeping_all, projected_in_parts, tables
from tests.support.growing_sessions import growing_sessions
from tests.support.random_sessions import Tape, sessions


@pytest.fixture(autouse=True)
def _keeping_all() -> Iterator[None]:
    with keeping_all():
        yield


@contextmanager
def steps_of(number: int | None) -> Generator[None]:
    """What is projected as a whole is so in steps of so many events, where that can be: never if None."""
    with (
        mock.patch.object(steps, "LONG", number or steps.LONG),
        mock.patch.object(steps, "STEP", number or steps.STEP),
        mock.patch.object(steps, "SAMPLE", max(1, (number or steps.SAMPLE) // 3)),
    ):
        yield


STEPS = st.sampled_from([None, 2, 7, 20])


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Event]]:
    """A random session in parts: by its writing, by time, or shuffled, so that some of it comes late."""
    events = draw(sessions())
    order = draw(st.sampled_from(["written", "time", "time", "shuffled"]))
    if order == "time":
        events = sorted(events, key=lambda one: (one.at_ns, one.process, one.seq))
    elif order == "shuffled":
        events = draw(st.permutations(events))
    places = sorted(draw(st.lists(st.integers(0, len(events)), max_size=5)))
    bounds = [0, *places, len(events)]
    return [events[a:b] for a, b in pairwise(bounds) if a < b]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrivals(), STEPS)
def test_any_session_is_projected_part_by_part_as_at_once(
    parts: list[list[Event]], number: int | None
) -> None:
    with steps_of(number):
        store, extended = projected_in_parts(parts, each=True)
    event(f"extended {min(extended, 3)} times")
    store.close()


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(growing_sessions(), STEPS)
def test_a_growing_session_is_projected_part_by_part_as_at_once(
    parts: list[list[Event]], number: int | None
) -> None:
    with (
        mock.patch.object(extending_process, "cuts_of", wraps=extending_process.cuts_of) as cuts_of,
        mock.patch.object(completing, "completed", wraps=completing.completed) as completed,
        mock.patch.object(projecting_parts, "complete", wraps=projecting_parts.complete) as in_steps,
        steps_of(number),
    ):
        store, extended = projected_in_parts(parts, each=True)
    event(f"extended {min(extended, 3)} times")
    went_on = sum(call.args[3].at_ns > 0 for call in cuts_of.call_args_list)
    event(f"went on from a cut {min(went_on, 3)} times")
    event(f"without all intervals {any(not call.args[0].intervals for call in completed.call_args_list)}")
    event(f"as a whole in steps {in_steps.called}")
    store.close()


@pytest.mark.parametrize("looks", [0, 2])
def test_a_stop_before_its_start_hides_none_that_comes_in_a_later_step(looks: int) -> None:
    tape = Tape()
    tape.join(1, pid=1, host="one", boot_id="b")
    tape.stop(1, 2)
    tape.start(1, 2, stage="work", source="engine")
    tape.start(2, 2, stage="work", source="engine")
    tape.stop(2, 2)
    for number in range(3, 8):
        tape.span(number, 2 * number, 2 * number + 1, stage="work", source="engine")
    tape.stop(1, 20)
    with mock.patch.object(projecting_parts, "_FAR_LOOKS", looks), steps_of(4):
        store, _ = projected_in_parts([tape.events], each=True)
    [(stop_ns,)] = store.select("SELECT stop_ns FROM projected_intervals WHERE interval = 1")
    assert stop_ns == 20
    store.close()


def units(number: int) -> list[Event]:
    """A process in a stage that stays open, with units of work in it, one after the other."""
    tape = Tape()
    tape.join(1, pid=1, host="one", boot_id="b")
    tape.start(0, 2, stage="run", source="engine")
    for unit in range(number):
        at = 10 * (unit + 1)
        tape.start(3 * unit + 1, at, stage="work", source="engine", parent=0)
        tape.span(3 * unit + 2, at + 1, at + 2, stage="step", source="engine", parent=3 * unit + 1)
        tape.span(3 * unit + 3, at + 3, at + 5, stage="step", source="engine", parent=3 * unit + 1)
        tape.stop(3 * unit + 1, at + 6)
    return tape.events


def added(store: Store, events: Sequence[Event]) -> int:
    """Append events and project them; return how many rows that changed beside the events."""
    with store.transaction():
        store.append([to_row(event) for event in events])
    before = store.connection.total_changes
    bring_up_to_date(store)
    return store.connection.total_changes - before


def test_new_events_change_as_many_rows_in_a_long_session_as_in_a_short_one() -> None:
    changes: list[int] = []
    for number in (20, 400):
        events = units(number + 2)
        store = Store.in_memory()
        added(store, events[:-12])
        changes.append(added(store, events[-12:]))
        assert_same_as_rebuilt(store)
        store.close()
    assert changes[0] == changes[1]


def test_an_event_that_comes_late_changes_what_it_should() -> None:
    events = units(30)
    late = events.pop(50)
    store, extended = projected_in_parts([events[:100], events[100:], [late]], each=True)
    assert extended == 2
    store.close()


def test_what_was_open_for_long_encloses_all_of_it_once_it_has_stopped() -> None:
    events = units(30)
    tape = Tape(events=[*events])
    tape.stop(0, 1_000)
    store, extended = projected_in_parts([events, tape.events[-1:]], each=True)
    assert extended == 1
    [(deepest,)] = store.select("SELECT max(depth) FROM projected_intervals")
    assert deepest == 2
    store.close()


@pytest.mark.parametrize("number", [2, 20, 100])
def test_a_session_in_steps_is_what_it_is_at_once(number: int) -> None:
    tape = Tape(events=units(60))
    tape.stop(0, 1_000)  # so that one interval is around all of the others
    store = Store.in_memory()
    added(store, tape.events)
    at_once = tables(store)
    reading_all = mock.patch.object(projections, "timeline_of_stored", side_effect=AssertionError)
    with steps_of(number), reading_all:
        rebuild(store)
    for table, rows in at_once.items():
        assert tables(store)[table] == rows, table
    store.close()


def test_a_file_whose_rows_were_renumbered_is_projected_as_a_whole() -> None:
    events = units(30)
    store = Store.in_memory()
    store.connection.execute(
        f"INSERT INTO projected_intervals ({', '.join(TABLES['projected_intervals'])}) "
        f"VALUES ('gone', 'p', 0, NULL, NULL, 0, 0, 'a', 'a', NULL, NULL, "
        f"'a', NULL, 0{', NULL' * 5}, 'a', 0, NULL)"
    )
    added(store, events[:-12])
    store.connection.execute("DELETE FROM projected_intervals WHERE session = 'gone'")
    store.connection.execute("VACUUM")
    added(store, events[-12:])
    assert_same_as_rebuilt(store)
    store.close()


def test_a_process_whose_clock_becomes_known_late_moves_the_times_of_all() -> None:
    tape = Tape()
    tape.join(100, pid=1, host="one", boot_id="b")
    tape.span(0, 100, 105, stage="work", source="engine")
    tape.span(1, 101, 103, stage="work", source="engine", process="q", seq=1)
    first = [*tape.events]
    tape.process = "q"
    tape.join(100, seq=0, pid=2, host="one", boot_id="b")
    store, _ = projected_in_parts([first, tape.events[-1:]], each=True)
    store.close()


def test_sessions_of_which_nothing_is_kept_are_projected_all_the_same() -> None:
    events = units(30)
    store = Store.in_memory()
    added(store, events[:-12])
    for table in ("sessions", "processes", "cuts", "moments"):
        store.connection.execute(f"DELETE FROM checkpoint_{table}")
    added(store, events[-12:])
    assert_same_as_rebuilt(store)
    store.close()


@pytest.mark.parametrize("others", [0, 2], ids=["among the first", "among others"])
def test_an_event_from_before_its_process_joined_begins_the_window(others: int) -> None:
    tape = Tape()
    tape.join(1, pid=1, host="one", boot_id="b")
    for number in range(others):
        tape.span(number + 2, 2, 3, stage="work", source="engine")
    tape.span(1, 0, 3, stage="work", source="engine")
    with steps_of(2):
        store, _ = projected_in_parts([tape.events], each=True)
    assert store.select("SELECT start_ns FROM startup_windows") == [(0,)]
    store.close()
