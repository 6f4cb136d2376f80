"""How far back a number reaches: to the start of its own intervals, or over the number before it as well.

A number ends where it was made, and so it covers as much time before that as it says. Where it says more than
its own intervals took, that may be a clock that began to run a little before them, with nothing else to count
in between; or a sum that was never set to 0. Nothing else can have been counted there:

    |==first==|    |===second===|      the intervals of the two numbers
                 <--------------|      its clock began to run before it
    <---------|    <------------|      5.71 and then 6.25: idle time is in no sum
        <-----------------------|      a number that nothing explains
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ledger.timeline.reconciliation.causes import Carryover, cumulative
from ledger.timeline.reconciliation.coverage import CoveredSpan
from ledger.timeline.reconciliation.evidence import Evidence, span_of
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of


class Number(NamedTuple):
    """A claimed number, and the intervals that it is about."""

    ns: int
    resolution_ns: int
    intervals: tuple[Interval, ...]
    hull: Span
    """From where the first of its intervals begins to where the last one ends."""

    def is_before(self, other: "Number") -> bool:
        """Tell whether its intervals were over when those of another one began."""
        return self.hull.stop_ns <= other.hull.start_ns


def numbers_before(evidence: Evidence, against: Mapping[Claim, Match]) -> Mapping[Claim, Sequence[Number]]:
    """Return, of each claim of an interval, the number of its kind before it: of any role, and of its own."""
    last: dict[tuple[str | None, ...], tuple[Number, Sequence[Number]]] = {}
    before: dict[Claim, Sequence[Number]] = {}
    for claim in evidence.claims:
        measured = against.get(claim)
        if measured is None or claim.counts not in ("interval", "addition"):
            continue
        number = Number(
            claim.claimed_ns, claim.resolution_ns or 0, measured.intervals, hull_of(measured.spans)
        )
        kind = (claim.process, claim.counts, claim.source, claim.stage)
        for key in (kind, (*kind, claim.role)):
            earlier: Sequence[Number] = ()
            if key in last:
                other, earlier = last[key]
                # One number may be reported twice: what came before it is what came before both.
                earlier = [other] if other.is_before(number) else earlier
            last[key] = (number, earlier)
            before[claim] = [*before.get(claim, ()), *earlier]
    return before


class CarriedOver(NamedTuple):
    """What a claimant counted of its own, and the numbers that it counted once more."""

    pieces: list[CoveredSpan]
    again: list[Number]


class CarryOver:
    """Cuts off what reaches back too far, of what one claimant counted, or of what several counted alike."""

    def __init__(self, evidence: Evidence, claim: Claim, measured: Match, before: Sequence[Number]) -> None:
        """`before` are the numbers of its kind that came before a claim of intervals."""
        self._evidence = evidence
        self._process = measured.process
        self._before = before
        self._is_accumulator = claim.counts in ("total", "ranks")
        self._resolution_ns = claim.resolution_ns or 0
        self._apart_ns = measured.uncertainty_ns / max(1, len(measured.intervals))
        """How well the time of one interval is known."""
        self._whole = sorted(measured.spans)
        self._starts = [span.start_ns for span in self._whole]
        self._stops: list[int] = []
        """When the intervals of what was counted so far ended, in order."""
        self._last_start_ns: int | None = None
        self._last: dict[str | None, Number] = {}

    def goes_on_with(self, pieces: Sequence[CoveredSpan]) -> bool:
        """Tell whether what was cut off so far would have been cut off with these pieces as well."""
        last_start_ns = self._last_start_ns
        if last_start_ns is None:
            return True
        of_pieces = map(self._intervals_of, pieces)
        return all(_stop_of(intervals) > last_start_ns for intervals in of_pieces if intervals)

    def cut_off(self, pieces: Sequence[CoveredSpan]) -> CarriedOver:
        """Return what some pieces are without that; they come after those of the calls before."""
        found = CarriedOver([], [])
        all_intervals = list(map(self._intervals_of, pieces))
        self._stops += [_stop_of(intervals) for intervals in all_intervals if intervals]
        self._stops.sort()
        for piece, intervals in zip(pieces, all_intervals, strict=True):
            if piece.is_sum or piece.range is not None or not intervals:
                found.pieces.append(piece)
                continue
            start_ns, stop_ns = piece.span
            own, role = hull_of(map(span_of, intervals)), intervals[-1].role
            number = Number(stop_ns - start_ns, self._resolution_ns, intervals, own)
            begin_ns, before = own.start_ns, self._before
            if self._is_accumulator:
                last = (self._last.get(key) for key in (None, role))
                before = [other for other in last if other is not None and other.is_before(number)]
                begin_ns = self._begin_ns(own)
                self._last[None] = self._last[role] = number
                self._last_start_ns = max(own.start_ns, self._last_start_ns or own.start_ns)
            if begin_ns - start_ns > self._apart_ns:
                # A number with another one in it, or that nothing explains, has no time of its own before.
                tolerance_ns = self._apart_ns * len(intervals)
                begin_ns, again = _again(number, start_ns, before, (own.start_ns, begin_ns), tolerance_ns)
                found.again.extend(again)
            found.pieces.append(piece._replace(span=Span(max(start_ns, begin_ns), stop_ns)))
        return found

    def _intervals_of(self, piece: CoveredSpan) -> tuple[Interval, ...]:
        found = (self._evidence.by_id.get((self._process, number)) for number in piece.intervals)
        return tuple(interval for interval in found if interval is not None)

    def _begin_ns(self, own: Span) -> int:
        """Return since when nothing else was counted, within the same compile."""
        at = bisect_right(self._starts, own.start_ns) - 1
        if at < 0 or not self._whole[at].covers(own):
            return own.start_ns
        last = bisect_right(self._stops, own.start_ns) - 1
        return max(self._whole[at].start_ns, self._stops[last] if last >= 0 else 0)


def _stop_of(intervals: Iterable[Interval]) -> int:
    return max(span_of(interval).stop_ns for interval in intervals)


def add_again(parts: Breakdown, numbers: Iterable[Number]) -> None:
    """Add what is counted once more to the parts of a difference."""
    for number in numbers:
        parts.add("cumulative", number.intervals[-1].stage, number.ns, number.intervals)


def _again(
    number: Number, start_ns: int, before: Sequence[Number], begins_ns: Sequence[int], tolerance_ns: float
) -> tuple[int, Sequence[Number]]:
    """Return when a number's own time began, and which number before is inside of it besides."""
    for begin_ns in begins_ns:
        for other in before:
            roundings_ns = (number.resolution_ns + other.resolution_ns) / 2
            if cumulative(Carryover(begin_ns - start_ns, other.ns, tolerance_ns + roundings_ns)):
                return begin_ns, [other]
    return begins_ns[0], []
