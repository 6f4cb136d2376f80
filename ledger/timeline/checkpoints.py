"""Where the reducing of a session can go on later: what is before such a place stays as it is.

A cut lies in front of an interval of a process, where all that began before it and has ended ended before it:

    A |-------|               . E |-----|
    B    |--|   C |----|      .      F |--|
    D   |---------------------.----------------- … still open: it encloses nothing, until it ends
                              cut

What comes after a cut encloses nothing before it, and nothing before it encloses what comes after. So new
events change nothing before the last cut that is older than they are, and older than whatever they end.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from ledger.timeline.compile_phases import BEGIN_ANYWHERE
from ledger.timeline.findings.subjects import CPU_WAIT_NS, STAGES_LOOKED_AT
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.process_events import ProcessEvents
from ledger.timeline.records import Anomaly, Interval
from ledger.timeline.stage_events import Anomalies, StageCounts, StageEvents, counts_of
from ledger.timeline.totals import Group, ProcessTotals, Sum
from ledger.vocabulary import AnomalyName

BEFORE_ALL: Final = -(1 << 72)
"""Before every time that an event may have."""

_PASS_OF: Final[Mapping[AnomalyName, int]] = {
    "duplicate_start": 0,
    "orphan_stop": 1,
    "stop_before_start": 1,
    "duplicate_stop": 1,
    "unknown_parent": 2,
    "parent_does_not_enclose": 2,
}
"""Which pass over a process's events finds an anomaly: so they stand in a timeline, each pass's by time."""


class Cut(NamedTuple):
    """A place in front of an interval of a process, and what is known there."""

    at_ns: int
    """When that interval starts: all before it started, and ended or is open still, before that."""
    number: int
    """How many intervals are before it."""
    start_seq: int
    """That interval's."""
    least_seq: int
    """No event from here on has a smaller one."""
    largest_id: int
    """No id of an interval, or of a parent, before it is larger."""
    last_start_ns: int
    """When the last interval before it started."""
    last_stopped: str | None
    """The stage of what stopped last before it."""
    odd: tuple[int, int, int]
    """How many anomalies are before it, by the pass that finds them."""
    totals: ProcessTotals
    """Of what has ended before it."""


def beginning() -> Cut:
    """Return the cut in front of everything."""
    return Cut(BEFORE_ALL, 0, -1, 0, BEFORE_ALL, BEFORE_ALL, None, (0, 0, 0), ProcessTotals())


def cuts_of(
    stages: StageEvents,
    intervals: Sequence[Interval],
    odd: Anomalies,
    base: Cut,
    spacing: int,
    lasting: Sequence[Interval] = (),
) -> tuple[list[Cut], ProcessTotals]:
    """Return the cuts after another one, each so many intervals after the one before, and the totals in all.

    `stages`, `intervals` and `odd` have what begins, or else is found, from `base` on; `base` comes first in
    the result, as these make it. `lasting` are intervals before `base` that end only after it.
    """
    reached_ns = max((one.stop_ns for one in lasting if one.stop_ns is not None), default=BEFORE_ALL)
    places = [0, *_places(intervals, base.last_start_ns, reached_ns, spacing)]
    times = [base.at_ns, *(intervals[place].start_ns for place in places[1:])]
    totals = base.totals.ended()
    found = [base._replace(start_seq=intervals[0].start_seq)] if intervals else [base]
    for place, past, at_ns in zip(places, places[1:], times[1:], strict=False):
        some = intervals[place:past]
        totals.add(some)
        before = found[-1]
        last_stopped = _last_stopped(some if place else [*lasting, *some], at_ns, before.last_stopped)
        found.append(
            Cut(
                at_ns, base.number + past, intervals[past].start_seq, 0, before.largest_id,
                some[-1].start_ns, last_stopped, before.odd, totals.ended(),
            )
        )  # fmt: skip
    totals.add(intervals[places[-1] :])
    return _with_events(found, stages, odd), totals


def _last_stopped(intervals: Iterable[Interval], until_ns: int, before: str | None) -> str | None:
    """Return the stage of what stopped last until a time, `before` where none of these did."""
    last, last_ns = None, BEFORE_ALL
    for one in intervals:  # by start, and so by seq
        if one.stop_ns is not None and last_ns <= one.stop_ns <= until_ns:
            last, last_ns = one, one.stop_ns
    return before if last is None else last.stage


def advanced(
    base: Cut,
    stages: StageEvents,
    intervals: Sequence[Interval],
    odd: Anomalies,
    until_ns: int,
    lasting: Iterable[Interval],
    totals: ProcessTotals,
) -> Cut:
    """Return what is known at a time up to which a process's events are these, as a cut that none need be.

    `intervals` begin from `base` on, `lasting` began before and end after it; `totals` are of all.
    """
    starts, stops = stages
    parents = (parent for parent in starts.parent if parent is not None)
    counts = list(base.odd)
    for anomaly, at_ns in zip(odd.found, odd.at_ns, strict=True):
        counts[_PASS_OF[anomaly.what]] += at_ns >= base.at_ns
    return Cut(
        until_ns + 1,
        base.number + len(intervals),
        -1,
        0,
        max(
            base.largest_id,
            max(starts.interval, default=BEFORE_ALL),
            max(stops.interval, default=BEFORE_ALL),
            max(parents, default=BEFORE_ALL),
        ),
        intervals[-1].start_ns if intervals else base.last_start_ns,
        _last_stopped([*lasting, *intervals], until_ns, base.last_stopped),
        (counts[0], counts[1], counts[2]),
        totals,
    )


def _places(intervals: Sequence[Interval], last_start_ns: int, reached_ns: int, spacing: int) -> list[int]:
    places: list[int] = []
    next_place = spacing
    for place, interval in enumerate(intervals):
        start_ns, stop_ns = interval.start_ns, interval.stop_ns
        if place >= next_place and start_ns > reached_ns and start_ns > last_start_ns and start_ns > 0:
            places.append(place)
            next_place = place + spacing
        if stop_ns is not None and stop_ns > reached_ns:
            reached_ns = stop_ns
        last_start_ns = start_ns
    return places


def _with_events(cuts: Sequence[Cut], stages: StageEvents, odd: Anomalies) -> list[Cut]:
    """Add what the events say: the least seq after each cut, the largest id and the anomalies before it."""
    times = [cut.at_ns for cut in cuts[1:]]
    slices = [slice(*bounds) for bounds in pairwise([0, *_first_from(stages.starts.at_ns, times), None])]
    stop_slices = [slice(*bounds) for bounds in pairwise([0, *_first_from(stages.stops.at_ns, times), None])]
    largest, least = list[int](), list[int]()
    for of_starts, of_stops in zip(slices, stop_slices, strict=True):
        ids = (
            *stages.starts.interval[of_starts],
            *stages.stops.interval[of_stops],
            *(parent for parent in stages.starts.parent[of_starts] if parent is not None),
        )
        largest.append(max(ids, default=BEFORE_ALL))
        seqs = (*stages.starts.seq[of_starts], *stages.stops.seq[of_stops])
        least.append(min(seqs, default=-BEFORE_ALL))
    for at in range(len(least) - 2, -1, -1):
        least[at] = min(least[at], least[at + 1])
    found = [cuts[0]._replace(least_seq=least[0])]
    for at, cut in enumerate(cuts[1:]):
        counts = list(cuts[0].odd)
        for anomaly, at_ns in zip(odd.found, odd.at_ns, strict=True):
            counts[_PASS_OF[anomaly.what]] += cuts[0].at_ns <= at_ns < cut.at_ns
        largest_id = max(found[-1].largest_id, largest[at])
        found.append(
            cut._replace(
                least_seq=least[at + 1], largest_id=largest_id, odd=(counts[0], counts[1], counts[2])
            )
        )
    return found


def _first_from(times: Sequence[int], bounds: Iterable[int]) -> list[int]:
    return [bisect_left(times, bound) for bound in bounds]


def is_separate(cut: Cut, stages: StageEvents, still_open: Iterable[int]) -> bool:
    """Tell whether what comes after a cut speaks of nothing before it, by id, but what is still open."""
    known = set(still_open)
    starts, stops = stages
    if known.intersection(starts.interval):
        return False
    return not any(
        number is not None and number <= cut.largest_id and number not in known
        for numbers in (starts.interval, stops.interval, starts.parent)
        for number in numbers
    )


def joined_anomalies(
    before: Sequence[Anomaly], counts: Sequence[int], odd: Anomalies | None, since_ns: int
) -> list[Anomaly]:
    """Return a process's anomalies: of those that it had the first ones, by pass, and those from then on."""
    found: list[Anomaly] = []
    for number, count in enumerate(counts):
        found += [one for one in before if _PASS_OF.get(one.what) == number][:count]
        if odd is not None:
            found += [
                one
                for one, at_ns in zip(odd.found, odd.at_ns, strict=True)
                if at_ns >= since_ns and _PASS_OF[one.what] == number
            ]
    return found


class Unstopped(NamedTuple):
    """An interval without a stop of its own: open, or abandoned."""

    interval: int
    start_ns: int
    start_seq: int
    is_open: bool
    place: int
    """Where it stands: among its process's intervals here, in the table of intervals where it is kept."""


class ProcessCheckpoint(NamedTuple):
    """What is kept of a process's stages."""

    intervals: int
    """How many it has."""
    events: StageCounts
    unstopped: Sequence[Unstopped]
    is_plain: bool
    """Whether its intervals are of no interest to more than the totals and the breakdown."""


class Moment(NamedTuple):
    """A time, and the length of each union of top-level intervals of all processes up to it."""

    at_ns: int
    unions: Mapping[Group, int]


_stage, _source, _data_json = map(attrgetter, ("stage", "source", "data_json"))
_TopLevel = tuple[int, int, Group]


class Unions:
    """Adds up the unions of the top-level intervals of all processes, and takes note of moments."""

    def __init__(self, moment: Moment, spacing: int) -> None:
        self._since_ns: Final = moment.at_ns
        self._last_ns = moment.at_ns
        self._spacing: Final = spacing
        self._number = 0
        """Of spans since the last moment."""
        self._sums: Final = {group: Sum(union_ns=length) for group, length in moment.unions.items()}

    def add(self, top_level: Iterable[_TopLevel]) -> list[Moment]:
        """Add spans that end after the moment, by start; return further moments, each so many spans later."""
        moments: list[Moment] = []
        sums, since_ns = self._sums, self._since_ns
        for start_ns, stop_ns, group in top_level:
            if self._number >= self._spacing and start_ns > max(self._last_ns, 0):
                moments.append(Moment(start_ns, self._lengths(start_ns)))
                self._number, self._last_ns = 0, start_ns
            total = sums.get(group)
            if total is None:
                total = sums[group] = Sum()
            total.add(max(start_ns, since_ns), stop_ns)
            self._number += 1
        return moments

    def _lengths(self, at_ns: int) -> dict[Group, int]:
        return {
            group: total.union_ns - max(0, total.reached_ns - at_ns) for group, total in self._sums.items()
        }

    @property
    def lengths(self) -> dict[Group, int]:
        """The length of each union."""
        return {group: total.union_ns for group, total in self._sums.items()}


def unions_since(
    moment: Moment, top_level: Iterable[_TopLevel], spacing: int
) -> tuple[dict[Group, int], list[Moment]]:
    """Go on with unions from a moment: return them, and further moments, each so many spans later.

    `top_level` are the spans that end after it, by start.
    """
    unions = Unions(moment, spacing)
    moments = unions.add(top_level)
    return unions.lengths, moments


class Checkpoints:
    """Takes note of where the reducing of a session can go on later, while all of it is reduced."""

    def __init__(self, spacing: int) -> None:
        self._spacing: Final = spacing
        self.cuts: Final[dict[str, list[Cut]]] = {}
        self.processes: Final[dict[str, ProcessCheckpoint]] = {}
        self.moments: Final[list[Moment]] = []
        self.parts: Mapping[str, ProcessEvents] = {}
        """What else is known of the processes."""

    def add(
        self, process: str, stages: StageEvents, intervals: Sequence[Interval], odd: Anomalies
    ) -> ProcessTotals:
        """Take note of all that a process has, and return its totals."""
        cuts, totals = cuts_of(stages, intervals, odd, beginning(), self._spacing)
        self.cuts[process] = cuts[1:]
        self.processes[process] = ProcessCheckpoint(
            len(intervals), counts_of(stages), unstopped_of(intervals), are_plain(intervals)
        )
        return totals

    def unions_of(self, intervals: Iterable[Interval]) -> dict[Group, int]:
        """Return what `totals.unions_of` does, and take note of moments."""
        unions, moments = unions_since(Moment(BEFORE_ALL, {}), top_level_of(intervals), self._spacing)
        self.moments.extend(moments)
        return unions


def unstopped_of(intervals: Iterable[Interval]) -> list[Unstopped]:
    """Return the intervals of a process that have no stop of their own."""
    return [
        Unstopped(one.interval, one.start_ns, one.start_seq, one.outcome == "open", place)
        for place, one in enumerate(intervals)
        if one.stop_seq is None
    ]


def top_level_of(intervals: Iterable[Interval]) -> list[_TopLevel]:
    """Return the top-level intervals of all processes that have ended, by start."""
    spans = [
        (one.start_ns, one.stop_ns, (one.role, one.activity))
        for one in intervals
        if one.is_top_level and one.stop_ns is not None
    ]
    spans.sort(key=itemgetter(0))
    return spans


def are_plain(intervals: Sequence[Interval]) -> bool:
    """Tell whether no compile is known of intervals, no finding looks at them, and no log has them."""
    stages, sources, data = (set(map(field, intervals)) for field in (_stage, _source, _data_json))
    return (
        STAGES_LOOKED_AT.isdisjoint(stages)
        and BEGIN_ANYWHERE.isdisjoint(stages)
        and LOG not in sources
        and not any(CPU_WAIT_NS in each for each in data if each is not None)
    )
