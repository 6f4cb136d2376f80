"""Reads parts of a session's projections: single tables, or all without most of the intervals.

A session of torch's has a hundred thousand intervals, and a terminal shows some ten of them: reading them all
takes ten times as long as everything else that `report` prints.
"""

from typing import Final, cast

from ledger.storage.projections import is_current, projected_rows, reduced_timeline
from ledger.storage.record_rows import TABLES, Details, EventKey, Row, timeline_of
from ledger.storage.store import Store
from ledger.timeline.timeline import Timeline

_CHOSEN: Final = """
    SELECT rowid FROM projected_intervals WHERE session = ?1 AND outcome <> 'completed'
    UNION
    SELECT rowid FROM (
        SELECT rowid FROM projected_intervals WHERE session = ?1 AND unattributed_ns > 0
        ORDER BY unattributed_ns DESC, rowid LIMIT ?2
    )
"""
"""The rows of a session's intervals that are in its excerpt."""
_NO_DETAILS: Final[dict[EventKey, Details]] = {}


def timeline_excerpt(store: Store, session: str, unattributed: int) -> Timeline:
    """Return a session as it is projected, of the intervals only those that somebody may ask for by name.

    These are all that did not complete, and those with the most unattributed time: `unattributed` of them,
    the earlier ones of equals. Everything else is complete. Where the projections are not current, it is the
    whole session.
    """
    # What another process projects meanwhile must not come between two tables.
    with store.snapshot():
        if not is_current(store, session):
            return reduced_timeline(store, session)
        return _excerpt(store, session, unattributed)


def timeline_tables(store: Store, session: str, *tables: str) -> Timeline:
    """Return a session as it is projected, of the tables only those that are named; the others are empty.

    Where the projections are not current, it is the whole session.
    """
    with store.snapshot():
        if not is_current(store, session):
            return reduced_timeline(store, session)
        return timeline_of(
            lambda table: projected_rows(store, session, table) if table in tables else [], _NO_DETAILS
        )


def _excerpt(store: Store, session: str, unattributed: int) -> Timeline:
    chosen = [session, unattributed]
    columns = ", ".join(TABLES["projected_intervals"])
    intervals: list[Row] = store.select(
        f"SELECT {columns} FROM projected_intervals WHERE rowid IN ({_CHOSEN}) ORDER BY rowid", chosen
    )
    # CROSS JOIN keeps SQLite to this order: each interval's two events by the unique key.
    events = store.select(
        f"""
        SELECT e.process, e.seq, e.error, e.data
        FROM projected_intervals i
        CROSS JOIN events e
            ON e.session = i.session AND e.process = i.process AND e.seq IN (i.start_seq, i.stop_seq)
        WHERE i.rowid IN ({_CHOSEN})
        """,
        chosen,
    )
    details: dict[EventKey, Details] = {
        (process, seq): (error, data) for process, seq, error, data in cast("list[Row]", events)
    }

    def rows(table: str) -> list[Row]:
        return intervals if table == "projected_intervals" else projected_rows(store, session, table)

    return timeline_of(rows, details)
