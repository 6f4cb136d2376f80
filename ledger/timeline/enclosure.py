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
from itertools import groupby
from operator import attrgetter
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


def each_after_enclosers(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Yield intervals of a process, which come by start, each after all that enclose it.

    What is open encloses nothing, and comes before what starts with it.
    """
    for _, together in groupby(intervals, attrgetter("start_ns")):
        yield from sorted(together, key=_by_later_stop)


def _by_later_stop(interval: Interval) -> tuple[bool, int, int]:
    stop_ns = interval.stop_ns
    return stop_ns is not None, -(stop_ns or 0), interval.start_seq


def stage_after(intervals: Sequence[Interval], at_ns: int) -> str | None:
    """Return the stage of the interval that starts first from a moment on; of several the outermost.

    The intervals come by start.
    """
    at = bisect_left(intervals, at_ns, key=attrgetter("start_ns"))
    if at == len(intervals):
        return None
    past = bisect_right(intervals, intervals[at].start_ns, at, key=attrgetter("start_ns"))
    return min(intervals[at:past], key=attrgetter("depth", "start_seq")).stage


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
    """What encloses what among intervals that come in the order that is drawn above."""

    __slots__ = ("_past", "_starts", "_stops", "around", "lengths")

    def __init__(self, starts: Sequence[int], stops: Sequence[int]) -> None:
        self._starts, self._stops = starts, stops
        number = len(stops)
        self.around: list[int | None] = [None] * number
        """Per place, that of the innermost encloser."""
        self.lengths: list[int | None] = [None] * number
        """Per place, the length of the union of what is enclosed there; None where nothing is."""
        # What stands right after an interval, up to the first that ends later than it, is enclosed by it: a
        # walk over what an interval encloses goes from one such piece to the next, by `_past`.
        self._past = [number] * number
        self._fold(self.around, self.lengths, self._past)

    def _fold(self, around: list[int | None], lengths: list[int | None], past: list[int]) -> None:
        stops = self._stops
        stack: list[int] = []
        crossed: list[int] = []
        reached = [0] * len(stops)
        for place, (start, stop) in enumerate(zip(self._starts, stops, strict=True)):
            while stack and stops[stack[-1]] < stop:
                ended = stack.pop()
                past[ended] = place
                if stops[ended] >= start:
                    crossed.append(ended)
            if stack:
                outer = around[place] = stack[-1]
                # The pieces of one interval may cross, but none is within another: each ends later than the
                # one before.
                length = lengths[outer]
                if length is None:
                    lengths[outer] = stop - start
                else:
                    until = reached[outer]
                    lengths[outer] = length + stop - (start if start > until else until)
                reached[outer] = stop
            stack.append(place)
        # What begins in an interval and ends later, on another thread, may itself enclose what the first one
        # encloses too. Such a first one is looked at again.
        for place in crossed:
            lengths[place] = self._length(place)

    def pieces(self, place: int) -> Iterator[tuple[int, int]]:
        """Yield spans, by start, whose union is that of all that the interval at a place encloses."""
        starts, stops, past = self._starts, self._stops, self._past
        end, other, number = stops[place], place + 1, len(starts)
        while other < number and (start := starts[other]) <= end:
            if (stop := stops[other]) <= end:
                yield start, stop
                other = past[other]
            else:
                other += 1  # it crosses this one; what it encloses may still lie inside

    def _length(self, place: int) -> int | None:
        length = None
        reached = 0
        for start, stop in self.pieces(place):
            length = length or 0
            if stop > reached:
                length += stop - (start if start > reached else reached)
                reached = stop
        return length


class EnclosingSpan(NamedTuple):
    """An interval's time; of two of the same time the one with the smaller `seq` encloses the other."""

    start_ns: int
    stop_ns: int
    seq: int


class Outermost:
    """Those that no other encloses, of intervals that come one by one: by start, and so by stop as well.

    Mostly what comes has just ended, and so stands at the end: adding it costs what it replaces.
    """

    __slots__ = ("_lengths", "_seqs", "_starts", "_stops")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._seqs: list[int] = []
        self._lengths: list[int] = []
        """Of the union of the first of them, up to each."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    @property
    def length_ns(self) -> int:
        """The length of their union."""
        return self._lengths[-1] if self._lengths else 0

    def copy(self) -> "Outermost":
        """Return one that changes by itself."""
        copied = Outermost()
        copied._starts, copied._stops, copied._seqs = self._starts[:], self._stops[:], self._seqs[:]
        copied._lengths = self._lengths[:]
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
            self._measure(first)

    def remove_inside(self, span: EnclosingSpan) -> None:
        """Remove those that a span encloses."""
        first, past = self._inside(span)
        if first < past and (self._starts[first], self._stops[first]) == span[:2]:
            past = first + (self._seqs[first] > span.seq)  # else that one encloses it
        if first < past:
            del self._starts[first:past], self._stops[first:past], self._seqs[first:past]
            self._measure(first)

    def _inside(self, span: EnclosingSpan) -> tuple[int, int]:
        first = bisect_left(self._starts, span.start_ns)
        return first, bisect_right(self._stops, span.stop_ns, first)

    def _measure(self, first: int) -> None:
        lengths = self._lengths
        del lengths[first:]
        for at in range(first, len(self._starts)):
            start_ns, stop_ns = self._starts[at], self._stops[at]
            if at:
                lengths.append(lengths[-1] + stop_ns - max(start_ns, self._stops[at - 1]))
            else:
                lengths.append(stop_ns - start_ns)
