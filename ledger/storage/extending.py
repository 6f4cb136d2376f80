"""Projects what is new in a session, and leaves alone what new events can't have changed.

`timeline.checkpoints` says where the reducing of each process can go on. The rows before that stay, those
after are derived anew; so are the small tables, out of what is kept of the rest. All are those that a rebuild
gives.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, cast

from ledger.events.models import Event, SessionEnded
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
)
from ledger.storage.extending_startup import PIECE_COLUMNS, StartupExtension, session_state
from ledger.storage.record_rows import TABLES, interval_of, rows_of
from ledger.storage.store import Store
from ledger.storage.whole_rows import WHOLE
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
from ledger.timeline.stage_events import StageCounts, StageEvents
from ledger.timeline.startup_windows import windows_of
from ledger.timeline.timeline import Timeline, completed
from ledger.timeline.totals import Group

NO_STAGE: Final = "kind NOT IN ('stage_started', 'stage_stopped')"
_WORTH: Final = 2_000
"""A session of fewer starts and stops is projected as a whole: that takes no longer."""
_KEPT_TABLES: Final = ("projected_intervals", "startup_breakdown")
_STAGE_ROWS: Final = " OR ".join(f"(kind = '{kind}' AND {whole})" for kind, whole in WHOLE.items())


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
        "SELECT last_event_id, event_count FROM projected_sessions WHERE session = ? AND reducer_version = ?",
        [session, REDUCER_VERSION],
    )
    if state is None or not rows:
        return False
    last_id, event_count = cast("tuple[int, int]", rows[0])
    try:
        with faults_of_edited_rows(store):
            _Extension(store, session, state, last_id, event_count).project()
    except NotSeparate:
        return False
    return True


class _Extension:
    """Adds what is new to a session's projections."""

    def __init__(self, store: Store, session: str, state: Any, last_id: int, event_count: int) -> None:
        self._store: Final = store
        self._session: Final = session
        self._state: Final = state
        self._last_id: Final = last_id
        self._event_count: Final = event_count
        self._processes: Final = kept_processes(store, session)

    def project(self) -> None:
        """Project it, within a transaction."""
        store, session = self._store, self._session
        others = [from_row(row) for row in store.rows(session, NO_STAGE)]
        new = self._new_events(others)
        self._parts: Mapping[str, ProcessEvents] = by_process(
            SessionEvents(dict.fromkeys([*self._processes, *new], StageEvents.of((), ())), others)
        )
        for process, part in self._parts.items():
            if (kept := self._processes.get(process)) is not None:
                part.add_counts(kept.checkpoint.events)
            if process in new:
                part.add_counts(new[process].counts)
        lives = lives_of(self._parts)
        if not _is_one_clock(lives):
            raise NotSeparate
        grown = self._grown(new)
        bounds = windows_of(self._parts, lives)
        startup = StartupExtension(store, session, self._state, self._processes, lives, bounds)
        windows, unions = startup.windows_and_unions(grown)
        timeline = self._rest(others, grown, windows, unions)
        if _is_beyond_range(timeline.anomalies):
            raise NotSeparate
        for table, columns in TABLES.items():
            if table not in _KEPT_TABLES:
                store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])
                store.insert(table, ", ".join(columns), rows_of(timeline, table))
        keep_session(store, session, session_state(lives, bounds, timeline.startup_windows))

    def _new_events(self, others: Sequence[Event]) -> dict[str, NewEvents]:
        """Return what is new of each process's stages, and note it as projected."""
        store, session = self._store, self._session
        rows = store.select(
            f"""
            SELECT process, kind, seq, at_ns, interval FROM events
            WHERE id > ? AND +session = ? AND ({_STAGE_ROWS})
            """,
            [self._last_id, session],
        )
        of_process: defaultdict[str, list[tuple[str, int, int, int]]] = defaultdict(list)
        for process, *rest in cast("list[tuple[Any, ...]]", rows):
            of_process[process].append((rest[0], rest[1], rest[2], rest[3]))
        [(number, newest)] = store.select(
            "SELECT count(*), max(id) FROM events WHERE id > ? AND +session = ?", [self._last_id, session]
        )
        kept = sum(each.checkpoint.events.number for each in self._processes.values())
        event_count = self._event_count + int(str(number))
        if kept + len(rows) + len(others) != event_count:
            raise NotSeparate  # somebody edited the file
        store.connection.execute(
            "UPDATE projected_sessions SET last_event_id = coalesce(?, last_event_id), event_count = ? "
            "WHERE session = ?",
            [newest, event_count, session],
        )
        found: dict[str, NewEvents] = {}
        for process, events in of_process.items():
            kinds, seqs, times, ids = zip(*events, strict=True)
            found[process] = NewEvents(
                min(times),
                min(seqs),
                {each for kind, each in zip(kinds, ids, strict=True) if kind == "stage_stopped"},
                StageCounts(len(events), min(times), max(times), max(seqs)),
            )
        return found

    def _grown(self, new: Mapping[str, NewEvents]) -> dict[str, Grown]:
        """Derive the intervals anew that may be other ones now, of each process that has such."""
        is_ended = _is_ended(self._parts)
        before: defaultdict[str, list[Anomaly]] = defaultdict(list)
        for anomaly in self._anomalies_before():
            before[anomaly.process].append(anomaly)
        grown: dict[str, Grown] = {}
        for process in sorted({*self._processes, *new}):
            ending = _ending(self._parts[process], is_ended)
            kept = self._processes.get(process) or StoredProcess(
                ProcessCheckpoint(0, StageCounts(), (), True), ()
            )
            if process in new or (kept.checkpoint.unstopped and ending != kept.ending):
                extension = ProcessExtension(self._store, self._session, process, self._parts[process])
                grown[process] = extension.derived(kept.checkpoint, new.get(process), ending, before[process])
                self._keep(process, grown[process].kept)
            elif ending != kept.ending:
                self._keep(process, kept._replace(ending=ending))
        return grown

    def _anomalies_before(self) -> list[Anomaly]:
        rows = self._store.select(
            f"SELECT {', '.join(Anomaly._fields)} FROM anomalies WHERE session = ? ORDER BY rowid",
            [self._session],
        )
        return [Anomaly._make(cast("tuple[Any, ...]", row)) for row in rows]

    def _keep(self, process: str, kept: StoredProcess) -> None:
        self._processes[process] = kept
        keep_process(self._store, self._session, process, kept)

    def _rest(
        self,
        others: Sequence[Event],
        grown: Mapping[str, Grown],
        windows: Sequence[StartupWindow],
        unions: Mapping[Group, int],
    ) -> Timeline:
        """Derive what all processes and claims give together."""
        from ledger.timeline.findings.evidence import Evidence
        from ledger.timeline.findings.rules import looks_at_all
        from ledger.timeline.reconciliation import Reconciled

        of_roles = self._totals("role_totals", RoleTotal, {p: each.of_roles for p, each in grown.items()})
        of_sources = self._totals(
            "source_totals", SourceTotal, {p: each.of_sources for p, each in grown.items()}
        )
        by_process: defaultdict[str, list[Anomaly]] = defaultdict(list)
        for anomaly in self._anomalies_before():
            by_process[anomaly.process].append(anomaly)
        anomalies: list[Anomaly] = []
        for process in sorted({*by_process, *grown}):
            if process in grown:
                anomalies += grown[process].anomalies
            else:
                anomalies += joined_anomalies(by_process[process], (NEVER,) * 3, None, 0)

        def reduced(intervals: Iterable[Interval], pieces: Iterable[StartupPiece]) -> Reduced:
            return put_together(
                self._session, others, self._parts, intervals, of_roles, of_sources, unions, anomalies,
                windows, pieces,
            )  # fmt: skip

        plain = reduced((), ())
        is_plain = all(each.checkpoint.is_plain for each in self._processes.values())
        nothing = Evidence(plain, Reconciled((), (), ()), Compilations((), ()))
        if is_plain and not plain.claims and not looks_at_all(nothing):
            return completed(plain)
        return completed(reduced(self._all_intervals(), self._all_pieces()))

    def _totals(self, table: str, kind: Any, grown: Mapping[str, Sequence[Any]]) -> list[Any]:
        """Return the totals of all processes: those of what has grown, and those that the table has."""
        rows = self._store.select(
            f"SELECT {', '.join(kind._fields)} FROM {table} WHERE session = ? ORDER BY rowid", [self._session]
        )
        totals = [total for total in map(kind._make, rows) if total.process not in grown]
        totals += [total for of_process in grown.values() for total in of_process]
        return sorted(totals, key=attrgetter("process"))

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
