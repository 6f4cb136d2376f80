"""Sessions copied with what is derived from them: as if it had been derived where they came to."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ledger import Event
from ledger.errors import LedgerError
from ledger.events.rows import to_row
from ledger.storage import (
    checkpoint_rows,
    extending,
    insert_guard,
    merging_events,
    projections,
    session_copies,
)
from ledger.storage.interval_stream import stored_intervals
from ledger.storage.merging import merge
from ledger.storage.projections import bring_up_to_date, differences, reduced_timeline, stale_sessions
from ledger.storage.store import SCHEMA_VERSION, Store
from ledger.storage.verification import verify
from tests.benchmarks.fleet_of_sessions import write_fleet
from tests.storage.test_extending import units
from tests.support.extended import keeping_all
from tests.support.golden_ledgers import golden_events, unpacked
from tests.support.growing_sessions import growing_sessions
from tests.support.random_sessions import sessions


@pytest.fixture(autouse=True)
def _in_small_steps() -> Iterator[None]:
    """Cuts are kept of the smallest session, and few events make a step."""
    with (
        keeping_all(),
        mock.patch.object(session_copies, "_EVENTS_A_STEP", 20),
        mock.patch.object(session_copies, "_LARGEST", 60),
        mock.patch.object(merging_events, "_IDS_A_STEP", 15),
        mock.patch.object(insert_guard, "_FEW", 5),
    ):
        yield


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    Store.open(path).close()
    return path


@contextmanager
def unsafe(path: Path) -> Iterator[Store]:
    """A ledger that need not survive a power cut, which takes a test long."""
    with closing(Store.open(path)) as store:
        store.connection.execute("PRAGMA synchronous = off")
        yield store


def append(store: Store, events: Sequence[Event]) -> None:
    with store.transaction():
        assert store.append([to_row(one) for one in events]).conflicting == []


def assert_what_is_current_is_right(store: Store) -> None:
    stale = stale_sessions(store)
    for (session,) in store.select("SELECT DISTINCT session FROM events"):
        if session not in stale:
            timeline = reduced_timeline(store, str(session))
            assert differences(store, str(session), timeline) == []
            assert tuple(stored_intervals(store, str(session))) == timeline.intervals
            [(known, last_id)] = store.select(
                "SELECT event_count, last_event_id FROM projected_sessions WHERE session = ?", [session]
            )
            [found] = store.select("SELECT count(*), max(id) FROM events WHERE session = ?", [session])
            assert (known, last_id) == found


class Part(NamedTuple):
    """Some events of a session, and what is done with them."""

    events: list[Event]
    sources: set[int]
    """The ledgers that they come into; none for those that come into the merged one, at the end."""
    is_projected: bool


@st.composite
def parts(draw: st.DrawFn, number: int) -> list[Part]:
    """The parts of some sessions, those of one mixed with those of others."""
    found: list[list[Part]] = []
    for name in draw(st.sampled_from(["a", "ab", "abc"])):
        of_session = draw(st.one_of(growing_sessions(), sessions().map(lambda one: [one])))
        is_of_one = draw(st.booleans())
        only = {draw(st.integers(0, number - 1))}
        found.append(
            [
                Part(
                    [one.model_copy(update={"session": name}) for one in events],
                    only if is_of_one else draw(st.sets(st.integers(0, number - 1))),
                    draw(st.booleans()),
                )
                for events in of_session
            ]
        )
    if draw(st.booleans()):  # one session after the other, as most come in
        return [part for of_session in found for part in of_session]
    mixed: list[Part] = []
    while any(found):
        mixed.append(draw(st.sampled_from([one for one in found if one])).pop(0))
    return mixed


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_copied_is_what_a_rebuild_gives(
    empty: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("merged")
    number = data.draw(st.integers(1, 3))
    all_parts = data.draw(parts(number))
    paths = [Path(shutil.copy(empty, folder / f"{place}.db")) for place in range(number)]
    for place, path in enumerate(paths):
        with unsafe(path) as source:
            for part in all_parts:
                if place in part.sources:
                    append(source, part.events)
                    if part.is_projected:
                        bring_up_to_date(source)
    with unsafe(Path(shutil.copy(empty, folder / "all.db"))) as store:
        copied = 0
        for path in data.draw(st.lists(st.sampled_from(paths), max_size=2)) + paths:
            with mock.patch.object(session_copies, "moved_state", wraps=checkpoint_rows.moved_state) as moved:
                [(before,)] = store.select("SELECT count(*) FROM events")
                found = merge(store, path)
                [(after,)] = store.select("SELECT count(*) FROM events")
                assert (found.conflicting, before, found.events) == (
                    (),
                    int(str(after)) - found.events,
                    found.events,
                )
            copied += moved.call_count
            assert_what_is_current_is_right(store)
            if data.draw(st.booleans()):
                bring_up_to_date(store)
        event(f"checkpoints were copied {min(copied, 3)} times")
        bring_up_to_date(store)
        assert_what_is_current_is_right(store)
        for part in all_parts:
            if not part.sources:
                append(store, part.events)
                with mock.patch.object(
                    projections, "keep_checkpoints", wraps=extending.keep_checkpoints
                ) as kept:
                    bring_up_to_date(store)
                event(f"went on from copied checkpoints: {not kept.called}")
                assert_what_is_current_is_right(store)
        keys = store.select("SELECT session, process, seq FROM events")
        assert sorted(keys) == sorted(
            (one.session, one.process, one.seq) for part in all_parts for one in part.events
        )
    assert [
        finding for finding in verify(folder / "all.db") if finding.what.endswith(("trigger", "projection"))
    ] == []


def test_a_copied_session_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    """Rows of all of them stand elsewhere than in their ledgers, where they were mixed too."""
    names = ("a", "b", "c")
    of_names = {name: [one.model_copy(update={"session": name}) for one in units(12)] for name in names}
    for path, some in ((tmp_path / "one.db", names[:1]), (tmp_path / "other.db", names[1:])):
        with unsafe(path) as source:
            for first, last in ((0, 40), (40, 60)):
                for name in some:
                    append(source, of_names[name][first:last])
                    bring_up_to_date(source)
    with unsafe(tmp_path / "all.db") as store:
        for name in ("other.db", "one.db"):
            merge(store, tmp_path / name)
        assert stale_sessions(store) == []
        kept = store.select(
            """
            SELECT c.session, i.session, i.process, i.start_seq = json_extract(c.state, '$[1]')
            FROM checkpoint_cuts c LEFT JOIN projected_intervals i ON i.rowid = c.first_row
            """
        )
        assert len(kept) > len(names)
        assert all(row == (row[0], row[0], "p", 1) for row in kept)
        unstopped = store.select(
            """
            SELECT c.session, i.session, i.interval = json_extract(u.value, '$[0]')
            FROM checkpoint_processes c
            JOIN json_each(c.state, '$[0][2]') u
            LEFT JOIN projected_intervals i ON i.rowid = json_extract(u.value, '$[4]')
            """
        )
        assert set(unstopped) == {(name, name, 1) for name in names}
        for name in names:
            append(store, of_names[name][60:])
            with mock.patch.object(
                projections, "keep_checkpoints", wraps=extending.keep_checkpoints
            ) as whole:
                bring_up_to_date(store)
            assert not whole.called
            assert_what_is_current_is_right(store)


@pytest.mark.parametrize("schema", range(1, SCHEMA_VERSION))
def test_what_an_older_version_derived_is_derived_again(schema: int, tmp_path: Path) -> None:
    source = unpacked(schema, tmp_path / "old.db")
    before = source.read_bytes()
    with unsafe(tmp_path / "all.db") as store:
        found = merge(store, source)
        assert (found.events, found.rejected) == (len(golden_events()), 1)
        assert stale_sessions(store) == ["killed", "nightly"]
        bring_up_to_date(store)
        assert_what_is_current_is_right(store)
    assert source.read_bytes() == before


def test_what_is_copied_later_hides_nothing_that_is_not_derived_yet(tmp_path: Path) -> None:
    with unsafe(tmp_path / "stale.db") as source:
        append(source, golden_events())
    with unsafe(tmp_path / "current.db") as source:
        append(source, [one.model_copy(update={"session": "other"}) for one in golden_events()[:29]])
        bring_up_to_date(source)
    with unsafe(tmp_path / "all.db") as store:
        merge(store, tmp_path / "stale.db")
        merge(store, tmp_path / "current.db")
        assert stale_sessions(store) == ["killed", "nightly"]
        [(left,)] = store.select("SELECT events_not_projected FROM ledger_info")
        assert left == len(golden_events())


def test_the_copies_of_a_fleet_are_what_a_rebuild_gives(tmp_path: Path) -> None:
    write_fleet(tmp_path, sessions=2, hosts=1, starts=1)
    assert [finding for finding in verify(tmp_path / "host-00.db") if finding.is_fault] == []


def test_the_guard_of_inserts_is_back_after_an_error(tmp_path: Path) -> None:
    with unsafe(tmp_path / "startup.db") as store:
        append(store, golden_events())
        with (
            pytest.raises(ZeroDivisionError),
            store.transaction(),
            insert_guard.without_insert_guard(store, 9),
        ):
            raise ZeroDivisionError
        with pytest.raises(LedgerError, match="this one is there already"), store.transaction():
            store.connection.execute("INSERT OR REPLACE INTO events SELECT * FROM events LIMIT 1")
    assert [finding for finding in verify(tmp_path / "startup.db") if finding.is_fault] == []
