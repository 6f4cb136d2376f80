"""Reads a session's projections without the intervals that no list of a report can show.

A session of torch's has a hundred thousand intervals, and a terminal shows some ten of them: reading them all
takes ten times as long as everything else that `report` prints.
"""

from typing import Any, Final, cast

from ledger.storage.store import Store
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
from ledger.timeline.timeline import Timeline

_RECORDS: Final[dict[str, type[tuple[Any, ...]]]] = {
    "processes": Process,
    "role_totals": RoleTotal,
    "source_totals": SourceTotal,
    "session_totals": SessionTotal,
    "claims": Claim,
    "anomalies": Anomaly,
    "milestones": Milestone,
    "gaps": Gap,
    "reconciliation": Reconciliation,
    "causes": Cause,
}


def timeline_excerpt(store: Store, session: str, unattributed: int) -> Timeline:
    """Return a session as it is projected, of the intervals only those that somebody may ask for by name.

    These are all that did not complete, and those with the most unattributed time: at least `unattributed` of
    them where there are so many. Everything else is complete.
    """
    intervals = store.select(
        f"""
        SELECT {", ".join(Interval._fields)} FROM projected_intervals
        WHERE session = ?1
          AND (
              outcome <> 'completed'
              OR unattributed_ns >= coalesce(
                  (
                      SELECT unattributed_ns FROM projected_intervals
                      WHERE session = ?1 AND unattributed_ns > 0
                      ORDER BY unattributed_ns DESC LIMIT 1 OFFSET ?2 - 1
                  ),
                  1
              )
          )
        ORDER BY rowid
        """,
        [session, unattributed],
    )
    sessions = _read(store, "sessions", Session, session)
    return Timeline(
        session=sessions[0] if sessions else None,
        intervals=tuple(
            one._replace(is_top_level=bool(one.is_top_level)) for one in map(Interval._make, intervals)
        ),
        **{table: _read(store, table, record, session) for table, record in _RECORDS.items()},
    )


def _read(store: Store, table: str, record: type[Any], session: str) -> tuple[Any, ...]:
    columns = ", ".join(cast("tuple[str, ...]", record._fields))
    rows = store.select(f"SELECT {columns} FROM {table} WHERE session = ? ORDER BY rowid", [session])
    return tuple(map(record._make, rows))
