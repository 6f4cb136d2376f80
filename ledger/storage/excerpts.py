"""Reads a session's projections without the intervals that no list of a report can show.

A session of torch's has a hundred thousand intervals, and a terminal shows some ten of them: reading them all
takes ten times as long as everything else that `report` prints.
"""

from typing import cast

from ledger.storage.projections import is_current, projected_rows, reduced_timeline
from ledger.storage.record_rows import TABLES, Details, EventKey, Row, timeline_of
from ledger.storage.store import Store
from ledger.timeline.timeline import Timeline


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


def _excerpt(store: Store, session: str, unattributed: int) -> Timeline:
    intervals: list[Row] = store.select(
        f"""
        SELECT {", ".join(TABLES["projected_intervals"])} FROM projected_intervals
        WHERE rowid IN (
            SELECT rowid FROM projected_intervals WHERE session = ?1 AND outcome <> 'completed'
            UNION
            SELECT rowid FROM (
                SELECT rowid FROM projected_intervals WHERE session = ?1 AND unattributed_ns > 0
                ORDER BY unattributed_ns DESC, rowid LIMIT ?2
            )
        )
        ORDER BY rowid
        """,
        [session, unattributed],
    )

    def rows(table: str) -> list[Row]:
        return intervals if table == "projected_intervals" else projected_rows(store, session, table)

    return timeline_of(rows, _details(store, intervals))


def _details(store: Store, intervals: list[Row]) -> dict[EventKey, Details]:
    """Return what the starts and stops of some intervals say beyond the columns of their rows."""
    found: dict[EventKey, Details] = {}
    for row in intervals:
        session, process, *_, start_seq, stop_seq = row
        events = store.select(
            """
            SELECT seq, error, data FROM events
            WHERE session = ? AND process = ? AND seq IN (?, ?)
            """,
            [session, process, start_seq, stop_seq],
        )
        for seq, error, data in cast("list[Row]", events):
            found[process, seq] = (error, data)
    return found
