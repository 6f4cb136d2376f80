"""Reads what a session's events say of its intervals beyond the columns of the projected ones."""

from typing import cast

from ledger.storage.record_rows import Details, EventKey, Row
from ledger.storage.store import Store


def details_of(store: Store, session: str) -> dict[EventKey, Details]:
    """Return what a session's starts and stops say beyond the columns of the projected intervals."""
    rows = store.select(
        """
        SELECT process, seq, error, data FROM events
        WHERE session = ? AND kind IN ('stage_started', 'stage_stopped')
            AND (error IS NOT NULL OR data IS NOT NULL)
        """,
        [session],
    )
    return {(process, seq): (error, data) for process, seq, error, data in cast("list[Row]", rows)}
