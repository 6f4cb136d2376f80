"""Flame graphs of a session, in the file format of speedscope: a profile for each role total, and no ns more.

A profile is about the top-level intervals of a role and an activity in one process, and what these enclose.
Each instant is charged to the innermost of all that covers it: to the one that began last; of several, to the
one that ends first, and then to the one with the larger seq. Its stack is what encloses it, from the
top-level one down. So the weights of a profile add up to its total, also where threads cross. What is still
open is in no total, and in no profile.

    A |-----------------------|           charged from left to right: A, B, A, C, D, C
    B     |-----|
    C                 |-----------|       in another thread
    D                    |--|

Intervals are gone through in the order in which each comes after all that enclose it (`timeline.enclosure`).
What is innermost is then what came last of all that still goes on.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ledger._version import __version__
from ledger.formatting import NO_ROLE, cut
from ledger.timeline.enclosure import Enclosure, by_enclosure
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Interval
from ledger.timeline.timeline import Timeline
from ledger.timeline.totals import Group

SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
DEEPEST: Final = 100
"""So many frames has a stack at most; torch's compiles nest in twenty. What is deeper counts as the last.

Stages that nobody ever ended lie one within the other, each with all before it in its stack.
"""
_BETWEEN: Final = " · "
_LONGEST: Final = 40
"""So many characters of a process's name, or a role's, fit into the bar above a flame graph."""


class Frame(NamedTuple):
    """An interval as a stack has it; those that are named alike are one."""

    name: str
    source: str


class Sample(NamedTuple):
    """Some time in one stack: its frames' places in the list of all, the outermost first."""

    stack: tuple[int, ...]
    ns: int


class Profile(NamedTuple):
    """What the time of one role and activity went into, in one process."""

    name: str
    process: str
    group: Group
    samples: tuple[Sample, ...]
    """In the order of time; where neighbours have the same stack they are one."""

    @property
    def total_ns(self) -> int:
        """The sum of the samples, which is the role's total."""
        return sum(sample.ns for sample in self.samples)


class FlameGraphs(NamedTuple):
    """A session's profiles, the largest first, and the frames that they share."""

    frames: tuple[Frame, ...]
    profiles: tuple[Profile, ...]


def flame_graphs(timeline: Timeline) -> FlameGraphs:
    """Return a session's flame graphs; none where nothing took any time."""
    of_process: defaultdict[str, list[Interval]] = defaultdict(list)
    for interval in timeline.intervals:
        if interval.stop_ns is not None:
            of_process[interval.process].append(interval)
    names = process_names(timeline.processes, max_length=_LONGEST)
    frames: dict[Frame, int] = {}
    profiles: list[Profile] = []
    for process, intervals in of_process.items():
        intervals.sort(key=by_enclosure)
        for group, samples in _samples(intervals, frames):
            parts = (names.get(process) or _short(process), _short(group[0] or NO_ROLE), group[1])
            profiles.append(Profile(_BETWEEN.join(parts), process, group, samples))
    profiles.sort(key=lambda profile: (-profile.total_ns, profile.name, profile.process))
    return FlameGraphs(tuple(frames), tuple(profiles))


def speedscope(name: str, graphs: FlameGraphs) -> bytes:
    """Return flame graphs as the file that speedscope opens, under a name."""
    profiles = [
        {
            "type": "sampled",
            "name": profile.name,
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": profile.total_ns,
            "samples": [sample.stack for sample in profile.samples],
            "weights": [sample.ns for sample in profile.samples],
        }
        for profile in graphs.profiles
    ]
    frames = [{"name": frame.name, "file": frame.source} for frame in graphs.frames]
    file = {
        "$schema": SCHEMA,
        "name": name,
        "exporter": f"compile-ledger {__version__}",
        "activeProfileIndex": _most_to_see(graphs.profiles),
        "shared": {"frames": frames},
        "profiles": profiles,
    }
    return json.dumps(file, separators=(",", ":")).encode()


def _most_to_see(profiles: Sequence[Profile]) -> int:
    """Return the place of the profile to be shown first: the largest is often a single stage that waits."""
    return max(range(len(profiles)), key=lambda place: len(profiles[place].samples), default=0)


def _short(name: str) -> str:
    return cut(name, _LONGEST)


def _samples(
    intervals: Sequence[Interval], frames: dict[Frame, int]
) -> Iterator[tuple[Group, tuple[Sample, ...]]]:
    """Yield the samples of each role and activity of a process, whose intervals come in their order."""
    starts = [interval.start_ns for interval in intervals]
    tops: defaultdict[Group, list[int]] = defaultdict(list)
    for place, interval in enumerate(intervals):
        if interval.is_top_level:
            tops[interval.role, interval.activity].append(place)
    for group, places in tops.items():
        charge = _Charge()
        for place, following in zip(places, [*places[1:], len(intervals)], strict=True):
            past = bisect_right(starts, _stop_ns(intervals[place]), lo=place)
            for one, stack in _stacks(intervals[place : min(past, following)], frames):
                charge.begin(one, stack)
        if samples := charge.end():
            yield group, samples


def _stacks(
    intervals: Sequence[Interval], frames: dict[Frame, int]
) -> Iterator[tuple[Interval, tuple[int, ...]]]:
    """Yield the first of some intervals and those that it encloses, each with its stack.

    Of two top-level intervals of a group the later one also ends later. So it is the innermost of them for
    all that comes after it, and what it does not enclose none of them does.
    """
    inside = [one for one in intervals if _stop_ns(one) <= _stop_ns(intervals[0])]
    enclosure = Enclosure([one.start_ns for one in inside], list(map(_stop_ns, inside)))
    stacks: list[tuple[int, ...]] = []
    for one, around in zip(inside, enclosure.around, strict=True):
        encloser, stack = (None, ()) if around is None else (inside[around], stacks[around])
        if len(stack) < DEEPEST:
            frame = Frame(_frame_name(one, encloser), one.source)
            stack = (*stack, frames.setdefault(frame, len(frames)))
        stacks.append(stack)
        yield one, stack


def _frame_name(interval: Interval, encloser: Interval | None) -> str:
    """Return what to call an interval. Its role is given where it differs from its encloser's."""
    role = interval.role if encloser is not None and interval.role != encloser.role else None
    name = _BETWEEN.join(part for part in (interval.stage, role, interval.component) if part is not None)
    return name if interval.outcome == "completed" else f"{name} ({interval.outcome})"


class _Charge:
    """Charges time to the intervals that are under way; they are passed in as they begin, in their order."""

    def __init__(self) -> None:
        self._running: list[tuple[int, tuple[int, ...]]] = []
        """When each ends, and its stack. What has ended is still here as long as it is not the last."""
        self._stacks: list[tuple[int, ...]] = []
        self._ns: list[int] = []
        self._now_ns = 0

    def begin(self, interval: Interval, stack: tuple[int, ...]) -> None:
        """Charge the time until an interval begins, which then goes on as well."""
        self._go_on(interval.start_ns)
        self._now_ns = interval.start_ns
        self._running.append((_stop_ns(interval), stack))

    def end(self) -> tuple[Sample, ...]:
        """Charge the rest, and return all samples."""
        self._go_on(max((stop_ns for stop_ns, _ in self._running), default=0))
        return tuple(map(Sample, self._stacks, self._ns))

    def _go_on(self, until_ns: int) -> None:
        while self._running and self._now_ns < until_ns:
            stop_ns, stack = self._running[-1]
            if stop_ns <= until_ns:
                self._running.pop()
            if (end_ns := min(stop_ns, until_ns)) > self._now_ns:
                self._add(stack, end_ns - self._now_ns)
                self._now_ns = end_ns

    def _add(self, stack: tuple[int, ...], ns: int) -> None:
        if self._stacks and self._stacks[-1] == stack:
            self._ns[-1] += ns
        else:
            self._stacks.append(stack)
            self._ns.append(ns)


def _stop_ns(interval: Interval) -> int:
    assert interval.stop_ns is not None, "an open interval is in no profile"
    return interval.stop_ns
