"""Why a claim is not what was measured: one small rule for each cause, the first that holds is the cause.

A rule with spans is asked about a stretch of time that the claimant counted more often, or less often, than
it was measured; a rule without is asked about what then remains. The next cause is one more function, in its
place in the list.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ledger.reconciliation.counting import Counted
from ledger.reconciliation.evidence import Evidence
from ledger.reconciliation.measuring import Measured
from ledger.reconciliation.spans import Span
from ledger.records import Claim, Interval


class Stretch(NamedTuple):
    """Some time of a process that a claimant did not count just as often as it was measured."""

    claim: Claim
    evidence: Evidence
    measured: Measured
    span: Span
    counted: tuple[Counted, ...]
    """What of the claimant's covers it."""
    is_measured: bool
    around: tuple[Interval, ...]
    """The intervals of the process that enclose it, the outermost first."""

    @property
    def excess(self) -> int:
        """How much more often it was counted than measured."""
        return len(self.counted) - self.is_measured


class Remainder(NamedTuple):
    """What of a difference no stretch of time explains."""

    claim: Claim
    evidence: Evidence
    measured: Measured
    ns: int
    additions: int
    """How many numbers, each rounded, the claim is made of."""


def double_counted(stretch: Stretch) -> bool:
    """The claimant counted one interval twice, or intervals that lie within one another."""
    ids = [number for piece in stretch.counted for number in piece.intervals]
    is_sum = all(piece.is_sum for piece in stretch.counted)
    return stretch.excess > 0 and len(stretch.counted) > 1 and (is_sum or len(set(ids)) < len(ids))


def overlapping_ranges(stretch: Stretch) -> bool:
    """The clock for one range of sizes ran while graphs were compiled for another one."""
    if stretch.excess <= 0:
        return False
    ranges = {piece.range for piece in stretch.counted if piece.range is not None}
    known = stretch.evidence.range_of
    inside = {known.get((interval.process, interval.interval)) for interval in stretch.around} - {None}
    return bool(ranges) and (len(ranges) > 1 or bool(inside - ranges))


def role_lumping(stretch: Stretch) -> bool:
    """The claimant counts another role's time as this one's: a drafter's as the language model's."""
    role = stretch.claim.role
    return (
        stretch.excess > 0
        and stretch.claim.counts in ("total", "ranks")
        and role is not None
        and any(interval.is_top_level and interval.role != role for interval in stretch.around)
    )


def cumulative(stretch: Stretch) -> bool:
    """The claimant's number has an earlier one in it: 5.71 and then 6.25."""
    return stretch.excess > 0 and stretch.evidence.is_claimed_elsewhere(stretch.claim, stretch.span)


def lost_on_failure(stretch: Stretch) -> bool:
    """The time of a try that failed, which its claimant never added."""
    return stretch.excess < 0 and any(
        interval.is_top_level and interval.outcome == "failed" for interval in stretch.around
    )


def not_reported(stretch: Stretch) -> bool:
    """A mode, or a process, that reports 0."""
    return stretch.excess < 0 and stretch.claim.claimed_ns == 0


def late(stretch: Stretch) -> bool:
    """What came after the engine was ready, when the number had been read already."""
    # One clock is assumed: an engine and its workers share a host, or differ by more than can be told.
    ready_ns = min(stretch.evidence.ready_ns.values(), default=None)
    return stretch.excess < 0 and ready_ns is not None and stretch.span.start_ns >= ready_ns


def omitted_stage(stretch: Stretch) -> bool:
    """Time inside that the claimant does not count."""
    return stretch.excess < 0


def mixed_ranks(remainder: Remainder) -> bool:
    """Each role's maximum is another process's, so that their sum is no process's."""
    claim = remainder.claim
    return claim.counts == "ranks" and claim.role is None and len(remainder.evidence.slowest) > 1


def clock(remainder: Remainder) -> bool:
    """The claimant reads the wall clock, which was set meanwhile."""
    return remainder.evidence.data(remainder.claim).get("clock") == "wall"


def rounding(remainder: Remainder) -> bool:
    """Half a unit of the last digit for each number in it, and what the measurement is uncertain by."""
    half_ns = (remainder.claim.resolution_ns or 0) * remainder.additions / 2
    return abs(remainder.ns) <= half_ns + remainder.measured.uncertainty_ns


OF_SPANS: Final[Sequence[Callable[[Stretch], bool]]] = (
    double_counted,
    overlapping_ranges,
    role_lumping,
    cumulative,
    lost_on_failure,
    not_reported,
    late,
    omitted_stage,
)
OF_REMAINDERS: Final[Sequence[Callable[[Remainder], bool]]] = (rounding, mixed_ranks, clock)

UNEXPLAINED: Final = "unexplained"
UNMATCHED: Final = "unmatched"
