"""What is projected bit by bit, as events come in, is what a rebuild gives, wherever they were cut apart."""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ledger import Event
from ledger.events.models import MilestoneReached, TotalClaimed
from ledger.events.rows import to_row
from ledger.storage import (
    completing,
    extending,
    extending_process,
    extending_startup,
    projecting_parts,
    projections,
    steps,
)
from ledger.storage.interval_stream import stored_intervals
from ledger.storage.projections import bring_up_to_date, differences, rebuild, reduced_timeline
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store
from tests.support.growing_sessions import growing_sessions, growing_starts
from tests.support.random_sessions import SECOND, Tape, sessions


@pytest.fixture(autouse=True)
def _keeping_all() -> Iterator[None]:
    """Cuts are kept of the smallest session, wherever one can be."""
    with (
        mock.patch.object(extending, "_WORTH", 0),
        mock.patch.object(extending_process, "SPACING", 1),
        mock.patch.object(extending_startup, "SPACING", 1),
        mock.patch.object(projections, "SPACING", 1),
        mock.patch.object(projecting_parts, "SPACING", 1),
    ):
        yield


def tables(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All derived rows of a ledger, each table's in the order in which a timeline has them."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for table, columns in TABLES.items():
        order = "session, process, rowid" if table == "projected_intervals" else "session, rowid"
        found[table] = store.select(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}")
    found["projected_sessions"] = store.select("SELECT * FROM projected_sessions")
    return found


def assert_same_as_rebuilt(store: Store) -> None:
    extended = tables(store)
    for (session,) in store.select("SELECT session FROM projected_sessions"):
        timeline = reduced_timeline(store, str(session))
        assert differences(store, str(session), timeline) == []
        assert tuple(stored_intervals(store, str(session))) == timeline.intervals
    rebuilt = rebuilt_tables(store)
    for table, rows in rebuilt.items():
        assert extended[table] == rows, table


def rebuilt_tables(store: Store) -> dict[str, list[tuple[object, ...]]]:
    copy = store.copied_to_memory()
    rebuild(copy)
    found = tables(copy)
    copy.close()
    return found


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


def projected_in_parts(parts: Sequence[Sequence[Event]], *, each: bool) -> tuple[Store, int]:
    """A ledger in memory that got events part by part, and how often it was extended."""
    store = Store.in_memory()
    extended = 0
    for part in parts:
        with store.transaction():
            store.append([to_row(event) for event in part])
        with mock.patch.object(projections, "keep_checkpoints", wraps=extending.keep_checkpoints) as kept:
            bring_up_to_date(store)
        extended += not kept.called
        if each:
            assert_same_as_rebuilt(store)
    return store, extended


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


@settings(
    max_examples=int(os.environ.get("GROWING_SESSIONS", "250")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
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


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(growing_starts())
def test_a_start_with_claims_is_projected_part_by_part_as_at_once(parts: list[list[Event]]) -> None:
    with counting_kept() as kept:
        store, extended = projected_in_parts(parts, each=True)
    event(f"extended {min(extended, 3)} times")
    has_claims = store.select("SELECT count(*) FROM claims")[0][0]
    has_findings = store.select("SELECT count(*) FROM projected_findings")[0][0]
    event(f"kept {min(kept.call_count, 3)} times: claims {bool(has_claims)}, findings {bool(has_findings)}")
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


def test_a_total_grows_with_what_is_measured_for_it() -> None:
    tape = Tape(events=claimed_start(0))
    tape.process = "p"
    tape.add(TotalClaimed, 5 * SECOND, claim=500, counts="total", source="engine", stage="model_load",
             claimed_ns=SECOND)  # fmt: skip
    tape.events += claimed_start(40)[len(claimed_start(0)) :]
    tape.events = renumbered(tape.events)
    first = len(tape.events)
    tape.span(1_000, 7 * SECOND, 8 * SECOND, process="p", **LOAD)
    reconciled_anew(tape, first)


def test_a_maximum_grows_with_what_is_measured_in_another_process() -> None:
    tape = Tape(events=claimed_start(0))
    tape.add(TotalClaimed, 5 * SECOND, process="q", claim=500, counts="ranks", source="engine",
             stage="model_load", claimed_ns=SECOND)  # fmt: skip
    tape.events += claimed_start(40)[len(claimed_start(0)) :]
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
    tape = Tape(events=claimed_start(0))
    tape.add(TotalClaimed, 5 * SECOND, process="p", claim=500, counts="interval", source="engine",
             stage="serve", interval=1_000, claimed_ns=SECOND)  # fmt: skip
    tape.events += claimed_start(40)[len(claimed_start(0)) :]
    tape.events = renumbered(tape.events)
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
