"""Flame graphs of a session: a profile for each role total, and no ns more.

A profile is about the top-level intervals of a role and an activity in one process, and what these enclose.
Each instant is charged to the innermost of all that covers it: to the one that began last; of several, to the
one that ends first, and then to the one with the larger seq. Its stack is what encloses it, from the
top-level one down. So the weights of a profile add up to its total, also where threads cross. What is still
open is in no total, and in no profile.

    A |-----------------------|           charged from left to right: A, B, A, C, D, C
    B     |-----|
    C                 |-----------|       in another thread
    D                    |--|

Intervals are gone through once, in the order in which each comes after all that enclose it
(`timeline.enclosure`), and only those that still go on are kept. What is innermost is then what came last.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from ledger.formatting import NO_ROLE, cut
from ledger.reports.stack_samples import SAMPLES, Frame, Sample, StackSamples
from ledger.timeline.enclosure import each_after_enclosers
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Interval, Process
from ledger.timeline.totals import Group

_BETWEEN: Final = " · "
_LONGEST: Final = 40
"""So many characters of a process's name, or a role's, fit into the bar above a flame graph."""
_ENDED_KEPT: Final = 1_000
"""What has ended may be kept as long as it is so few."""


class Profile(NamedTuple):
    """What the time of one role and activity went into, in one process."""

    name: str
    process: str
    group: Group
    samples: tuple[Sample, ...]
    """In the order of time, where neighbours have the same stack they are one; or one for each stack."""

    @property
    def total_ns(self) -> int:
        """The sum of the samples, which is the role's total."""
        return sum(sample.ns for sample in self.samples)


class FlameGraphs(NamedTuple):
    """A session's profiles, the largest first, and the frames that they share."""

    frames: tuple[Frame, ...]
    profiles: tuple[Profile, ...]
    is_summed_up: bool
    """Whether there were too many samples to keep the order of time: each stack of a profile has one then."""


def flame_graphs(
    intervals: Iterable[Interval], processes: Iterable[Process], most_samples: int = SAMPLES
) -> FlameGraphs:
    """Return a session's flame graphs; none where nothing took any time.

    Intervals come process by process, and in each by start, as a timeline has them.
    """
    names = process_names(processes, max_length=_LONGEST)
    samples = StackSamples(most_samples)
    owners: list[tuple[str, Group]] = []
    """By the number of their samples."""
    for process, of_process in groupby(intervals, attrgetter("process")):
        charged = _Process(samples)
        for interval in each_after_enclosers(one for one in of_process if one.stop_ns is not None):
            charged.take(interval)
        for group, charge in charged.charges.items():
            charge.end()
            owners.append((process, group))
    profiles = [
        Profile(_name(names.get(process) or cut(process, _LONGEST), group), process, group, found)
        for (process, group), found in zip(owners, samples.of_profiles(), strict=True)
        if found
    ]
    profiles.sort(key=lambda profile: (-profile.total_ns, profile.name, profile.process))
    return FlameGraphs(tuple(samples.frames), tuple(profiles), samples.is_summed_up)


def _name(process: str, group: Group) -> str:
    return _BETWEEN.join((process, cut(group[0] or NO_ROLE, _LONGEST), group[1]))


def _frame(interval: Interval, encloser: "_GoingOn | None") -> Frame:
    """Return what to call an interval. Its role is given where it differs from its encloser's."""
    role = interval.role if encloser is not None and interval.role != encloser.role else None
    name = _BETWEEN.join(part for part in (interval.stage, role, interval.component) if part is not None)
    return Frame(name if interval.outcome == "completed" else f"{name} ({interval.outcome})", interval.source)


class _Process:
    """Charges the time of one process, whose intervals come in their order."""

    def __init__(self, samples: StackSamples) -> None:
        self._samples: Final = samples
        self.charges: Final[dict[Group, _Charge]] = {}
        self._going_on: Final[dict[Group, _Charge]] = {}
        """Those whose last top-level interval had not ended when the last interval began."""

    def take(self, interval: Interval) -> None:
        """Charge the time of each profile that an interval belongs to until it begins."""
        over = [group for group, charge in self._going_on.items() if charge.until_ns < interval.start_ns]
        for group in over:
            del self._going_on[group]
        own = (interval.role, interval.activity)
        for group, charge in self._going_on.items():
            # Of two top-level intervals of a group the later one also ends later: it encloses what comes
            # after it and what the earlier one encloses as well.
            if _stop_ns(interval) <= charge.until_ns and not (interval.is_top_level and group == own):
                charge.begin(interval)
        if interval.is_top_level:
            if own not in self.charges:
                self.charges[own] = _Charge(self._samples)
            self._going_on[own] = self.charges[own]
            self.charges[own].begin_outermost(interval)


class _GoingOn(NamedTuple):
    """An interval in the stack around what comes next."""

    stop_ns: int
    role: str | None
    stack: int


class _Charge:
    """Charges the time of one profile to the intervals that are under way, which come in their order."""

    def __init__(self, samples: StackSamples) -> None:
        self._samples: Final = samples
        self.number: Final = samples.begin()
        self._around: list[_GoingOn] = []
        """The last top-level interval, and what encloses what in it: the innermost last."""
        self._running: list[tuple[int, int]] = []
        """When each ends, and its stack. What has ended is still here as long as it is not the last."""
        self._now_ns = 0

    @property
    def until_ns(self) -> int:
        """When the last top-level interval ends."""
        return self._around[0].stop_ns

    def begin_outermost(self, interval: Interval) -> None:
        """Take the next top-level interval."""
        self._around.clear()
        self.begin(interval)

    def begin(self, interval: Interval) -> None:
        """Charge the time until an interval begins, which then goes on as well."""
        stop_ns = _stop_ns(interval)
        while self._around and self._around[-1].stop_ns < stop_ns:
            self._around.pop()  # whatever comes after this and lies within that lies within this as well
        encloser = self._around[-1] if self._around else None
        frame = _frame(interval, encloser)
        stack = self._samples.stack(self.number, encloser and encloser.stack, frame)
        self._around.append(_GoingOn(stop_ns, interval.role, stack))
        self._go_on(interval.start_ns)
        self._now_ns = interval.start_ns
        self._running.append((stop_ns, stack))
        if len(self._running) > _ENDED_KEPT:
            self._running = [one for one in self._running if one[0] > self._now_ns]

    def end(self) -> None:
        """Charge the rest."""
        self._go_on(max((stop_ns for stop_ns, _ in self._running), default=0))

    def _go_on(self, until_ns: int) -> None:
        while self._running and self._now_ns < until_ns:
            stop_ns, stack = self._running[-1]
            if stop_ns <= until_ns:
                self._running.pop()
            if (end_ns := min(stop_ns, until_ns)) > self._now_ns:
                self._samples.add(self.number, stack, end_ns - self._now_ns)
                self._now_ns = end_ns


def _stop_ns(interval: Interval) -> int:
    assert interval.stop_ns is not None, "an open interval is in no profile"
    return interval.stop_ns
