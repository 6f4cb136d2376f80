"""Projects what is new in a session, and leaves alone what new events can't have changed.

`timeline.checkpoints` says where the reducing of each process can go on. The rows before that stay, those
after are derived anew; so are the small tables, out of what is kept of the rest. All are those that a rebuild
gives.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from ledger.events.models import SessionEnded
from ledger.events.rows import from_row
from ledger.storage.checkpoint_rows import (
    StoredProcess,
    keep_all,
    keep_process,
    keep_session,
    kept_processes,
    kept_session,
)
from ledger.storage.details import details_of
from ledger.storage.edited_rows import faults_of_edited_rows
from ledger.storage.extending_process import (
    INTERVAL_COLUMNS,
    NEVER,
    Grown,
    NewEvents,
    NotSeparate,
    ProcessExtension,
    read_stages,
)
from ledger.storage.extending_startup import PIECE_COLUMNS, StartupExtension, session_state
from ledger.storage.record_rows import TABLES, interval_of, rows_of
from ledger.storage.store import Store
from ledger.timeline.checkpoints import (
    Checkpoints,
    ProcessCheckpoint,
    joined_anomalies,
)
from ledger.timeline.compilations import Compilations
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.process_events import ProcessEvents, SessionEvents, by_process
from ledger.timeline.process_lives import Lives, lives_of
from ledger.timeline.records import (
    Anomaly,
    Interval,
    RoleTotal,
    SourceTotal,
    StartupPiece,
    StartupWindow,
)
from ledger.timeline.reducer import REDUCER_VERSION, Reduced, put_together
from ledger.timeline.stage_events import StageCounts, StageEvents, counts_of
from ledger.timeline.startup_windows import windows_of
from ledger.timeline.timeline import Timeline, completed
from ledger.timeline.totals import Group

NO_STAGE: Final = "kind NOT IN ('stage_started', 'stage_stopped')"
_WORTH: Final = 2_000
"""A session of fewer starts and stops is projected as a whole: that takes no longer."""
_KEPT_TABLES: Final = ("projected_intervals", "startup_breakdown")
_Record = TypeVar("_Record", RoleTotal, SourceTotal, Anomaly)


def keep_checkpoints(
    store: Store, session: str, checkpoints: Checkpoints, timeline: Timeline, next_row: int
) -> None:
    """Keep where a session's reducing can go on; `next_row` is where its first interval stands."""
    parts = checkpoints.parts
    stage_events = sum(each.events.number for each in checkpoints.processes.values())
    has_log = any(interval.source == LOG for interval in timeline.intervals)
    if stage_events < _WORTH or has_log or _is_beyond_range(timeline.anomalies):
        return
    lives = lives_of(parts)
    if not _is_one_clock(lives):
        return
    first_rows: dict[str, int] = {}
    for process in sorted(checkpoints.processes):
        first_rows[process] = next_row
        next_row += checkpoints.processes[process].intervals
    is_ended = _is_ended(parts)
    endings = {process: _ending(parts[process], is_ended) for process in checkpoints.processes}
    keep_all(store, session, checkpoints, first_rows, endings)
    keep_session(store, session, session_state(lives, windows_of(parts, lives), timeline.startup_windows))


def is_extended(store: Store, session: str) -> bool:
    """Project what is new of a session; return False where all of it must be projected."""
    state = kept_session(store, session)
    rows = store.select(
        "SELECT last_event_id FROM projected_sessions WHERE session = ? AND reducer_version = ?",
        [session, REDUCER_VERSION],
    )
    if state is None or not rows:
        return False
    last_id = cast("int", rows[0][0])
    try:
        with faults_of_edited_rows(store):
            _Extension(store, session, state, last_id).project()
    except NotSeparate:
        return False
    return True


class _Extension:
    """Adds what is new to a session's projections, within a transaction."""

    def __init__(self, store: Store, session: str, state: Any, last_id: int) -> None:
        self._store: Final = store
        self._session: Final = session
        self._state: Final = state
        self._last_id: Final = last_id
        self._processes: Final = kept_processes(store, session)
        self._others: Final = [from_row(row) for row in store.rows(session, NO_STAGE)]
        """What is no start or stop."""
        self._parts: Mapping[str, ProcessEvents] = {}
        self._of_roles: Final = self._stored("role_totals", RoleTotal)
        self._of_sources: Final = self._stored("source_totals", SourceTotal)
        self._anomalies: Final = {
            process: joined_anomalies(found, (NEVER,) * 3, None, 0)
            for process, found in self._stored("anomalies", Anomaly).items()
        }
        self._windows: Sequence[StartupWindow] = ()
        self._unions: Mapping[Group, int] = {}

    def _stored(self, table: str, kind: type[_Record]) -> dict[str, list[_Record]]:
        rows = self._store.select(
            f"SELECT {', '.join(kind._fields)} FROM {table} WHERE session = ? ORDER BY rowid", [self._session]
        )
        found: defaultdict[str, list[_Record]] = defaultdict(list)
        for row in rows:
            record = kind._make(cast("tuple[Any, ...]", row))
            found[record.process].append(record)
        return found

    def project(self) -> None:
        """Derive anew what new events may have changed."""
        store, session = self._store, self._session
        self._note_projected()
        new = self._new_events()
        self._parts = by_process(
            SessionEvents(dict.fromkeys([*self._processes, *new], StageEvents.of((), ())), self._others)
        )
        for process, part in self._parts.items():
            if (kept := self._processes.get(process)) is not None:
                part.add_counts(kept.checkpoint.events)
            if process in new:
                part.add_counts(new[process].counts)
        self._check_number()
        lives = lives_of(self._parts)
        if not _is_one_clock(lives):
            raise NotSeparate
        grown = self._grown(new)
        bounds = windows_of(self._parts, lives)
        startup = StartupExtension(store, session, self._state, self._processes, lives, bounds)
        self._windows, self._unions = startup.windows_and_unions(grown)
        timeline = self._timeline()
        if _is_beyond_range(timeline.anomalies):
            raise NotSeparate
        for table, columns in TABLES.items():
            if table not in _KEPT_TABLES:
                store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])
                store.insert(table, ", ".join(columns), rows_of(timeline, table))
        keep_session(store, session, session_state(lives, bounds, self._windows))

    def _new_events(self) -> dict[str, NewEvents]:
        """Return what is new of each process's stages."""
        # The plus keeps SQLite off an index of all of the session's events.
        rows = self._store.select(
            """
            SELECT process, min(seq) FROM events
            WHERE id > ? AND +session = ? AND kind IN ('stage_started', 'stage_stopped') GROUP BY process
            """,
            [self._last_id, self._session],
        )
        found: dict[str, NewEvents] = {}
        for process, least_seq in cast("list[tuple[str, int]]", rows):
            stages = read_stages(
                self._store, self._session, process, "seq >= ? AND id > ?", (least_seq, self._last_id)
            )
            if (counts := counts_of(stages)).number:
                found[process] = NewEvents(stages, counts)
        return found

    def _grown(self, new: Mapping[str, NewEvents]) -> dict[str, Grown]:
        """Derive the intervals anew that may be other ones now, of each process that has such."""
        is_ended = _is_ended(self._parts)
        grown: dict[str, Grown] = {}
        for process in sorted({*self._processes, *new}):
            ending = _ending(self._parts[process], is_ended)
            kept = self._processes.get(process) or StoredProcess(
                ProcessCheckpoint(0, StageCounts(), (), True), ()
            )
            if process in new or (kept.checkpoint.unstopped and ending != kept.ending):
                extension = ProcessExtension(
                    self._store, self._session, process, self._parts[process], self._last_id
                )
                before = self._anomalies.get(process, ())
                found = extension.derived(kept.checkpoint, new.get(process), ending, before)
                grown[process] = found
                self._of_roles[process] = [*found.of_roles]
                self._of_sources[process] = [*found.of_sources]
                self._anomalies[process] = [*found.anomalies]
                self._keep(process, found.kept)
            elif ending != kept.ending:
                self._keep(process, kept._replace(ending=ending))
        return grown

    def _keep(self, process: str, kept: StoredProcess) -> None:
        self._processes[process] = kept
        keep_process(self._store, self._session, process, kept)

    def _note_projected(self) -> None:
        """Note that all of the session's events are projected."""
        store, session, last_id = self._store, self._session, self._last_id
        [(number, newest)] = store.select(
            "SELECT count(*), max(id) FROM events WHERE id > ? AND +session = ?", [last_id, session]
        )
        store.connection.execute(
            "UPDATE projected_sessions SET last_event_id = coalesce(?, last_event_id), "
            "event_count = event_count + ? WHERE session = ?",
            [newest, number, session],
        )

    def _check_number(self) -> None:
        """Raise NotSeparate where not all of the events are taken account of: somebody edited the file."""
        [(number,)] = self._store.select(
            "SELECT event_count FROM projected_sessions WHERE session = ?", [self._session]
        )
        if sum(part.event_count for part in self._parts.values()) != number:
            raise NotSeparate

    def _timeline(self) -> Timeline:
        from ledger.timeline.findings.evidence import Evidence
        from ledger.timeline.findings.rules import looks_at_all
        from ledger.timeline.reconciliation import Reconciled

        def reduced(intervals: Iterable[Interval], pieces: Iterable[StartupPiece]) -> Reduced:
            return put_together(
                self._session, self._others, self._parts, intervals, _by_process(self._of_roles),
                _by_process(self._of_sources), self._unions, _by_process(self._anomalies), self._windows,
                pieces,
            )  # fmt: skip

        plain = reduced((), ())
        is_plain = all(each.checkpoint.is_plain for each in self._processes.values())
        nothing = Evidence(plain, Reconciled((), (), ()), Compilations((), ()))
        if is_plain and not plain.claims and not looks_at_all(nothing):
            return completed(plain)
        return completed(reduced(self._all_intervals(), self._all_pieces()))

    def _all_intervals(self) -> list[Interval]:
        details = details_of(self._store, self._session)
        rows = self._store.select(
            f"SELECT {INTERVAL_COLUMNS} FROM projected_intervals WHERE session = ? ORDER BY process, rowid",
            [self._session],
        )
        return [interval_of(cast("tuple[Any, ...]", row), details) for row in rows]

    def _all_pieces(self) -> list[StartupPiece]:
        rows = self._store.select(
            f"SELECT {PIECE_COLUMNS} FROM startup_breakdown WHERE session = ? ORDER BY rowid",
            [self._session],
        )
        return [StartupPiece._make(cast("tuple[Any, ...]", row)) for row in rows]


def _by_process(records: Mapping[str, Iterable[_Record]]) -> list[_Record]:
    return [record for process in sorted(records) for record in records[process]]


def _is_ended(parts: Mapping[str, ProcessEvents]) -> bool:
    return any(isinstance(event, SessionEnded) for part in parts.values() for event in part.others)


def _is_one_clock(lives: Lives) -> bool:
    """Tell whether all processes have one clock: else a new event may move the times of others."""
    return bool(lives.processes) and not any(lives.offset_ns.values())


def _ending(part: ProcessEvents, is_ended: bool) -> tuple[Any, ...]:
    lost = part.seen_alive
    return is_ended or part.is_over, part.last_ns, None if lost is None else tuple(lost)


def _is_beyond_range(anomalies: Iterable[Anomaly]) -> bool:
    return any(anomaly.what == "number_out_of_range" for anomaly in anomalies)
