"""Projecting a session bit by bit, and what a rebuild makes of it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from unittest import mock

from ledger import Event
from ledger.events.rows import to_row
from ledger.storage import (
    extending,
    extending_process,
    extending_startup,
    projecting_parts,
    projections,
)
from ledger.storage.interval_stream import stored_intervals
from ledger.storage.projections import bring_up_to_date, differences, rebuild, reduced_timeline
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store


@contextmanager
def keeping_all() -> Generator[None]:
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
