"""Reads what says when a session's processes existed, and how their clocks lie beside each other."""

from typing import Final

from ledger.events.rows import from_row
from ledger.storage.store import Store
from ledger.timeline.clocks import ClockAlignment
from ledger.timeline.process_events import SessionEvents, by_process
from ledger.timeline.process_lives import Lives, lives_of

_FIRST: Final = (
    "(process, at_ns) IN (SELECT process, min(at_ns) FROM events WHERE session = ?1 GROUP BY process)"
)
"""The first event of each process."""


def clock_alignment(store: Store, session: str) -> ClockAlignment:
    """Return how the clocks of a session's processes lie on one."""
    from ledger.timeline.replay import clock_alignment as aligned

    joined_or_lost = store.rows(session, "kind IN ('process_joined', 'process_lost')")
    return aligned([*joined_or_lost, *store.rows(session, _FIRST)])


def process_lives(store: Store, session: str) -> Lives:
    """Return when each process of a session existed, on one clock."""
    rows = store.rows(session, f"(kind IN ('process_joined', 'process_left', 'process_lost') OR {_FIRST})")
    return lives_of(by_process(SessionEvents({}, [from_row(row) for row in rows])))
