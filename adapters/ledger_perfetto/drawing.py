"""A session as a trace, independent of the format: tracks of slices, counters, and marks.

All times are nanoseconds since the session's first event, on one clock for all processes. Slices are read
one by one, since a large session has more than fit into memory.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from operator import attrgetter
from typing import Final, NamedTuple

from ledger import Interval, Ledger, Process, Timeline
from ledger.adapters import (
    claim_intervals,
    each_after_enclosers,
    intervals_in_question,
    process_names,
)
from ledger_perfetto.nesting import OPEN, Spread
from ledger_perfetto.notes import Key, Notes, NotesOf

_NO_ROLE: Final = "(whole process)"
_PIDS: Final = range(1, 2**31)
"""Valid pids for an operating system and a trace; a log may contain anything."""
_TABLES: Final = ("processes", "claims", "reconciliation", "causes", "anomalies", "milestones", "gaps")
"""The tables of a session that are held in memory. Few of their rows are about a single interval."""
_PLACES: Final = 1_000
"""So many are for the tracks of marks, which come first; then for the tracks of each thread and role."""
_COUNTERS: Final = 2_000_000_000
"""The place of the first counter. They come last."""


class Track(NamedTuple):
    """A line of slices that never partially overlap, each after those that enclose it; or a counter."""

    number: int
    """No other track of the process has it."""
    rank: int
    """Its place in the process, from the top."""
    name: str


class Slice(NamedTuple):
    """An interval; without `stop_ns` it is still open."""

    track: Track
    name: str
    start_ns: int
    stop_ns: int | None
    notes: Notes
    arrows: Sequence[int]
    """The numbers of the arrows from here to claims about it."""


class Sample(NamedTuple):
    """A role's running total in nanoseconds: a counter has one where it starts or stops growing."""

    track: Track
    at_ns: int
    total_ns: int


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
    marks: Mapping[str, Sequence[Mark]]
    """By the name of their track."""


class Drawing(NamedTuple):
    """A session."""

    session: str
    wall_ns: int | None
    """The time of its first event, in nanoseconds since the Unix epoch."""
    processes: Sequence[DrawnProcess]
    contents: Iterator[tuple[int, Iterator[Slice | Sample]]]
    """The place of each process that has any in `processes`, and its slices and samples, to be taken in this
    order. On each track they come in the order of time."""


def drawing(ledger: Ledger, session: str) -> Drawing:
    """Return the drawing of a session. Raises UnknownSession."""
    drawn = _Session(ledger, session)
    return Drawing(session, drawn.wall_ns(), drawn.processes(), drawn.contents(ledger.intervals(session)))


class _Session:
    def __init__(self, ledger: Ledger, session: str) -> None:
        self._timeline: Final[Timeline] = ledger.timeline_tables(session, *_TABLES)
        self._clock: Final = ledger.clock_alignment(session)
        self._notes: Final = NotesOf(self._timeline)
        self._names: Final = process_names(self._timeline.processes)
        self._pids: Final = _pids(self._timeline.processes)
        self._arrows: Final = _arrows(ledger, session, self._timeline)
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
        self._records: Final = sorted(
            self._timeline.processes, key=lambda record: self._began(record.process)
        )
        """The processes, in the order in which they began."""

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
        marks: defaultdict[str, defaultdict[str, list[Mark]]] = defaultdict(lambda: defaultdict(list))
        for process, track, mark in self._marks():
            marks[process][track].append(mark)
        return [
            DrawnProcess(
                self._names[record.process],
                self._pids[record.process],
                self._notes.of_process(record, self._clock),
                marks[record.process],
            )
            for record in self._records
        ]

    def contents(self, intervals: Iterable[Interval]) -> Iterator[tuple[int, Iterator[Slice | Sample]]]:
        """Yield the place of each process and what is drawn in it; intervals come process by process."""
        places = {record.process: place for place, record in enumerate(self._records)}
        for process, of_process in groupby(intervals, attrgetter("process")):
            if process in places:  # else it has joined since the processes were read
                yield places[process], self._drawn(each_after_enclosers(of_process))

    def _drawn(self, intervals: Iterable[Interval]) -> Iterator[Slice | Sample]:
        numbers = count()
        groups: dict[tuple[str | None, str | None], _Group] = {}
        counters: dict[tuple[str | None, str], _RunningTotal] = {}
        for one in intervals:
            group = groups.get((one.thread, one.role))
            if group is None:
                name = f"{one.thread or 'unknown thread'} · {one.role or _NO_ROLE}"
                group = groups[one.thread, one.role] = _Group(name, (len(groups) + 1) * _PLACES)
            yield self._slice(one, group.track_of(one, numbers))
            counter = counters.get((one.role, one.activity))
            if counter is None:
                name = f"{one.role or _NO_ROLE} · {one.activity}, total"
                track = Track(next(numbers), _COUNTERS + len(counters), name)
                counter = counters[one.role, one.activity] = _RunningTotal(track)
                yield Sample(track, 0, 0)
            if one.is_top_level and one.stop_ns is not None:
                start_ns = self._common_time(one.process, one.start_ns)
                yield from counter.samples(start_ns, self._common_time(one.process, one.stop_ns))

    def _slice(self, interval: Interval, track: Track) -> Slice:
        key = (interval.process, interval.interval)
        name = f"{interval.stage} · {interval.component}" if interval.component else interval.stage
        stop_ns = None if interval.stop_ns is None else self._common_time(interval.process, interval.stop_ns)
        start_ns = self._common_time(interval.process, interval.start_ns)
        arrows = self._arrows_from.get(key, ())
        return Slice(track, name, start_ns, stop_ns, self._notes.of_interval(interval), arrows)

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

    def _began(self, process: str) -> tuple[int, str]:
        return self._common_time(process, int(str(self._times[process]["first_ns"]))), process

    def _common_time(self, process: str, at_ns: int) -> int:
        return at_ns + self._clock.offset_ns[process]


class _Group:
    """The tracks of one thread and role of a process."""

    def __init__(self, name: str, rank: int) -> None:
        self._name: Final = name
        self._rank: Final = rank
        self._spread: Final = Spread()
        self._tracks: Final[dict[int, Track]] = {}

    def track_of(self, interval: Interval, numbers: Iterator[int]) -> Track:
        """Return the track of the next interval; a new one gets the next number."""
        place = self._spread.track_of(interval)
        if place not in self._tracks:
            self._tracks[place] = Track(next(numbers), self._rank + min(place, OPEN), self._name)
        return self._tracks[place]


class _RunningTotal:
    """The running length of the union of spans that come by start."""

    def __init__(self, track: Track) -> None:
        self._track: Final = track
        self._total_ns = 0
        self._until_ns = 0

    def samples(self, start_ns: int, stop_ns: int) -> Iterator[Sample]:
        """Take the next span, and yield a sample where the total starts and where it stops growing."""
        if start_ns > self._until_ns:
            yield Sample(self._track, start_ns, self._total_ns)
            self._until_ns = start_ns
        if stop_ns > self._until_ns:
            self._total_ns += stop_ns - self._until_ns
            self._until_ns = stop_ns
            yield Sample(self._track, stop_ns, self._total_ns)


def _pids(processes: Sequence[Process]) -> dict[str, int | None]:
    """Return each process's pid if it is valid and unique, else None."""
    counts = Tally(process.pid for process in processes)
    return {
        process.process: process.pid if (process.pid or 0) in _PIDS and counts[process.pid] == 1 else None
        for process in processes
    }


def _arrows(ledger: Ledger, session: str, timeline: Timeline) -> list[list[tuple[int, Key]]]:
    """Return, for each claim, a numbered arrow from each interval that it is about."""
    asked = intervals_in_question(timeline)
    recorded = {(one.process, one.interval) for one in ledger.intervals_of_keys(session, asked)}
    numbers = count(1)
    return [[(next(numbers), key) for key in keys] for keys in claim_intervals(timeline, recorded)]
