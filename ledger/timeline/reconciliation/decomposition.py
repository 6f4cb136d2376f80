"""Splits the difference between a claim and its measurement into causes, by spans of time."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.reconciliation.carryover import Number, carried_over
from ledger.timeline.reconciliation.causes import (
    OF_REMAINDERS,
    OF_SPANS,
    Remainder,
    Stretch,
    clock,
    rounding,
)
from ledger.timeline.reconciliation.coverage import CoveredSpan, counted, is_itemised
from ledger.timeline.reconciliation.evidence import Evidence, span_of
from ledger.timeline.reconciliation.hulls import unproven
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.records import Cause, Claim, Interval, IntervalKey
from ledger.timeline.spans import Span, hull_of, sweep
from ledger.vocabulary import CauseName

Part = tuple[CauseName, str | None]
"""A cause, and the stage that it shows in."""


class Breakdown:
    """A difference by cause and stage: the size of each part, and the intervals that show it."""

    def __init__(self) -> None:
        self._ns: defaultdict[Part, int] = defaultdict(int)
        self._shown_by: defaultdict[Part, dict[IntervalKey, None]] = defaultdict(dict)

    def add(self, cause: CauseName, stage: str | None, ns: int, shown_by: Iterable[Interval]) -> None:
        """Add to what a cause explains."""
        self._ns[cause, stage] += ns
        for interval in shown_by:
            self._shown_by[cause, stage][IntervalKey(interval.process, interval.interval)] = None

    @property
    def ns(self) -> int:
        """How much is explained."""
        return sum(self._ns.values())

    @property
    def main_cause(self) -> CauseName | None:
        """The cause of the largest part."""
        parts: list[tuple[int, CauseName]] = [(abs(ns), cause) for (cause, _), ns in self._ns.items() if ns]
        return max(parts)[1] if parts else None

    def shares(self, claim: Claim) -> Iterator[Cause]:
        """Yield the parts as records."""
        for (cause, stage), ns in self._ns.items():
            if ns:
                shown_by = tuple(self._shown_by[cause, stage])
                yield Cause(claim.session, claim.process, claim.claim, cause, stage, ns, shown_by)


def decompose(evidence: Evidence, claim: Claim, measured: Match, before: Sequence[Number]) -> Breakdown:
    """Split a claim's difference; `before` are the numbers of its kind that its claimant reported before."""
    parts = Breakdown()
    pieces = counted(evidence, claim, measured)
    additions = len(pieces or ())
    difference_ns = claim.claimed_ns - measured.ns
    remainder = Remainder(claim, evidence, measured, difference_ns, max(1, additions), additions > 0)
    if not rounding(remainder) and (stepped := clock(remainder)) is not None and stepped.ns:
        # What a clock was set by is no time: the rest of the number is, and is laid over what was measured.
        parts.add("clock", claim.stage, stepped.ns, stepped.intervals)
        pieces = [_shorter(piece, stepped.ns) for piece in pieces or ()]
    if pieces is None:
        pieces = _taken_as_measured(evidence, claim, measured)
    if measured.spans and pieces is not None and _is_apart(claim, measured, pieces):
        pieces, again = carried_over(evidence, claim, measured, pieces, before)
        for number in again:
            parts.add("cumulative", number.intervals[-1].stage, number.ns, number.intervals)
        _add_stretches(parts, evidence, claim, measured, pieces)
        remainder = remainder._replace(additions=remainder.additions + len(again))
    _add_remainder(parts, remainder._replace(ns=difference_ns - parts.ns))
    return parts


def _shorter(piece: CoveredSpan, ns: int) -> CoveredSpan:
    start_ns, stop_ns = piece.span
    return piece if piece.is_sum else piece._replace(span=Span(start_ns + ns, stop_ns))


def _taken_as_measured(evidence: Evidence, claim: Claim, measured: Match) -> list[CoveredSpan] | None:
    """Return what an accumulator may have held: all that was measured before it was read."""
    read_ns = evidence.read_ns(claim, measured.process)
    if read_ns is None or all(span.start_ns < read_ns for span in measured.spans):
        return None
    return [CoveredSpan(span, ()) for span in measured.spans if span.start_ns < read_ns]


def _add_stretches(
    parts: Breakdown, evidence: Evidence, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]
) -> None:
    # What is counted by its interval ends where the interval does, to the nanosecond.
    edge_ns = 0 if is_itemised(evidence, claim) else _edge_ns(claim, measured)
    for stretch in _wider_than(edge_ns, pieces, _stretches(evidence, claim, measured, pieces)):
        length_ns = stretch.span.stop_ns - stretch.span.start_ns
        for cause, rule in OF_SPANS:
            if (shown_by := rule(stretch)) is not None:
                parts.add(cause, shown_by.stage, stretch.excess * length_ns, [shown_by])
                break


def _add_remainder(parts: Breakdown, remainder: Remainder) -> None:
    """Add what no stretch of time explains. What is within the rounding needs no other cause."""
    claim, measured = remainder.claim, remainder.measured
    is_within_rounding = rounding(remainder) is not None
    for cause, rule in OF_REMAINDERS:
        if is_within_rounding and cause != "rounding":
            continue
        if remainder.ns and (found := rule(remainder)) is not None and found.ns:
            parts.add(cause, claim.stage, found.ns, found.intervals)
            remainder = remainder._replace(ns=remainder.ns - found.ns)
    if remainder.ns:
        parts.add("unexplained", claim.stage, remainder.ns, measured.intervals)


def _stretches(
    evidence: Evidence, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]
) -> Iterator[Stretch]:
    """Yield what was counted more or less often than it was measured, cut at every boundary, in order."""
    compared = frozenset(interval.interval for interval in measured.intervals)
    of_claim = compared.union(*(piece.intervals for piece in pieces))
    hull = hull_of([*measured.spans, *(piece.span for piece in pieces)])
    # torch's own hundreds of stages would name what the stages around them name better.
    near: list[tuple[Span, Interval | None]] = [
        (span_of(interval), interval)
        for interval in evidence.near(measured.process, hull)
        if interval.source != "torch"
        or claim.source == "torch"
        or interval.is_top_level
        or interval.interval in of_claim
    ]
    unshown = _unshown(evidence, claim, measured, pieces)
    if (ready_ns := evidence.ready_ns(claim, measured.process)) is not None:
        near.append((Span(ready_ns, hull.stop_ns), None))
    for span, (is_measured, covering, around) in sweep(
        measured.spans, [(piece.span, piece) for piece in pieces], near
    ):
        if len(covering) != is_measured:
            enclosing = sorted((interval for interval in around if interval is not None), key=by_enclosure)
            yield Stretch(
                claim, evidence, measured, span, tuple(covering), is_measured, tuple(enclosing), compared,
                is_shown=not any(left_out.covers(span) for left_out in unshown),
            )  # fmt: skip


def _unshown(evidence: Evidence, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]) -> list[Span]:
    """Return the time that only a number's length leaves out, and no interval."""
    edge_ns = _edge_ns(claim, measured)
    found: list[Span] = []
    for piece in pieces:
        intervals = [
            interval
            for number in piece.intervals
            if (interval := evidence.by_id.get((measured.process, number))) is not None
        ]
        if intervals and piece.range is None and not piece.is_sum:
            found += unproven(evidence, measured.process, piece.span, intervals, edge_ns)
    return found


def _edge_ns(claim: Claim, measured: Match) -> float:
    """Return how precisely the ends of what was counted are known."""
    return (claim.resolution_ns or 0) / 2 + measured.uncertainty_ns / len(measured.intervals)


def _is_apart(claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]) -> bool:
    """Tell whether counted and measured time differ by more than how well one piece's ends are known."""
    if len(pieces) != 1 or len(measured.spans) != 1:
        return True
    (one,), (other,) = pieces, measured.spans
    ends = zip(one.span, other, strict=True)
    return max(abs(end - other_end) for end, other_end in ends) > _edge_ns(claim, measured)


def _wider_than(
    edge_ns: float, pieces: Sequence[CoveredSpan], stretches: Iterable[Stretch]
) -> Iterator[Stretch]:
    """Leave out what is no wider than an edge is known: two clocks' looks at one moment, a rounded number.

    What an accumulator leaves out away from all that was added has no such edge, however short it is.
    """
    ends_ns = sorted(end_ns for piece in pieces for end_ns in piece.span)
    together: list[Stretch] = []

    def wide_enough() -> list[Stretch]:
        if not together:
            return []
        start_ns, stop_ns = together[0].span.start_ns, together[-1].span.stop_ns
        at = bisect_left(ends_ns, start_ns - edge_ns)
        is_of_accumulator = together[0].claim.counts in ("total", "ranks")
        has_edge = not is_of_accumulator or (at < len(ends_ns) and ends_ns[at] <= stop_ns + edge_ns)
        return together if stop_ns - start_ns > edge_ns or not has_edge else []

    for stretch in stretches:
        if together and (
            together[-1].span.stop_ns != stretch.span.start_ns or together[-1].excess != stretch.excess
        ):
            yield from wide_enough()
            together = []
        together.append(stretch)
    yield from wide_enough()
