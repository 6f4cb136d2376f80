"""The starts and stops of a process, paired to intervals with an end: rules 1 and 2 of the reducer.

They come by the million, so they stand in columns: lists that go by one index.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from operator import attrgetter, le
from typing import Final, NamedTuple, TypeVar

from ledger.events.models import StageStarted, StageStopped
from ledger.events.rows import EventRow, json_of
from ledger.timeline.records import Anomaly
from ledger.vocabulary import Activity, AnomalyName, Outcome, Source


class Start(NamedTuple):
    """A `stage_started` event of a process, less what the reducer does not look at."""

    at_ns: int
    seq: int
    interval: int
    stage: str
    activity: Activity
    role: str | None
    component: str | None
    source: Source
    thread: str | None
    parent: int | None
    data: str | None
    """JSON, as in the ledger."""


class Stop(NamedTuple):
    """A `stage_stopped` event, likewise."""

    at_ns: int
    seq: int
    interval: int
    outcome: Outcome
    error: str | None
    data: str | None


class Starts(NamedTuple):
    """Starts of a process in columns."""

    at_ns: Sequence[int]
    seq: Sequence[int]
    interval: Sequence[int]
    stage: Sequence[str]
    activity: Sequence[Activity]
    role: Sequence[str | None]
    component: Sequence[str | None]
    source: Sequence[Source]
    thread: Sequence[str | None]
    parent: Sequence[int | None]
    data: Sequence[str | None]


class Stops(NamedTuple):
    """Stops of a process in columns."""

    at_ns: Sequence[int]
    seq: Sequence[int]
    interval: Sequence[int]
    outcome: Sequence[Outcome]
    error: Sequence[str | None]
    data: Sequence[str | None]


_Columns = TypeVar("_Columns", Starts, Stops)


class StageEvents(NamedTuple):
    """The starts and stops of one process, in any order, each once."""

    starts: Starts
    stops: Stops

    @classmethod
    def of(cls, starts: Iterable[Start], stops: Iterable[Stop]) -> "StageEvents":
        """Return events in columns."""
        # Without a row there would be no columns.
        start_columns = zip(*starts, strict=True) if (starts := list(starts)) else [()] * len(Starts._fields)
        stop_columns = zip(*stops, strict=True) if (stops := list(stops)) else [()] * len(Stops._fields)
        return cls(Starts._make(start_columns), Stops._make(stop_columns))

    def plus(self, others: "StageEvents") -> "StageEvents":
        """Return these, and then others."""
        if not self.starts.seq and not self.stops.seq:
            return others
        if not others.starts.seq and not others.stops.seq:
            return self
        return StageEvents(
            Starts._make([*a, *b] for a, b in zip(self.starts, others.starts, strict=True)),
            Stops._make([*a, *b] for a, b in zip(self.stops, others.stops, strict=True)),
        )

    def in_order(self) -> "StageEvents":
        """Return them sorted by (at_ns, seq)."""
        return StageEvents(_in_order(self.starts), _in_order(self.stops))


def _in_order(columns: _Columns) -> _Columns:
    at_ns, seq, *_ = columns
    if all(map(le, zip(at_ns, seq, strict=True), islice(zip(at_ns, seq, strict=True), 1, None))):
        return columns  # as they came from a recorder
    order = sorted(range(len(seq)), key=seq.__getitem__)
    order.sort(key=at_ns.__getitem__)
    return columns._make([column[i] for i in order] for column in columns)


class StageCounts(NamedTuple):
    """How many starts and stops a process has, and between which times and up to which seq."""

    number: int = 0
    first_ns: int = 0
    last_ns: int = 0
    last_seq: int = -1

    def plus(self, other: "StageCounts") -> "StageCounts":
        """Return what both have together."""
        if not self.number or not other.number:
            return self if self.number else other
        return StageCounts(
            self.number + other.number,
            min(self.first_ns, other.first_ns),
            max(self.last_ns, other.last_ns),
            max(self.last_seq, other.last_seq),
        )


def counts_of(stages: StageEvents) -> StageCounts:
    """Return the counts of starts and stops."""
    counts = StageCounts()
    for events in stages:
        if events.seq:
            number = len(events.seq)
            counts = counts.plus(StageCounts(number, min(events.at_ns), max(events.at_ns), max(events.seq)))
    return counts


class Lost(NamedTuple):
    """When a lost process was last heard of, and when it was last seen alive."""

    last_ns: int
    alive_ns: int

    def end_ns(self, last_ns: int) -> int:
        """Return until when an interval went on at least, whose last event was at `last_ns`."""
        return max(last_ns, self.alive_ns) if last_ns == self.last_ns else last_ns


_start_fields: Final = attrgetter(*Start._fields)
_stop_fields: Final = attrgetter(*Stop._fields)


def start_of(event: StageStarted) -> Start:
    """Return an event as a start."""
    return Start._make((*_start_fields(event)[:-1], None if event.data is None else json_of(event.data)))


def stop_of(event: StageStopped) -> Stop:
    """Return an event as a stop."""
    return Stop._make((*_stop_fields(event)[:-1], None if event.data is None else json_of(event.data)))


def start_of_row(row: EventRow) -> Start:
    """Return the row of a `stage_started` event as a start."""
    return Start._make(_start_fields(row))


def stop_of_row(row: EventRow) -> Stop:
    """Return the row of a `stage_stopped` event as a stop."""
    return Stop._make(_stop_fields(row))


OPEN: Final = -1
"""The end of an interval that has none yet."""


class Anomalies:
    """Collects what is odd in a process, in the order in which it is come upon."""

    def __init__(self, session: str, process: str) -> None:
        self._key: Final = (session, process)
        self.found: Final[list[Anomaly]] = []
        self.at_ns: Final[list[int]] = []
        """When the event of each was."""

    def add(
        self, what: AnomalyName, at_ns: int, seq: int, interval: int, detail: str, ns: int | None = None
    ) -> None:
        """Add what an event shows."""
        self.at_ns.append(at_ns)
        self.found.append(Anomaly(*self._key, what, interval, None, ns, f"seq {seq}: {detail}"))


class Begun(NamedTuple):
    """The intervals of a process, in the order of their starts: columns that go by one index."""

    starts: Starts
    stop_of: Sequence[int | None]
    """The place of each one's stop in the columns of stops."""
    index_of: dict[int, int]
    """By interval id."""
    parents: Sequence[int | None]
    """Each one's parent by index: one that started before it, so that no chain is a circle."""


def paired(starts: Starts, stops: Stops, anomalies: Anomalies) -> Begun:
    """Rule 1: of several starts with one id the first counts; its stop is the first that comes after it.

    Both are sorted by (at_ns, seq).
    """
    starts, index_of = _first_of_each_id(starts, anomalies)
    stop_of: list[int | None] = [None] * len(index_of)
    begins, begin_seqs, stages = starts.at_ns, starts.seq, starts.stage
    for at, (at_ns, seq, interval) in enumerate(zip(*stops[:3], strict=True)):
        i = index_of.get(interval)
        if i is None:
            anomalies.add("orphan_stop", at_ns, seq, interval, "nothing of this id ever started")
        elif at_ns < begins[i] or (at_ns == begins[i] and seq < begin_seqs[i]):
            detail = f"{stages[i]} starts only at seq {begin_seqs[i]}"
            anomalies.add("stop_before_start", at_ns, seq, interval, detail)
        elif stop_of[i] is not None:
            anomalies.add("duplicate_stop", at_ns, seq, interval, f"{stages[i]} had stopped already")
        else:
            stop_of[i] = at
    parents: list[int | None] = []
    for i, parent_id in enumerate(starts.parent):
        parent = None if parent_id is None else index_of.get(parent_id)
        parents.append(None if parent is None or parent >= i else parent)
    return Begun(starts, stop_of, index_of, parents)


def _first_of_each_id(starts: Starts, anomalies: Anomalies) -> tuple[Starts, dict[int, int]]:
    number = len(starts.interval)
    index_of = dict(zip(starts.interval, range(number), strict=True))
    if len(index_of) == number:
        return starts, index_of
    index_of.clear()
    firsts: list[int] = []
    for at, interval in enumerate(starts.interval):
        if interval in index_of:
            detail = f"{starts.stage[at]} starts again under an id in use"
            anomalies.add("duplicate_start", starts.at_ns[at], starts.seq[at], interval, detail)
        else:
            index_of[interval] = len(firsts)
            firsts.append(at)
    return Starts._make([column[at] for at in firsts] for column in starts), index_of


def ends_of(begun: Begun, stops: Stops, is_over: bool, lost: Lost | None) -> list[int]:
    """Rule 2: what has no stop and can't go on is abandoned: it ends with its last descendant's event.

    Where that is the last event of a process that was seen alive later, it went on until then at least.
    """
    starts, stop_of, _, parents = begun
    ends = [OPEN if at is None else stops.at_ns[at] for at in stop_of]
    if OPEN not in ends:
        return ends
    last = list(map(max, starts.at_ns, ends))
    for i in range(len(last) - 1, -1, -1):
        if (parent := parents[i]) is not None:
            last[parent] = max(last[parent], last[i])
    for i, begin in enumerate(starts.at_ns):
        if stop_of[i] is not None:
            continue
        if lost is not None:
            last[i] = lost.end_ns(last[i])
        parent = parents[i]
        parent_end = OPEN if parent is None else ends[parent]
        if parent_end != OPEN:
            ends[i] = max(begin, min(last[i], parent_end))
        elif is_over:
            ends[i] = last[i]
    return ends
