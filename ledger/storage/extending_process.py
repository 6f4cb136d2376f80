"""Derives the intervals of a process anew, from the last cut on before which nothing has changed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, cast

from ledger.storage.checkpoint_rows import StoredCut, StoredProcess, cut_before, drop_cuts, keep_cuts
from ledger.storage.record_rows import TABLES, interval_of
from ledger.storage.store import Store
from ledger.timeline.checkpoints import (
    BEFORE_ALL,
    ProcessCheckpoint,
    Unstopped,
    are_plain,
    cuts_of,
    is_separate,
    joined_anomalies,
    unstopped_of,
)
from ledger.timeline.findings.subjects import CPU_WAIT_NS
from ledger.timeline.intervals import intervals_of
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.process_events import ProcessEvents
from ledger.timeline.records import Anomaly, Interval, RoleTotal, SourceTotal
from ledger.timeline.stage_events import StageCounts, StageEvents, Starts, Stops
from ledger.timeline.unaffected import Changes

SPACING: Final = 100
"""How many intervals lie between two cuts of a process at least."""
INTERVAL_COLUMNS: Final = ", ".join(TABLES["projected_intervals"])
NEVER: Final = -BEFORE_ALL
_TRIES: Final = 3
_MOST_OPEN: Final = 10_000
"""SQLite takes no more values in a statement than three times as many."""


class NotSeparate(Exception):
    """All of a session is to be reduced again: what is new may change anything."""


class NewEvents(NamedTuple):
    """What is new of a process's stages. There is at least one start or stop."""

    stages: StageEvents
    """By seq."""
    counts: StageCounts


class Grown(NamedTuple):
    """What a process's new events make of it."""

    changed_ns: int
    """Its intervals that begin before that stay as they are."""
    last_start_ns: int
    """When the last of those began."""
    of_roles: Sequence[RoleTotal]
    of_sources: Sequence[SourceTotal]
    anomalies: Sequence[Anomaly]
    kept: StoredProcess
    first_row: int
    """Where the first of those that were derived anew stands in the table of intervals."""
    intervals: Sequence[Interval]
    """Those that were derived anew."""
    changes: Changes | None
    """How they differ from those that were there; None where nothing of the process stays as it is."""


def read_stages(
    store: Store, session: str, process: str, condition: str, values: Sequence[int]
) -> StageEvents:
    """Return a process's starts and stops under a condition, by seq."""
    starts, stops = (
        store.columns(session, process, kind, fields, condition, values)
        for kind, fields in (("stage_started", Starts._fields), ("stage_stopped", Stops._fields))
    )
    return StageEvents(Starts._make(starts), Stops._make(stops))


def next_interval_row(store: Store) -> int:
    """Return where the next interval will stand in its table."""
    return int(str(store.select("SELECT coalesce(max(rowid), 0) + 1 FROM projected_intervals")[0][0]))


def fitting(at_ns: int) -> int:
    """Return a time that SQLite can hold, in place of one before or after all of them."""
    return max(-1, min(at_ns, (1 << 63) - 1))


class ProcessExtension:
    """Derives the intervals of one process anew, as far as they may have changed."""

    def __init__(self, store: Store, session: str, process: str, part: ProcessEvents, last_id: int) -> None:
        self._store: Final = store
        self._session: Final = session
        self._process: Final = process
        self._part: Final = part
        self._last_id: Final = last_id

    def derived(
        self,
        stored_process: StoredProcess,
        new: NewEvents | None,
        ending: tuple[Any, ...],
        before: Sequence[Anomaly],
    ) -> Grown:
        """Replace its rows from then on, and return what becomes of the process.

        `ending` says whether it is over, `before` are its anomalies so far.
        """
        session, process, part = self._session, self._process, self._part
        kept = stored_process.checkpoint
        is_over = bool(ending[0])
        stopped = set[int]() if new is None else set(new.stages.stops.interval)
        changed = [each.start_ns for each in kept.unstopped if is_over or each.interval in stopped]
        bound_ns = min([NEVER if new is None else new.counts.first_ns, *changed])
        stored, stages, still_open = self._separate(kept, new, bound_ns)
        cut, first_row = stored
        found, odd = intervals_of(
            session, process, self._with_open(stages, still_open),
            is_over=is_over, last_ns=part.last_ns, lost=part.seen_alive,
        )  # fmt: skip
        open_ones, tail = found[: len(still_open)], found[len(still_open) :]
        if any(one.source == LOG for one in tail):
            raise NotSeparate
        cuts, totals = cuts_of(stages, tail, odd, cut, SPACING)
        totals.add(open_ones)
        self._update_open(open_ones, {each.start_seq: each.place for each in still_open})
        changes = None
        if cut.at_ns != BEFORE_ALL:
            waits = (CPU_WAIT_NS in text for text in chain(stages.starts.data, stages.stops.data) if text)
            changes = _changes(self._rows_from(first_row), tail)._replace(
                since_ns=cut.at_ns,
                still_open=open_ones,
                last_ns=stored_process.ending[1],
                has_waits=any(waits),
            )
        next_row = self._replace_rows(first_row, tail)
        drop_cuts(self._store, session, process, cut.at_ns)
        later = [each for each in cuts if each.at_ns != BEFORE_ALL]
        rows = [next_row + each.number - cut.number for each in later]
        keep_cuts(self._store, session, process, map(StoredCut, later, rows))
        unstopped = [each for each in kept.unstopped if each.start_ns < cut.at_ns]
        unstopped += [each._replace(place=next_row + each.place) for each in unstopped_of(tail)]
        counts = kept.events if new is None else kept.events.plus(new.counts)
        checkpoint = ProcessCheckpoint(
            cut.number + len(tail), counts, unstopped, kept.is_plain and are_plain(tail)
        )
        changed_ns = tail[0].start_ns if cut.at_ns == BEFORE_ALL and tail else cut.at_ns
        return Grown(
            changed_ns,
            cut.last_start_ns,
            totals.role_totals(session, process),
            totals.source_totals(session, process),
            joined_anomalies(before, cut.odd, odd, cut.at_ns),
            StoredProcess(checkpoint, ending),
            next_row,
            tail,
            changes,
        )

    def _rows_from(self, first_row: int) -> list[Interval]:
        """Return the process's intervals from a row of their table on."""
        rows = self._store.select(
            f"SELECT {INTERVAL_COLUMNS} FROM projected_intervals "
            "WHERE session = ? AND process = ? AND rowid >= ? ORDER BY rowid",
            [self._session, self._process, first_row],
        )
        return [interval_of(cast("tuple[Any, ...]", row), {}) for row in rows]

    def _with_open(self, stages: StageEvents, still_open: Sequence[Unstopped]) -> StageEvents:
        """Return starts and stops, with the starts of what is open since before them, in their order."""
        if not still_open:
            return stages
        if len(still_open) > _MOST_OPEN:
            raise NotSeparate
        seqs = [each.start_seq for each in still_open]
        starts = self._store.columns(
            self._session, self._process, "stage_started", Starts._fields,
            f"seq IN ({', '.join('?' * len(seqs))})", seqs,
        )  # fmt: skip
        no_stops = Stops._make([()] * len(Stops._fields))
        return StageEvents(Starts._make(starts), no_stops).plus(stages).in_order()

    def _update_open(self, intervals: Sequence[Interval], row_of: Mapping[int, int]) -> None:
        """Let what is still open be open until now; `row_of` has the row of each, by its start's seq."""
        for one in intervals:
            updated = self._store.connection.execute(
                "UPDATE projected_intervals SET open_ns = ? "
                "WHERE rowid = ? AND session = ? AND process = ? AND start_seq = ?",
                [one.open_ns, row_of[one.start_seq], self._session, self._process, one.start_seq],
            )
            if updated.rowcount != 1:
                raise NotSeparate  # the rows were renumbered, as VACUUM may

    def _replace_rows(self, first_row: int, intervals: Sequence[Interval]) -> int:
        """Put intervals in place of the process's rows from one on; return where the first of them stands."""
        self._store.connection.execute(
            "DELETE FROM projected_intervals WHERE session = ? AND process = ? AND rowid >= ?",
            [self._session, self._process, first_row],
        )
        next_row = next_interval_row(self._store)
        number = len(TABLES["projected_intervals"])
        self._store.insert("projected_intervals", INTERVAL_COLUMNS, (one[:number] for one in intervals))
        return next_row

    def _separate(
        self, kept: ProcessCheckpoint, new: NewEvents | None, bound_ns: int
    ) -> tuple[StoredCut, StageEvents, list[Unstopped]]:
        """Return the last cut before what may change, the starts and stops since, and what is open there."""
        for _ in range(_TRIES):
            stored = cut_before(self._store, self._session, self._process, fitting(bound_ns))
            if stored is None:
                raise NotSeparate
            cut = stored.cut
            still_open = [each for each in kept.unstopped if each.is_open and each.start_ns < cut.at_ns]
            stages = self._stages(kept, new, max(cut.least_seq, 0), max(cut.at_ns, 0))
            if cut.at_ns == BEFORE_ALL or is_separate(cut, stages, (each.interval for each in still_open)):
                return stored, stages, still_open
            bound_ns = cut.at_ns - 1
        raise NotSeparate

    def _stages(
        self, kept: ProcessCheckpoint, new: NewEvents | None, least_seq: int, since_ns: int
    ) -> StageEvents:
        """Return the starts and stops from a time on: those that were there, and the new ones."""
        before = read_stages(
            self._store, self._session, self._process, "seq BETWEEN ? AND ? AND at_ns >= ? AND id <= ?",
            (least_seq, kept.events.last_seq, since_ns, self._last_id),
        )  # fmt: skip
        return (before if new is None else before.plus(new.stages)).in_order()


def _changes(before: Iterable[Interval], tail: Iterable[Interval]) -> Changes:
    """Return how a process's intervals from a cut on differ from those that were there."""
    number = len(TABLES["projected_intervals"])
    there = {one[:number]: one for one in before}
    after, same = list[Interval](), list[Interval]()
    for one in tail:
        (after if there.pop(one[:number], None) is None else same).append(one)
    return Changes(list(there.values()), after, same)
