"""Why a claim differs from the measurement: one small rule for each cause of the vocabulary.

A rule of spans gets a stretch of time that the claimant counted more often, or less often, than it was
measured, and returns the interval that shows the cause. A rule of remainders gets what is then left of the
difference, and returns how much of it the cause explains. Rules are tried in the order of `CAUSES`, and the
first that holds is the cause. So a new cause is a row there and a function here. `clock` and `cumulative` are
called by name, before a number is laid over any time.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.reconciliation.coverage import CoveredSpan, is_itemised
from ledger.timeline.reconciliation.evidence import Evidence, activity_of_claim, span_of
from ledger.timeline.reconciliation.hulls import CLOCKS_APART_NS
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of, union_ns
from ledger.vocabulary import CAUSES, CauseName


class Stretch(NamedTuple):
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


class Carryover(NamedTuple):
    """By how much a number exceeds its intervals, and the number that its claimant reported before."""

    ns: int
    before_ns: int
    tolerance_ns: float


class Remainder(NamedTuple):
    """What of a difference no stretch of time explains."""

    claim: Claim
    evidence: Evidence
    measured: Match
    ns: int
    additions: int
    """How many numbers, each rounded, the claim is made of."""
    is_of_additions: bool
    """Whether the events show what was added up."""

    def of(self, ns: int) -> int:
        """Return the amount of a cause, or 0 where it would not explain anything."""
        return ns if abs(self.ns - ns) < abs(self.ns) else 0


class Explained(NamedTuple):
    """The amount of a cause, and the intervals that show it."""

    ns: int
    intervals: tuple[Interval, ...]


SpanRule = Callable[[Stretch], Interval | None]
RemainderRule = Callable[[Remainder], Explained | None]
_span_rules: Final[dict[CauseName, SpanRule]] = {}
_remainder_rules: Final[dict[CauseName, RemainderRule]] = {}
_Rule = TypeVar("_Rule")


def _rule_for(cause: CauseName, rules: dict[CauseName, _Rule]) -> Callable[[_Rule], _Rule]:
    def register(rule: _Rule) -> _Rule:
        rules[cause] = rule
        return rule

    return register


_Maxima = defaultdict[str | None, dict[str, Explained]]
"""By accumulator or role, and by process: what a maximum over processes is taken of."""


@_rule_for("double_counted", _span_rules)
def double_counted(stretch: Stretch) -> Interval | None:
    """The claimant counted one interval twice, or intervals that lie within or across one another."""
    if stretch.excess <= 0 or len(stretch.counted) < 2:
        return None
    around = [inside for piece in stretch.counted if (inside := stretch.in_the_midst_of(piece))]
    if len(around) > 1:
        return _innermost([interval for inside in around for interval in inside])
    times_counted = Counter(interval for piece in stretch.counted for interval in stretch.intervals_of(piece))
    twice = [interval for interval, number in times_counted.items() if number > 1]
    return _innermost(twice) if twice else None


@_rule_for("overlapping_ranges", _span_rules)
def overlapping_ranges(stretch: Stretch) -> Interval | None:
    """The clock for one range of sizes ran while graphs were compiled for another one."""
    if stretch.excess <= 0:
        return None
    range_of = stretch.evidence.range_of
    for piece in stretch.counted:
        if piece.range is None or stretch.in_the_midst_of(piece):
            continue
        meanwhile = stretch.evidence.near(stretch.measured.process, _hole(stretch, piece))
        # Graphs of other roles may be compiled in other threads, by another clock.
        roles = {interval.role for interval in stretch.intervals_of(piece)}
        others = [
            graph
            for graph in meanwhile
            if range_of.get(graph, piece.range) != piece.range and graph.role in roles
        ]
        if others:
            around = [graph for graph in others if span_of(graph).covers(stretch.span)]
            # Between two graphs the clock runs on as well.
            return _innermost(around) if around else min(others, key=lambda graph: graph.start_seq)
    return None


@_rule_for("role_lumping", _span_rules)
def role_lumping(stretch: Stretch) -> Interval | None:
    """The claimant counts another role's time as this one's: a drafter's as the language model's."""
    role = stretch.claim.role
    if stretch.excess <= 0 or role is None or stretch.claim.counts not in ("total", "ranks"):
        return None
    inside = [interval for piece in stretch.counted for interval in stretch.in_the_midst_of(piece)]
    return next((interval for interval in inside if interval.role not in (None, role)), None)


def cumulative(carryover: Carryover) -> bool:
    """The claimant's number has the one before it inside: 5.71 and then 6.25."""
    return carryover.before_ns > 0 and abs(carryover.ns - carryover.before_ns) <= carryover.tolerance_ns


@_rule_for("lost_on_failure", _span_rules)
def lost_on_failure(stretch: Stretch) -> Interval | None:
    """The time of an attempt that failed, which its claimant never added."""
    if not stretch.is_never_added:
        return None
    return next((one for one in stretch.whole if one.outcome == "failed"), None)


@_rule_for("not_reported", _span_rules)
def not_reported(stretch: Stretch) -> Interval | None:
    """A mode, or a process, that reports 0."""
    return _stage_of(stretch) if stretch.excess < 0 and stretch.claim.claimed_ns == 0 else None


@_rule_for("late", _span_rules)
def late(stretch: Stretch) -> Interval | None:
    """What came after the engine was ready, when the number had been read already."""
    if not stretch.is_never_added and not stretch.is_after_reading:
        return None
    ready_ns = stretch.evidence.ready_ns(stretch.claim, stretch.measured.process)
    return stretch.whole[0] if ready_ns is not None and stretch.span.start_ns >= ready_ns else None


@_rule_for("omitted_stage", _span_rules)
def omitted_stage(stretch: Stretch) -> Interval | None:
    """Time inside that the claimant does not count."""
    return _stage_of(stretch) if stretch.excess < 0 and stretch.is_shown else None


@_rule_for("mixed_ranks", _remainder_rules)
def mixed_ranks(remainder: Remainder) -> Explained | None:
    """The maxima come from different processes, so that their sum is no process's time."""
    if remainder.claim.counts != "ranks":
        return None
    process, nothing = remainder.measured.process, Explained(0, ())
    ns, shown_by = 0, list[Interval]()
    for of_process in (_added if remainder.is_of_additions else _taken)(remainder).values():
        slowest = max(of_process, key=lambda speaker: (of_process[speaker].ns, speaker == process))
        ns += of_process[slowest].ns - of_process.get(process, nothing).ns
        shown_by += of_process[slowest].intervals
    return Explained(remainder.of(ns), tuple(shown_by))


def clock(remainder: Remainder) -> Explained | None:
    """The claimant reads the wall clock, and that was set meanwhile."""
    claim, measured = remainder.claim, remainder.measured
    if not remainder.evidence.data(claim).is_of_wall_clock or claim.counts not in ("interval", "addition"):
        return None
    began_ns, ended_ns = hull_of(measured.spans)
    # What noticed it may have looked only when the interval was over.
    stepped_ns = remainder.evidence.stepped_ns(claim.process, began_ns, max(ended_ns, claim.at_ns))
    return Explained(remainder.of(stepped_ns), measured.intervals)


@_rule_for("rounding", _remainder_rules)
def rounding(remainder: Remainder) -> Explained | None:
    """Half a unit of the last digit for each number in it, and what the measurement is uncertain by."""
    # What a total says it adds up is measured by its own intervals, each with two looks at a clock.
    summed = remainder.additions if is_itemised(remainder.evidence, remainder.claim) else 0
    uncertainty_ns = remainder.measured.uncertainty_ns + summed * CLOCKS_APART_NS
    roundings_ns = (remainder.claim.resolution_ns or 0) * remainder.additions
    if 2 * abs(remainder.ns) > roundings_ns + 2 * uncertainty_ns:
        return None
    return Explained(remainder.ns, remainder.measured.intervals)


OF_SPANS: Final[Sequence[tuple[CauseName, SpanRule]]] = [
    (cause, _span_rules[cause]) for cause in CAUSES if cause in _span_rules
]
"""The rules of spans with their causes, in the order in which they are tried."""
OF_REMAINDERS: Final[Sequence[tuple[CauseName, RemainderRule]]] = [
    (cause, _remainder_rules[cause]) for cause in CAUSES if cause in _remainder_rules
]
"""The rules of remainders, likewise."""


def _stage_of(stretch: Stretch) -> Interval:
    """Return the interval that says best what went on: the innermost one that is about a compile."""
    # Other roles may compile in other threads meanwhile.
    roles = {interval.role for interval in stretch.whole}
    own = [interval for interval in stretch.around if interval.role in roles]
    of_compile = [interval for interval in own if interval.activity == "compile"]
    return _innermost(of_compile or own or stretch.whole)


def _innermost(intervals: Sequence[Interval]) -> Interval:
    return max(intervals, key=by_enclosure)


def _hole(stretch: Stretch, piece: CoveredSpan) -> Span:
    """Return the time around a stretch in which something was counted, and not for its own intervals."""
    own = [span_of(interval) for interval in stretch.intervals_of(piece)]
    before = (span.stop_ns for span in own if span.stop_ns <= stretch.span.start_ns)
    after = (span.start_ns for span in own if span.start_ns >= stretch.span.stop_ns)
    start_ns, stop_ns = piece.span
    return Span(max([start_ns, *before]), min([stop_ns, *after]))


def _added(remainder: Remainder) -> _Maxima:
    """Return what each process had added to each accumulator when the claim was made."""
    evidence, found = remainder.evidence, _Maxima(dict)
    for process in sorted(evidence.additions):
        by_accumulator: defaultdict[str | None, list[Claim]] = defaultdict(list)
        for addition in evidence.additions_to(remainder.claim, process):
            accumulator = evidence.data(addition).accumulator
            by_accumulator[addition.role if accumulator is None else accumulator].append(addition)
        for accumulator, additions in by_accumulator.items():
            intervals = (interval for addition in additions for interval in evidence.named(addition))
            added_ns = sum(addition.claimed_ns for addition in additions)
            found[accumulator][process] = Explained(added_ns, tuple(intervals))
    return found


def _taken(remainder: Remainder) -> _Maxima:
    """Return what each role took in each process."""
    claim, evidence, found = remainder.claim, remainder.evidence, _Maxima(dict)
    for process in sorted(evidence.of_process):
        by_role: defaultdict[str | None, list[Interval]] = defaultdict(list)
        for interval in evidence.top_level(process, activity_of_claim(claim), claim.role):
            by_role[interval.role].append(interval)
        for role, intervals in by_role.items():
            found[role][process] = Explained(union_ns(map(span_of, intervals)), tuple(intervals))
    return found
