"""What lies around each moment of a process: the intervals that say what went on there, and what failed.

One pass over starts and stops. Intervals come by enclosure, so that of those that have begun and not stopped
the last one is the innermost and the first one the outermost. They are kept in a stack and in a queue, which
drop what has stopped when it comes to their end.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.timeline.records import Interval

_BEFORE_ALL: Final = -(1 << 72)
"""Before every time that an event may have."""


class Around(NamedTuple):
    """What is around some moments."""

    stage: Interval | None
    """What says best what went on: the innermost interval that is about a compile, else the innermost of all.

    Only those of the roles of what the claim is compared with: other roles may compile in other threads.
    """
    outermost: Interval | None
    """The outermost of the intervals that the claim is compared with."""
    failed: Interval | None
    """The outermost of those that failed."""


class Surroundings:
    """What is around the moments of a process: one entry for as long as it stays the same."""

    def __init__(
        self, intervals: Sequence[Interval], compared: Collection[int], roles: Collection[str | None]
    ) -> None:
        """`intervals` come by enclosure. `compared` has the ids of those that a claim is compared with.

        `roles` are theirs: all of them count where none of these intervals is open.
        """
        self.starts: list[int] = [_BEFORE_ALL]
        """When what is around changes, in order."""
        self.around: list[Around] = [Around(None, None, None)]
        """What is around from each of these on, up to the next one."""
        places, stops = range(len(intervals)), [interval.stop_ns or 0 for interval in intervals]
        coming = [place for place in places if intervals[place].start_ns < stops[place]]
        stopping = sorted(coming, key=stops.__getitem__, reverse=True)
        coming.reverse()
        stages, outermost, failed = _Stages(stops, roles), _Outermost(stops), _Outermost(stops)
        moments = {stops[place] for place in coming} | {intervals[place].start_ns for place in coming}
        now: tuple[int | None, int | None, int | None] = (None, None, None)
        for at_ns in sorted(moments):
            while stopping and stops[stopping[-1]] <= at_ns:
                stopped = intervals[stopping.pop()]
                if stopped.interval in compared:
                    stages.compared[stopped.role] -= 1
            while coming and (started := intervals[coming[-1]]).start_ns <= at_ns:
                place = coming.pop()
                stages.add(place, started)
                if started.interval in compared:
                    stages.compared[started.role] += 1
                    outermost.add(place)
                    if started.outcome == "failed":
                        failed.add(place)
            before, now = now, (stages.at(at_ns), outermost.at(at_ns), failed.at(at_ns))
            if now != before:
                self.starts.append(at_ns)
                stage, first, first_failed = now
                self.around.append(
                    Around(
                        None if stage is None else intervals[stage],
                        None if first is None else intervals[first],
                        None if first_failed is None else intervals[first_failed],
                    )
                )


class _Stages:
    """The open intervals of some roles, and of which of these the claim is compared with one that is open.

    Intervals are told by their places: the greater one is further inside.
    """

    def __init__(self, stops: Sequence[int], roles: Collection[str | None]) -> None:
        self._stops = stops
        self._roles = roles
        self._of_role: dict[str | None, list[int]] = {role: [] for role in roles}
        self._of_compile: dict[str | None, list[int]] = {role: [] for role in roles}
        self.compared: Counter[str | None] = Counter()

    def add(self, place: int, interval: Interval) -> None:
        if interval.role in self._roles:
            self._of_role[interval.role].append(place)
            if interval.activity == "compile":
                self._of_compile[interval.role].append(place)

    def at(self, at_ns: int) -> int | None:
        roles = self._roles
        if len(roles) > 1:
            self.compared = +self.compared
            roles = self.compared or roles
        found = self._innermost(self._of_compile, roles, at_ns)
        return self._innermost(self._of_role, roles, at_ns) if found is None else found

    def _innermost(
        self, open_: Mapping[str | None, list[int]], roles: Iterable[str | None], at_ns: int
    ) -> int | None:
        innermost = None
        for role in roles:
            stack = open_[role]
            while stack and self._stops[stack[-1]] <= at_ns:
                stack.pop()
            if stack and (innermost is None or stack[-1] > innermost):
                innermost = stack[-1]
        return innermost


class _Outermost:
    """The outermost of intervals that come by enclosure, told by their places."""

    def __init__(self, stops: Sequence[int]) -> None:
        self._stops = stops
        self._begun: deque[int] = deque()

    def add(self, place: int) -> None:
        self._begun.append(place)

    def at(self, at_ns: int) -> int | None:
        begun = self._begun
        while begun:
            if self._stops[begun[0]] > at_ns:
                return begun[0]
            begun.popleft()
        return None
