"""Which of what a claimant counted covers a moment, kept up to date as time goes on."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.reconciliation.coverage import CoveredSpan
from ledger.timeline.records import Interval


class CountedPiece(NamedTuple):
    """A stretch of time that a claimant counted, with the intervals that it counted it for."""

    covered: CoveredSpan
    intervals: tuple[Interval, ...]


class Covering:
    """The pieces that cover a moment, and those of their intervals that enclose it.

    A piece is counted in the midst of an interval of its own while that encloses the moment. What is asked
    for first or innermost waits in a heap, and is dropped there once it no longer holds.
    """

    def __init__(self, pieces: Sequence[CountedPiece], role: str | None) -> None:
        """`pieces` come by the starts of what they cover. `role` is that of the claim."""
        self.pieces: Final = pieces
        found = {interval.interval: interval for piece in pieces for interval in piece.intervals}
        self.intervals: Final = sorted(found.values(), key=by_enclosure)
        """The intervals of all pieces, by enclosure."""
        place_of = {interval.interval: place for place, interval in enumerate(self.intervals)}
        self._counted_for = [[place_of[one.interval] for one in piece.intervals] for piece in pieces]
        self._counting: list[list[int]] = [[] for _ in self.intervals]
        for at, places in enumerate(self._counted_for):
            for place in places:
                self._counting[place].append(at)
        self._is_of_other_role = [role is not None and one.role not in (None, role) for one in self.intervals]
        self._covers = [False] * len(pieces)
        self._is_open = [False] * len(self.intervals)
        self._times_counted = [0] * len(self.intervals)
        self._inside = [0] * len(pieces)
        """How many of a piece's own intervals are open."""
        self._inside_of_others = [0] * len(pieces)
        """How many of these are of another role than the claim."""
        self.number = self.in_the_midst = 0
        """How many pieces cover the moment; how many of those in the midst of an interval of their own."""
        self._ranges: dict[int, None] = {}
        self._open_and_counted: list[int] = []
        self._counted_twice: list[int] = []
        self._of_other_roles: list[int] = []

    def start_piece(self, at: int) -> None:
        """A piece begins to cover."""
        self._covers[at] = True
        self.number += 1
        if self.pieces[at].covered.range is not None:
            self._ranges[at] = None
        self.in_the_midst += self._inside[at] > 0
        if self._inside_of_others[at]:
            heappush(self._of_other_roles, at)
        for place in self._counted_for[at]:
            self._times_counted[place] += 1
            self._note(place)

    def stop_piece(self, at: int) -> None:
        """A piece covers no longer."""
        self._covers[at] = False
        self.number -= 1
        self._ranges.pop(at, None)
        self.in_the_midst -= self._inside[at] > 0
        for place in self._counted_for[at]:
            self._times_counted[place] -= 1

    def start_interval(self, place: int) -> None:
        """One of the intervals begins."""
        self._is_open[place] = True
        for at in self._counting[place]:
            self._inside[at] += 1
            self.in_the_midst += self._covers[at] and self._inside[at] == 1
            if self._is_of_other_role[place]:
                self._inside_of_others[at] += 1
                if self._covers[at]:
                    heappush(self._of_other_roles, at)
        self._note(place)

    def stop_interval(self, place: int) -> None:
        """One of the intervals is over."""
        self._is_open[place] = False
        for at in self._counting[place]:
            self._inside[at] -= 1
            self.in_the_midst -= self._covers[at] and self._inside[at] == 0
            self._inside_of_others[at] -= self._is_of_other_role[place]

    def _note(self, place: int) -> None:
        if self._times_counted[place]:
            if self._is_open[place]:
                heappush(self._open_and_counted, -place)
            if self._times_counted[place] > 1:
                heappush(self._counted_twice, -place)

    def innermost_around(self) -> Interval | None:
        """Return the innermost interval that something was counted in the midst of."""
        heap = self._open_and_counted
        while heap and not (self._is_open[-heap[0]] and self._times_counted[-heap[0]]):
            heappop(heap)
        return self.intervals[-heap[0]] if heap else None

    def innermost_twice(self) -> Interval | None:
        """Return the innermost interval that more than one piece was counted for."""
        heap = self._counted_twice
        while heap and self._times_counted[-heap[0]] < 2:
            heappop(heap)
        return self.intervals[-heap[0]] if heap else None

    def first_of_other_role(self) -> Interval | None:
        """Return an interval of another role around: the first one of the first piece that has any."""
        heap = self._of_other_roles
        while heap and not (self._covers[heap[0]] and self._inside_of_others[heap[0]]):
            heappop(heap)
        places = self._counted_for[heap[0]] if heap else ()
        found = (place for place in places if self._is_open[place] and self._is_of_other_role[place])
        return next((self.intervals[place] for place in found), None)

    @property
    def has_ranges(self) -> bool:
        """Whether anything that covers the moment was counted for a range of sizes."""
        return bool(self._ranges)

    def of_ranges(self) -> Iterator[CountedPiece]:
        """Yield the pieces with a range that cover the moment, and are not in the midst of an interval."""
        return (self.pieces[at] for at in self._ranges if not self._inside[at])
