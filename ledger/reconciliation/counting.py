"""What a claimant counted, as time: each of its additions covers the time up to where it was made."""

from typing import NamedTuple

from ledger.reconciliation.evidence import Evidence, span_of
from ledger.reconciliation.measuring import Measured
from ledger.reconciliation.spans import Span
from ledger.records import Claim, Interval


class Counted(NamedTuple):
    """A stretch of time that a claimant counted once."""

    span: Span
    intervals: tuple[int, ...]
    """The intervals that it counted it for."""
    range: str | None = None
    is_sum: bool = False
    """Whether the claimant adds intervals up, rather than looking at a clock twice."""


def counted(evidence: Evidence, claim: Claim, measured: Measured) -> list[Counted] | None:
    """Return what a claimant counted; None where nothing tells that."""
    if claim.claimed_ns == 0:
        return []
    if claim.counts in ("interval", "addition"):
        return _one(evidence, claim, measured.intervals)
    additions = _additions(evidence, claim, measured.process)
    if not additions:
        return None
    return [piece for addition in additions for piece in _one(evidence, addition, evidence.named(addition))]


def _additions(evidence: Evidence, total: Claim, process: str) -> list[Claim]:
    """Return what was added to an accumulator in a process: the claims of additions to it."""
    accumulator = evidence.data(total).get("accumulator")
    return [
        claim
        for claim in evidence.additions[process]
        if (
            evidence.data(claim).get("accumulator") == accumulator
            if accumulator is not None
            else total.role in (None, claim.role)
        )
    ]


def _one(
    evidence: Evidence, claim: Claim, intervals: "tuple[Interval, ...] | list[Interval]"
) -> list[Counted]:
    if claim.source == "torch":
        return [Counted(span_of(interval), (interval.interval,), is_sum=True) for interval in intervals]
    ended_ns = max(span_of(interval).stop_ns for interval in intervals)
    # A line is written, and a number added, just before or just after the interval that it times is over.
    if any(interval.start_ns < claim.at_ns for interval in intervals):
        ended_ns = min(ended_ns, claim.at_ns)
    span = Span(ended_ns - claim.claimed_ns, ended_ns)
    said = evidence.data(claim).get("range")
    ids = tuple(interval.interval for interval in intervals)
    return [Counted(span, ids, None if said is None else str(said))]
