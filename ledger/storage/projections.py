"""Keeps the tables that are derived from events. They can be deleted and rebuilt at any time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import zip_longest
from typing import Final

from ledger.events.rows import from_row
from ledger.gc_pause import gc_paused
from ledger.storage.checkpoint_rows import forget
from ledger.storage.details import details_of
from ledger.storage.edited_rows import faults_of_edited_rows
from ledger.storage.extending import NO_STAGE, is_extended, keep_checkpoints
from ledger.storage.extending_process import SPACING, next_interval_row
from ledger.storage.projecting_parts import is_projected_in_parts
from ledger.storage.record_rows import TABLES, Row, rows_of, timeline_of
from ledger.storage.store import Store
from ledger.timeline.checkpoints import Checkpoints
from ledger.timeline.reducer import REDUCER_VERSION, SessionEvents
from ledger.timeline.stage_events import StageEvents, Starts, Stops
from ledger.timeline.timeline import Timeline, timeline_of_stored


def reduced_timeline(store: Store, session: str) -> Timeline:
    """Reduce a session's events, read from the ledger as bare tuples.

    Raises LedgerError where the ledger can't be read.
    """
    return _reduced(store, session)


def _reduced(store: Store, session: str, checkpoints: Checkpoints | None = None) -> Timeline:
    with faults_of_edited_rows(store):
        others = [from_row(row) for row in store.rows(session, NO_STAGE)]
        return timeline_of_stored(session, SessionEvents(_StoredStages(store, session), others), checkpoints)


class _StoredStages(Mapping[str, StageEvents]):
    """Reads the starts and stops of a process when they are asked for, by the index of the unique key."""

    def __init__(self, store: Store, session: str) -> None:
        self._store: Final = store
        self._session: Final = session
        self._processes: Final = store.processes(session)

    def __getitem__(self, process: str) -> StageEvents:
        starts = self._store.columns(self._session, process, "stage_started", Starts._fields)
        stops = self._store.columns(self._session, process, "stage_stopped", Stops._fields)
        return StageEvents(Starts._make(starts), Stops._make(stops))

    def __iter__(self) -> Iterator[str]:
        return iter(self._processes)

    def __len__(self) -> int:
        return len(self._processes)


def current_timeline(store: Store, session: str) -> Timeline:
    """Return a session's timeline: out of its projections where they are current, else out of its events.

    Both ways give the same. Raises LedgerError where the ledger can't be read.
    """
    with gc_paused(), store.snapshot():
        if not is_current(store, session):
            return reduced_timeline(store, session)
        return timeline_of(partial(projected_rows, store, session), details_of(store, session))


def is_current(store: Store, session: str) -> bool:
    """Tell whether this reducer made a session's projections, out of all of its events.

    They are brought up to date all together: what is newer than the newest projected event is projected of
    no session, and all before it are.
    """
    rows = store.select(
        """
        SELECT 1 FROM projected_sessions
        WHERE session = ?1 AND reducer_version = ?2 AND NOT EXISTS (
            SELECT 1 FROM events
            WHERE id > (SELECT max(last_event_id) FROM projected_sessions) AND session = ?1
        )
        """,
        [session, REDUCER_VERSION],
    )
    return bool(rows)


def projected_rows(store: Store, session: str, table: str) -> list[Row]:
    """Return a session's rows of a table, in the timeline's order: that of their insertion, by process."""
    return store.select(_in_order(table), [session])


def _in_order(table: str) -> str:
    order = "process, rowid" if table == "projected_intervals" else "rowid"
    return f"SELECT {', '.join(TABLES[table])} FROM {table} WHERE session = ? ORDER BY {order}"


def stale_sessions(store: Store) -> list[str]:
    """Return the sessions whose projections lack events, or were made by another version of the reducer."""
    rows = store.select(
        """
        SELECT DISTINCT +session FROM events -- the plus keeps SQLite off an index of all events
        WHERE id > (SELECT coalesce(max(last_event_id), 0) FROM projected_sessions)
        UNION
        SELECT session FROM projected_sessions WHERE reducer_version <> ?
        ORDER BY 1
        """,
        [REDUCER_VERSION],
    )
    return [str(session) for (session,) in rows]


def bring_up_to_date(store: Store, progress: Callable[[str], None] | None = None) -> list[str]:
    """Project every stale session and return them; `progress` is called with each before it begins.

    All of them in one transaction: that the newest event is projected means that all before it are.
    """
    if not stale_sessions(store):
        return []
    with gc_paused(), store.transaction():
        stale = stale_sessions(store)
        for session in stale:
            if progress:
                progress(session)
            _project(store, session)
        store.connection.execute("UPDATE versions SET reducer_version = ?", [REDUCER_VERSION])
    return stale


def rebuild(store: Store, progress: Callable[[str], None] | None = None) -> list[str]:
    """Throw every projection away, derive them anew, and return the sessions."""
    with store.transaction():
        for table in TABLES:
            store.connection.execute(f"DELETE FROM {table}")
        store.connection.execute("DELETE FROM projected_sessions")
        forget(store)
    return bring_up_to_date(store, progress)


def _project(store: Store, session: str) -> None:
    if is_extended(store, session) or is_projected_in_parts(store, session):
        return
    checkpoints = Checkpoints(SPACING)
    timeline = _reduced(store, session, checkpoints)
    forget(store, session)
    next_row = 0
    for table, columns in TABLES.items():
        store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])
        if table == "projected_intervals":
            next_row = next_interval_row(store)
        store.insert(table, ", ".join(columns), rows_of(timeline, table))
    store.connection.execute(
        """
        INSERT OR REPLACE INTO projected_sessions (session, last_event_id, event_count, reducer_version)
        SELECT session, max(id), count(*), ? FROM events WHERE session = ? GROUP BY session
        """,
        [REDUCER_VERSION, session],
    )
    keep_checkpoints(store, session, checkpoints, timeline, next_row)


def differences(store: Store, session: str, timeline: Timeline) -> list[str]:
    """Return the projections of a session that are not what its events give, which is `timeline`.

    The rows are compared one by one, in a timeline's order.
    """
    with store.snapshot():
        return [table for table in TABLES if not _has_rows(store, session, table, rows_of(timeline, table))]


def _has_rows(store: Store, session: str, table: str, expected: Iterable[Row]) -> bool:
    stored = store.connection.execute(_in_order(table), [session])
    # A row in the ledger has 1 for True, which Python takes for equal.
    return all(one == other for one, other in zip_longest(stored, expected))
