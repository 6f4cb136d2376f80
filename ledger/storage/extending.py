"""Projects what is new in a session, and leaves alone what new events can't have changed.

`timeline.checkpoints` says where the reducing of each process can go on. The rows before that stay, those
after are derived anew; so are the small tables, out of what is kept of the rest. All are those that a rebuild
gives.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

from ledger.events.rows import from_row
from ledger.storage.checkpoint_rows import (
    StoredProcess,
    keep_all,
    keep_process,
    keep_session,
    kept_processes,
    kept_session,
)
from ledger.storage.completing import (
    SessionParts,
    complete,
    complete_totals,
    ending_of,
    is_beyond_range,
    is_ended,
    is_one_clock,
    reduced_of,
)
from ledger.storage.edited_rows import faults_of_edited_rows
from ledger.storage.extending_process import (
    NEVER,
    Grown,
    NewEvents,
    NotSeparate,
    ProcessExtension,
    read_stages,
)
from ledger.storage.extending_startup import StartupExtension, session_state
from ledger.storage.store import Store
from ledger.timeline.checkpoints import (
    Checkpoints,
    ProcessCheckpoint,
    joined_anomalies,
)
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.process_events import ProcessEvents, SessionEvents, by_process
from ledger.timeline.process_lives import lives_of
from ledger.timeline.records import (
    Anomaly,
    Process,
    RoleTotal,
    SourceTotal,
)
from ledger.timeline.reducer import REDUCER_VERSION, Reduced
from ledger.timeline.stage_events import StageCounts, StageEvents, counts_of
from ledger.timeline.startup_windows import windows_of
from ledger.timeline.timeline import Timeline
from ledger.timeline.unaffected import (
    OF_CLAIMS,
    Dependencies,
    are_claims_unaffected,
    are_compilations_unaffected,
    are_findings_unaffected,
    are_looked_at,
    dependencies_from_json,
    dependencies_of,
)

NO_STAGE: Final = "kind NOT IN ('stage_started', 'stage_stopped')"
_CLAIM: Final = "total_claimed"
_CLAIMS: Final = f"{NO_STAGE} AND kind = '{_CLAIM}'"
"""So said because there is an index of what is no start or stop."""
_WORTH: Final = 2_000
"""A session of fewer starts and stops is projected as a whole: that takes no longer."""
_Record = TypeVar("_Record", RoleTotal, SourceTotal, Anomaly)


def keep_checkpoints(
    store: Store, session: str, checkpoints: Checkpoints, timeline: Timeline, next_row: int
) -> None:
    """Keep where a session's reducing can go on; `next_row` is where its first interval stands."""
    parts = checkpoints.parts
    stage_events = sum(each.events.number for each in checkpoints.processes.values())
    has_log = any(interval.source == LOG for interval in timeline.intervals)
    if stage_events < _WORTH or has_log or is_beyond_range(timeline.anomalies):
        return
    lives = lives_of(parts)
    if not is_one_clock(lives):
        return
    first_rows: dict[str, int] = {}
    for process in sorted(checkpoints.processes):
        first_rows[process] = next_row
        next_row += checkpoints.processes[process].intervals
    has_ended = is_ended(parts)
    endings = {process: ending_of(parts[process], is_ended=has_ended) for process in checkpoints.processes}
    keep_all(store, session, checkpoints, first_rows, endings)
    bounds, dependencies = windows_of(parts, lives), dependencies_of(timeline)
    state = session_state(lives, bounds, timeline.startup_windows, dependencies)
    keep_session(store, session, state)


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
        rows = [*store.numbered_rows(session, f"{NO_STAGE} AND kind <> '{_CLAIM}'")]
        self._others: Final = [from_row(row) for _, row in rows]
        """What is no start or stop, and no claim."""
        self._new_others: Final = [from_row(row) for number, row in rows if number > last_id]
        self._parts: Mapping[str, ProcessEvents] = {}
        self._of_roles: Final = self._stored("role_totals", RoleTotal)
        self._of_sources: Final = self._stored("source_totals", SourceTotal)
        anomalies = self._stored("anomalies", Anomaly)
        self._anomalies: Final = {
            process: joined_anomalies(found, (NEVER,) * 3, None, 0) for process, found in anomalies.items()
        }
        self._of_claims: Final = [
            one for found in anomalies.values() for one in found if one.what in OF_CLAIMS
        ]

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
        of_claims = self._counts_of_claims()
        names = dict.fromkeys([*self._processes, *new, *of_claims], StageEvents.of((), ()))
        self._parts = by_process(SessionEvents(names, self._others))
        for process, part in self._parts.items():
            if (kept := self._processes.get(process)) is not None:
                part.add_counts(kept.checkpoint.events)
            if process in new:
                part.add_counts(new[process].counts)
            if process in of_claims:
                part.add_counts(of_claims[process])
        self._check_number()
        lives = lives_of(self._parts)
        if not is_one_clock(lives):
            raise NotSeparate
        grown = self._grown(new)
        bounds = windows_of(self._parts, lives)
        startup = StartupExtension(store, session, self._state, self._processes, lives, bounds)
        windows, unions = startup.windows_and_unions(grown)
        is_plain = all(each.checkpoint.is_plain for each in self._processes.values())
        parts = SessionParts(
            self._others, self._parts, self._of_roles, self._of_sources, self._anomalies, unions, windows,
            is_plain,
        )  # fmt: skip
        dependencies = self._dependencies()
        reduced = reduced_of(session, parts)
        if startup.is_unchanged and dependencies and self._are_rest_kept(reduced, dependencies, grown):
            complete_totals(store, session, reduced, self._of_claims)
        else:
            claims = [from_row(row) for row in store.rows(session, _CLAIMS)]
            dependencies = complete(store, session, parts._replace(others=[*self._others, *claims]))
        keep_session(store, session, session_state(lives, bounds, windows, dependencies))

    def _dependencies(self) -> Dependencies | None:
        kept = self._state.get("dependencies")
        return None if kept is None else dependencies_from_json(kept)

    def _counts_of_claims(self) -> dict[str, StageCounts]:
        rows = self._store.select(
            "SELECT process, count(*), min(at_ns), max(at_ns), max(seq) FROM events "
            f"WHERE session = ? AND {_CLAIMS} GROUP BY +process",
            [self._session],
        )
        return {process: StageCounts(*counts) for process, *counts in cast("list[tuple[Any, ...]]", rows)}

    def _are_rest_kept(
        self, reduced: Reduced, dependencies: Dependencies, grown: Mapping[str, Grown]
    ) -> bool:
        """Tell whether what is derived of claims and compiles, and all findings, stay as they are."""
        from ledger.timeline.findings.processes import compared_processes

        changes = {process: each.changes for process, each in grown.items()}
        known = {process: each for process, each in changes.items() if each is not None}
        if len(known) < len(changes) or are_looked_at(self._new_others) or self._has_new_claims():
            return False
        columns = Process._fields[: Process._fields.index("outcome")]
        before = self._store.select(
            f"SELECT {', '.join(columns)} FROM processes WHERE session = ? ORDER BY rowid", [self._session]
        )
        if [process[: len(columns)] for process in reduced.processes] != before:
            return False
        return (
            are_claims_unaffected(dependencies, known)
            and are_compilations_unaffected(known.values())
            and are_findings_unaffected(
                dependencies,
                known.values(),
                reduced.startup_windows,
                reduced.processes,
                reduced.milestones,
                compared_processes(reduced.processes, reduced.milestones),
            )
        )

    def _has_new_claims(self) -> bool:
        query = f"SELECT 1 FROM events WHERE id > ? AND +session = ? AND kind = '{_CLAIM}' LIMIT 1"
        return bool(self._store.select(query, [self._last_id, self._session]))

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
        has_ended = is_ended(self._parts)
        grown: dict[str, Grown] = {}
        for process in sorted({*self._processes, *new}):
            ending = ending_of(self._parts[process], is_ended=has_ended)
            kept = self._processes.get(process) or StoredProcess(
                ProcessCheckpoint(0, StageCounts(), (), True), ()
            )
            if process in new or (kept.checkpoint.unstopped and ending != kept.ending):
                extension = ProcessExtension(
                    self._store, self._session, process, self._parts[process], self._last_id
                )
                before = self._anomalies.get(process, ())
                found = extension.derived(kept, new.get(process), ending, before)
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
