"""Puts stages on the time line, from the stamp at which each ended and the length that was stated.

A stamp is the beginning of the second in which a line was logged, and a line is logged at the end of what it
times. So a stage ends at its stamp or, within that second, as much later as is needed to lie after its
predecessor, and not to end before it. Where no end in that second will do, it ends at its stamp: what
overlaps by more than the stamps hide is left to overlap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

OVERLAPPING: Final = frozenset({"graph_compile", "graph_load"})
"""Of several ranges, each counts from when its first graph began: their times overlap one another."""


class SoFar(NamedTuple):
    """How far a process has come."""

    floor_ns: int = 0
    """What comes next did not begin before."""
    last_ns: int = 0
    """When the last stage ended."""

    @property
    def end_ns(self) -> int:
        """Where a whole of all this can end: a part without a length lies inside, not at the edge."""
        return max(self.floor_ns, self.last_ns)

    def but_not_before(self, floor_ns: int) -> "SoFar":
        """Return the same with a floor that is at least this."""
        return self._replace(floor_ns=max(self.floor_ns, floor_ns))

    def after(self, placed: "Placed") -> "SoFar":
        """Return how far it has come with one more that is placed."""
        # What has no length lies within all that touch it, so that nothing may.
        floor_ns = placed.stop_ns + placed.is_point
        return SoFar(max(self.floor_ns, floor_ns), max(self.last_ns, placed.stop_ns))


@dataclass(slots=True)
class Placed:
    """A stage, or a moment, and its place on the time line."""

    stage: str
    stamp_ns: int
    unit_ns: int
    """What the stamp is cut to."""
    length_ns: int = 0
    is_moment: bool = False
    """It is no stage: it may lie where others end."""
    start_ns: int = 0
    stop_ns: int = 0

    @property
    def is_point(self) -> bool:
        """Whether it is a stage without a length: of 0.00 s, or one whose length is not stated."""
        return self.length_ns == 0 and not self.is_moment

    def put(self, so_far: SoFar) -> None:
        """Place it after what there is so far."""
        latest_ns = self.stamp_ns + self.unit_ns - 1
        stop_ns = max(self.stamp_ns, min(so_far.last_ns, latest_ns))
        floor_ns = max(so_far.floor_ns, so_far.last_ns + 1 if self.is_point else 0)
        if stop_ns < floor_ns + self.length_ns <= latest_ns:
            stop_ns = floor_ns + self.length_ns
        self.start_ns, self.stop_ns = max(0, stop_ns - self.length_ns), stop_ns


@dataclass(frozen=True, slots=True)
class Group:
    """Stages that followed one another, and the one that consists of them, where its line came."""

    parts: Sequence[Placed]
    whole: Placed | None = None

    def put(self, so_far: SoFar) -> SoFar:
        """Place all of them after what there is so far, and return how far that goes."""
        if self.whole is None:
            return self._put_parts(so_far)
        return _around(self.whole, so_far, self._put_parts)

    def _put_parts(self, so_far: SoFar) -> SoFar:
        before_graphs = so_far
        for part in self.parts:
            if part.stage in OVERLAPPING:
                part.put(before_graphs._replace(last_ns=so_far.last_ns))
                so_far = so_far.after(part)
            else:
                part.put(so_far)
                before_graphs = so_far = so_far.after(part)
        return so_far


def put_all(groups: Sequence[Group], so_far: SoFar, around: Placed | None = None) -> SoFar:
    """Place groups one after the other, and what is around all of them; return how far that goes."""

    def put_groups(so_far: SoFar) -> SoFar:
        for group in groups:
            so_far = group.put(so_far)
        return so_far

    return put_groups(so_far) if around is None else _around(around, so_far, put_groups)


def _around(whole: Placed, before: SoFar, put_parts: Callable[[SoFar], SoFar]) -> SoFar:
    """Place parts after what was before, and a whole around them; return how far that goes.

    Its own length is the better known: where it turns out to have begun after its first part did, the parts
    move on, as far as their stamps let them.
    """
    whole.put(before._replace(last_ns=put_parts(before).end_ns))
    after = put_parts(before.but_not_before(whole.start_ns))
    if after.end_ns > whole.stop_ns:
        whole.put(before._replace(last_ns=after.end_ns))
    return after.after(whole)
