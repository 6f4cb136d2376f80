"""What a ledger shows of itself in a notebook: its newest sessions."""

from typing import Final

from ledger.notebook_tables import html_table
from ledger.storage.store import Store
from ledger.vocabulary import ENGINE_READY, SERVER_READY

_SESSIONS_SHOWN: Final = 50


def html_of(title: str, store: Store) -> str:
    """Return the sessions of a ledger as HTML, the newest first."""
    rows = store.select(
        """
        SELECT
            s.session, s.label, s.outcome, s.started_at,
            (
                SELECT w.duration_ns / 1e9 FROM startup_windows w
                WHERE w.session = s.session AND w.ended_by IN (?, ?) ORDER BY w.window LIMIT 1
            )
        FROM sessions s JOIN projected_sessions p USING (session)
        ORDER BY s.started_at IS NULL, s.started_at DESC, p.last_event_id DESC LIMIT ?
        """,
        [SERVER_READY, ENGINE_READY, _SESSIONS_SHOWN + 1],
    )
    more = f"; the newest {_SESSIONS_SHOWN}" if len(rows) > _SESSIONS_SHOWN else ""
    header = ("session", "label", "outcome", "started at", "seconds until ready")
    return html_table(f"{title}{more}", header, rows[:_SESSIONS_SHOWN])
