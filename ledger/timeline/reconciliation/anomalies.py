"""Anomalies of claims: facts that explain no difference, but that a reader of the claim should know."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import accumulate
from operator import sub
from typing import NamedTuple

from ledger.timeline.reconciliation.evidence import Evidence, activity_of_claim, span_of
from ledger.timeline.reconciliation.matching import Match, uncertainty_ns
from ledger.timeline.records import Anomaly, Claim, Interval
from ledger.timeline.spans import Span, merged
from ledger.vocabulary import Activity


def anomalies(evidence: Evidence, against: Mapping[Claim, Match]) -> Iterator[Anomaly]:
    """Yield the anomalies of a session's claims."""
    yield from _repeated_loads(evidence)
    yield from _outside_parents(evidence, against)


def _repeated_loads(evidence: Evidence) -> Iterator[Anomaly]:
    """Loads that were added to a compile of the same component, as one number."""
    added: defaultdict[tuple[str, str | None, str | None], list[tuple[Claim, Interval]]] = defaultdict(list)
    for claim in (claim for claims in evidence.additions.values() for claim in claims):
        for interval in evidence.named(claim):
            added[claim.process, interval.role, interval.component].append((claim, interval))
    for process, role, component in sorted(added, key=str):
        additions = added[process, role, component]
        loads = [(claim, interval) for claim, interval in additions if _is_load(evidence, interval)]
        compiles = len(additions) - len(loads)
        if loads and compiles:
            claim, _ = loads[-1]
            yield Anomaly(
                claim.session,
                process,
                "repeated_load",
                None,
                claim.claim,
                sum(interval.duration_ns or 0 for _, interval in loads),
                f"{len(loads)} loads of {component or 'a component'} are added to {compiles} compiles of it",
            )


def _is_load(evidence: Evidence, compiling: Interval) -> bool:
    loads, span = evidence.loads[compiling.process], span_of(compiling)
    at = bisect_left(loads, span.start_ns, key=lambda load: load.start_ns)
    return at < len(loads) and span.covers(loads[at])


def _outside_parents(evidence: Evidence, against: Mapping[Claim, Match]) -> Iterator[Anomaly]:
    """Parts that one text states inside a whole, and that were not inside it."""
    wholes: dict[tuple[str, str | None], Span] = {}
    unions = _Unions(evidence)
    for claim in evidence.claims:
        key = (claim.process, claim.text)
        if claim.text is not None and claim.counts == "interval" and (intervals := evidence.named(claim)):
            wholes[key] = span_of(intervals[0])
        elif claim.counts == "ranks" and key in wholes and claim in against:
            outside_ns = _outside_ns(unions, evidence, claim, against[claim], wholes[key])
            if outside_ns:
                yield Anomaly(
                    claim.session,
                    claim.process,
                    "outside_parent",
                    None,
                    claim.claim,
                    outside_ns,
                    f"this much of the {claim.role or 'compile'} time was not within what it is a part of",
                )


def _outside_ns(unions: "_Unions", evidence: Evidence, claim: Claim, measured: Match, whole: Span) -> int:
    """Return how much of what is claimed was outside of a whole, in whichever process it was.

    A process may have compiled more, outside, for another engine: it need not be that which is claimed.
    """
    outside_ns: dict[str, int] = {}
    may_be_it: list[int] = []
    for process in evidence.of_process:
        if not evidence.is_one_clock(process, claim.process):
            continue
        union = unions.of(process, activity_of_claim(claim), claim.role)
        total_ns = union.sums_ns[-1]
        slack_ns = (claim.resolution_ns or 0) + union.uncertainty_ns
        too_much_ns = min(total_ns, claim.claimed_ns) - union.within_ns(whole)
        outside_ns[process] = too_much_ns if too_much_ns > slack_ns else 0
        if total_ns + slack_ns >= claim.claimed_ns:
            may_be_it.append(outside_ns[process])
    return min(may_be_it, default=outside_ns.get(measured.process, 0))


class _Union(NamedTuple):
    """The union of some intervals, none of whose spans touches another."""

    starts: list[int]
    stops: list[int]
    sums_ns: list[int]
    """How long they are together before each of them, and after the last."""
    uncertainty_ns: int

    def within_ns(self, whole: Span) -> int:
        """Return how much of it is inside of a span."""
        first, past = bisect_right(self.stops, whole.start_ns), bisect_left(self.starts, whole.stop_ns)
        if first >= past:
            return 0
        before_ns = max(0, whole.start_ns - self.starts[first])
        after_ns = max(0, self.stops[past - 1] - whole.stop_ns)
        return self.sums_ns[past] - self.sums_ns[first] - before_ns - after_ns


class _Unions:
    """The unions of a session's top-level intervals, each computed once."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._known: dict[tuple[str, Activity, str | None], _Union] = {}

    def of(self, process: str, activity: Activity, role: str | None) -> _Union:
        """Return that of a process's intervals of an activity; without a role, of all roles."""
        key = (process, activity, role)
        if key not in self._known:
            intervals = self._evidence.top_level(process, activity, role)
            spans = merged(map(span_of, intervals))
            starts, stops = [span.start_ns for span in spans], [span.stop_ns for span in spans]
            sums_ns = list(accumulate(map(sub, stops, starts), initial=0))
            self._known[key] = _Union(starts, stops, sums_ns, uncertainty_ns(intervals))
        return self._known[key]
