"""Reads parts of a session's projections: single tables, or all without most of the intervals.

A session of torch's has a hundred thousand intervals, and a terminal shows some ten of them: reading them all
takes ten times as long as everything else that `report` prints.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, cast

from ledger.storage.projections import is_current, projected_rows, reduced_timeline
from ledger.storage.record_rows import TABLES, Details, EventKey, Row, timeline_of
from ledger.storage.store import Store
from ledger.timeline.breakdown import StagePath, stage_paths
from ledger.timeline.timeline import Timeline

_CHOSEN: Final = """
    SELECT rowid FROM projected_intervals WHERE session = ?1 AND outcome <> 'completed'
    UNION
    SELECT rowid FROM (
        SELECT rowid FROM projected_intervals WHERE session = ?1 AND unattributed_ns > 0
        ORDER BY unattributed_ns DESC, process, rowid LIMIT ?2
    )
"""
"""The rows of a session's intervals that are in its excerpt."""
_FIRST_LOOK: Final = (
    "sessions", "processes", "claims", "reconciliation", "anomalies", "gaps", "startup_windows",
)  # fmt: skip
"""The tables of which a first look at a start needs all."""
FEW_OF_A_CAUSE: Final = 50
_INTERVALS_OF_CAUSES_LENGTH: Final = 4_000_000
"""So many characters of JSON name some 80,000 intervals."""
_CAUSES_OF_FEW: Final = f"""
    SELECT {", ".join(TABLES["causes"][:-1])}, (
        SELECT json_group_array(json(value))
        FROM (SELECT value FROM json_each(intervals) ORDER BY key LIMIT ?2)
    )
    FROM causes WHERE session = ?1 ORDER BY rowid
"""
_PATHS: Final = """
    SELECT process, path, sum(duration_ns) FROM startup_breakdown
    WHERE session = ? AND window = 0 AND path IS NOT NULL
    GROUP BY process, path ORDER BY min(piece)
"""
_NO_DETAILS: Final[dict[EventKey, Details]] = {}


class StartExcerpt(NamedTuple):
    """What a first look at a start needs of a session."""

    timeline: Timeline
    """Without totals, causes, compiles and pieces; of the intervals only those that did not complete."""
    paths: Sequence[StagePath]
    """In the order in which they come first."""


def start_excerpt(store: Store, session: str) -> StartExcerpt:
    """Return what a first look at a start needs of a session. It may be the whole timeline."""
    with store.snapshot():
        if not is_current(store, session):
            timeline = reduced_timeline(store, session)
            return StartExcerpt(timeline, stage_paths(timeline.startup_breakdown))
        timeline = _excerpt(store, session, 0, _FIRST_LOOK)
        rows = cast("list[tuple[str | None, str, int]]", store.select(_PATHS, [session]))
        return StartExcerpt(timeline, list(map(StagePath._make, rows)))


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
        return _excerpt(store, session, unattributed, TABLES)


def timeline_tables(store: Store, session: str, *tables: str) -> Timeline:
    """Return a session as it is projected, of the tables only those that are named; the others are empty.

    Where its causes show in so many intervals that they would fill the memory, each names only the first
    FEW_OF_A_CAUSE. Where the projections are not current, it is the whole session.
    """
    with store.snapshot():
        if not is_current(store, session):
            return reduced_timeline(store, session)

        def rows(table: str) -> list[Row]:
            if table not in tables:
                return []
            return _causes(store, session) if table == "causes" else projected_rows(store, session, table)

        return timeline_of(rows, _NO_DETAILS)


def _causes(store: Store, session: str) -> list[Row]:
    [(length,)] = cast(
        "list[tuple[int]]",
        store.select("SELECT total(length(intervals)) FROM causes WHERE session = ?", [session]),
    )
    if length <= _INTERVALS_OF_CAUSES_LENGTH:
        return projected_rows(store, session, "causes")
    return store.select(_CAUSES_OF_FEW, [session, FEW_OF_A_CAUSE])


def _excerpt(store: Store, session: str, unattributed: int, tables: Collection[str]) -> Timeline:
    chosen = [session, unattributed]
    columns = ", ".join(TABLES["projected_intervals"])
    intervals: list[Row] = store.select(
        f"SELECT {columns} FROM projected_intervals WHERE rowid IN ({_CHOSEN}) ORDER BY process, rowid",
        chosen,
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
        if table == "projected_intervals":
            return intervals
        return projected_rows(store, session, table) if table in tables else []

    return timeline_of(rows, details)
