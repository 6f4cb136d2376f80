"""Which intervals of one process enclose which, in time: over all threads, or among any selection of them.

One interval encloses another if it starts no later and stops no earlier; of two with the same times, the one
with the smaller seq encloses the other. Sorted by start, then by later stop first, then by seq, all that
enclose an interval stand before it, and the last of those that reach to its stop is the innermost:

    A |--------------------|      in that order: A B C D
    B |------|                    D, backwards: C ends too early, B ends too early, A reaches: A encloses D
    C   |--|
    D          |-----|

So one pass with a stack finds every innermost encloser: what ends before D does is popped for good, for
whatever comes after D and lies within the popped one lies within D as well, more closely.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ledger.timeline.records import Interval


def enclosure_key(start_ns: int, stop_ns: int, seq: int) -> tuple[int, int, int]:
    """Return the key that sorts spans of time, each after all that enclose it."""
    return start_ns, -stop_ns, seq


def by_enclosure(interval: Interval) -> tuple[int, int, int]:
    """Return that key of an interval of a process; it has ended."""
    assert interval.stop_ns is not None, "an open interval encloses nothing yet"
    return enclosure_key(interval.start_ns, interval.stop_ns, interval.start_seq)


def encloses(outer: Interval, inner: Interval) -> bool:
    """Tell whether one interval encloses another; both have ended, in one process."""
    (_, outer_end, _), (_, inner_end, _) = outer_key, inner_key = by_enclosure(outer), by_enclosure(inner)
    return outer_key < inner_key and outer_end <= inner_end  # the ends are negative


def outermost(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Yield the intervals of a process that have ended and that no other of them encloses, by start."""
    reached_ns: int | None = None
    for interval in sorted((one for one in intervals if one.stop_ns is not None), key=by_enclosure):
        if reached_ns is None or (interval.stop_ns is not None and interval.stop_ns > reached_ns):
            reached_ns = interval.stop_ns
            yield interval


def in_order(places: Sequence[int], starts: Sequence[int], stops: Sequence[int]) -> list[int]:
    """Return places in `starts` and `stops`, which come by start and seq, each after all that enclose it."""
    ordered = list(places)
    first, number = 0, len(ordered)
    # Hardly any two start at one nanosecond, so this is much less work than sorting all of them.
    for at in range(1, number + 1):
        if at == number or starts[ordered[at]] != starts[ordered[first]]:
            if at - first > 1:
                ordered[first:at] = sorted(ordered[first:at], key=lambda place: -stops[place])
            first = at
    return ordered


class Enclosure:
    """What encloses what among intervals that come in the order that is drawn above.

    What stands right after an interval, up to the first that ends later than it, is enclosed by it. So a walk
    over what an interval encloses goes from one outermost piece to the next, by `_past`.
    """

    __slots__ = ("_past", "_starts", "_stops", "around")

    def __init__(self, starts: list[int], stops: list[int]) -> None:
        self._starts, self._stops = starts, stops
        self.around: list[int | None] = [None] * len(stops)
        """Per place, that of the innermost encloser."""
        self._past = [len(stops)] * len(stops)
        stack: list[int] = []
        past, around = self._past, self.around
        for place, stop in enumerate(stops):
            while stack and stops[stack[-1]] < stop:
                past[stack.pop()] = place
            if stack:
                around[place] = stack[-1]
            stack.append(place)

    def depths(self) -> list[int]:
        """Return, per place, the depth: one more than that of the innermost encloser."""
        depths: list[int] = []
        for around in self.around:
            depths.append(0 if around is None else depths[around] + 1)
        return depths

    def lengths(self) -> list[int | None]:
        """Return, per place, the length of the union of what is enclosed there; None where nothing is."""
        starts, stops, past = self._starts, self._stops, self._past
        number = len(starts)
        lengths: list[int | None] = [None] * number
        for place, end in enumerate(stops):
            other = place + 1
            if other == number or starts[other] > end:
                continue
            length, reached, is_any = 0, 0, False
            while other < number and (start := starts[other]) <= end:
                stop = stops[other]
                if stop > end:
                    other += 1  # it crosses this one; what it encloses may still lie inside
                    continue
                is_any = True
                if stop > reached:
                    length += stop - (start if start > reached else reached)
                    reached = stop
                other = past[other]
            if is_any:
                lengths[place] = length
        return lengths

    def pieces(self, place: int) -> list[tuple[int, int]]:
        """Return the spans of the outermost intervals that the one at a place encloses."""
        end, spans, other = self._stops[place], list[tuple[int, int]](), place + 1
        while other < len(self._starts) and self._starts[other] <= end:
            if self._stops[other] <= end:
                spans.append((self._starts[other], self._stops[other]))
                other = self._past[other]
            else:
                other += 1
        return spans


class EnclosingSpan(NamedTuple):
    """An interval's time; of two of the same time the one with the smaller `seq` encloses the other."""

    start_ns: int
    stop_ns: int
    seq: int


class Outermost:
    """Those that no other encloses, of intervals that come one by one: by start, and so by stop as well."""

    __slots__ = ("_seqs", "_starts", "_stops")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._seqs: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    def copy(self) -> "Outermost":
        """Return one that changes by itself."""
        copied = Outermost()
        copied._starts, copied._stops, copied._seqs = self._starts[:], self._stops[:], self._seqs[:]
        return copied

    def encloses(self, span: EnclosingSpan) -> bool:
        """Tell whether one of them encloses a span."""
        # Of those that begin no later, the last one ends last.
        at = bisect_right(self._starts, span.start_ns) - 1
        if at < 0 or self._stops[at] != span.stop_ns:
            return at >= 0 and self._stops[at] > span.stop_ns
        return (self._starts[at], self._seqs[at]) < (span.start_ns, span.seq)

    def add(self, span: EnclosingSpan) -> None:
        """Add a span, in place of those that it encloses, unless one of them encloses it."""
        if not self.encloses(span):
            first, past = self._inside(span)
            self._starts[first:past], self._stops[first:past] = [span.start_ns], [span.stop_ns]
            self._seqs[first:past] = [span.seq]

    def remove_inside(self, span: EnclosingSpan) -> None:
        """Remove those that a span encloses."""
        first, past = self._inside(span)
        if first < past and (self._starts[first], self._stops[first]) == span[:2]:
            past = first + (self._seqs[first] > span.seq)  # else that one encloses it
        del self._starts[first:past], self._stops[first:past], self._seqs[first:past]

    def _inside(self, span: EnclosingSpan) -> tuple[int, int]:
        first = bisect_left(self._starts, span.start_ns)
        return first, bisect_right(self._stops, span.stop_ns, first)
