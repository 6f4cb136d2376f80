"""The slow twin of how claims are matched: for each of them, all intervals are looked at."""

# pyright: reportPrivateUsage=false

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from ledger.timeline.reconciliation import hulls
from ledger.timeline.reconciliation.evidence import Evidence, activity_of_claim, span_of
from ledger.timeline.reconciliation.hulls import Hull
from ledger.timeline.reconciliation.matching import STAMP_NS, Match, uncertainty_ns
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of, union_ns


def matches(evidence: Evidence) -> dict[Claim, Match]:
    """Return what `measure` returns."""
    found: dict[Claim, Match] = {}
    taken: set[tuple[str, str, int]] = set()
    for claim in evidence.claims:
        activity = activity_of_claim(claim)
        measured = None
        if claim.counts in ("interval", "addition"):
            measured = _of_intervals(evidence, claim, taken)
        elif claim.counts == "total":
            measured = _total(evidence, claim.process, activity, claim.role)
        else:
            totals = [
                total
                for process in evidence.ranks_of(claim)
                if (total := _total(evidence, process, activity, claim.role)) is not None
            ]
            measured = max(totals, key=lambda total: total.ns, default=None)
        if measured is None and claim.counts in ("total", "ranks") and claim.claimed_ns == 0:
            measured = Match(claim.process, (), (), 0, 0)
        if measured is not None:
            found[claim] = measured
    return found


def _of_intervals(evidence: Evidence, claim: Claim, taken: set[tuple[str, str, int]]) -> Match | None:
    intervals = evidence.named(claim)
    if not intervals and not evidence.names(claim):
        untaken = [
            one
            for one in evidence.of_process[claim.process]
            if one.stage == claim.stage
            and claim.role in (None, one.role)
            and claim.component in (None, one.component)
            and span_of(one).stop_ns <= claim.at_ns
            and (claim.counts == "addition" or (claim.process, claim.source, one.interval) not in taken)
        ]
        untaken.sort(key=lambda one: (span_of(one).stop_ns, one.start_seq))
        intervals = untaken[-1:]
    if claim.counts == "interval":
        taken.update((claim.process, claim.source, one.interval) for one in intervals)
    if not intervals:
        return None
    if all(one.source == "log" for one in intervals) and claim.stage == "torch_compile":
        return _since_last(evidence, claim, intervals)
    if (hull := _claimed_hull(evidence, claim, intervals)) is not None:
        length_ns = hull.span.stop_ns - hull.span.start_ns
        return Match(claim.process, (hull.span,), hull.pieces, hull.uncertainty_ns, length_ns, hull)
    return _measured(evidence, claim.process, intervals)


def _total(evidence: Evidence, process: str, activity: str, role: str | None) -> Match | None:
    intervals = [
        one
        for one in evidence.of_process[process]
        if one.is_top_level and one.activity == activity and role in (None, one.role)
    ]
    return _measured(evidence, process, intervals) if intervals else None


def _measured(evidence: Evidence, process: str, intervals: Sequence[Interval]) -> Match:
    spans = tuple(map(span_of, intervals))
    return Match(
        process, spans, tuple(intervals), uncertainty_ns(intervals), union_ns(spans),
        stated_to_ns=_stated_to_ns(evidence, intervals),
    )  # fmt: skip


def _stated_to_ns(evidence: Evidence, intervals: Sequence[Interval]) -> int | None:
    timed = [one for one in intervals if one.duration_ns]
    units_ns: list[int] = []
    for one in timed:
        stating = [
            claim.resolution_ns or 0
            for claim in evidence.claims
            if claim.counts == "interval"
            and one in evidence.named(claim)
            and one.source == "log"
            and one.duration_ns == claim.claimed_ns
        ]
        if not stating:
            return None
        units_ns.append(stating[-1])
    spans = [span_of(one) for one in timed]
    lengths_ns = sum(span.stop_ns - span.start_ns for span in spans)
    return sum(units_ns) // 2 if timed and lengths_ns == union_ns(spans) else None


def _since_last(evidence: Evidence, claim: Claim, intervals: Sequence[Interval]) -> Match:
    before = evidence.claims[: evidence.claims.index(claim)]
    line = (claim.process, claim.source, claim.stage)
    since_ns = max((one.at_ns for one in before if (one.process, one.source, one.stage) == line), default=0)
    until_ns = max(span_of(one).stop_ns for one in intervals)
    compiles = [one.start_ns for one in evidence.of_process[claim.process] if one.activity == "compile"]
    first = min((start_ns for start_ns in compiles if start_ns >= since_ns), default=until_ns)
    began_ns = min([first, *(one.start_ns for one in intervals)])
    span = Span(began_ns, until_ns)
    return Match(
        claim.process, (span,), tuple(intervals), 2 * STAMP_NS, until_ns - began_ns,
        stated_to_ns=_stated_to_ns(evidence, intervals) if span_of(intervals[0]) == span else None,
    )  # fmt: skip


def _claimed_hull(evidence: Evidence, claim: Claim, intervals: Sequence[Interval]) -> Hull | None:
    """Return the only pieces that a claim's length fits, if it does not fit the interval itself.

    What fits from an end of the interval to a piece is about the interval, and leaves its other end out.
    """
    if len(intervals) != 1 or claim.source == "torch" or claim.claimed_ns <= 0:
        return None
    [whole] = intervals
    half_unit_ns = (claim.resolution_ns or 0) // 2
    around_ns = min(hulls._AROUND_NS, claim.claimed_ns // hulls._AROUND_SHARE)
    shortest_ns = claim.claimed_ns - half_unit_ns - max(around_ns, hulls.CLOCKS_APART_NS)
    longest_ns = claim.claimed_ns + half_unit_ns + hulls.CLOCKS_APART_NS
    start_ns, stop_ns = span_of(whole)
    if whole.source == "log" or stop_ns - start_ns <= longest_ns:
        return None
    pieces = evidence.pieces_of(whole).intervals
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
    tolerance_ns = max(around_ns, hulls.CLOCKS_APART_NS)
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
