"""Spans of time of one process, and their union."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """From `start_ns` to `stop_ns` on a process's clock."""

    start_ns: int
    stop_ns: int

    def covers(self, other: "Span") -> bool:
        """Tell whether another span lies within this one."""
        return self.start_ns <= other.start_ns and other.stop_ns <= self.stop_ns

    def overlaps(self, other: "Span") -> bool:
        """Tell whether the two have any time in common."""
        return self.start_ns < other.stop_ns and other.start_ns < self.stop_ns


def hull_of(spans: Iterable[Span]) -> Span:
    """Return the time from where the first of some spans begins to where the last one ends."""
    starts, stops = zip(*spans, strict=True)
    return Span(min(starts), max(stops))


def union_ns(spans: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union of spans."""
    length_ns = 0
    reached_ns: int | None = None
    for start_ns, stop_ns in sorted(spans):
        if reached_ns is None or start_ns > reached_ns:
            length_ns += stop_ns - start_ns
            reached_ns = stop_ns
        elif stop_ns > reached_ns:
            length_ns += stop_ns - reached_ns
            reached_ns = stop_ns
    return length_ns


def merged(spans: Iterable[tuple[int, int]]) -> list[Span]:
    """Return the union of spans: in order, and none touching another."""
    union: list[Span] = []
    for start_ns, stop_ns in sorted(spans):
        if union and start_ns <= union[-1].stop_ns:
            union[-1] = Span(union[-1].start_ns, max(union[-1].stop_ns, stop_ns))
        else:
            union.append(Span(start_ns, stop_ns))
    return union
