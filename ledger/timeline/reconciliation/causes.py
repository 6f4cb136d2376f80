"""Why a claim differs from the measurement: one small rule for each cause of the vocabulary.

A rule of an excess gets a stretch of time that the claimant counted more often than it was measured, and
returns the interval that shows the cause. A rule of a shortfall, which is time that was measured and not
counted, is asked once for all stretches alike. It returns which of the intervals around a stretch shows the
cause, and holds where there is such an interval. A rule of remainders gets what is then left of the
difference, and returns how much of it the cause explains. Rules are tried in the order of `CAUSES`, and the
first that holds is the cause. So a new cause is a row there and a function here. `clock` and `cumulative` are
called by name, before a number is laid over any time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.reconciliation.additions import AddedUp
from ledger.timeline.reconciliation.coverage import is_itemised
from ledger.timeline.reconciliation.covering import CountedPiece
from ledger.timeline.reconciliation.evidence import Evidence, Taken, activity_of_claim, span_of
from ledger.timeline.reconciliation.hulls import CLOCKS_APART_NS
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.stretches import Asked, Excess
from ledger.timeline.reconciliation.surroundings import Around
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, hull_of
from ledger.vocabulary import CAUSES, CauseName


class Carryover(NamedTuple):
    """By how much a number exceeds its intervals, and the number that its claimant reported before."""

    ns: int
    before_ns: int
    tolerance_ns: float


class Remainder(NamedTuple):
    """What of a difference no stretch of time explains."""

    claim: Claim
    evidence: Evidence
    added_up: AddedUp
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


ExcessRule = Callable[[Excess], Interval | None]
ShortfallRule = Callable[[Asked], Around | None]
RemainderRule = Callable[[Remainder], Explained | None]
_excess_rules: Final[dict[CauseName, ExcessRule]] = {}
_shortfall_rules: Final[dict[CauseName, ShortfallRule]] = {}
_remainder_rules: Final[dict[CauseName, RemainderRule]] = {}
_Rule = TypeVar("_Rule")


def _rule_for(cause: CauseName, rules: dict[CauseName, _Rule]) -> Callable[[_Rule], _Rule]:
    def register(rule: _Rule) -> _Rule:
        rules[cause] = rule
        return rule

    return register


_Maxima = Mapping[str | None, Mapping[str, Taken]]
"""By accumulator or role, and by process: what a maximum over processes is taken of."""


@_rule_for("double_counted", _excess_rules)
def double_counted(excess: Excess) -> Interval | None:
    """The claimant counted one interval twice, or intervals that lie within or across one another."""
    covering = excess.covering
    if covering.number < 2:
        return None
    return covering.innermost_around() if covering.in_the_midst > 1 else covering.innermost_twice()


@_rule_for("overlapping_ranges", _excess_rules)
def overlapping_ranges(excess: Excess) -> Interval | None:
    """The clock for one range of sizes ran while graphs were compiled for another one."""
    range_of = excess.evidence.range_of
    for piece in excess.covering.of_ranges():
        meanwhile = excess.evidence.near(excess.process, _hole(excess.span, piece))
        # Graphs of other roles may be compiled in other threads, by another clock.
        roles = {interval.role for interval in piece.intervals}
        range_ = piece.covered.range
        others = [
            graph
            for graph in meanwhile
            if graph.role in roles and range_of.get((graph.process, graph.interval), range_) != range_
        ]
        if others:
            around = [graph for graph in others if span_of(graph).covers(excess.span)]
            # Between two graphs the clock runs on as well.
            return innermost(around) if around else min(others, key=lambda graph: graph.start_seq)
    return None


@_rule_for("role_lumping", _excess_rules)
def role_lumping(excess: Excess) -> Interval | None:
    """The claimant counts another role's time as this one's: a drafter's as the language model's."""
    if excess.claim.counts not in ("total", "ranks"):
        return None
    return excess.covering.first_of_other_role()


def cumulative(carryover: Carryover) -> bool:
    """The claimant's number has the one before it inside: 5.71 and then 6.25."""
    return carryover.before_ns > 0 and abs(carryover.ns - carryover.before_ns) <= carryover.tolerance_ns


@_rule_for("lost_on_failure", _shortfall_rules)
def lost_on_failure(asked: Asked) -> Around | None:
    """The time of an attempt that failed, which its claimant never added."""
    return "failed" if asked.is_never_added else None


@_rule_for("not_reported", _shortfall_rules)
def not_reported(asked: Asked) -> Around | None:
    """A mode, or a process, that reports 0."""
    return "stage" if asked.is_zero else None


@_rule_for("late", _shortfall_rules)
def late(asked: Asked) -> Around | None:
    """What came after the engine was ready, when the number had been read already."""
    return "outermost" if asked.is_late else None


@_rule_for("omitted_stage", _shortfall_rules)
def omitted_stage(asked: Asked) -> Around | None:
    """Time inside that the claimant does not count."""
    return "stage" if asked.is_shown else None


@_rule_for("mixed_ranks", _remainder_rules)
def mixed_ranks(remainder: Remainder) -> Explained | None:
    """The maxima come from different processes, so that their sum is no process's time."""
    if remainder.claim.counts != "ranks":
        return None
    process, nothing = remainder.measured.process, Taken(0, ())
    ns, shown_by = 0, list[Interval]()
    for of_process in _maxima(remainder).values():
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


@_rule_for("not_in_log", _remainder_rules)
def not_in_log(remainder: Remainder) -> Explained | None:
    """A rank that the log has no such line of was slower than those that it has one of."""
    claim, measured = remainder.claim, remainder.measured
    is_of_others = claim.counts == "ranks" and measured.process != claim.process
    if remainder.ns <= 0 or not is_of_others or any(one.source != LOG for one in measured.intervals):
        return None
    return Explained(remainder.ns, measured.intervals)


@_rule_for("rounding", _remainder_rules)
def rounding(remainder: Remainder) -> Explained | None:
    """Half a unit of the last digit for each number in it, and what the measurement is uncertain by."""
    # What a total says it adds up is measured by its own intervals, each with two looks at a clock.
    summed = remainder.additions if is_itemised(remainder.evidence, remainder.claim) else 0
    uncertainty_ns = remainder.measured.length_uncertainty_ns + summed * CLOCKS_APART_NS
    roundings_ns = (remainder.claim.resolution_ns or 0) * remainder.additions
    if 2 * abs(remainder.ns) > roundings_ns + 2 * uncertainty_ns:
        return None
    return Explained(remainder.ns, remainder.measured.intervals)


OF_EXCESS: Final[Sequence[tuple[CauseName, ExcessRule]]] = [
    (cause, _excess_rules[cause]) for cause in CAUSES if cause in _excess_rules
]
"""The rules of what is counted too often with their causes, in the order in which they are tried."""
OF_SHORTFALL: Final[Sequence[tuple[CauseName, ShortfallRule]]] = [
    (cause, _shortfall_rules[cause]) for cause in CAUSES if cause in _shortfall_rules
]
"""The rules of what is not counted, likewise."""
OF_REMAINDERS: Final[Sequence[tuple[CauseName, RemainderRule]]] = [
    (cause, _remainder_rules[cause]) for cause in CAUSES if cause in _remainder_rules
]
"""The rules of remainders, likewise."""


def innermost(intervals: Iterable[Interval]) -> Interval:
    """Return the interval of some of a process that begins last, and of those the one that ends first."""
    return max(intervals, key=by_enclosure)


def _hole(span: Span, piece: CountedPiece) -> Span:
    """Return the time around a stretch in which something was counted, and not for its own intervals."""
    own = [span_of(interval) for interval in piece.intervals]
    before = (each.stop_ns for each in own if each.stop_ns <= span.start_ns)
    after = (each.start_ns for each in own if each.start_ns >= span.stop_ns)
    start_ns, stop_ns = piece.covered.span
    return Span(max([start_ns, *before]), min([stop_ns, *after]))


def _maxima(remainder: Remainder) -> _Maxima:
    claim, evidence = remainder.claim, remainder.evidence
    if not remainder.is_of_additions:
        ranks = set(evidence.ranks_of(claim))
        taken = evidence.taken(activity_of_claim(claim), claim.role)
        own = {
            role: {one: of for one, of in by_process.items() if one in ranks}
            for role, by_process in taken.items()
        }
        return {role: by_process for role, by_process in own.items() if by_process}
    return _added(remainder)


def _added(remainder: Remainder) -> _Maxima:
    """Return what each process had added to each accumulator when the claim was made."""
    found: defaultdict[str | None, dict[str, Taken]] = defaultdict(dict)
    for process in remainder.evidence.ranks_of(remainder.claim):
        for accumulator, taken in remainder.added_up.when_read(remainder.claim, process):
            found[accumulator][process] = taken
    return found
