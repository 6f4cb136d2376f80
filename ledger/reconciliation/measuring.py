"""What a claim is held against, by what it counts."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ledger.reconciliation.evidence import Evidence, activity_of_claim, span_of
from ledger.reconciliation.spans import Span, union_ns
from ledger.records import Claim, Interval
from ledger.vocabulary import Activity

CLOCKS_APART_NS: Final = 500_000
"""How far two looks at a clock, the claimant's and ours, lie apart at an interval's two ends together: in
starts of vLLM 2 to 60 µs for its monitor, in torch's compiles up to 420 µs (`tests/data`)."""
STAMP_NS: Final = 1_000_000_000
"""The stamps of a log are cut to whole seconds."""


class Measured(NamedTuple):
    """The time that a claim is held against."""

    process: str
    spans: tuple[Span, ...]
    intervals: tuple[Interval, ...]
    uncertainty_ns: int

    @property
    def ns(self) -> int:
        """The length of the union."""
        return union_ns(self.spans)


def measure(evidence: Evidence) -> dict[tuple[str, int], Measured]:
    """Return, by process and claim, what each claim is held against; those without a match are left out."""
    found: dict[tuple[str, int], Measured] = {}
    untaken = _Untaken(evidence)
    for claim in evidence.claims:
        if claim.counts in ("interval", "addition"):
            measured = _one(evidence, claim, untaken)
        elif claim.counts == "total":
            activity = activity_of_claim(claim)
            measured = _all(evidence.top_level(claim.process, activity, claim.role), claim.process)
        else:
            measured = _longest(evidence, activity_of_claim(claim), claim.role)
        if measured is None and claim.counts in ("total", "ranks") and claim.claimed_ns == 0:
            # Nothing is claimed of a role that the model does not have.
            measured = Measured(claim.process, (), (), 0)
        if measured is not None:
            found[claim.process, claim.claim] = measured
    return found


class _Untaken:
    """The intervals that no earlier claim of a source took, by process and stage, in order of their ends."""

    def __init__(self, evidence: Evidence) -> None:
        self._all: defaultdict[tuple[str, str], list[Interval]] = defaultdict(list)
        for process, intervals in evidence.of_process.items():
            for interval in sorted(intervals, key=_end_of):
                self._all[process, interval.stage].append(interval)
        self._of_source: dict[tuple[str, str, str], list[Interval]] = {}

    def last(self, claim: Claim) -> list[Interval]:
        """Return the last interval of that stage, role and component that had stopped by then."""
        waiting = self._waiting(claim)
        stopped = bisect_left(waiting, (claim.at_ns + 1,), key=_end_of)
        for at in reversed(range(stopped)):
            interval = waiting[at]
            # What a claim does not say, it leaves open: torch knows no roles.
            if claim.role in (None, interval.role) and claim.component in (None, interval.component):
                return [interval]
        return []

    def take(self, claim: Claim, intervals: Sequence[Interval]) -> None:
        """Leave intervals out from now on, for claims of this source."""
        waiting = self._waiting(claim)
        for interval in intervals:
            at = bisect_left(waiting, _end_of(interval), key=_end_of)
            if at < len(waiting) and waiting[at] is interval:
                del waiting[at]

    def _waiting(self, claim: Claim) -> list[Interval]:
        stage = claim.stage or ""
        if claim.counts == "addition":
            return self._all[claim.process, stage]
        key = (claim.process, claim.source, stage)
        if key not in self._of_source:
            self._of_source[key] = list(self._all[claim.process, stage])
        return self._of_source[key]


def _one(evidence: Evidence, claim: Claim, untaken: _Untaken) -> Measured | None:
    intervals = evidence.named(claim) or untaken.last(claim)
    if not intervals:
        return None
    if claim.counts == "interval":
        untaken.take(claim, intervals)
    if all(interval.source == "log" for interval in intervals) and claim.stage == "torch_compile":
        return _since_last(evidence, claim, intervals)
    return _measured(claim.process, intervals)


def _end_of(interval: Interval) -> tuple[int, ...]:
    return span_of(interval).stop_ns, interval.start_seq


def _since_last(evidence: Evidence, claim: Claim, intervals: Sequence[Interval]) -> Measured:
    """Out of a log: from the first sign of this compile, after the last one claimed, to the stamp."""
    before = [
        other.at_ns
        for other in evidence.claims
        if (other.process, other.stage, other.source) == (claim.process, claim.stage, claim.source)
        and (other.at_ns, other.claim) < (claim.at_ns, claim.claim)
    ]
    since_ns, until_ns = max(before, default=None), max(span_of(interval).stop_ns for interval in intervals)
    signs = [
        interval.start_ns
        for interval in evidence.of_process[claim.process]
        if interval.activity == "compile"
        and (since_ns is None or interval.start_ns >= since_ns)
        and interval.start_ns < until_ns
    ]
    began_ns = min([*signs, *(interval.start_ns for interval in intervals)])
    spans = (Span(began_ns, until_ns),)
    return Measured(claim.process, spans, tuple(intervals), 2 * STAMP_NS)


def _all(intervals: Iterable[Interval], process: str) -> Measured | None:
    known = list(intervals)
    return _measured(process, known) if known else None


def _longest(evidence: Evidence, activity: Activity, role: str | None) -> Measured | None:
    """Return the process with the most time: of equal ones, the first by its id."""
    totals = [
        total
        for process in sorted(evidence.of_process)
        if (total := _all(evidence.top_level(process, activity, role), process)) is not None
    ]
    return max(totals, key=lambda total: total.ns, default=None)


def _measured(process: str, intervals: Sequence[Interval]) -> Measured:
    uncertainty_ns = sum(
        2 * STAMP_NS if interval.source == "log" else CLOCKS_APART_NS for interval in intervals
    )
    return Measured(process, tuple(map(span_of, intervals)), tuple(intervals), uncertainty_ns)
