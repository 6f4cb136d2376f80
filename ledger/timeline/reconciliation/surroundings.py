"""What lies around each moment of a process: the intervals that say what went on there, and what failed.

One pass over starts and stops. Intervals come by enclosure, so that of those that have begun and not stopped
the last one is the innermost and the first one the outermost. They are kept in stacks and in queues, which
drop what has stopped when it comes to their end.
"""

from collections import deque
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Final, Literal

from ledger.timeline.records import Interval

_BEFORE_ALL: Final = -(1 << 72)
"""Before every time that an event may have."""
_NONE: Final = -1
"""The place of no interval. It is before all others, and names the last item of a list."""

Around = Literal["stage", "outermost", "failed"]
"""What an interval is to the moments that it is around.

`stage`: it says best what went on: the innermost interval that is about a compile, else the innermost of all.
Only those of the roles of what the claim is compared with: other roles may compile in other threads.
`outermost`: the outermost of the intervals that the claim is compared with.
`failed`: the outermost of those that failed.
"""


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
        self.around: dict[Around, list[Interval | None]] = {
            "stage": [None], "outermost": [None], "failed": [None],
        }  # fmt: skip
        """What is around from each of these on, up to the next one."""
        starts = [interval.start_ns for interval in intervals]
        stops = [interval.stop_ns or 0 for interval in intervals]
        stages, outermost, failed = _Stages(stops, roles), _Outermost(stops), _Outermost(stops)
        add_stage, add_outermost, add_failed = (column.append for column in self.around.values())
        or_none = [*intervals, None]
        begun, number = 0, len(intervals)
        now = (_NONE, _NONE, _NONE)
        # The starts are in order already, and the stops nearly so. A set of them would not be.
        for at_ns, _ in groupby(sorted(starts + stops)):
            while begun < number and starts[begun] <= at_ns:
                started = intervals[begun]
                is_compared = started.interval in compared
                stages.add(begun, started, is_compared=is_compared)
                if is_compared:
                    outermost.add(begun)
                    if started.outcome == "failed":
                        failed.add(begun)
                begun += 1
            before, now = now, (stages.at(at_ns), outermost.at(at_ns), failed.at(at_ns))
            if now != before:
                stage, first, first_failed = now
                self.starts.append(at_ns)
                add_stage(or_none[stage])
                add_outermost(or_none[first])
                add_failed(or_none[first_failed])


class _Stages:
    """The intervals that say best what went on.

    While intervals that a claim is compared with are open, those of their roles do, and otherwise those of
    all its roles.
    """

    def __init__(self, stops: Sequence[int], roles: Collection[str | None]) -> None:
        self._stops = stops
        self._roles = roles
        self._of_all_roles = _Innermost(stops)
        self._of_role = {role: _Innermost(stops) for role in roles} if len(roles) > 1 else {}
        self._compared: dict[str | None, _Outermost] = {}

    def add(self, place: int, interval: Interval, *, is_compared: bool) -> None:
        role = interval.role
        if role not in self._roles:
            return
        is_of_compile = interval.activity == "compile"
        self._of_all_roles.add(place, is_of_compile)
        if self._of_role:
            self._of_role[role].add(place, is_of_compile)
            if is_compared:
                self._compared.setdefault(role, _Outermost(self._stops)).add(place)

    def at(self, at_ns: int) -> int:
        if self._compared:
            compared = self._compared.items()
            self._compared = {role: of_role for role, of_role in compared if of_role.at(at_ns) != _NONE}
            if self._compared:
                return max(self._of_role[role].at(at_ns) for role in self._compared)[1]
        return self._of_all_roles.at(at_ns)[1]


class _Innermost:
    """The innermost of open intervals, told by their places: the greater one is further inside."""

    def __init__(self, stops: Sequence[int]) -> None:
        self._stops = stops
        self._of_compile: list[int] = []
        self._others: list[int] = []

    def add(self, place: int, is_of_compile: bool) -> None:
        (self._of_compile if is_of_compile else self._others).append(place)

    def at(self, at_ns: int) -> tuple[bool, int]:
        """Return whether one is about a compile, and the innermost one of these, else of all."""
        stops, stack = self._stops, self._of_compile
        while stack and stops[stack[-1]] <= at_ns:
            stack.pop()
        if stack:
            return True, stack[-1]
        stack = self._others
        while stack and stops[stack[-1]] <= at_ns:
            stack.pop()
        return False, stack[-1] if stack else _NONE


class _Outermost:
    """The outermost of open intervals, told by their places: the smaller one is further outside."""

    def __init__(self, stops: Sequence[int]) -> None:
        self._stops = stops
        self._begun: deque[int] = deque()

    def add(self, place: int) -> None:
        self._begun.append(place)

    def at(self, at_ns: int) -> int:
        begun, stops = self._begun, self._stops
        while begun and stops[begun[0]] <= at_ns:
            begun.popleft()
        return begun[0] if begun else _NONE
