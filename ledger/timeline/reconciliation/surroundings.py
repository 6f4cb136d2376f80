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
        stages = _OfOneRole(stops, *roles) if len(roles) == 1 else _OfSeveralRoles(stops, roles)
        outermost, failed = _Outermost(stops), _Outermost(stops)
        add_stage, add_outermost, add_failed = (column.append for column in self.around.values())
        or_none = [*intervals, None]
        begun, number = 0, len(intervals)
        now = (_NONE, _NONE, _NONE)
        # The starts are in order already, and the stops nearly so. A set of them would not be.
        for at_ns, _ in groupby(sorted(starts + stops)):
            while begun < number and starts[begun] <= at_ns:
                started = intervals[begun]
                is_compared = started.interval in compared
                stages.add(begun, started, is_compared)
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


class _OfOneRole:
    """The intervals of one role, of which the innermost says best what went on: of those of compiles, if any.

    They are told by their places: the greater one is further inside.
    """

    def __init__(self, stops: Sequence[int], role: str | None) -> None:
        self._stops = stops
        self._role = role
        self._of_compile: list[int] = []
        self._others: list[int] = []

    def add(self, place: int, interval: Interval, is_compared: bool) -> None:
        if interval.role == self._role:
            self.push(place, interval)

    def push(self, place: int, interval: Interval) -> None:
        """Add one, of whichever role it is."""
        (self._of_compile if interval.activity == "compile" else self._others).append(place)

    def at(self, at_ns: int) -> int:
        stops, stack = self._stops, self._of_compile
        while stack and stops[stack[-1]] <= at_ns:
            stack.pop()
        if not stack:
            stack = self._others
            while stack and stops[stack[-1]] <= at_ns:
                stack.pop()
        return stack[-1] if stack else _NONE

    def is_of_compile(self, place: int) -> bool:
        """Tell whether the one that is innermost now is about a compile."""
        return bool(self._of_compile) and self._of_compile[-1] == place


class _OfSeveralRoles:
    """The same of several roles.

    While intervals that a claim is compared with are open, those of their roles count, and otherwise those of
    all its roles.
    """

    def __init__(self, stops: Sequence[int], roles: Collection[str | None]) -> None:
        self._stops = stops
        self._of_role = {role: _OfOneRole(stops, role) for role in roles}
        self._of_all_roles = _OfOneRole(stops, None)
        self._compared: dict[str | None, _Outermost] = {}

    def add(self, place: int, interval: Interval, is_compared: bool) -> None:
        role = interval.role
        if role in self._of_role:
            self._of_role[role].push(place, interval)
            self._of_all_roles.push(place, interval)
            if is_compared:
                self._compared.setdefault(role, _Outermost(self._stops)).add(place)

    def at(self, at_ns: int) -> int:
        compared = self._compared.items()
        self._compared = {role: of_role for role, of_role in compared if of_role.at(at_ns) != _NONE}
        if not self._compared:
            return self._of_all_roles.at(at_ns)
        of_roles = [self._of_role[role] for role in self._compared]
        found = [(of_role.at(at_ns), of_role) for of_role in of_roles]
        of_compile = [place for place, of_role in found if of_role.is_of_compile(place)]
        return max(of_compile or [place for place, _ in found])


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
