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
from itertools import repeat
from typing import Final, NamedTuple

from ledger.timeline.reconciliation.evidence import Evidence, Pieces, span_of
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
    from_piece = bisect_left(pieces.starts, stop_ns - longest_ns)
    to_piece = bisect_left(pieces.stops, start_ns + shortest_ns)
    if any(start <= stop_ns - shortest_ns for start in pieces.starts[from_piece : from_piece + 1]) or any(
        stop <= start_ns + longest_ns for stop in pieces.stops[to_piece : to_piece + 1]
    ):
        return None
    # Two places that are as likely prove neither; tiny pieces at an end make no other place.
    return _only_hull(pieces, claim.claimed_ns, (shortest_ns, longest_ns), max(around_ns, CLOCKS_APART_NS))


def _only_hull(
    pieces: Pieces, claimed_ns: int, lengths_ns: tuple[int, int], tolerance_ns: int
) -> Hull | None:
    """Return, of the hulls of consecutive pieces of such lengths, the one whose length is closest to a claim.

    None where there is none, or any lies further from that than a tolerance.
    """
    intervals, starts, stops = pieces
    shortest_ns, longest_ns = lengths_ns
    # What begins later is too short up to the end of all.
    early = starts[: bisect_right(starts, stops[-1] - shortest_ns)] if stops else starts
    lasts = map(bisect_left, repeat(stops), map(shortest_ns.__add__, early))
    pasts = map(bisect_right, repeat(stops), map(longest_ns.__add__, early))
    best: tuple[int, int, int] | None = None
    first_stops: list[int] = []
    last_stops: list[int] = []
    first_starts: list[int] = []
    for first, (last, past) in enumerate(zip(lasts, pasts, strict=True)):
        last = max(first, last)
        if last >= past:
            continue
        start_ns = starts[first]
        first_starts.append(start_ns)
        first_stops.append(stops[last])
        last_stops.append(stops[past - 1])
        spread_ns = max(start_ns - first_starts[0], max(last_stops[-1], last_stops[0]) - first_stops[0])
        if spread_ns > 2 * tolerance_ns:
            return None  # they are too far from one another for all to be near one of them
        end = bisect_left(stops, start_ns + claimed_ns, last, past)
        for at in (end - 1, end):
            if last <= at < past:
                off_ns = abs(claimed_ns - (stops[at] - start_ns))
                best = min(best or (off_ns, first, at), (off_ns, first, at))
    if best is None:
        return None
    _, first, end = best
    span = Span(starts[first], stops[end])
    ends = ((first_starts, span.start_ns), (first_stops, span.stop_ns), (last_stops, span.stop_ns))
    if any(max(abs(min(of) - end_ns), abs(max(of) - end_ns)) > tolerance_ns for of, end_ns in ends):
        return None
    return Hull(span, tuple(intervals[first : end + 1]), tolerance_ns)


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
