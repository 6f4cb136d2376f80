"""Adds the events of an attached ledger to a store, as sets: those that are new, there, and in conflict."""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from ledger.events.rows import EventRow
from ledger.storage.insert_guard import without_insert_guard
from ledger.storage.store import Store

_IDS_A_STEP: Final = 50_000
_COLUMNS: Final = EventRow._fields
_KEY: Final = ("session", "process", "seq")
_TABLE: Final = """
    CREATE TEMP TABLE IF NOT EXISTS merged_sessions (
        session TEXT PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,
        is_refused INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
"""
# One look into the index for each session, and not one for each event.
_SESSIONS: Final = """
    WITH RECURSIVE each (session) AS (
        SELECT min(session) FROM source.events
        UNION ALL
        SELECT (SELECT min(s.session) FROM source.events s WHERE s.session > each.session) FROM each
        WHERE each.session IS NOT NULL
    )
    SELECT session FROM each WHERE session IS NOT NULL
"""
_BOUNDS: Final = """
    INSERT INTO temp.merged_sessions (session, first_id, last_id)
    SELECT ?1, min(id), max(id) FROM source.events WHERE session = ?1
"""
MERGED_WHOLE: Final = "SELECT session FROM temp.merged_sessions WHERE NOT is_refused"
"""The sessions of which every event of the source is in the store."""
# The plus keeps SQLite off the index of sessions, which would have it read all of each in every step.
_IN_STEP: Final = "s.id > ? AND s.id <= ? AND +s.session IN (SELECT session FROM temp.merged_sessions)"
_SAME_KEY: Final = " AND ".join(f"e.{name} = s.{name}" for name in _KEY)
# The time on the wall is derived, and may be known to one of the two only.
_SAME_CONTENT: Final = " AND ".join(
    f"e.{name} IS s.{name}" for name in _COLUMNS if name not in (*_KEY, "wall_ns")
)
_COUNTED: Final = f"""
    SELECT
        count(*),
        coalesce(sum(e.id IS NULL), 0),
        coalesce(sum(e.id IS NOT NULL AND NOT ({_SAME_CONTENT})), 0)
    FROM source.events s LEFT JOIN main.events e ON {_SAME_KEY}
    WHERE {_IN_STEP}
"""
_CONFLICTING: Final = f"""
    SELECT {", ".join(f"s.{name}" for name in _COLUMNS)}
    FROM source.events s CROSS JOIN main.events e ON {_SAME_KEY}
    WHERE {_IN_STEP} AND NOT ({_SAME_CONTENT})
    ORDER BY s.id
"""
_COPY: Final = f"""
    INSERT INTO main.events ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM source.events s
    WHERE {_IN_STEP} AND NOT EXISTS (SELECT 1 FROM main.events e WHERE {_SAME_KEY})
    ORDER BY s.id
"""


class Merged(NamedTuple):
    """What a merge did."""

    events: int = 0
    """New ones."""
    duplicates: int = 0
    """Events that were there already, with the same content."""
    conflicting: tuple[EventRow, ...] = ()
    """Events under whose key there is another event: refused."""
    rejected: int = 0
    """New lines that are no event."""

    def plus(self, other: "Merged") -> "Merged":
        """Return the sum of two merges."""
        return Merged(
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.conflicting + other.conflicting,
            self.rejected + other.rejected,
        )


def merge_events(
    store: Store, but_of: Collection[str], progress: Callable[[int], None] | None = None
) -> Merged:
    """Add the events of all sessions of the attached ledger, but of some; a step is one transaction.

    `progress` is called with numbers of events that were looked at.
    """
    merged = Merged()
    for first_id in _steps(store, but_of):
        step = _merge_step(store, first_id, first_id + _IDS_A_STEP)
        merged = merged.plus(step)
        if progress:
            progress(step.events + step.duplicates + len(step.conflicting))
    refused = {(row.session,) for row in merged.conflicting}
    store.connection.executemany("UPDATE temp.merged_sessions SET is_refused = 1 WHERE session = ?", refused)
    return merged


def _steps(store: Store, but_of: Collection[str]) -> list[int]:
    """Take note of the sessions; return after which ids the steps begin that have any of their events."""
    run = store.connection.execute
    run(_TABLE)
    run("DELETE FROM temp.merged_sessions")
    sessions = [(session,) for (session,) in store.select(_SESSIONS) if session not in but_of]
    store.connection.executemany(_BOUNDS, sessions)
    steps: set[int] = set()
    for first_id, last_id in store.select("SELECT first_id, last_id FROM temp.merged_sessions"):
        steps.update(
            range((int(str(first_id)) - 1) // _IDS_A_STEP, (int(str(last_id)) - 1) // _IDS_A_STEP + 1)
        )
    return [step * _IDS_A_STEP for step in sorted(steps)]


def _merge_step(store: Store, after_id: int, last_id: int) -> Merged:
    with store.transaction():
        step = (after_id, last_id)
        [(number, new, in_conflict)] = store.connection.execute(_COUNTED, step).fetchall()
        conflicting = store.connection.execute(_CONFLICTING, step).fetchall() if in_conflict else []
        if new:
            with without_insert_guard(store, new):
                store.connection.execute(_COPY, step)
    return Merged(new, number - new - in_conflict, tuple(map(EventRow._make, conflicting)))
