"""The starts and stops of a process, paired to intervals with an end: rules 1 and 2 of the reducer.

They come by the million, so they are bare tuples, in the order of the fields of `Start` and `Stop`.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

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

    def add(self, what: AnomalyName, seq: int, interval: int, detail: str, ns: int | None = None) -> None:
        """Add what an event shows."""
        self.found.append(Anomaly(*self._key, what, interval, None, ns, f"seq {seq}: {detail}"))


class Begun(NamedTuple):
    """The intervals of a process, in the order of their starts: lists that go by one index."""

    starts: Sequence[Start]
    stops: Sequence[Stop | None]
    index_of: dict[int, int]
    """By interval id."""
    parents: Sequence[int | None]
    """Each one's parent by index: one that started before it, so that no chain is a circle."""


def paired(starts: Sequence[Start], stops: Iterable[Stop], anomalies: Anomalies) -> Begun:
    """Rule 1: of several starts with one id the first counts; its stop is the first that comes after it.

    Both are sorted by (at_ns, seq).
    """
    index_of: dict[int, int] = {}
    begun: list[Start] = []
    for start in starts:
        if start[2] in index_of:
            anomalies.add(
                "duplicate_start", start[1], start[2], f"{start[3]} starts again under an id in use"
            )
        else:
            index_of[start[2]] = len(begun)
            begun.append(start)
    stop_of: list[Stop | None] = [None] * len(begun)
    for stop in stops:
        at_ns, seq, interval, *_ = stop
        i = index_of.get(interval)
        if i is None:
            anomalies.add("orphan_stop", seq, interval, "nothing of this id ever started")
            continue
        start = begun[i]
        if at_ns < start[0] or (at_ns == start[0] and seq < start[1]):
            detail = f"{start[3]} starts only at seq {start[1]}"
            anomalies.add("stop_before_start", seq, interval, detail)
        elif stop_of[i] is not None:
            anomalies.add("duplicate_stop", seq, interval, f"{start[3]} had stopped already")
        else:
            stop_of[i] = stop
    parents: list[int | None] = []
    for i, start in enumerate(begun):
        parent = None if (parent_id := start[9]) is None else index_of.get(parent_id)
        parents.append(None if parent is None or parent >= i else parent)
    return Begun(begun, stop_of, index_of, parents)


def ends_of(begun: Begun, is_over: bool, lost: Lost | None) -> list[int]:
    """Rule 2: what has no stop and can't go on is abandoned: it ends with its last descendant's event.

    Where that is the last event of a process that was seen alive later, it went on until then at least.
    """
    ends = [OPEN if stop is None else stop[0] for stop in begun.stops]
    if OPEN not in ends:
        return ends
    starts, stops, _, parents = begun
    last = [max(start[0], end) for start, end in zip(starts, ends, strict=True)]
    for i in range(len(starts) - 1, -1, -1):
        if (parent := parents[i]) is not None:
            last[parent] = max(last[parent], last[i])
    for i, start in enumerate(starts):
        if stops[i] is not None:
            continue
        if lost is not None:
            last[i] = lost.end_ns(last[i])
        parent = parents[i]
        parent_end = OPEN if parent is None else ends[parent]
        if parent_end != OPEN:
            ends[i] = max(start[0], min(last[i], parent_end))
        elif is_over:
            ends[i] = last[i]
    return ends
