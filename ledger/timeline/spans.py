"""Spans of time of one process, and their union."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

_First = TypeVar("_First")
_Second = TypeVar("_Second")


class Span(NamedTuple):
    """From `start_ns` to `stop_ns` on a process's clock."""

    start_ns: int
    stop_ns: int

    def covers(self, other: "Span") -> bool:
        """Tell whether another span lies within this one."""
        return self.start_ns <= other.start_ns and other.stop_ns <= self.stop_ns


def hull_of(spans: Iterable[Span]) -> Span:
    """Return the time from where the first of some spans begins to where the last one ends."""
    starts, stops = zip(*spans, strict=True)
    return Span(min(starts), max(stops))


def union_ns(spans: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union of spans."""
    return sum(span.stop_ns - span.start_ns for span in merged(spans))


def merged(spans: Iterable[tuple[int, int]]) -> list[Span]:
    """Return the union of spans: in order, and none touching another."""
    union: list[Span] = []
    for start_ns, stop_ns in sorted(spans):
        if union and start_ns <= union[-1].stop_ns:
            union[-1] = Span(union[-1].start_ns, max(union[-1].stop_ns, stop_ns))
        else:
            union.append(Span(start_ns, stop_ns))
    return union


def sweep(
    measured: Iterable[Span],
    first: Sequence[tuple[Span, _First]],
    second: Sequence[tuple[Span, _Second]],
) -> Iterator[tuple[Span, tuple[bool, list[_First], list[_Second]]]]:
    """Yield the spans between every two neighbouring boundaries, in order, with what covers each.

    That is: whether `measured` does, and which of `first` and of `second` do.
    """
    union = merged(measured)
    starts: dict[int, list[tuple[int, int]]] = {}
    stops: dict[int, list[tuple[int, int]]] = {}
    groups = (union, [span for span, _ in first], [span for span, _ in second])
    for group, spans in enumerate(groups):
        for at, span in enumerate(spans):
            if span.start_ns < span.stop_ns:
                starts.setdefault(span.start_ns, []).append((group, at))
                stops.setdefault(span.stop_ns, []).append((group, at))
    running: tuple[dict[int, None], ...] = ({}, {}, {})
    for start_ns, stop_ns in pairwise(sorted(starts.keys() | stops.keys())):
        for group, at in stops.get(start_ns, ()):
            del running[group][at]
        for group, at in starts.get(start_ns, ()):
            running[group][at] = None
        covering = [first[at][1] for at in running[1]]
        around = [second[at][1] for at in running[2]]
        yield Span(start_ns, stop_ns), (bool(running[0]), covering, around)
