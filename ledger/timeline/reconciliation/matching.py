"""Finds the intervals that each claim is compared with, by what the claim counts."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from ledger.timeline.reconciliation.evidence import Evidence, activity_of_claim, span_of
from ledger.timeline.reconciliation.hulls import CLOCKS_APART_NS, Hull, claimed_hull
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span, union_ns
from ledger.vocabulary import Activity

STAMP_NS: Final = 1_000_000_000
"""The stamps of a log are cut to whole seconds."""


class Match(NamedTuple):
    """The measured time that a claim is compared with."""

    process: str
    spans: tuple[Span, ...]
    intervals: tuple[Interval, ...]
    uncertainty_ns: int
    """How well the ends of the spans are known."""
    ns: int
    """The length of the union of the spans."""
    hull: Hull | None = None
    """The pieces inside the interval of a claim that it is about, where these are all of it."""
    stated_to_ns: int | None = None
    """How well the length is known where that is better: a log's lines state it, its stamps only when."""

    @property
    def length_uncertainty_ns(self) -> int:
        """How well the length is known."""
        return self.uncertainty_ns if self.stated_to_ns is None else self.stated_to_ns


def measure(evidence: Evidence) -> dict[Claim, Match]:
    """Return the match of each claim; claims without one are left out."""
    found: dict[Claim, Match] = {}
    untaken, totals, lines = _Untaken(evidence), _Totals(evidence), _Lines(evidence)
    for claim in evidence.claims:
        activity = activity_of_claim(claim)
        if claim.counts in ("interval", "addition"):
            measured = _one(evidence, claim, untaken, lines)
        elif claim.counts == "total":
            measured = totals.of(claim.process, activity, claim.role)
        else:
            measured = totals.longest(activity, claim)
        if measured is None and claim.counts in ("total", "ranks") and claim.claimed_ns == 0:
            # Nothing is claimed of a role that the model does not have.
            measured = Match(claim.process, (), (), 0, 0)
        lines.pass_over(claim)
        if measured is not None:
            found[claim] = measured
    return found


_Part = tuple[str | None, str | None]
"""A role and a component; None for any."""


class _Untaken:
    """The intervals that no earlier claim of a source took, by process, stage and part."""

    def __init__(self, evidence: Evidence) -> None:
        self._of_process = evidence.of_process
        self._by_end: dict[str, defaultdict[str, list[Interval]]] = {}
        self._of_source: dict[tuple[str, str | None, str], defaultdict[_Part, _Row]] = {}

    def last(self, claim: Claim) -> list[Interval]:
        """Return the last interval of that stage, role and component that had stopped by then."""
        # What a claim does not say, it leaves open: torch knows no roles.
        row = self._rows(claim, claim.stage or "").get((claim.role, claim.component))
        return [] if row is None else row.last(claim.at_ns)

    def take(self, claim: Claim, intervals: Sequence[Interval]) -> None:
        """Leave intervals out from now on, for claims of this source."""
        for interval in intervals:
            rows = self._rows(claim, interval.stage)
            for part in _parts_with(interval):
                rows[part].take(interval)

    def _rows(self, claim: Claim, stage: str) -> "defaultdict[_Part, _Row]":
        # What was added to an accumulator may be added again, so additions take nothing.
        key = (claim.process, None if claim.counts == "addition" else claim.source, stage)
        if key not in self._of_source:
            rows = self._of_source[key] = defaultdict[_Part, _Row](_Row)
            for interval in self._in_order(claim.process)[stage]:
                for part in _parts_with(interval):
                    rows[part].append(interval)
        return self._of_source[key]

    def _in_order(self, process: str) -> "defaultdict[str, list[Interval]]":
        if process not in self._by_end:
            by_end = self._by_end[process] = defaultdict[str, list[Interval]](list)
            for interval in sorted(self._of_process.get(process, ()), key=_end_of):
                by_end[interval.stage].append(interval)
        return self._by_end[process]


class _Row:
    """Intervals in order of their ends, of which some are taken."""

    def __init__(self) -> None:
        self._intervals: list[Interval] = []
        self._last: list[int] = [0]
        """By how many intervals there are up to one, how many there are up to the last that is not taken.

        Or up to a later one, for which it says the same.
        """

    def append(self, interval: Interval) -> None:
        self._intervals.append(interval)
        self._last.append(len(self._intervals))

    def last(self, at_ns: int) -> list[Interval]:
        """Return the last one that had stopped at a moment and is not taken."""
        number = bisect_left(self._intervals, (at_ns + 1,), key=_end_of)
        passed: list[int] = []
        while self._last[number] != number:
            passed.append(number)
            number = self._last[number]
        for each in passed:
            self._last[each] = number
        return self._intervals[number - 1 : number] if number else []

    def take(self, interval: Interval) -> None:
        """Leave one of them out from now on."""
        at = bisect_left(self._intervals, _end_of(interval), key=_end_of)
        self._last[at + 1] = min(at, self._last[at + 1])


def _parts_with(interval: Interval) -> Iterator[_Part]:
    """Yield what a claim may say of its role and component that an interval is meant too."""
    return product({None, interval.role}, {None, interval.component})


class _Totals:
    """The matches of a session's accumulators, each computed once."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._known: dict[tuple[str, Activity, str | None], Match | None] = {}
        self._longest: dict[tuple[str, Activity, str | None], Match | None] = {}

    def of(self, process: str, activity: Activity, role: str | None) -> Match | None:
        """Return a process's time of an activity and role; None where it has none."""
        key = (process, activity, role)
        if key not in self._known:
            intervals = self._evidence.top_level(process, activity, role)
            self._known[key] = _measured(self._evidence, process, intervals) if intervals else None
        return self._known[key]

    def longest(self, activity: Activity, claim: Claim) -> Match | None:
        """Return the time of the claimant's rank that has most of it: of equal ones, the first by its id."""
        key = (claim.process, activity, claim.role)
        if key not in self._longest:
            processes = set(self._evidence.processes_of(activity, claim.role))
            ranks = (one for one in self._evidence.ranks_of(claim) if one in processes)
            totals = [self.of(process, activity, claim.role) for process in ranks]
            found = (total for total in totals if total is not None)
            self._longest[key] = max(found, key=lambda total: total.ns, default=None)
        return self._longest[key]


class _Lines:
    """The lines about compiles that claims out of a log were read from, one after the other."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._last: dict[tuple[str, str, str | None], int] = {}

    def since_last(self, claim: Claim, intervals: Sequence[Interval]) -> Match:
        """Return the time from the first sign of this compile, after the last one claimed, to the stamp."""
        since_ns = self._last.get((claim.process, claim.source, claim.stage), 0)
        until_ns = max(span_of(interval).stop_ns for interval in intervals)
        starts = self._evidence.compile_starts[claim.process]
        first = bisect_left(starts, since_ns)
        began_ns = min([*starts[first : first + 1], *(interval.start_ns for interval in intervals)])
        span = Span(began_ns, until_ns)
        stated_to_ns = _stated_to_ns(self._evidence, intervals) if span_of(intervals[0]) == span else None
        return Match(
            claim.process, (span,), tuple(intervals), 2 * STAMP_NS, until_ns - began_ns,
            stated_to_ns=stated_to_ns,
        )  # fmt: skip

    def pass_over(self, claim: Claim) -> None:
        """Go on to the next line."""
        self._last[claim.process, claim.source, claim.stage] = claim.at_ns


def _one(evidence: Evidence, claim: Claim, untaken: _Untaken, lines: _Lines) -> Match | None:
    intervals = evidence.named(claim)
    if not intervals and not evidence.names(claim):
        intervals = untaken.last(claim)
    if claim.counts == "interval":
        untaken.take(claim, intervals)
    if not intervals:
        return None
    if all(interval.source == "log" for interval in intervals) and claim.stage == "torch_compile":
        return lines.since_last(claim, intervals)
    if (hull := claimed_hull(evidence, claim, intervals)) is not None:
        length_ns = hull.span.stop_ns - hull.span.start_ns
        return Match(claim.process, (hull.span,), hull.pieces, hull.uncertainty_ns, length_ns, hull)
    return _measured(evidence, claim.process, intervals)


def _end_of(interval: Interval) -> tuple[int, ...]:
    return span_of(interval).stop_ns, interval.start_seq


def uncertainty_ns(intervals: Sequence[Interval]) -> int:
    """Return how far claims about intervals may be off without being wrong."""
    return sum(2 * STAMP_NS if interval.source == "log" else CLOCKS_APART_NS for interval in intervals)


def _stated_to_ns(evidence: Evidence, intervals: Sequence[Interval]) -> int | None:
    """Return how well the length of intervals is known together; None where no lines state all of it.

    Where some overlap, only the stamps tell by how much.
    """
    known = evidence.stated_resolution_ns
    if not known:
        return None
    timed = [interval for interval in intervals if interval.duration_ns]
    stated = [known.get((interval.process, interval.interval)) for interval in timed]
    resolutions_ns = [resolution_ns for resolution_ns in stated if resolution_ns is not None]
    if not timed or len(resolutions_ns) < len(timed):
        return None
    sum_ns = sum(interval.duration_ns or 0 for interval in timed)
    return sum(resolutions_ns) // 2 if sum_ns == union_ns(map(span_of, timed)) else None


def _measured(evidence: Evidence, process: str, intervals: Sequence[Interval]) -> Match:
    spans = tuple(map(span_of, intervals))
    return Match(
        process, spans, tuple(intervals), uncertainty_ns(intervals), union_ns(spans),
        stated_to_ns=_stated_to_ns(evidence, intervals),
    )  # fmt: skip
