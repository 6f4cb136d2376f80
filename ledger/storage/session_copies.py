"""Copies sessions from an attached ledger with all that is derived from them, where that is current there.

What is derived follows from a session's events alone. So a session that is whole in the one ledger, and not
there in the other, is the same in both: its rows are copied table by table, nothing is derived. What names a
place in its ledger is moved with it: events get new ids, and intervals new rows.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

from ledger.events.rows import EventRow
from ledger.storage.checkpoint_rows import CHECKPOINT_TABLES, forget, moved_state
from ledger.storage.extending_process import next_interval_row
from ledger.storage.insert_guard import without_insert_guard
from ledger.storage.record_rows import TABLES
from ledger.storage.store import SCHEMA_VERSION, Store
from ledger.timeline.reducer import REDUCER_VERSION

_EVENTS_A_STEP: Final = 100_000
_LARGEST: Final = 1_000_000
"""A session of more events is copied in steps: who records into its ledger waits while a step is read."""
_STALE: Final = 0
"""A version that no reducer has: what it derived is derived again."""
_CHOSEN: Final = """
    CREATE TEMP TABLE IF NOT EXISTS copied_sessions (place INTEGER PRIMARY KEY, session TEXT NOT NULL UNIQUE)
"""
_WHOLE: Final = """
    SELECT c.session, count(*), min(s.id), max(s.id)
    FROM temp.copied_sessions c
    CROSS JOIN source.projected_sessions p ON p.session = c.session AND p.reducer_version = ?
    CROSS JOIN source.events s ON s.session = c.session
    GROUP BY c.place
    HAVING count(*) = p.event_count AND max(s.id) = p.last_event_id
"""
"""Sessions of which every event is projected, by the index alone."""
_MARK_STALE: Final = """
    INSERT INTO main.projected_sessions (session, last_event_id, event_count, reducer_version)
    SELECT DISTINCT +session, 0, 0, ? FROM main.events WHERE id > ?
    ON CONFLICT (session) DO UPDATE SET reducer_version = excluded.reducer_version
"""
_PROJECTED: Final = """
    INSERT OR REPLACE INTO main.projected_sessions (session, last_event_id, event_count, reducer_version)
    SELECT c.session, max(e.id), count(*), ?
    FROM temp.copied_sessions c CROSS JOIN main.events e ON e.session = c.session
    GROUP BY c.place
"""
_PROJECTED_AS_THERE: Final = """
    INSERT INTO main.projected_sessions (session, last_event_id, event_count, reducer_version)
    SELECT p.session, p.last_event_id + ?, p.event_count, p.reducer_version
    FROM temp.copied_sessions c CROSS JOIN source.projected_sessions p ON p.session = c.session
    ORDER BY c.place
"""


class WholeSession(NamedTuple):
    """A session of the source whose projections are said to be current."""

    session: str
    events: int


class _Rows(NamedTuple):
    """The rows of a table that the chosen sessions have in the source."""

    number: int
    first: int
    last: int

    @property
    def is_one_range(self) -> bool:
        """Whether no row of another session is between them: read in a row, they keep their distances."""
        return self.last - self.first + 1 == self.number


class SessionCopier:
    """Copies sessions of the ledger that is attached to a store as `source`."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._run: Final = store.connection.execute
        self._marked_id = 0
        """Up to here, the sessions that have newer events than any projection are marked as stale."""
        self._run(_CHOSEN)

    def new_sessions(self) -> list[WholeSession]:
        """Return the source's sessions of which the store has nothing, as they came in."""
        return self._current("NOT EXISTS (SELECT 1 FROM main.events e WHERE e.session = p.session)", _LARGEST)

    def unprojected(self, sessions: str) -> list[WholeSession]:
        """Return those of some sessions whose projections the source has and the store lacks.

        `sessions` is a query of ours.
        """
        return self._current(
            f"""
            p.session IN ({sessions}) AND NOT EXISTS (
                SELECT 1 FROM main.projected_sessions m
                WHERE m.session = p.session AND m.reducer_version = p.reducer_version
                    AND m.event_count = (SELECT count(*) FROM main.events e WHERE e.session = p.session)
            )
            """
        )

    def copy(
        self, sessions: Sequence[WholeSession], progress: Callable[[int], None] | None = None
    ) -> tuple[int, set[str]]:
        """Copy sessions, events and projections; return how many events, and of which sessions.

        Those are left out that are not as expected any more: not whole in the source, or there already.
        """
        events = 0
        copied: set[str] = set()
        for some in _steps(sessions):
            with self._store.transaction():
                chosen, rows = self._choose_whole(some, lambda one: not self._events_here(one.session))
                self._mark_stale()
                moved_by = self._store.last_id() + 1 - rows.first
                with without_insert_guard(self._store, rows.number):
                    self._insert("events", EventRow._fields, EventRow._fields, rows)
                self._copy_projections()
                if rows.is_one_range:
                    self._run(_PROJECTED_AS_THERE, [moved_by])
                else:
                    self._run(_PROJECTED, [REDUCER_VERSION])
            events += rows.number
            copied.update(chosen)
            if progress:
                progress(rows.number)
        return events, copied

    def copy_projections(self, sessions: Sequence[WholeSession]) -> None:
        """Copy the projections of sessions whose events were copied before, where these are the source's."""
        for some in _steps(sessions):
            with self._store.transaction():
                chosen, _ = self._choose_whole(some, lambda one: self._events_here(one.session) == one.events)
                self._mark_stale()
                for session in chosen:
                    forget(self._store, session)
                    for table in TABLES:
                        self._run(f"DELETE FROM main.{table} WHERE session = ?", [session])
                self._copy_projections()
                self._run(_PROJECTED, [REDUCER_VERSION])

    def _current(self, condition: str, largest: int = 1 << 62) -> list[WholeSession]:
        if self._store.select("PRAGMA source.user_version") != [(SCHEMA_VERSION,)]:
            return []
        rows = self._store.select(
            f"""
            SELECT p.session, p.event_count FROM source.projected_sessions p
            WHERE p.reducer_version = ? AND p.event_count <= ? AND {condition}
            ORDER BY p.last_event_id, p.session
            """,
            [REDUCER_VERSION, largest],
        )
        return [WholeSession(str(session), int(str(events))) for session, events in rows]

    def _choose_whole(
        self, sessions: Sequence[WholeSession], is_fit: Callable[[WholeSession], bool]
    ) -> tuple[list[str], _Rows]:
        """Choose those of some sessions that are whole and fit; return them, and where their events are."""
        self._choose([one.session for one in sessions])
        rows = self._store.select(_WHOLE, [REDUCER_VERSION])
        found = [
            (WholeSession(str(row[0]), int(str(row[1]))), int(str(row[2])), int(str(row[3]))) for row in rows
        ]
        found = [one for one in found if is_fit(one[0])]
        chosen = [one.session for one, _, _ in found]
        if len(chosen) < len(sessions):
            self._choose(chosen)
        return chosen, _Rows(
            sum(one.events for one, _, _ in found),
            min((first for _, first, _ in found), default=0),
            max((last for _, _, last in found), default=0),
        )

    def _choose(self, sessions: Sequence[str]) -> None:
        self._run("DELETE FROM temp.copied_sessions")
        self._store.insert("temp.copied_sessions", "session", [(session,) for session in sessions])

    def _events_here(self, session: str) -> int:
        [(number,)] = self._store.select("SELECT count(*) FROM main.events WHERE session = ?", [session])
        return int(str(number))

    def _mark_stale(self) -> None:
        """Mark the sessions that have newer events than any projection.

        Else they would seem to be current: what is newer than all projections is what is not projected, and
        the events of the sessions that are copied are newer still.
        """
        [(last_id,)] = self._store.select(
            "SELECT coalesce(max(last_event_id), 0) FROM main.projected_sessions"
        )
        self._run(_MARK_STALE, [_STALE, max(int(str(last_id)), self._marked_id)])
        self._marked_id = self._store.last_id()

    def _copy_projections(self) -> None:
        for table, columns in TABLES.items():
            if table != "projected_intervals":
                self._insert(table, columns, columns)
        moved_by = self._copy_intervals()
        moved_row = {"first_row": f"first_row + {moved_by}"}
        for table, columns in CHECKPOINT_TABLES.items():
            if table != "checkpoint_processes":
                self._insert(table, columns, [moved_row.get(name, name) for name in columns])
        states = self._store.select(
            f"SELECT s.session, s.process, s.state FROM {_rows_of('checkpoint_processes')} ORDER BY s.rowid"
        )
        moved = ((session, process, moved_state(str(text), moved_by)) for session, process, text in states)
        self._store.insert("main.checkpoint_processes", "session, process, state", moved)
        self._run(
            "UPDATE main.versions SET reducer_version = ?1 WHERE reducer_version <> ?1", [REDUCER_VERSION]
        )

    def _copy_intervals(self) -> int:
        """Copy the intervals; return by how much their rows have moved."""
        [row] = self._store.select(
            "SELECT count(*), coalesce(min(s.rowid), 0), coalesce(max(s.rowid), 0) "
            f"FROM {_rows_of('projected_intervals')}"
        )
        rows = _Rows._make(cast("tuple[int, int, int]", row))
        columns = TABLES["projected_intervals"]
        moved_by = next_interval_row(self._store) - rows.first
        if rows.is_one_range:
            self._insert("projected_intervals", columns, columns, rows)
        else:
            self._insert("projected_intervals", ("rowid", *columns), (f"rowid + {moved_by}", *columns))
        return moved_by

    def _insert(
        self, table: str, columns: Sequence[str], values: Sequence[str], rows: _Rows | None = None
    ) -> None:
        """Copy the rows of a table that the chosen sessions have, in the order in which each has them."""
        if rows is not None and rows.is_one_range:
            chosen = f"source.{table} s WHERE s.rowid BETWEEN {rows.first} AND {rows.last} ORDER BY s.rowid"
        else:
            chosen = f"{_rows_of(table)} ORDER BY c.place, s.rowid"
        self._run(
            f"INSERT INTO main.{table} ({', '.join(columns)}) "
            f"SELECT {', '.join(f's.{value}' for value in values)} FROM {chosen}"
        )


def _rows_of(table: str) -> str:
    return f"temp.copied_sessions c CROSS JOIN source.{table} s ON s.session = c.session"


def _steps(sessions: Sequence[WholeSession]) -> list[list[WholeSession]]:
    steps: list[list[WholeSession]] = []
    events = 0
    for one in sessions:
        events += one.events
        if not steps or events > _EVENTS_A_STEP:
            steps.append([])
            events = one.events
        steps[-1].append(one)
    return steps
