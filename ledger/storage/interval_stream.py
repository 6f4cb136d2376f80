"""Reads a session's intervals, and the pieces of its start, one by one: for those who hold few at a time."""

import json
from collections.abc import Collection, Iterator
from typing import Any, Final

from ledger.storage.projections import is_current, reduced_timeline
from ledger.storage.record_rows import TABLES
from ledger.storage.row_spool import spooled_rows
from ledger.storage.store import Store
from ledger.timeline.records import Interval, IntervalKey, StartupPiece
from ledger.timeline.stage_data import merged

_COLUMNS: Final = TABLES["projected_intervals"]
_IS_TOP_LEVEL: Final = _COLUMNS.index("is_top_level")
_SELECTED: Final = ", ".join(f"i.{column}" for column in _COLUMNS)
_BARE: Final = f"SELECT {_SELECTED}, NULL, NULL, NULL FROM projected_intervals i WHERE i.session = ?1"
_WITH_DATA: Final = f"""
    SELECT {_SELECTED}, b.error, a.data, b.data
    FROM projected_intervals i
    LEFT JOIN events a ON a.session = i.session AND a.process = i.process AND a.seq = i.start_seq
    LEFT JOIN events b ON b.session = i.session AND b.process = i.process AND b.seq = i.stop_seq
    WHERE i.session = ?1
"""
"""An interval with what its two events say beyond the table's columns."""
_OF_KEYS: Final = """
    AND (i.process, i.interval) IN (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2)
    )
"""


def stored_intervals(store: Store, session: str, *, has_data: bool = True) -> Iterator[Interval]:
    """Read a session's intervals, and return them to be taken one by one in the timeline's order.

    That is process by process, and in each by start. Without `has_data` they lack `error` and `data`, and
    come in half the time. Raises LedgerError where the ledger can't be read.
    """
    with store.snapshot():
        if not is_current(store, session):
            return iter(reduced_timeline(store, session).intervals)
        query = _WITH_DATA if has_data else _BARE
        return map(_interval, spooled_rows(store, f"{query} ORDER BY i.process, i.rowid", [session]))


def intervals_of_keys(store: Store, session: str, keys: Collection[IntervalKey]) -> list[Interval]:
    """Return those of some intervals that were recorded, in the timeline's order.

    Raises LedgerError where the ledger can't be read.
    """
    if not keys:
        return []
    with store.snapshot():
        if not is_current(store, session):
            intervals = reduced_timeline(store, session).intervals
            return [one for one in intervals if IntervalKey(one.process, one.interval) in keys]
        rows = store.select(
            f"{_WITH_DATA} {_OF_KEYS} ORDER BY i.process, i.rowid", [session, json.dumps(list(keys))]
        )
        return [_interval(row) for row in rows]


def stored_pieces(store: Store, session: str) -> Iterator[StartupPiece]:
    """Read the pieces of a session's start, and return them to be taken one by one in their order.

    Raises LedgerError where the ledger can't be read.
    """
    with store.snapshot():
        if not is_current(store, session):
            return iter(reduced_timeline(store, session).startup_breakdown)
        columns = ", ".join(TABLES["startup_breakdown"])
        query = f"SELECT {columns} FROM startup_breakdown WHERE session = ? ORDER BY rowid"
        return map(StartupPiece._make, spooled_rows(store, query, [session]))


def _interval(row: tuple[Any, ...]) -> Interval:
    *plain, error, started, stopped = row
    plain[_IS_TOP_LEVEL] = plain[_IS_TOP_LEVEL] == 1  # SQLite has 1 for True
    return Interval._make((*plain, error, merged(started, stopped)))
