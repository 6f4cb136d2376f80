"""The slow twin of a claim's decomposition: time is cut at every boundary, and each rule sees all of it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.reconciliation.additions import AddedUp
from ledger.timeline.reconciliation.carryover import CarryOver, Number
from ledger.timeline.reconciliation.causes import Remainder, clock, rounding
from ledger.timeline.reconciliation.coverage import Coverage, CoveredSpan, is_itemised
from ledger.timeline.reconciliation.decomposition import add_remainder
from ledger.timeline.reconciliation.evidence import Evidence, span_of
from ledger.timeline.reconciliation.hulls import unproven
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of, merged
from ledger.vocabulary import CauseName

_First = TypeVar("_First")
_Second = TypeVar("_Second")


class _Stretch(NamedTuple):
    """Some time of a process that a claimant did not count just as often as it was measured."""

    claim: Claim
    evidence: Evidence
    measured: Match
    span: Span
    counted: tuple[CoveredSpan, ...]
    """What of the claimant's covers it."""
    is_measured: bool
    around: tuple[Interval, ...]
    """The intervals of the process that enclose it, the outermost first."""
    compared: frozenset[int]
    """The ids of the intervals that the claim is compared with."""
    is_shown: bool = True
    """Whether intervals show that the claimant's clock did not run then."""

    @property
    def excess(self) -> int:
        """How much more often it was counted than measured."""
        return len(self.counted) - self.is_measured

    @property
    def whole(self) -> Sequence[Interval]:
        """The intervals around that the claim is compared with, the outermost first."""
        around = [interval for interval in self.around if interval.interval in self.compared]
        return around or self.measured.intervals  # a log line may be about time before its interval

    @property
    def is_never_added(self) -> bool:
        """Whether an accumulator does not hold it, and not because of its stage, as some say themselves."""
        is_accumulator = self.claim.counts in ("total", "ranks")
        return self.excess < 0 and is_accumulator and not is_itemised(self.evidence, self.claim)

    @property
    def is_after_reading(self) -> bool:
        """Whether it came when a number that says itself what it adds up had been read."""
        read_ns = self.evidence.read_ns(self.claim, self.measured.process)
        is_later = read_ns is not None and self.span.start_ns >= read_ns
        return self.excess < 0 and is_later and is_itemised(self.evidence, self.claim)

    def intervals_of(self, piece: CoveredSpan) -> Iterator[Interval]:
        """Yield the intervals that something was counted for."""
        for number in piece.intervals:
            if (interval := self.evidence.by_id.get((self.measured.process, number))) is not None:
                yield interval

    def in_the_midst_of(self, piece: CoveredSpan) -> list[Interval]:
        """Return, of the intervals that something was counted for, those that enclose the stretch."""
        return [interval for interval in self.intervals_of(piece) if span_of(interval).covers(self.span)]


def decompose(evidence: Evidence, claim: Claim, measured: Match, before: Sequence[Number]) -> Breakdown:
    """Split a claim's difference; `before` are the numbers of its kind that its claimant reported before."""
    parts = Breakdown()
    pieces = Coverage(evidence).counted(claim, measured)
    additions = len(pieces or ())
    difference_ns = claim.claimed_ns - measured.ns
    remainder = Remainder(
        claim, evidence, AddedUp(evidence), measured, difference_ns, max(1, additions), additions > 0
    )
    if not rounding(remainder) and (stepped := clock(remainder)) is not None and stepped.ns:
        # What a clock was set by is no time: the rest of the number is, and is laid over what was measured.
        parts.add("clock", claim.stage, stepped.ns, stepped.intervals)
        pieces = [_shorter(piece, stepped.ns) for piece in pieces or ()]
    if pieces is None:
        pieces = _taken_as_measured(evidence, claim, measured)
    if measured.spans and pieces is not None and _is_apart(claim, measured, pieces):
        pieces, again = CarryOver(evidence, claim, measured, before).cut_off(pieces)
        for number in again:
            parts.add("cumulative", number.intervals[-1].stage, number.ns, number.intervals)
        _add_stretches(parts, evidence, claim, measured, pieces)
        remainder = remainder._replace(additions=remainder.additions + len(again))
    add_remainder(parts, remainder._replace(ns=difference_ns - parts.ns))
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
        for cause, rule in _RULES:
            if (shown_by := rule(stretch)) is not None:
                parts.add(cause, shown_by.stage, stretch.excess * length_ns, [shown_by])
                break


def _stretches(
    evidence: Evidence, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]
) -> Iterator[_Stretch]:
    """Yield what was counted more or less often than it was measured, cut at every boundary, in order."""
    compared = frozenset(interval.interval for interval in measured.intervals)
    of_claim = compared.union(*(piece.intervals for piece in pieces))
    hull = hull_of([*measured.spans, *(piece.span for piece in pieces)])
    # torch's own hundreds of stages would name what the stages around them name better.
    near: list[tuple[Span, Interval | None]] = [
        (span_of(interval), interval)
        for interval in _near(evidence, measured.process, hull)
        if interval.source != "torch"
        or claim.source == "torch"
        or interval.is_top_level
        or interval.interval in of_claim
    ]
    unshown = _unshown(evidence, claim, measured, pieces)
    if (ready_ns := evidence.ready_ns(claim, measured.process)) is not None:
        near.append((Span(ready_ns, hull.stop_ns), None))
    for span, (is_measured, covering, around) in _sweep(
        measured.spans, [(piece.span, piece) for piece in pieces], near
    ):
        if len(covering) != is_measured:
            enclosing = sorted((interval for interval in around if interval is not None), key=by_enclosure)
            yield _Stretch(
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
    edge_ns: float, pieces: Sequence[CoveredSpan], stretches: Iterable[_Stretch]
) -> Iterator[_Stretch]:
    """Leave out what is no wider than an edge is known: two clocks' looks at one moment, a rounded number.

    What an accumulator leaves out away from all that was added has no such edge, however short it is.
    """
    ends_ns = sorted(end_ns for piece in pieces for end_ns in piece.span)
    together: list[_Stretch] = []

    def wide_enough() -> list[_Stretch]:
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


def _near(evidence: Evidence, process: str, span: Span) -> list[Interval]:
    return [one for one in evidence.of_process[process] if span_of(one).overlaps(span)]


def _sweep(
    measured: Iterable[Span],
    first: Sequence[tuple[Span, _First]],
    second: Sequence[tuple[Span, _Second]],
) -> Iterator[tuple[Span, tuple[bool, list[_First], list[_Second]]]]:
    """Yield the spans between every two neighbouring boundaries, in order, with what covers each.

    That is: whether `measured` does, and which of `first` and of `second` do.
    """
    union = merged(measured)
    starts: dict[int, list[tuple[int, int]]] = {}
    stops: dict[int, list[tuple[int, int]]] = {}
    groups = (union, [span for span, _ in first], [span for span, _ in second])
    for group, spans in enumerate(groups):
        for at, span in enumerate(spans):
            if span.start_ns < span.stop_ns:
                starts.setdefault(span.start_ns, []).append((group, at))
                stops.setdefault(span.stop_ns, []).append((group, at))
    running: tuple[dict[int, None], ...] = ({}, {}, {})
    for start_ns, stop_ns in pairwise(sorted(starts.keys() | stops.keys())):
        for group, at in stops.get(start_ns, ()):
            del running[group][at]
        for group, at in starts.get(start_ns, ()):
            running[group][at] = None
        covering = [first[at][1] for at in running[1]]
        around = [second[at][1] for at in running[2]]
        yield Span(start_ns, stop_ns), (bool(running[0]), covering, around)


def _double_counted(stretch: _Stretch) -> Interval | None:
    """The claimant counted one interval twice, or intervals that lie within or across one another."""
    if stretch.excess <= 0 or len(stretch.counted) < 2:
        return None
    around = [inside for piece in stretch.counted if (inside := stretch.in_the_midst_of(piece))]
    if len(around) > 1:
        return _innermost([interval for inside in around for interval in inside])
    times_counted = Counter(interval for piece in stretch.counted for interval in stretch.intervals_of(piece))
    twice = [interval for interval, number in times_counted.items() if number > 1]
    return _innermost(twice) if twice else None


def _overlapping_ranges(stretch: _Stretch) -> Interval | None:
    """The clock for one range of sizes ran while graphs were compiled for another one."""
    if stretch.excess <= 0:
        return None
    range_of = stretch.evidence.range_of
    for piece in stretch.counted:
        if piece.range is None or stretch.in_the_midst_of(piece):
            continue
        meanwhile = _near(stretch.evidence, stretch.measured.process, _hole(stretch, piece))
        # Graphs of other roles may be compiled in other threads, by another clock.
        roles = {interval.role for interval in stretch.intervals_of(piece)}
        others = [
            graph
            for graph in meanwhile
            if range_of.get((graph.process, graph.interval), piece.range) != piece.range
            and graph.role in roles
        ]
        if others:
            around = [graph for graph in others if span_of(graph).covers(stretch.span)]
            # Between two graphs the clock runs on as well.
            return _innermost(around) if around else min(others, key=lambda graph: graph.start_seq)
    return None


def _role_lumping(stretch: _Stretch) -> Interval | None:
    """The claimant counts another role's time as this one's: a drafter's as the language model's."""
    role = stretch.claim.role
    if stretch.excess <= 0 or role is None or stretch.claim.counts not in ("total", "ranks"):
        return None
    inside = [interval for piece in stretch.counted for interval in stretch.in_the_midst_of(piece)]
    return next((interval for interval in inside if interval.role not in (None, role)), None)


def _lost_on_failure(stretch: _Stretch) -> Interval | None:
    """The time of an attempt that failed, which its claimant never added."""
    if not stretch.is_never_added:
        return None
    return next((one for one in stretch.whole if one.outcome == "failed"), None)


def _not_reported(stretch: _Stretch) -> Interval | None:
    """A mode, or a process, that reports 0."""
    return _stage_of(stretch) if stretch.excess < 0 and stretch.claim.claimed_ns == 0 else None


def _late(stretch: _Stretch) -> Interval | None:
    """What came after the engine was ready, when the number had been read already."""
    if not stretch.is_never_added and not stretch.is_after_reading:
        return None
    ready_ns = stretch.evidence.ready_ns(stretch.claim, stretch.measured.process)
    return stretch.whole[0] if ready_ns is not None and stretch.span.start_ns >= ready_ns else None


def _omitted_stage(stretch: _Stretch) -> Interval | None:
    """Time inside that the claimant does not count."""
    return _stage_of(stretch) if stretch.excess < 0 and stretch.is_shown else None


def _stage_of(stretch: _Stretch) -> Interval:
    """Return the interval that says best what went on: the innermost one that is about a compile."""
    # Other roles may compile in other threads meanwhile.
    roles = {interval.role for interval in stretch.whole}
    own = [interval for interval in stretch.around if interval.role in roles]
    of_compile = [interval for interval in own if interval.activity == "compile"]
    return _innermost(of_compile or own or stretch.whole)


def _innermost(intervals: Sequence[Interval]) -> Interval:
    return max(intervals, key=by_enclosure)


def _hole(stretch: _Stretch, piece: CoveredSpan) -> Span:
    """Return the time around a stretch in which something was counted, and not for its own intervals."""
    own = [span_of(interval) for interval in stretch.intervals_of(piece)]
    before = (span.stop_ns for span in own if span.stop_ns <= stretch.span.start_ns)
    after = (span.start_ns for span in own if span.start_ns >= stretch.span.stop_ns)
    start_ns, stop_ns = piece.span
    return Span(max([start_ns, *before]), min([stop_ns, *after]))


_RULES: Final[Sequence[tuple[CauseName, Callable[[_Stretch], Interval | None]]]] = [
    ("double_counted", _double_counted),
    ("overlapping_ranges", _overlapping_ranges),
    ("role_lumping", _role_lumping),
    ("lost_on_failure", _lost_on_failure),
    ("not_reported", _not_reported),
    ("late", _late),
    ("omitted_stage", _omitted_stage),
]
