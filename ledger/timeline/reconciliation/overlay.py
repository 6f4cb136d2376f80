"""One claim, laid over what was measured: where what its claimant counted differs from that, and why.

Time falls into regions: what was counted, what it was counted for, and the measured time that it touches. A
region is swept from boundary to boundary. Of all the measured time between two regions nothing is counted, so
that its causes come out of sums.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise, starmap
from typing import NamedTuple

from ledger.timeline.reconciliation.causes import OF_EXCESS
from ledger.timeline.reconciliation.coverage import CoveredSpan, is_itemised
from ledger.timeline.reconciliation.covering import CountedPiece, Covering
from ledger.timeline.reconciliation.evidence import Evidence, is_seen_by_all, span_of
from ledger.timeline.reconciliation.hulls import unproven
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.reconciliation.shortfalls import Reasons, Shortfalls
from ledger.timeline.reconciliation.stretches import Asked, Excess
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of
from ledger.vocabulary import CauseName

_UNSHOWN, _MEASURED, _PIECE, _INTERVAL = range(4)
"""What begins or ends at a boundary."""


class Measured(NamedTuple):
    """The measured time of a claim, in order."""

    union: list[Span]
    union_stops: Sequence[int]
    """When those of the union end."""
    starts: Sequence[int]
    """When its spans begin."""
    reached: Sequence[int]
    """When the last of those that have begun by then ends."""


class Region(NamedTuple):
    """Some time, with all that was counted and all that was measured in it, and nothing of either cut."""

    pieces: Sequence[CountedPiece]
    since: int
    """Up to where regions before it touch the spans of the measured time."""
    first: int
    past: int
    """From where to where it touches them itself."""
    stop_ns: int
    """What comes later than this is not in it."""


class TooMuch(NamedTuple):
    """Time that is counted more often than it was measured, by so much in all."""

    cause: CauseName
    shown_by: Interval
    ns: int


class Uncounted(NamedTuple):
    """Time that was measured and is not counted."""

    span: Span
    is_shown: bool
    """Whether intervals show that the claimant's clock did not run then."""


Difference = TooMuch | Uncounted


class Overlay:
    """What one claim counts, laid over what was measured."""

    def __init__(
        self,
        evidence: Evidence,
        shortfalls: Shortfalls,
        claim: Claim,
        measured: Match,
        pieces: Sequence[CoveredSpan],
    ) -> None:
        self._evidence = evidence
        self._shortfalls = shortfalls
        self._claim = claim
        self._measured = measured
        self.is_torch = claim.source == "torch"
        self._is_accumulator = claim.counts in ("total", "ranks")
        self._is_itemised = is_itemised(evidence, claim)
        # What is counted by its interval ends where the interval does, to the nanosecond.
        is_by_interval = self._is_itemised or bool(evidence.parts(claim))
        self.edge_ns = 0 if is_by_interval else edge_of(claim, measured)
        """What is no wider than this may be two clocks' looks at one moment, or a rounded number."""
        self.margin_ns = int(self.edge_ns) + 1
        self.pieces = [
            CountedPiece(piece, tuple(_intervals_of(evidence, measured.process, piece))) for piece in pieces
        ]
        self._unseen = self._unseen_by_others()
        """The intervals that it was counted for, or is compared with, and that speak for no other claim."""
        self.late_from_ns = self._late_from()
        self._reasons: dict[Asked, Reasons] = {}

    def _unseen_by_others(self) -> list[Interval]:
        if self.is_torch:
            return []
        found = {one.interval: one for piece in self.pieces for one in piece.intervals}
        if not self._is_accumulator:  # whose intervals are top-level ones
            found.update((one.interval, one) for one in self._measured.intervals)
        return [one for one in found.values() if not is_seen_by_all(one)]

    def _late_from(self) -> int | None:
        """Return since when it counts nothing because it is late: after ready, and once it had been read."""
        process = self._measured.process
        ready_ns = self._evidence.ready_ns(self._claim, process) if self._is_accumulator else None
        if ready_ns is None or not self._is_itemised:
            return ready_ns
        read_ns = self._evidence.read_ns(self._claim, process)
        # What was going on when a number was read began before that.
        return None if read_ns is None else ready_ns if ready_ns >= read_ns else self._next_boundary(read_ns)

    def add_to(self, parts: Breakdown, measured: Measured) -> None:
        """Add the causes to the parts of its difference, in order."""
        past = 0
        for region in self.regions(measured):
            self.add_region(parts, measured, region)
            past = region.past
        self.add_untouched(parts, measured, past, len(measured.union))

    def add_region(self, parts: Breakdown, measured: Measured, region: Region) -> None:
        """Add the causes of a region, and of the measured time before it that no region touches."""
        self.add_untouched(parts, measured, region.since, region.first)
        for difference in self._swept(region, measured.union[region.first : region.past]):
            if isinstance(difference, Uncounted):
                self.add_uncounted(parts, *difference)
            else:
                cause, shown_by, ns = difference
                parts.add(cause, shown_by.stage, ns, [shown_by])

    def add_untouched(self, parts: Breakdown, measured: Measured, first: int, past: int) -> None:
        """Add the causes of some spans of the measured time of which nothing is counted."""
        union = measured.union
        if first < past and self._is_accumulator:
            self.add_uncounted(parts, Span(union[first].start_ns, union[past - 1].stop_ns))
            return
        for span in union[first:past]:
            if span.stop_ns - span.start_ns > self.edge_ns:
                self.add_uncounted(parts, span)

    def add_uncounted(self, parts: Breakdown, span: Span, is_shown: bool = True) -> None:
        """Add the causes of counting nothing of what was measured within a span."""
        for part, is_late in self._parted(span):
            self._reasons_for(part, is_late=is_late, is_shown=is_shown).add_to(parts, part)

    def _parted(self, span: Span) -> Iterator[tuple[Span, bool]]:
        late_ns = span.stop_ns if self.late_from_ns is None else self.late_from_ns
        if span.start_ns < late_ns:
            yield Span(span.start_ns, min(span.stop_ns, late_ns)), False
        if late_ns < span.stop_ns:
            yield Span(max(span.start_ns, late_ns), span.stop_ns), True

    def _reasons_for(self, span: Span, *, is_late: bool, is_shown: bool) -> Reasons:
        claim, measured = self._claim, self._measured
        asked = Asked(claim.claimed_ns == 0, self._is_accumulator, self._is_itemised, is_late, is_shown)
        if not self._is_accumulator:
            return self._shortfalls.of_intervals(claim, measured, asked, self._unseen, span)
        if asked not in self._reasons:
            self._reasons[asked] = self._shortfalls.of_accumulator(claim, measured, asked, self._unseen)
        return self._reasons[asked]

    def regions(self, measured: Measured, past: int = 0) -> Iterator[Region]:
        """Yield the regions, in order. `past` is up to where others touch the spans of the measured time."""
        union, union_stops = measured.union, measured.union_stops
        reaches = [reach_of(piece) for piece in self.pieces]
        order = sorted(range(len(reaches)), key=lambda at: reaches[at].start_ns)
        margin_ns = self.margin_ns
        place = 0
        while place < len(order):
            since_ns = reaches[order[place]].start_ns - margin_ns
            until_ns = since_ns
            since, first = past, bisect_left(union_stops, since_ns, past)
            past, within = first, list[int]()
            while True:
                if place < len(order) and reaches[order[place]].start_ns - margin_ns <= until_ns:
                    until_ns = max(until_ns, reaches[order[place]].stop_ns + margin_ns)
                    within.append(order[place])
                    place += 1
                elif past < len(union) and union[past].start_ns <= until_ns:
                    until_ns = max(until_ns, union[past].stop_ns)
                    past += 1
                else:
                    break
            yield Region([self.pieces[at] for at in sorted(within)], since, first, past, until_ns)

    def _swept(self, region: Region, measured: Sequence[Span]) -> Iterator[Difference]:
        """Yield the causes within a region, in order."""
        # Zero nanoseconds, or less, are no time.
        pieces = [one for one in region.pieces if one.covered.span.start_ns < one.covered.span.stop_ns]
        pieces.sort(key=lambda piece: piece.covered.span.start_ns)
        if [piece.covered.span for piece in pieces] == measured:
            return
        covering = Covering(pieces, self._claim.role if self._is_accumulator else None)
        unshown = self._unshown(region.pieces)
        run = _Run(self.edge_ns, region.pieces, is_of_accumulator=self._is_accumulator)
        is_measured = not_shown = 0
        before_ns = None
        for at_ns, is_start, what, place in _boundaries(unshown, measured, covering):
            if before_ns is not None and before_ns < at_ns:
                excess = covering.number - is_measured
                span = Span(before_ns, at_ns)
                if excess:
                    if not run.goes_on(span, excess):
                        yield from run.ended()
                    if excess > 0:
                        run.add(span, excess, self._exceeding(span, excess, covering))
                    else:
                        run.add(span, excess, [Uncounted(span, not not_shown)])
            before_ns = at_ns
            if what == _PIECE:
                (covering.start_piece if is_start else covering.stop_piece)(place)
            elif what == _INTERVAL:
                (covering.start_interval if is_start else covering.stop_interval)(place)
            elif what == _MEASURED:
                is_measured = int(is_start)
            else:
                not_shown += 1 if is_start else -1
        yield from run.ended()

    def _exceeding(self, span: Span, excess: int, covering: Covering) -> Iterator[Difference]:
        spans = [span]
        if covering.has_ranges:
            spans = list(starmap(Span, pairwise([span.start_ns, *self._cuts(span), span.stop_ns])))
        for each in spans:
            exceeding = Excess(self._claim, self._evidence, self._measured.process, each, covering)
            for cause, rule in OF_EXCESS:
                if (shown_by := rule(exceeding)) is not None:
                    yield TooMuch(cause, shown_by, excess * (each.stop_ns - each.start_ns))
                    break

    def _unshown(self, pieces: Iterable[CountedPiece]) -> Iterator[Span]:
        """Yield the time that only a number's length leaves out, and no interval."""
        edge_ns = edge_of(self._claim, self._measured)
        for covered, intervals in pieces:
            if intervals and covered.range is None and not covered.is_sum:
                process, span = self._measured.process, covered.span
                is_whole = all(start_ns < stop_ns for start_ns, stop_ns in (span, *map(span_of, intervals)))
                for left_out in unproven(self._evidence, process, span, intervals, edge_ns):
                    if is_whole:
                        yield left_out
                    else:
                        # It ends at no boundary, and what goes on there is not left out as a whole.
                        start_ns, stop_ns = (
                            self._next_boundary(left_out.start_ns),
                            self._last_boundary(left_out.stop_ns),
                        )
                        if start_ns is not None and stop_ns is not None and start_ns < stop_ns:
                            yield Span(start_ns, stop_ns)

    @cached_property
    def _own_boundaries(self) -> Sequence[int]:
        spans = [
            *self._measured.spans,
            *(piece.covered.span for piece in self.pieces),
            *map(span_of, self._unseen),
        ]
        hull, own = (
            hull_of(spans),
            {at_ns for span in spans if span.start_ns < span.stop_ns for at_ns in span},
        )
        ready_ns = self._evidence.ready_ns(self._claim, self._measured.process)
        if ready_ns is not None and ready_ns < hull.stop_ns:
            own.add(ready_ns)
        return sorted(own)

    def _all_boundaries(self) -> Iterator[Sequence[int]]:
        yield self._own_boundaries
        yield self._evidence.boundaries(self._measured.process, is_torch=self.is_torch)

    def _cuts(self, span: Span) -> list[int]:
        """Return the boundaries within a span, in order."""
        cuts = set[int]()
        for boundaries in self._all_boundaries():
            cuts.update(
                boundaries[bisect_right(boundaries, span.start_ns) : bisect_left(boundaries, span.stop_ns)]
            )
        return sorted(cuts)

    def _next_boundary(self, at_ns: int) -> int | None:
        """Return the first boundary from a moment on."""
        places = ((of, bisect_left(of, at_ns)) for of in self._all_boundaries())
        return min((of[place] for of, place in places if place < len(of)), default=None)

    def _last_boundary(self, at_ns: int) -> int | None:
        """Return the last boundary up to a moment."""
        places = ((of, bisect_right(of, at_ns)) for of in self._all_boundaries())
        return max((of[place - 1] for of, place in places if place), default=None)


class _Run:
    """Stretches one after the other that are counted too often, or too seldom, by the same number.

    It is left out where it is no wider than an edge is known: two clocks' looks at one moment, a rounded
    number. What an accumulator leaves out away from all that was added has no such edge, however short it is.
    """

    def __init__(self, edge_ns: float, pieces: Iterable[CountedPiece], *, is_of_accumulator: bool) -> None:
        self._edge_ns = edge_ns
        self._ends_ns = sorted(end_ns for piece in pieces for end_ns in piece.covered.span)
        self._is_of_accumulator = is_of_accumulator
        self._span = Span(0, 0)
        self._excess = 0
        self._reasons: list[Difference] = []

    def goes_on(self, span: Span, excess: int) -> bool:
        """Tell whether a stretch is a part of it."""
        return self._excess == excess and self._span.stop_ns == span.start_ns

    def add(self, span: Span, excess: int, reasons: Iterable[Difference]) -> None:
        """Go on with a stretch."""
        start_ns = self._span.start_ns if self._excess else span.start_ns
        self._span, self._excess = Span(start_ns, span.stop_ns), excess
        self._reasons.extend(reasons)

    def ended(self) -> list[Difference]:
        """Return the reasons for it, and begin anew."""
        (start_ns, stop_ns), reasons = self._span, self._reasons
        at = bisect_left(self._ends_ns, start_ns - self._edge_ns)
        has_edge = not self._is_of_accumulator or (
            at < len(self._ends_ns) and self._ends_ns[at] <= stop_ns + self._edge_ns
        )
        self._excess, self._reasons = 0, []
        return reasons if stop_ns - start_ns > self._edge_ns or not has_edge else []


def edge_of(claim: Claim, measured: Match) -> float:
    """Return how precisely the ends of what was counted are known."""
    return (claim.resolution_ns or 0) / 2 + measured.length_uncertainty_ns / len(measured.intervals)


def _intervals_of(evidence: Evidence, process: str, piece: CoveredSpan) -> Iterator[Interval]:
    for number in piece.intervals:
        if (interval := evidence.by_id.get((process, number))) is not None:
            yield interval


def reach_of(piece: CountedPiece) -> Span:
    """Return the time in which a piece, or what it was counted for, may say something."""
    ends_ns = [*piece.covered.span, *(end_ns for one in piece.intervals for end_ns in span_of(one))]
    return Span(min(ends_ns), max(ends_ns))


def _boundaries(
    unshown: Iterable[Span], measured: Iterable[Span], covering: Covering
) -> list[tuple[int, bool, int, int]]:
    """Return where what there is in a region begins and ends, in order: what ends at a moment comes first."""
    of_each = (
        (_UNSHOWN, unshown),
        (_MEASURED, measured),
        (_PIECE, (piece.covered.span for piece in covering.pieces)),
        (_INTERVAL, map(span_of, covering.intervals)),
    )
    found: list[tuple[int, bool, int, int]] = []
    for what, spans in of_each:
        for place, span in enumerate(spans):
            if span.start_ns < span.stop_ns:
                found += [(span.start_ns, True, what, place), (span.stop_ns, False, what, place)]
    found.sort()
    return found
