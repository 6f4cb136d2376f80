"""Keeps the tables that are derived from events: they can be thrown away and come out the same again."""

from collections.abc import Callable, Sequence
from typing import Final

from ledger.events.rows import from_row
from ledger.gc_pause import gc_paused
from ledger.storage.store import Store
from ledger.timeline.intervals import Start, Stop
from ledger.timeline.records import (
    Anomaly,
    Cause,
    Claim,
    Gap,
    Interval,
    Milestone,
    Process,
    Reconciliation,
    RoleTotal,
    Session,
    SessionTotal,
    SourceTotal,
)
from ledger.timeline.reducer import REDUCER_VERSION, SessionEvents, StageEvents
from ledger.timeline.timeline import Timeline, timeline_of_stored

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "sessions": Session._fields,
    "processes": Process._fields,
    "projected_intervals": Interval._fields,
    "role_totals": RoleTotal._fields,
    "source_totals": SourceTotal._fields,
    "session_totals": SessionTotal._fields,
    "claims": Claim._fields,
    "reconciliation": Reconciliation._fields,
    "causes": Cause._fields,
    "anomalies": Anomaly._fields,
    "milestones": Milestone._fields,
    "gaps": Gap._fields,
}
"""Every table that `rebuild` throws away, with its columns, besides the note of what is projected."""


def _rows(timeline: Timeline, table: str) -> Sequence[tuple[object, ...]]:
    if table == "sessions":
        return (timeline.session,) if timeline.session else ()
    return getattr(timeline, "intervals" if table == "projected_intervals" else table)


def stored_timeline(store: Store, session: str) -> Timeline:
    """Reduce a session's events, read from the ledger as bare tuples.

    Raises LedgerError where the ledger can't be read.
    """
    stages: dict[str, StageEvents] = {}
    # One process after the other: the unique key is an index that gives each one's events in their order.
    for process in store.processes(session):
        stages[process] = StageEvents(
            list(map(Start._make, store.of_kind(session, process, "stage_started", Start._fields))),
            list(map(Stop._make, store.of_kind(session, process, "stage_stopped", Stop._fields))),
        )
    others = store.rows(session, "kind NOT IN ('stage_started', 'stage_stopped')")
    return timeline_of_stored(session, SessionEvents(stages, [from_row(row) for row in others]))


def stale_sessions(store: Store) -> list[str]:
    """Return the sessions with events that their projections do not know, or that another reducer made."""
    rows = store.select(
        """
        SELECT DISTINCT session FROM events
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
    return bring_up_to_date(store, progress)


def _project(store: Store, session: str) -> None:
    timeline = stored_timeline(store, session)
    for table, columns in TABLES.items():
        store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])
        store.insert(table, ", ".join(columns), _rows(timeline, table))
    store.connection.execute(
        """
        INSERT OR REPLACE INTO projected_sessions (session, last_event_id, event_count, reducer_version)
        SELECT session, max(id), count(*), ? FROM events WHERE session = ? GROUP BY session
        """,
        [REDUCER_VERSION, session],
    )


def differences(store: Store, session: str, timeline: Timeline) -> list[str]:
    """Return the projections of a session that are not what its events give, which is `timeline`."""
    return [
        table
        for table, columns in TABLES.items()
        if sorted(map(_comparable, _rows(timeline, table)))
        != sorted(
            map(
                _comparable,
                store.select(f"SELECT {', '.join(columns)} FROM {table} WHERE session = ?", [session]),
            )
        )
    ]


def _comparable(row: tuple[object, ...]) -> tuple[str, ...]:
    # A row in the ledger has 1 for True.
    return tuple(str(int(value) if isinstance(value, bool) else value) for value in row)
