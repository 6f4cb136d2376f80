"""What claims have in common that read one accumulator, one after the other.

Each holds what the one before it held, and what was added since. The time in which both hold the same is laid
over what was measured once. Only what is next to new pieces is laid anew:

    first claim     |==a==|    |==b==|
    second claim    |==a==|    |==b==|    |==c==|    |==d==|
                    <settled>  <------ laid anew ---------->

So the work for all of them grows with what was added, and not with that times the number of claims. What they
say does: a cause is shown by all intervals that it holds for.
"""

from collections.abc import Sequence

from ledger.timeline.reconciliation.carryover import CarryOver, add_again
from ledger.timeline.reconciliation.coverage import CoveredSpan, is_itemised
from ledger.timeline.reconciliation.covering import CountedPiece
from ledger.timeline.reconciliation.differences import Differences
from ledger.timeline.reconciliation.evidence import Evidence, is_seen_by_all
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.overlay import Overlay, reach_of
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.records import Claim


class RunningTotals:
    """The accumulators of a session, as far as claims have read them."""

    def __init__(self, evidence: Evidence, differences: Differences) -> None:
        self._evidence = evidence
        self._differences = differences
        self._known: dict[tuple[object, ...], _Held] = {}
        self._apart: set[tuple[object, ...]] = set()
        """Those whose pieces can't be settled."""

    def add(
        self, parts: Breakdown, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]
    ) -> int | None:
        """Add the causes of a claim, and return how many numbers it holds once more.

        None, and nothing is added, where a claim has nothing in common with others of its accumulator.
        """
        evidence = self._evidence
        if claim.counts not in ("total", "ranks") or not pieces or is_itemised(evidence, claim):
            return None
        accumulator = evidence.accumulator(claim, measured.process)
        if not evidence.additions_of(accumulator):
            return None
        # Claims that differ in any of these see the same pieces in another way. A match lives as long as the
        # session's claims are reconciled.
        key = (
            accumulator, id(measured), claim.role, claim.source == "torch", claim.resolution_ns,
            evidence.ready_ns(claim, measured.process),
        )  # fmt: skip
        if key in self._apart:
            return None
        held = self._known.get(key)
        again = None if held is None else held.add(parts, claim, measured, pieces)
        if again is None:
            self._known[key] = held = _Held(evidence, self._differences, claim, measured)
            again = held.add(parts, claim, measured, pieces)
        if again is None:
            self._apart.add(key)
        return again


class _Held:
    """What an accumulator held when the last claim read it."""

    def __init__(self, evidence: Evidence, differences: Differences, claim: Claim, measured: Match) -> None:
        self._differences = differences
        self._carry_over = CarryOver(evidence, claim, measured, ())
        self._number = self._again = 0
        """How many pieces it held, and how many numbers once more."""
        self._cumulative, self._settled = Breakdown(), Breakdown()
        self._last: Sequence[CoveredSpan] = ()
        """The pieces of the last region, which new ones may touch."""
        self._past = 0
        """Up to where the regions before it touch the spans of the measured time."""
        self._settled_ns: int | None = None
        """Up to when these reach."""

    def add(
        self, parts: Breakdown, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]
    ) -> int | None:
        """Add the causes of the next claim, and return how many numbers it holds once more.

        None, and nothing is added, where it does not hold all that the last one held, in the same way. Then
        there can be no next one either.
        """
        new = pieces[self._number :]
        if len(pieces) < self._number or not self._carry_over.goes_on_with(new):
            return None
        own, numbers = self._carry_over.cut_off(new)
        overlay = self._differences.overlay(claim, measured, [*self._last, *own])
        if not all(self._can_settle(overlay, piece) for piece in overlay.pieces):
            return None
        self._number, self._again = len(pieces), self._again + len(numbers)
        add_again(self._cumulative, numbers)
        in_order = self._differences.in_order(measured)
        *others, last = overlay.regions(in_order, self._past)
        for region in others:
            overlay.add_region(self._settled, in_order, region)
            self._past, self._settled_ns = region.past, region.stop_ns
        self._last = [piece.covered for piece in last.pieces]
        parts.add_all_of(self._cumulative)
        parts.add_all_of(self._settled)
        overlay.add_region(parts, in_order, last)
        overlay.add_untouched(parts, in_order, last.past, len(in_order.union))
        return self._again

    def _can_settle(self, overlay: Overlay, piece: CountedPiece) -> bool:
        """Tell whether a piece touches nothing that is settled, and can be settled without a look around."""
        if self._settled_ns is not None and reach_of(piece).start_ns - overlay.margin_ns <= self._settled_ns:
            return False
        start_ns, stop_ns = piece.covered.span
        return (
            start_ns < stop_ns
            and piece.covered.range is None
            and all(interval.start_ns != interval.stop_ns for interval in piece.intervals)
            and (overlay.is_torch or all(map(is_seen_by_all, piece.intervals)))
        )
