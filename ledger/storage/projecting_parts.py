"""Projects a long session part by part, in the order of time, so that its size does not show in the memory.

Each part's rows are written before the next part is read. The stops of what is open where a part ends are
looked for first: near by, else in all that is left.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain
from typing import Final, cast

from ledger.events.models import Event, TotalClaimed
from ledger.events.rows import from_row
from ledger.storage.checkpoint_rows import (
    StoredCut,
    StoredProcess,
    forget,
    keep_cuts,
    keep_moments,
    keep_process,
    keep_session,
)
from ledger.storage.completing import SessionParts, complete, ending_of, is_ended, is_one_clock
from ledger.storage.edited_rows import faults_of_edited_rows
from ledger.storage.extending import NO_STAGE
from ledger.storage.extending_process import (
    INTERVAL_COLUMNS,
    SPACING,
    NotSeparate,
    next_interval_row,
    read_stages,
)
from ledger.storage.extending_startup import session_state
from ledger.storage.record_rows import TABLES
from ledger.storage.startup_parts import StartupParts
from ledger.storage.steps import Seqs, Step, is_long, steps_of, times_of
from ledger.storage.store import Store
from ledger.storage.whole_rows import WHOLE
from ledger.timeline.checkpoints import BEFORE_ALL, Moment, ProcessCheckpoint, Unions, top_level_of
from ledger.timeline.process_events import ProcessEvents, SessionEvents, by_process
from ledger.timeline.process_lives import lives_of
from ledger.timeline.process_parts import NotInParts, PartReduced, ProcessParts
from ledger.timeline.records import Interval, StartupWindow
from ledger.timeline.reducer import REDUCER_VERSION
from ledger.timeline.stage_events import StageCounts, StageEvents, Stop, counts_of
from ledger.timeline.startup_windows import windows_of
from ledger.timeline.unaffected import Dependencies
from ledger.vocabulary import ENGINE_READY, SERVER_READY

_STOPPED: Final = "stage_stopped"
_STAGE_ROWS: Final = " OR ".join(f"(kind = '{kind}' AND {whole})" for kind, whole in WHOLE.items())
_ROWS_AT_ONCE: Final = 1_000
_FAR_LOOKS: Final = 2
"""How often all that is left of a process is searched for some stops, before it is looked at for all."""
_NEVER: Final = (-1, -1)
_MOST_LASTING: Final = 10_000
"""SQLite takes no more values in a statement than three times as many."""


def is_projected_in_parts(store: Store, session: str) -> bool:
    """Project a session part by part; return False where it is short, or must be projected as a whole.

    So must a session of several clocks, one that was read from a log, one whose events are not numbered in
    the order of time, one in which an interval was abandoned, and one with numbers beyond 64 bits. One whose
    claims or findings need all intervals at once is projected sooner as a whole.
    """
    if not is_long(store, session):
        return False
    forget(store, session)
    for table in TABLES:
        store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])
    try:
        with faults_of_edited_rows(store):
            _Projection(store, session).project()
    except (NotInParts, NotSeparate):
        forget(store, session)
        return False
    return True


class _Rows:
    """Where a process's intervals stand in their table: by their place among them."""

    def __init__(self) -> None:
        self._places: Final[list[int]] = []
        self._rows: Final[list[int]] = []

    def add(self, place: int, row: int) -> None:
        """Take note that the intervals from a place on stand from a row on."""
        self._places.append(place)
        self._rows.append(row)

    def row(self, place: int) -> int:
        """Return the row of an interval."""
        at = bisect_right(self._places, place) - 1
        return self._rows[at] + place - self._places[at]


class _Projection:
    """Projects one session, within a transaction, of whose rows there are none."""

    def __init__(self, store: Store, session: str) -> None:
        self._store: Final = store
        self._session: Final = session
        self._rows: Final[dict[str, _Rows]] = {}
        self._counts: Final[dict[str, StageCounts]] = {}
        self._is_over: Final[dict[str, bool]] = {}
        self._far: Final = Counter[str]()
        self._lasting: Final[dict[str, list[list[int]]]] = {}
        """By process and step, the numbers of the stops of what begins there and stops later."""
        self._unions: Final = Unions(Moment(BEFORE_ALL, {}), SPACING)

    @cached_property
    def _steps(self) -> list[Step]:
        return steps_of(self._store, self._session)

    def project(self) -> None:
        """Project it. Raises NotInParts or NotSeparate where that can't be done in parts."""
        store, session = self._store, self._session
        others = [from_row(row) for row in store.rows(session, NO_STAGE)]
        if any(isinstance(event, TotalClaimed) for event in others):
            raise NotInParts
        names = store.processes(session)
        parts = by_process(SessionEvents(dict.fromkeys(names, StageEvents.of((), ())), others))
        has_ended = is_ended(parts)
        for process in names:
            parts[process].add_counts(self._expected(process, len(parts[process].others)))
        lives = lives_of(parts)
        if not is_one_clock(lives):
            raise NotSeparate
        endings = {process: ending_of(part, is_ended=has_ended) for process, part in parts.items()}
        self._is_over.update((process, has_ended or part.is_over) for process, part in parts.items())
        processes = {
            process: ProcessParts(
                session, process, is_over=self._is_over[process], last_ns=part.last_ns,
                lost=part.seen_alive, spacing=SPACING,
            )
            for process, part in sorted(parts.items())
        }  # fmt: skip
        bounds = windows_of(parts, lives)
        if any(each.ended_by in (ENGINE_READY, SERVER_READY) for each in bounds):
            raise NotInParts
        startup = StartupParts(store, session, lives, bounds)
        for number, step in enumerate(self._steps):
            reduced = {process: self._reduce(process, each, number) for process, each in processes.items()}
            if number == 0 and not all(each.is_plain for each in processes.values()):
                raise NotInParts
            self._keep_moments(reduced)
            startup.take(reduced, step.until_ns, is_last=step is self._steps[-1])
        if any(part.stage_events != self._counts[process].number for process, part in parts.items()):
            raise NotSeparate  # somebody edited the file
        if not all(self._is_as_expected(process, part) for process, part in parts.items()):
            raise NotInParts
        windows = startup.windows()
        self._note_projected()
        dependencies = self._complete(others, parts, processes, windows)
        for process, each in processes.items():
            unstopped = [one._replace(place=self._rows[process].row(one.place)) for one in each.unstopped]
            checkpoint = ProcessCheckpoint(each.number, self._counts[process], unstopped, each.is_plain)
            keep_process(store, session, process, StoredProcess(checkpoint, endings[process]))
        keep_session(store, session, session_state(lives, bounds, windows, dependencies))

    def _expected(self, process: str, others: int) -> StageCounts:
        """Return what is expected of a process's starts and stops before they are read.

        That its first event in time is among the first ones, and its last among the last.
        """
        values = [self._session, process]
        query = "SELECT count(*), max(seq) FROM events WHERE session = ? AND process = ?"
        [(number, last)] = cast("list[tuple[int, int]]", self._store.select(query, values))
        if number == others:
            return StageCounts()
        return StageCounts(number - others, *times_of(self._store, self._session, process), last)

    def _is_as_expected(self, process: str, part: ProcessEvents) -> bool:
        """Tell, once all starts and stops are read, whether none is before or after what was expected."""
        counts = self._counts[process]
        return not counts.number or (part.first_ns <= counts.first_ns and counts.last_ns <= part.last_ns)

    def _reduce(self, process: str, parts: ProcessParts, number: int) -> PartReduced:
        """Reduce a step of a process, and write down its intervals and cuts."""
        step = self._steps[number]
        seqs = step.seqs.get(process, Seqs(0, -1))
        stages = read_stages(
            self._store, self._session, process, "seq BETWEEN ? AND ?", (seqs.first, seqs.last)
        ).in_order()
        self._counts[process] = self._counts.get(process, StageCounts()).plus(counts_of(stages))
        place = parts.number
        reduced = parts.take(stages, self._stops_after(process, stages, number), step.until_ns)
        row = next_interval_row(self._store)
        rows = self._rows.setdefault(process, _Rows())
        rows.add(place, row)
        width = len(TABLES["projected_intervals"])
        inserted = (one[:width] for one in reduced.intervals)
        self._store.insert("projected_intervals", INTERVAL_COLUMNS, inserted)
        self._store.connection.executemany(
            "UPDATE projected_intervals SET self_ns = ?, unattributed_ns = ? WHERE rowid = ?",
            [(one.self_ns, one.unattributed_ns, rows.row(at)) for at, one in reduced.finished],
        )
        cuts = (StoredCut(cut, rows.row(cut.number)) for cut in reduced.cuts)
        keep_cuts(self._store, self._session, process, cuts)
        return reduced

    def _stops_after(self, process: str, stages: StageEvents, number: int) -> dict[int, Stop]:
        """Return the stops, by interval, of what begins in a step and stops after it."""
        missing = _unstopped(stages)
        if not missing:
            return {}
        if process in self._lasting:
            return self._stops(process, self._lasting[process][number], missing)
        last, near = self._last_seq(process, number), self._last_seq(process, number + 1)
        found = self._stops_of(process, missing, last, near)
        far = missing.difference(found)
        if far:
            self._far[process] += 1
            if self._far[process] > _FAR_LOOKS:
                self._lasting[process] = self._look_ahead(process)
                return self._stops(process, self._lasting[process][number], missing)
            found |= self._stops_of(process, far, near, self._last_seq(process, len(self._steps)))
            if self._is_over[process] and far.difference(found):
                raise NotInParts  # it ends with the last event of its descendants
        return found

    def _last_seq(self, process: str, number: int) -> int:
        """Return the last seq of a process in a step; in the last step where there are not so many."""
        return self._steps[min(number, len(self._steps) - 1)].seqs[process].last

    def _stops_of(self, process: str, intervals: set[int], after: int, until: int) -> dict[int, Stop]:
        """Return the stops of some intervals whose seq is after one and not after another."""
        if len(intervals) > _MOST_LASTING:
            raise NotInParts
        columns = self._store.columns(
            self._session, process, _STOPPED, Stop._fields,
            f"seq > ? AND seq <= ? AND interval IN ({', '.join('?' * len(intervals))})",
            (after, until, *intervals),
        )  # fmt: skip
        found: dict[int, Stop] = {}
        for stop in map(Stop._make, zip(*columns, strict=True)):
            found.setdefault(stop.interval, stop)
        return found

    def _look_ahead(self, process: str) -> list[list[int]]:
        """Return, by step, the numbers of the stops of what begins in it and stops after it."""
        lasts = [step.seqs[process].last for step in self._steps]
        begun: dict[int, int] = {}  # what is open, with the step in which it began
        lasting: list[list[int]] = [[] for _ in lasts]
        at = 0
        cursor = self._store.connection.execute(
            f"""
            SELECT kind, seq, interval FROM events
            WHERE session = ? AND process = ? AND ({_STAGE_ROWS}) ORDER BY seq
            """,
            [self._session, process],
        )
        while page := cursor.fetchmany(_ROWS_AT_ONCE):
            for kind, seq, interval in page:
                while seq > lasts[at]:
                    at += 1
                if kind != _STOPPED:
                    begun.setdefault(interval, at)
                elif (step := begun.pop(interval, at)) != at:
                    lasting[step].append(seq)
        if begun and self._is_over[process]:
            raise NotInParts  # it ends with the last event of its descendants
        return lasting

    def _stops(self, process: str, seqs: Sequence[int], intervals: Set[int]) -> dict[int, Stop]:
        """Return stops by their numbers, those of some intervals, each by its interval."""
        if not seqs:
            return {}
        if len(seqs) > _MOST_LASTING:
            raise NotInParts
        condition = f"seq IN ({', '.join('?' * len(seqs))})"
        columns = self._store.columns(self._session, process, _STOPPED, Stop._fields, condition, seqs)
        stops = map(Stop._make, zip(*columns, strict=True))
        return {stop.interval: stop for stop in stops if stop.interval in intervals}

    def _keep_moments(self, reduced: Mapping[str, PartReduced]) -> None:
        intervals: Iterable[Interval] = chain.from_iterable(each.intervals for each in reduced.values())
        keep_moments(self._store, self._session, self._unions.add(top_level_of(intervals)))

    def _note_projected(self) -> None:
        self._store.connection.execute(
            """
            INSERT OR REPLACE INTO projected_sessions (session, last_event_id, event_count, reducer_version)
            SELECT session, max(id), count(*), ? FROM events WHERE session = ? GROUP BY session
            """,
            [REDUCER_VERSION, self._session],
        )

    def _complete(
        self,
        others: Sequence[Event],
        parts: Mapping[str, ProcessEvents],
        processes: Mapping[str, ProcessParts],
        windows: Sequence[StartupWindow],
    ) -> Dependencies:
        session = self._session
        totals = {process: each.totals() for process, each in processes.items()}
        return complete(
            self._store,
            session,
            SessionParts(
                others,
                parts,
                {process: each.role_totals(session, process) for process, each in totals.items()},
                {process: each.source_totals(session, process) for process, each in totals.items()},
                {process: each.anomalies for process, each in processes.items()},
                self._unions.lengths,
                windows,
                all(each.is_plain for each in processes.values()),
            ),
        )


def _unstopped(stages: StageEvents) -> set[int]:
    """Return the intervals that begin among starts and stops in their order, and do not stop after that.

    A stop that comes before the start of its interval is none of its. Of starts with one id the first counts.
    """
    starts, stops = stages
    begun: dict[int, tuple[int, int]] = {}
    for interval, at_ns, seq in zip(starts.interval, starts.at_ns, starts.seq, strict=True):
        begun.setdefault(interval, (at_ns, seq))
    last_stops = dict(zip(stops.interval, zip(stops.at_ns, stops.seq, strict=True), strict=True))
    return {interval for interval, start in begun.items() if last_stops.get(interval, _NEVER) < start}
