"""From one process's starts and stops to its intervals: rules 1 to 4 and 7 of the reducer.

The intervals stand in lists that go by one index, their place in the order of their starts. Each rule is one
pass over them, which looks no further back than to what is still open.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import lt

from ledger.timeline import stage_data
from ledger.timeline.enclosure import Enclosure, in_order
from ledger.timeline.records import Interval
from ledger.timeline.spans import merged
from ledger.timeline.stage_events import OPEN, Anomalies, Begun, Lost, StageEvents, ends_of, paired
from ledger.vocabulary import ROLE_OF_TORCH, Activity


def intervals_of(
    session: str,
    process: str,
    stages: StageEvents,
    *,
    is_over: bool,
    last_ns: int,
    lost: Lost | None = None,
    part: "Part | None" = None,
) -> tuple[list[Interval], Anomalies]:
    """Return the intervals of one process, by start, and what is odd about them.

    `stages` are in their order; `last_ns` is the time of the process's last event. `part` says which of a
    session these are, where they are not all.
    """
    stops, anomalies = stages.stops, Anomalies(session, process)
    begun = paired(stages.starts, stops, anomalies)
    starts = begun.starts
    ends = ends_of(begun, stops, is_over, lost)
    _check_parents(begun, ends, anomalies)
    order = _order(starts.at_ns, ends)
    enclosure = Enclosure([starts.at_ns[i] for i in order], [ends[i] for i in order])
    enclosing, depths = _enclosers(enclosure, order, starts.interval)
    from_ancestors = _from_ancestors(begun, part.roles if part else ())
    roles = _roles(order, begun, ends, from_ancestors)
    top_level = _top_level(order, ends, roles, starts.activity)
    if part:
        part.roles = from_ancestors
        part.lasting = {
            i for i, end in enumerate(ends) if end > part.until_ns or (i < part.begun and end != OPEN)
        }
    unattributed, self_times = _times_not_in_others(enclosure, order, begun, ends, part)
    intervals: list[Interval] = []
    stop: int | None
    for (
        (at_ns, seq, interval, stage, activity, _, component, source, thread, parent, data),
        end, stop, around, depth, is_top_level, role, self_ns, unattributed_ns,
    ) in zip(
        zip(*starts, strict=True), ends, begun.stop_of, enclosing, depths, top_level, roles, self_times,
        unattributed, strict=True,
    ):  # fmt: skip
        stop_seq = error = None
        if end == OPEN:
            stop_ns, duration_ns, open_ns, outcome = None, None, last_ns - at_ns, "open"
        else:
            stop_ns, duration_ns, open_ns, outcome = end, end - at_ns, None, "abandoned"
        if stop is not None:
            stop_seq, outcome, error = stops.seq[stop], stops.outcome[stop], stops.error[stop]
            if (stopped_data := stops.data[stop]) is not None:
                data = stage_data.merged(data, stopped_data)
        intervals.append(
            Interval(
                session, process, interval, around, parent, depth, is_top_level, activity, stage, role,
                component, source, thread, at_ns, stop_ns, duration_ns, self_ns, unattributed_ns, open_ns,
                outcome, seq, stop_seq, error, data,
            )
        )  # fmt: skip
    return intervals, anomalies


def _check_parents(begun: Begun, ends: Sequence[int], anomalies: Anomalies) -> None:
    """Rule 3: a parent that never started, or that does not enclose its child, is an anomaly."""
    starts, _, index_of, parents = begun
    for i, (parent_id, p, end) in enumerate(zip(starts.parent, parents, ends, strict=True)):
        if parent_id is None or (p is not None and end <= ends[p]):
            continue  # it has none, or lies within one that began before it
        at_ns, seq, interval, stage = starts.at_ns[i], starts.seq[i], starts.interval[i], starts.stage[i]
        p = index_of.get(parent_id)
        if p is None:
            detail = f"{parent_id}, the parent of {stage}, never began"
            anomalies.add("unknown_parent", at_ns, seq, interval, detail)
            continue
        parent_ns, parent_seq, parent_end = starts.at_ns[p], starts.seq[p], ends[p]
        if OPEN in (end, parent_end):
            continue
        early, late = max(0, parent_ns - at_ns), max(0, end - parent_end)
        is_same_time = parent_ns == at_ns and end == parent_end
        if early or late or (is_same_time and parent_seq >= seq):
            detail = f"{stage} is not within its parent {starts.stage[p]}"
            anomalies.add("parent_does_not_enclose", at_ns, seq, interval, detail, early + late)


def _order(begins: Sequence[int], ends: Sequence[int]) -> Sequence[int]:
    """Return the places of those that have an end, each after all that enclose it."""
    if OPEN not in ends and all(map(lt, begins, islice(begins, 1, None))):
        return range(len(begins))  # hardly any two start at one nanosecond
    return in_order([i for i, end in enumerate(ends) if end != OPEN], begins, ends)


def _enclosers(
    enclosure: Enclosure, order: Sequence[int], ids: Sequence[int]
) -> tuple[list[int | None], list[int]]:
    """Rule 3: return the id of each interval's innermost encloser, and its depth."""
    enclosing: list[int | None] = [None] * len(ids)
    depths = [0] * len(ids)
    for i, around in zip(order, enclosure.around, strict=True):
        if around is not None:
            encloser = order[around]
            enclosing[i] = ids[encloser]
            depths[i] = depths[encloser] + 1
    return enclosing, depths


def _from_ancestors(begun: Begun, known: Sequence[str | None]) -> list[str | None]:
    """Rule 3: return each interval's own role, else its nearest ancestor's; those of the first are known."""
    roles = list(known)
    for given, parent in islice(zip(begun.starts.role, begun.parents, strict=True), len(known), None):
        roles.append(given or (None if parent is None else roles[parent]))
    return roles


def _roles(
    order: Sequence[int], begun: Begun, ends: Sequence[int], from_ancestors: Sequence[str | None]
) -> Sequence[str | None]:
    """Rule 3: an interval's role is its own, else its nearest ancestor's, else its innermost encloser's.

    Of the enclosers, those of the same activity with a role of their own are looked at.
    """
    if None not in from_ancestors:
        return from_ancestors
    roles = list(from_ancestors)
    starts = begun.starts
    # Of each activity, those with a role of their own that may still enclose something, and their stops,
    # negative so that they ascend: bisect then finds the last that reaches far enough.
    candidates: defaultdict[Activity, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
    for i in order:
        given, end = starts.role[i], ends[i]
        candidate_roles, stops = candidates[starts.activity[i]]
        if given is not None:
            while stops and -stops[-1] < end:
                stops.pop()
                candidate_roles.pop()
            stops.append(-end)
            candidate_roles.append(given)
        elif from_ancestors[i] is None and (reaching := bisect_right(stops, -end)):
            roles[i] = candidate_roles[reaching - 1]
    return [
        ROLE_OF_TORCH if role is None and source == "torch" else role
        for role, source in zip(roles, starts.source, strict=True)
    ]


def _top_level(
    order: Sequence[int], ends: Sequence[int], roles: Sequence[str | None], activities: Sequence[Activity]
) -> list[bool]:
    """Rule 4: an interval is top-level if no other interval of its role and activity encloses it."""
    top_level = [False] * len(ends)
    latest: dict[tuple[str | None, Activity], int] = {}
    for i in order:
        group = (roles[i], activities[i])
        end = ends[i]
        if end > latest.get(group, OPEN):
            latest[group] = end
            top_level[i] = True
    return top_level


def _times_not_in_others(
    enclosure: Enclosure, order: Sequence[int], begun: Begun, ends: Sequence[int], part: "Part | None"
) -> tuple[list[int | None], list[int | None]]:
    """Rule 7: return each interval's unattributed time, and its self time."""
    begins, threads = begun.starts.at_ns, begun.starts.thread
    unattributed: list[int | None] = [None] * len(ends)
    for i, length in zip(order, enclosure.lengths, strict=True):
        if length is not None:
            unattributed[i] = ends[i] - begins[i] - length
    if part:
        for place, i in enumerate(order):
            if i in part.lasting and enclosure.lengths[place] is not None:
                part.enclosed_ns[i] = part.covered(enclosure.pieces(place), ends[i])
    self_times: list[int | None] = [None] * len(ends)
    strays = _strays(begun, ends)
    of_threads: defaultdict[str | None, list[int]] = defaultdict(list)
    for i in order:
        of_threads[threads[i]].append(i)
    for places in of_threads.values():
        if len(of_threads) > 1:
            enclosure = Enclosure([begins[i] for i in places], [ends[i] for i in places])
        for i, length in zip(places, enclosure.lengths, strict=True):
            self_times[i] = ends[i] - begins[i] - (length or 0)
        if strays:
            for place, i in enumerate(places):
                if i in strays:
                    inside = _covered([*enclosure.pieces(place), *strays[i]], ends[i])
                    self_times[i] = ends[i] - begins[i] - inside
        if part:
            for place, i in enumerate(places):
                if i in part.lasting:
                    spans = chain(enclosure.pieces(place), strays.get(i, ()))
                    part.inside_ns[i] = part.covered(spans, ends[i])
    return unattributed, self_times


def _strays(begun: Begun, ends: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Return, per interval, the spans of its descendants that are not in its thread or stick out of it.

    From the last to the first, each hands its own span up, merged with what its descendants handed to it:
    what lies inside is then no span of its own any more, so that the lists stay short.
    """
    strays: dict[int, list[tuple[int, int]]] = {}
    parents, begins, threads = begun.parents, begun.starts.at_ns, begun.starts.thread
    for i in range(len(parents) - 1, -1, -1):
        parent = parents[i]
        if parent is None:
            continue
        end = ends[i]
        is_plain = OPEN != end <= ends[parent] and threads[i] == threads[parent]
        if is_plain and i not in strays:
            continue
        own = [] if end == OPEN else [(begins[i], end)]
        strays.setdefault(parent, []).extend(merged(own + strays.get(i, [])))
    return strays


@dataclass(slots=True)
class Part:
    """Says that events are those of a process from one time to another, besides what lasts from before.

    And takes note of what lasts beyond it, by index, for the part that comes next.
    """

    since_ns: int
    until_ns: int
    begun: int
    """How many intervals last from before: they stand first."""
    roles: Sequence[str | None]
    """Of each its own role, or its nearest ancestor's: at first of those that last from before."""
    lasting: Set[int] = field(default_factory=set[int])
    """The intervals of which more than this part is needed."""
    enclosed_ns: dict[int, int] = field(default_factory=dict[int, int])
    """How much of this part is covered by what each of them encloses, where that is anything."""
    inside_ns: dict[int, int] = field(default_factory=dict[int, int])
    """How much of it is none of its self time."""

    def covered(self, spans: Iterable[tuple[int, int]], limit: int) -> int:
        """Return the length of the union of spans, as far as it is in this part and before a limit."""
        within = [(max(start, self.since_ns), end) for start, end in spans if end > self.since_ns]
        return _covered(within, min(limit, self.until_ns))


def _covered(spans: list[tuple[int, int]], limit: int) -> int:
    """Return the length of the union of spans, cut at a limit."""
    return sum(max(0, min(end, limit) - start) for start, end in merged(spans))
