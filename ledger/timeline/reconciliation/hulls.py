"""Which pieces inside an interval a claim is about, and how far the time that it leaves out is shown.

A claim names an interval, and says how long its claimant's clock ran. Where that is less, the clock need not
have run to the end: a line may be logged long after what it times was over. So the place of a claim is told
by the pieces inside the interval, and not by when it was logged:

    |=============model_load=============|
           |==init==||=weights=|     ^          logged here
           <------------------->                0.175 s: from the start of one piece to the end of another
                  <------------------>          not this, though it ends where the line was logged
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from ledger.timeline.reconciliation.evidence import Evidence, span_of
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of

CLOCKS_APART_NS: Final = 500_000
"""How far two looks at a clock, the claimant's and ours, lie apart at an interval's two ends together: in
starts of vLLM 2 to 60 µs for its monitor, in torch's compiles up to 420 µs (`tests/data`)."""
_AROUND_NS: Final = 5_000_000
_AROUND_SHARE: Final = 50
"""How much longer than its pieces a claimant's clock may run, which begins before the first of them and stops
after the last: 2.6 to 4.1 ms, 1.5 to 1.8 %, in starts of vLLM's V1 runner. At most the smaller of 5 ms and
1/50 of the claim."""


class Hull(NamedTuple):
    """Consecutive pieces inside an interval, from where the first begins to where the last ends."""

    span: Span
    pieces: tuple[Interval, ...]
    uncertainty_ns: int


def claimed_hull(evidence: Evidence, claim: Claim, intervals: Sequence[Interval]) -> Hull | None:
    """Return the only pieces that a claim's length fits, if it does not fit the interval itself.

    What fits from an end of the interval to a piece is about the interval, and leaves its other end out.
    """
    if len(intervals) != 1 or claim.source == "torch" or claim.claimed_ns <= 0:
        return None
    [whole] = intervals
    half_unit_ns = (claim.resolution_ns or 0) // 2
    around_ns = min(_AROUND_NS, claim.claimed_ns // _AROUND_SHARE)
    shortest_ns = claim.claimed_ns - half_unit_ns - max(around_ns, CLOCKS_APART_NS)
    longest_ns = claim.claimed_ns + half_unit_ns + CLOCKS_APART_NS
    start_ns, stop_ns = span_of(whole)
    if whole.source == "log" or stop_ns - start_ns <= longest_ns:
        return None
    pieces = evidence.pieces_of(whole)
    if any(
        shortest_ns <= length_ns <= longest_ns
        for piece in pieces
        for length_ns in (stop_ns - piece.start_ns, span_of(piece).stop_ns - start_ns)
    ):
        return None
    found = list(_hulls(pieces, shortest_ns, longest_ns))
    if not found:
        return None
    best = min(found, key=lambda hull: abs(claim.claimed_ns - (hull.span.stop_ns - hull.span.start_ns)))
    # Two places that are as likely prove neither; tiny pieces at an end make no other place.
    tolerance_ns = max(around_ns, CLOCKS_APART_NS)
    if any(_distance_ns(best.span, hull.span) > tolerance_ns for hull in found):
        return None
    return best._replace(uncertainty_ns=tolerance_ns)


def _hulls(pieces: Sequence[Interval], shortest_ns: int, longest_ns: int) -> Iterator[Hull]:
    """Yield the hulls of consecutive pieces of such lengths; the pieces are in the order of their starts."""
    stops = list(accumulate((span_of(piece).stop_ns for piece in pieces), max))
    for first, piece in enumerate(pieces):
        last = max(first, bisect_left(stops, piece.start_ns + shortest_ns))
        for end in range(last, bisect_right(stops, piece.start_ns + longest_ns)):
            consecutive = tuple(pieces[first : end + 1])
            span = hull_of(map(span_of, consecutive))
            if span.stop_ns - span.start_ns >= shortest_ns:
                yield Hull(span, consecutive, 0)


def _distance_ns(one: Span, other: Span) -> int:
    return max(abs(end - other_end) for end, other_end in zip(one, other, strict=True))


def unproven(
    evidence: Evidence, process: str, span: Span, intervals: Sequence[Interval], edge_ns: float
) -> Iterator[Span]:
    """Yield what a claimant seems to leave out before and after a span, where no interval shows that it does.

    A clock that begins or stops in the midst of a piece inside did hardly do so: it ran at another time.
    """
    whole = hull_of(map(span_of, intervals))
    own = {interval.interval for interval in intervals}
    for left_out, cut_ns in (
        (Span(whole.start_ns, span.start_ns), span.start_ns),
        (Span(span.stop_ns, whole.stop_ns), span.stop_ns),
    ):
        if left_out.stop_ns - left_out.start_ns <= edge_ns:
            continue
        near_ns = round(max(edge_ns, CLOCKS_APART_NS))
        inside = [
            piece
            for piece in evidence.near(process, Span(cut_ns - near_ns, cut_ns + near_ns + 1))
            if piece.interval not in own and piece.source != "torch" and whole.covers(span_of(piece))
        ]
        is_at_an_end = any(abs(end_ns - cut_ns) <= near_ns for piece in inside for end_ns in span_of(piece))
        if inside and not is_at_an_end:
            yield left_out
