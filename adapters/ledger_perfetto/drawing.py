"""A session as a trace, independent of the format: tracks of slices, counters, and marks.

All times are nanoseconds since the session's first event, on one clock for all processes.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Final, NamedTuple

from ledger import Interval, Ledger, Process, Timeline
from ledger.adapters import claim_intervals, process_names
from ledger_perfetto.nesting import spread
from ledger_perfetto.notes import Key, Notes, NotesOf

_NO_ROLE: Final = "(whole process)"
_PIDS: Final = range(1, 2**31)
"""Valid pids for an operating system and a trace; a log may contain anything."""


class Slice(NamedTuple):
    """An interval; without `stop_ns` it is still open."""

    name: str
    start_ns: int
    stop_ns: int | None
    notes: Notes
    arrows: Sequence[int]
    """The numbers of the arrows from here to claims about it."""


class Track(NamedTuple):
    """Slices of one thread and role that never partially overlap, each after those that enclose it."""

    name: str
    slices: Sequence[Slice]


class Counter(NamedTuple):
    """A role's running total in nanoseconds, sampled where it starts or stops growing."""

    name: str
    samples: Sequence[tuple[int, int]]
    """Times with the total so far, in order."""


class Mark(NamedTuple):
    """Something at one moment."""

    name: str
    at_ns: int
    notes: Notes
    arrows: Sequence[int] = ()
    """The numbers of the arrows that lead here."""


class DrawnProcess(NamedTuple):
    """A process of the session."""

    name: str
    pid: int | None
    """None if it is unknown or not unique: processes on two hosts may share one."""
    description: str
    tracks: Sequence[Track]
    counters: Sequence[Counter]
    marks: Mapping[str, Sequence[Mark]]
    """By the name of their track."""


class Drawing(NamedTuple):
    """A session."""

    session: str
    wall_ns: int | None
    """The time of its first event, in nanoseconds since the Unix epoch."""
    processes: Sequence[DrawnProcess]


def drawing(ledger: Ledger, session: str) -> Drawing:
    """Return the drawing of a session. Raises UnknownSession."""
    drawn = _Session(ledger, session)
    return Drawing(session, drawn.wall_ns(), drawn.processes())


class _Session:
    def __init__(self, ledger: Ledger, session: str) -> None:
        self._timeline: Final[Timeline] = ledger.timeline(session)
        self._clock: Final = ledger.clock_alignment(session)
        self._notes: Final = NotesOf(ledger, session, self._timeline)
        self._names: Final = process_names(self._timeline.processes)
        self._pids: Final = _pids(self._timeline.processes)
        self._arrows: Final = _arrows(self._timeline)
        self._arrows_from: Final[defaultdict[Key, list[int]]] = defaultdict(list)
        for number, key in (arrow for of_claim in self._arrows for arrow in of_claim):
            self._arrows_from[key].append(number)
        self._times: Final = {
            str(row["process"]): row
            for row in ledger.sql(
                "SELECT process, min(at_ns) AS first_ns, max(wall_ns - at_ns) AS wall_ahead_ns FROM events "
                "WHERE session = ? GROUP BY process",
                [session],
            )
        }

    def wall_ns(self) -> int | None:
        """Return the wall-clock time of time 0, from the process whose clock was read first.

        None if no process read it, or if it was so wrong that time 0 would be before the epoch.
        """
        read = [
            (self._common_time(process, int(str(row["first_ns"]))), int(str(row["wall_ahead_ns"])), process)
            for process, row in self._times.items()
            if row["wall_ahead_ns"] is not None
        ]
        if not read:
            return None
        _, wall_ahead_ns, process = min(read)
        wall_ns = wall_ahead_ns - self._clock.offset_ns[process]
        return wall_ns if wall_ns >= 0 else None

    def processes(self) -> list[DrawnProcess]:
        """Return the processes, in the order in which they began."""

        def began(process: str) -> tuple[int, str]:
            return self._common_time(process, int(str(self._times[process]["first_ns"]))), process

        timeline = self._timeline
        intervals: defaultdict[str, list[Interval]] = defaultdict(list)
        for interval in timeline.intervals:
            intervals[interval.process].append(interval)
        marks: defaultdict[str, defaultdict[str, list[Mark]]] = defaultdict(lambda: defaultdict(list))
        for process, track, mark in self._marks():
            marks[process][track].append(mark)
        return [
            self._process(record, intervals[record.process], marks[record.process])
            for record in sorted(timeline.processes, key=lambda record: began(record.process))
        ]

    def _process(
        self, record: Process, intervals: Sequence[Interval], marks: Mapping[str, Sequence[Mark]]
    ) -> DrawnProcess:
        return DrawnProcess(
            self._names[record.process],
            self._pids[record.process],
            self._notes.of_process(record, self._clock),
            list(self._tracks(intervals)),
            list(self._counters(intervals)),
            marks,
        )

    def _tracks(self, intervals: Sequence[Interval]) -> Iterator[Track]:
        groups: defaultdict[tuple[str | None, str | None], list[Interval]] = defaultdict(list)
        for interval in intervals:
            groups[interval.thread, interval.role].append(interval)
        for (thread, role), group in groups.items():
            name = f"{thread or 'unknown thread'} · {role or _NO_ROLE}"
            for track in spread(group):
                yield Track(name, [self._slice(interval) for interval in track])

    def _slice(self, interval: Interval) -> Slice:
        key = (interval.process, interval.interval)
        name = f"{interval.stage} · {interval.component}" if interval.component else interval.stage
        stop_ns = None if interval.stop_ns is None else self._common_time(interval.process, interval.stop_ns)
        start_ns = self._common_time(interval.process, interval.start_ns)
        arrows = self._arrows_from.get(key, ())
        return Slice(name, start_ns, stop_ns, self._notes.of_interval(interval), arrows)

    def _counters(self, intervals: Iterable[Interval]) -> Iterator[Counter]:
        spans: defaultdict[tuple[str | None, str], list[tuple[int, int]]] = defaultdict(list)
        for interval in intervals:
            of_group = spans[interval.role, interval.activity]
            if interval.is_top_level and interval.stop_ns is not None:
                start_ns = self._common_time(interval.process, interval.start_ns)
                of_group.append((start_ns, self._common_time(interval.process, interval.stop_ns)))
        for (role, activity), of_group in spans.items():
            yield Counter(f"{role or _NO_ROLE} · {activity}, total", list(_running_total(of_group)))

    def _marks(self) -> Iterator[tuple[str, str, Mark]]:
        """Yield each mark with its process and the name of its track."""
        timeline = self._timeline
        for one in timeline.milestones:
            yield one.process, "milestones", Mark(one.name, self._common_time(one.process, one.at_ns), {})
        reconciled = zip(timeline.claims, timeline.reconciliation, self._arrows, strict=True)
        for one, row, arrows in reconciled:
            at_ns, notes = self._common_time(one.process, one.at_ns), self._notes.of_claim(one, row)
            numbers = [number for number, _ in arrows]
            yield one.process, "claims", Mark(self._notes.name_of(one), at_ns, notes, numbers)
        for one in timeline.gaps:
            notes = {"count": one.count, "detail": one.detail or ""}
            yield one.process, "gaps", Mark(one.what, self._common_time(one.process, one.at_ns), notes)

    def _common_time(self, process: str, at_ns: int) -> int:
        return at_ns + self._clock.offset_ns[process]


def _pids(processes: Sequence[Process]) -> dict[str, int | None]:
    """Return each process's pid if it is valid and unique, else None."""
    counts = Tally(process.pid for process in processes)
    return {
        process.process: process.pid if (process.pid or 0) in _PIDS and counts[process.pid] == 1 else None
        for process in processes
    }


def _arrows(timeline: Timeline) -> list[list[tuple[int, Key]]]:
    """Return, for each claim, a numbered arrow from each interval that it is about."""
    numbers = count(1)
    return [[(next(numbers), key) for key in keys] for keys in claim_intervals(timeline)]


def _running_total(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the running length of the union of spans, at 0 and wherever it starts or stops growing."""
    total_ns, until_ns = 0, 0
    yield 0, 0
    for start_ns, stop_ns in sorted(spans):
        if start_ns > until_ns:
            yield start_ns, total_ns
            until_ns = start_ns
        if stop_ns > until_ns:
            total_ns += stop_ns - until_ns
            until_ns = stop_ns
            yield stop_ns, total_ns
