"""Splits the difference between a claim and its measurement into causes, by spans of time."""

from collections.abc import Sequence

from ledger.timeline.reconciliation.additions import AddedUp
from ledger.timeline.reconciliation.carryover import CarryOver, Number, add_again
from ledger.timeline.reconciliation.causes import OF_REMAINDERS, Remainder, clock, rounding
from ledger.timeline.reconciliation.coverage import Coverage, CoveredSpan
from ledger.timeline.reconciliation.differences import Differences
from ledger.timeline.reconciliation.evidence import Evidence
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.overlay import edge_of
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.reconciliation.running_totals import RunningTotals
from ledger.timeline.records import Claim
from ledger.timeline.spans import Span


class Decomposition:
    """Takes the differences of a session's claims apart."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._added_up = AddedUp(evidence)
        self._coverage = Coverage(evidence)
        self._differences = Differences(evidence)
        self._running = RunningTotals(evidence, self._differences)

    def of(self, claim: Claim, measured: Match, before: Sequence[Number]) -> Breakdown:
        """Split a claim's difference; `before` are the numbers of its kind that were reported before."""
        evidence, parts = self._evidence, Breakdown()
        pieces = self._coverage.counted(claim, measured)
        additions = len(pieces or ())
        difference_ns = claim.claimed_ns - measured.ns
        remainder = Remainder(
            claim, evidence, self._added_up, measured, difference_ns, max(1, additions), additions > 0
        )
        is_rounding = rounding(remainder) is not None
        if not is_rounding and (stepped := clock(remainder)) is not None and stepped.ns:
            # What a clock was set by is no time. The rest is, and is laid over what was measured.
            parts.add("clock", claim.stage, stepped.ns, stepped.intervals)
            pieces = [_shorter(piece, stepped.ns) for piece in pieces or ()]
        if pieces is None:
            self._differences.add_since_reading(parts, claim, measured)
        elif is_rounding and evidence.parts(claim):
            pass  # where its parts lie within the whole is known no better than that
        elif measured.spans and _is_apart(claim, measured, pieces):
            again = self._running.add(parts, claim, measured, pieces)
            if again is None:
                own, numbers = CarryOver(evidence, claim, measured, before).cut_off(pieces)
                add_again(parts, numbers)
                self._differences.add(parts, claim, measured, own)
                again = len(numbers)
            remainder = remainder._replace(additions=remainder.additions + again)
        add_remainder(parts, remainder._replace(ns=difference_ns - parts.ns))
        return parts


def _shorter(piece: CoveredSpan, ns: int) -> CoveredSpan:
    start_ns, stop_ns = piece.span
    return piece if piece.is_sum else piece._replace(span=Span(start_ns + ns, stop_ns))


def add_remainder(parts: Breakdown, remainder: Remainder) -> None:
    """Add what no stretch of time explains. What is within the rounding needs no other cause."""
    if not remainder.ns:
        return
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


def _is_apart(claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]) -> bool:
    """Tell whether counted and measured time differ by more than how well one piece's ends are known."""
    if len(pieces) != 1 or len(measured.spans) != 1:
        return True
    (one,), (other,) = pieces, measured.spans
    ends = zip(one.span, other, strict=True)
    return max(abs(end - other_end) for end, other_end in ends) > edge_of(claim, measured)
