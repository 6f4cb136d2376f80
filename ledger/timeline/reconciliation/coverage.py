"""What a claimant counted, as time: each of its additions covers the time up to where it was made.

A total may state itself what it adds up: `adds_up` and `within` of its data. So may the number of an
interval: `parts`.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ledger.timeline.reconciliation.evidence import Accumulator, Evidence, span_of
from ledger.timeline.reconciliation.hulls import Hull, claimed_hull
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span


class CoveredSpan(NamedTuple):
    """A stretch of time that a claimant counted once."""

    span: Span
    intervals: tuple[int, ...]
    """The intervals that it counted it for."""
    range: str | None = None
    is_sum: bool = False
    """Whether the claimant adds intervals up, rather than looking at a clock twice."""


class Coverage:
    """What the claimants of a session counted."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._added: dict[Accumulator, _Added] = {}

    def counted(self, claim: Claim, measured: Match) -> list[CoveredSpan] | None:
        """Return what a claimant had counted when its number was read; None where nothing tells that."""
        evidence = self._evidence
        if claim.claimed_ns == 0:
            return []
        if claim.counts in ("interval", "addition"):
            if added_up := evidence.parts(claim):
                return [CoveredSpan(span_of(part), (part.interval,), is_sum=True) for part in added_up]
            if measured.hull is not None:
                return [_of_hull(evidence, claim, measured.hull)]
            return _one(evidence, claim, measured.intervals)
        if is_itemised(evidence, claim):
            pieces = [
                *_items(evidence, claim, measured.process),
                *_accumulated(evidence, claim, measured.process),
            ]
            when_read = [piece for piece in pieces if piece.span.stop_ns <= claim.at_ns]
            return when_read if when_read or not pieces else None
        if number := len(evidence.additions_to(claim, measured.process)):
            return self._first_of(evidence.accumulator(claim, measured.process), number)
        return _read_off_lines(claim, measured)

    def _first_of(self, accumulator: Accumulator, number: int) -> list[CoveredSpan]:
        """Return what so many additions to an accumulator cover, the first ones."""
        pieces, numbers = self._added.setdefault(accumulator, _Added([], []))
        for addition in self._evidence.additions_of(accumulator)[len(numbers) : number]:
            pieces.extend(_addition(self._evidence, addition))
            numbers.append(len(pieces))
        return pieces[: numbers[number - 1]]


class _Added(NamedTuple):
    """What was added to an accumulator."""

    pieces: list[CoveredSpan]
    numbers: list[int]
    """How many of the pieces there are up to each addition."""


def _read_off_lines(claim: Claim, measured: Match) -> list[CoveredSpan] | None:
    """Return what an engine's line adds up by the lines before it; None where there are none."""
    own = [one for one in measured.intervals if one.stage == claim.stage]
    if (
        claim.counts != "ranks"
        or measured.stated_to_ns is None
        or not own
        or len(own) == len(measured.intervals)
    ):
        return None
    return [CoveredSpan(span_of(one), (one.interval,), is_sum=True) for one in own]


def is_itemised(evidence: Evidence, claim: Claim) -> bool:
    """Tell whether a total says itself which intervals it adds up."""
    return claim.counts == "total" and evidence.data(claim).adds_up is not None


def _items(evidence: Evidence, claim: Claim, process: str) -> Iterator[CoveredSpan]:
    """Yield the last intervals of each stage that had ended when their sum was reported."""
    numbers = evidence.data(claim).adds_up or {}
    ended: defaultdict[str, list[Interval]] = defaultdict(list)
    for interval in evidence.of_process[process]:
        if interval.stage in numbers and interval.source == claim.source and interval.stop_seq is not None:
            ended[interval.stage].append(interval)
    for stage, number in numbers.items():
        by_end = sorted(ended[stage], key=lambda interval: (span_of(interval).stop_ns, interval.stop_seq))
        in_time = [interval for interval in by_end if span_of(interval).stop_ns <= claim.at_ns]
        for interval in in_time[-number:]:
            yield CoveredSpan(span_of(interval), (interval.interval,), is_sum=True)


def _accumulated(evidence: Evidence, claim: Claim, process: str) -> Iterator[CoveredSpan]:
    """Yield what a total adds up besides: lengths of time inside of an interval, from its beginning on.

    The claim does not say where in it they were, nor which of them lie within one another.
    """
    for number, lengths_ns in evidence.data(claim).within:
        if (interval := evidence.by_id.get((process, number))) is not None:
            start_ns, stop_ns = span_of(interval)
            for length_ns in lengths_ns:
                span = Span(start_ns, min(start_ns + length_ns, stop_ns))
                yield CoveredSpan(span, (interval.interval,), is_sum=True)


def _addition(evidence: Evidence, addition: Claim) -> list[CoveredSpan]:
    intervals = evidence.named(addition)
    if (hull := claimed_hull(evidence, addition, intervals)) is not None:
        return [_of_hull(evidence, addition, hull)]
    return _one(evidence, addition, intervals)


def _of_hull(evidence: Evidence, claim: Claim, hull: Hull) -> CoveredSpan:
    ids = tuple(piece.interval for piece in hull.pieces)
    return CoveredSpan(hull.span, ids, evidence.data(claim).range)


def _one(
    evidence: Evidence, claim: Claim, intervals: "tuple[Interval, ...] | list[Interval]"
) -> list[CoveredSpan]:
    if claim.source == "torch":
        return [CoveredSpan(span_of(interval), (interval.interval,), is_sum=True) for interval in intervals]
    ended_ns = max(span_of(interval).stop_ns for interval in intervals)
    # A line is written, and a number added, just before or just after the interval that it times is over.
    if any(interval.start_ns < claim.at_ns for interval in intervals):
        ended_ns = min(ended_ns, claim.at_ns)
    span = Span(ended_ns - claim.claimed_ns, ended_ns)
    ids = tuple(interval.interval for interval in intervals)
    return [CoveredSpan(span, ids, evidence.data(claim).range)]
