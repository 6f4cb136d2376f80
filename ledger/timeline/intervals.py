"""From one process's starts and stops to its intervals: rules 1 to 4 and 7 of the reducer.

The intervals stand in lists that go by one index, their place in the order of their starts.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from ledger.events.models import StageStarted, StageStopped
from ledger.events.rows import EventRow, json_of
from ledger.timeline import stage_data
from ledger.timeline.enclosure import Enclosure, in_order
from ledger.timeline.records import Anomaly, Interval
from ledger.timeline.spans import merged
from ledger.vocabulary import ROLE_OF_TORCH, Activity, AnomalyName, Outcome, Source


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


_OPEN: Final = -1
"""The end of an interval that has none yet."""


def intervals_of(
    session: str,
    process: str,
    starts: Iterable[Start],
    stops: Iterable[Stop],
    *,
    is_over: bool,
    last_ns: int,
    lost: Lost | None = None,
) -> tuple[list[Interval], list[Anomaly]]:
    """Return the intervals of one process, by start, and what is odd about them.

    `starts` and `stops` are sorted by (at_ns, seq); `last_ns` is the time of the process's last event.
    """
    anomalies = _Anomalies(session, process)
    begun, stop_of, index_of = _paired(starts, stops, anomalies)
    parents = _followed_parents(begun, index_of)
    ends = _ends(begun, stop_of, parents, is_over, lost)
    _check_parents(begun, ends, parents, index_of, anomalies)
    order = in_order([i for i, end in enumerate(ends) if end != _OPEN], [each.at_ns for each in begun], ends)
    enclosure = _enclosure(order, begun, ends)
    enclosing, depths = _enclosers(enclosure, order, begun)
    roles = _roles(order, begun, ends, parents)
    top_level = _top_level(order, begun, ends, roles)
    unattributed, self_times = _times_not_in_others(enclosure, order, begun, ends, parents)
    intervals: list[Interval] = []
    for start, end, stop, around, depth, is_top_level, role, self_ns, unattributed_ns in zip(
        begun, ends, stop_of, enclosing, depths, top_level, roles, self_times, unattributed, strict=True
    ):
        at_ns, seq, interval, stage, activity, _, component, source, thread, parent, data = start
        stop_seq = error = None
        if end == _OPEN:
            stop_ns, duration_ns, open_ns, outcome = None, None, last_ns - at_ns, "open"
        else:
            stop_ns, duration_ns, open_ns, outcome = end, end - at_ns, None, "abandoned"
        if stop is not None:
            _, stop_seq, _, outcome, error, stop_data = stop
            if stop_data is not None:
                data = stage_data.merged(data, stop_data)
        intervals.append(
            Interval(
                session, process, interval, around, parent, depth, is_top_level, activity, stage, role,
                component, source, thread, at_ns, stop_ns, duration_ns, self_ns, unattributed_ns, open_ns,
                outcome, seq, stop_seq, error, data,
            )
        )  # fmt: skip
    return intervals, anomalies.found


class _Anomalies:
    """Collects what is odd, in the order in which it is come upon."""

    def __init__(self, session: str, process: str) -> None:
        self._key: Final = (session, process)
        self.found: Final[list[Anomaly]] = []

    def add(self, what: AnomalyName, event: Start | Stop, detail: str, ns: int | None = None) -> None:
        detail = f"seq {event.seq}: {detail}"
        self.found.append(Anomaly(*self._key, what, event.interval, None, ns, detail))


def _paired(
    starts: Iterable[Start], stops: Iterable[Stop], anomalies: _Anomalies
) -> tuple[list[Start], list[Stop | None], dict[int, int]]:
    """Rule 1: of several starts with one id the first counts; its stop is the first that comes after it."""
    begun: list[Start] = []
    index_of: dict[int, int] = {}
    for start in starts:
        if start.interval in index_of:
            anomalies.add("duplicate_start", start, f"{start.stage} starts again under an id in use")
        else:
            index_of[start.interval] = len(begun)
            begun.append(start)
    stop_of: list[Stop | None] = [None] * len(begun)
    for stop in stops:
        i = index_of.get(stop.interval)
        if i is None:
            anomalies.add("orphan_stop", stop, "nothing of this id ever started")
        elif (stop.at_ns, stop.seq) < (begun[i].at_ns, begun[i].seq):
            anomalies.add("stop_before_start", stop, f"{begun[i].stage} starts only at seq {begun[i].seq}")
        elif stop_of[i] is not None:
            anomalies.add("duplicate_stop", stop, f"{begun[i].stage} had stopped already")
        else:
            stop_of[i] = stop
    return begun, stop_of, index_of


def _followed_parents(begun: list[Start], index_of: dict[int, int]) -> list[int | None]:
    """Return each interval's parent by index: one that started before it, so that no chain is a circle."""
    parents: list[int | None] = []
    for i, start in enumerate(begun):
        parent = None if start.parent is None else index_of.get(start.parent)
        parents.append(parent if parent is not None and parent < i else None)
    return parents


def _ends(
    begun: list[Start],
    stop_of: list[Stop | None],
    parents: list[int | None],
    is_over: bool,
    lost: Lost | None,
) -> list[int]:
    """Rule 2: what has no stop and can't go on is abandoned: it ends with its last descendant's event.

    Where that is the last event of a process that was seen alive later, it went on until then at least.
    """
    ends = [_OPEN if stop is None else stop.at_ns for stop in stop_of]
    if _OPEN not in ends:
        return ends
    last = [max(start.at_ns, end) for start, end in zip(begun, ends, strict=True)]
    for i in range(len(begun) - 1, -1, -1):
        if (parent := parents[i]) is not None:
            last[parent] = max(last[parent], last[i])
    for i, start in enumerate(begun):
        if stop_of[i] is not None:
            continue
        if lost is not None:
            last[i] = lost.end_ns(last[i])
        parent = parents[i]
        parent_end = _OPEN if parent is None else ends[parent]
        if parent_end != _OPEN:
            ends[i] = max(start.at_ns, min(last[i], parent_end))
        elif is_over:
            ends[i] = last[i]
    return ends


def _check_parents(
    begun: list[Start],
    ends: list[int],
    parents: list[int | None],
    index_of: dict[int, int],
    anomalies: _Anomalies,
) -> None:
    """Rule 3: a parent that never started, or that does not enclose its child, is an anomaly."""
    for i, child in enumerate(begun):
        p = parents[i]
        if child.parent is None or (p is not None and ends[i] <= ends[p]):
            continue  # it has none, or lies within one that began before it
        p = index_of.get(child.parent)
        if p is None:
            anomalies.add(
                "unknown_parent", child, f"{child.parent}, the parent of {child.stage}, never began"
            )
            continue
        parent, end, parent_end = begun[p], ends[i], ends[p]
        if _OPEN in (end, parent_end):
            continue
        early, late = max(0, parent.at_ns - child.at_ns), max(0, end - parent_end)
        is_same_time = parent.at_ns == child.at_ns and end == parent_end
        if early or late or (is_same_time and parent.seq >= child.seq):
            anomalies.add(
                "parent_does_not_enclose",
                child,
                f"{child.stage} is not within its parent {parent.stage}",
                early + late,
            )


def _roles(
    order: list[int], begun: list[Start], ends: list[int], parents: list[int | None]
) -> list[str | None]:
    """Rule 3: an interval's role is its own, else its nearest ancestor's, else its innermost encloser's.

    Of the enclosers, those of the same activity with a role of their own are looked at.
    """
    roles: list[str | None] = []
    for i, start in enumerate(begun):
        parent = parents[i]
        roles.append(start.role or (None if parent is None else roles[parent]))
    from_ancestors = list(roles)
    # Of each activity, those with a role of their own that may still enclose something, and their stops,
    # negative so that they ascend: bisect then finds the last that reaches far enough.
    candidates: defaultdict[Activity, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
    for i in order:
        start, end = begun[i], ends[i]
        given, stops = candidates[start.activity]
        if start.role is not None:
            while stops and -stops[-1] < end:
                stops.pop()
                given.pop()
            stops.append(-end)
            given.append(start.role)
        elif from_ancestors[i] is None and (reaching := bisect_right(stops, -end)):
            roles[i] = given[reaching - 1]
    return [
        ROLE_OF_TORCH if role is None and start.source == "torch" else role
        for role, start in zip(roles, begun, strict=True)
    ]


def _top_level(order: list[int], begun: list[Start], ends: list[int], roles: list[str | None]) -> list[bool]:
    """Rule 4: an interval is top-level if no other interval of its role and activity encloses it."""
    top_level = [False] * len(begun)
    latest: dict[tuple[str | None, Activity], int] = {}
    for i in order:
        group: tuple[str | None, Activity] = (roles[i], begun[i].activity)
        end = ends[i]
        if end > latest.get(group, -1):
            latest[group] = end
            top_level[i] = True
    return top_level


def _enclosure(order: list[int], begun: list[Start], ends: list[int]) -> Enclosure:
    return Enclosure([begun[i].at_ns for i in order], [ends[i] for i in order])


def _enclosers(
    enclosure: Enclosure, order: list[int], begun: list[Start]
) -> tuple[list[int | None], list[int]]:
    """Rule 3: return the id of each interval's innermost encloser, and its depth."""
    enclosing: list[int | None] = [None] * len(begun)
    depths = [0] * len(begun)
    for i, around, depth in zip(order, enclosure.around, enclosure.depths(), strict=True):
        if around is not None:
            enclosing[i] = begun[order[around]].interval
            depths[i] = depth
    return enclosing, depths


def _times_not_in_others(
    enclosure: Enclosure,
    order: list[int],
    begun: list[Start],
    ends: list[int],
    parents: list[int | None],
) -> tuple[list[int | None], list[int | None]]:
    """Rule 7: return each interval's unattributed time, and its self time."""
    unattributed: list[int | None] = [None] * len(begun)
    self_times: list[int | None] = [None] * len(begun)
    lengths = enclosure.lengths()
    for i, length in zip(order, lengths, strict=True):
        if length is not None:
            unattributed[i] = ends[i] - begun[i].at_ns - length
    strays = _strays(begun, ends, parents)
    threads: defaultdict[str | None, list[int]] = defaultdict(list)
    for i in order:
        threads[begun[i].thread].append(i)
    for of_thread in threads.values():
        if len(threads) > 1:
            enclosure = _enclosure(of_thread, begun, ends)
            lengths = enclosure.lengths()
        for place, i in enumerate(of_thread):
            inside = lengths[place] or 0
            if i in strays:
                inside = _covered(enclosure.pieces(place) + strays[i], ends[i])
            self_times[i] = ends[i] - begun[i].at_ns - inside
    return unattributed, self_times


def _strays(
    begun: list[Start], ends: list[int], parents: list[int | None]
) -> dict[int, list[tuple[int, int]]]:
    """Return, per interval, the spans of its descendants that are not in its thread or stick out of it.

    From the last to the first, each hands its own span up, merged with what its descendants handed to it:
    what lies inside is then no span of its own any more, so that the lists stay short.
    """
    strays: dict[int, list[tuple[int, int]]] = {}
    for i in range(len(begun) - 1, -1, -1):
        parent = parents[i]
        if parent is None:
            continue
        below, end = strays.get(i), ends[i]
        is_plain = _OPEN != end <= ends[parent] and begun[i].thread == begun[parent].thread
        if is_plain and not below:
            continue
        own = [] if end == _OPEN else [(begun[i].at_ns, end)]
        strays.setdefault(parent, []).extend(merged(own + (below or [])))
    return strays


def _covered(spans: list[tuple[int, int]], limit: int) -> int:
    """Return the length of the union of spans, cut at a limit."""
    return sum(max(0, min(end, limit) - start) for start, end in merged(spans))
