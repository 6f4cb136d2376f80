"""Finds the intervals of a process that overlap a span, without looking at the others.

Intervals are put into rows. In a row each one stops no earlier than the one before it, so that those that
overlap a span stand side by side. There are as many rows as intervals are nested deep:

    |------a------|    |------c------|
              |-----b-----|                   row 0: a b c
       |-d-|             |---e---|
                           |-f-|              row 1: d e    row 2: f

An interval's `depth` does not tell its row. It counts along the innermost enclosers, and where threads cross,
one interval may enclose another of the same depth.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter

from ledger.timeline.records import Interval
from ledger.timeline.spans import Span


class OverlapIndex:
    """Intervals of one process, all of which have ended."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._rows: list[_Row] = []
        # The last stops of the rows, below zero: each row ends before the one above it.
        lasts: list[int] = []
        for interval in sorted(intervals, key=attrgetter("start_ns", "stop_ns")):
            last = -(interval.stop_ns or 0)
            at = bisect_left(lasts, last)
            if at == len(lasts):
                lasts.append(last)
                self._rows.append(_Row())
            lasts[at] = last
            self._rows[at].append(interval)

    def overlapping(self, span: Span) -> list[Interval]:
        """Return those that overlap a span, in no particular order."""
        return [interval for row in self._rows for interval in row.overlapping(span)]


class _Row:
    """Intervals that stop in the order of their starts."""

    def __init__(self) -> None:
        self._intervals: list[Interval] = []
        self._starts: list[int] = []
        self._stops: list[int] = []

    def append(self, interval: Interval) -> None:
        self._intervals.append(interval)
        self._starts.append(interval.start_ns)
        self._stops.append(interval.stop_ns or 0)

    def overlapping(self, span: Span) -> Sequence[Interval]:
        first = bisect_right(self._stops, span.start_ns)
        return self._intervals[first : bisect_left(self._starts, span.stop_ns)]
