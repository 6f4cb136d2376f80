"""What a session's claims are held against: its intervals, and what else was claimed."""

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, cast

from ledger.reconciliation.spans import Span, merged
from ledger.records import Claim, Interval, Milestone
from ledger.vocabulary import ACTIVITY_OF, Activity

READY: Final = "engine_ready"
_SUMMED_UP: Final = 100


class Evidence:
    """A session's intervals, claims and milestones, by what is asked of them."""

    def __init__(
        self, intervals: Sequence[Interval], claims: Sequence[Claim], milestones: Sequence[Milestone]
    ) -> None:
        self.claims = sorted(claims, key=lambda claim: (claim.process, claim.at_ns, claim.claim))
        self.of_process: defaultdict[str, list[Interval]] = defaultdict(list)
        self.by_id: dict[tuple[str, int], Interval] = {}
        for interval in intervals:
            if interval.stop_ns is not None:
                self.of_process[interval.process].append(interval)
                self.by_id[interval.process, interval.interval] = interval
        self.ready_ns = {
            milestone.process: milestone.at_ns for milestone in milestones if milestone.name == READY
        }
        self._data = {(claim.process, claim.claim): read_data(claim) for claim in claims}
        self.additions: defaultdict[str, list[Claim]] = defaultdict(list)
        """The claims of additions that name an interval, by process."""
        for claim in self.claims:
            if claim.counts == "addition" and self.named(claim):
                self.additions[claim.process].append(claim)
        self._levels: dict[str, list[_Level]] = {}
        self._top_level: dict[tuple[str, Activity, str | None], list[Interval]] = {}

    def data(self, claim: Claim) -> Mapping[str, Any]:
        """Return what else is known of a claim."""
        return self._data[claim.process, claim.claim]

    def named(self, claim: Claim) -> list[Interval]:
        """Return the intervals that a claim says it speaks of."""
        ids = [claim.interval] if claim.interval is not None else self.data(claim).get("intervals", [])
        return [found for number in ids if (found := self.by_id.get((claim.process, number))) is not None]

    def top_level(self, process: str, activity: Activity, role: str | None) -> list[Interval]:
        """Return a process's top-level intervals of an activity; without a role, those of all roles."""
        key = (process, activity, role)
        if key not in self._top_level:
            self._top_level[key] = [
                interval
                for interval in self.of_process[process]
                if interval.is_top_level and interval.activity == activity and role in (None, interval.role)
            ]
        return self._top_level[key]

    def near(self, process: str, span: Span) -> list[Interval]:
        """Return a process's intervals that overlap a span."""
        if process not in self._levels:
            by_depth: defaultdict[int, list[Interval]] = defaultdict(list)
            for interval in self.of_process[process]:
                by_depth[interval.depth].append(interval)
            self._levels[process] = [_Level(known) for known in by_depth.values()]
        return [interval for level in self._levels[process] for interval in level.overlapping(span)]

    def is_claimed_elsewhere(self, claim: Claim, span: Span) -> bool:
        """Tell whether another claim of the same kind speaks of a span that this one does not speak of."""
        return any(known.covers(span) for known in self.claimed_elsewhere(claim, span))

    def claimed_elsewhere(self, claim: Claim, span: Span) -> list[Span]:
        """Return what claims of the same kind speak of that overlaps a span; nothing where that is too much.

        A number that goes over hundreds of others is no sum of them.
        """
        spoken_of = self._spoken_of[claim.process, claim.source, claim.stage, claim.counts]
        first = max(0, bisect_right(spoken_of, span.start_ns, key=lambda known: known.start_ns) - 1)
        last = bisect_left(spoken_of, span.stop_ns, key=lambda known: known.start_ns)
        return spoken_of[first:last] if last - first <= _SUMMED_UP else []

    @cached_property
    def _spoken_of(self) -> defaultdict[tuple[str, str, str | None, str], list[Span]]:
        spans: defaultdict[tuple[str, str, str | None, str], list[Span]] = defaultdict(list)
        for claim in self.claims:
            kind = (claim.process, claim.source, claim.stage, claim.counts)
            spans[kind] += map(span_of, self.named(claim))
        return defaultdict(list, {kind: merged(known) for kind, known in spans.items()})

    @cached_property
    def loads(self) -> dict[str, list[Span]]:
        """When each process tried to load what an earlier start had compiled, in order."""
        found: defaultdict[str, list[Span]] = defaultdict(list)
        for process, intervals in self.of_process.items():
            found[process] = sorted(span_of(known) for known in intervals if known.stage == "aot_load")
        return found

    @cached_property
    def slowest(self) -> set[str]:
        """The processes that have the most compile time of some role."""
        most: dict[str | None, tuple[int, str]] = {}
        for process in sorted(self.of_process):
            sums: defaultdict[str | None, int] = defaultdict(int)
            for interval in self.top_level(process, "compile", None):
                sums[interval.role] += interval.duration_ns or 0
            for role, ns in sums.items():
                most[role] = max(most.get(role, (0, "")), (ns, process))
        return {process for _, process in most.values()}

    @cached_property
    def range_of(self) -> dict[tuple[str, int], str]:
        """The range of sizes that a graph was compiled for, as the claims about it say."""
        return {
            (claim.process, interval.interval): str(said)
            for claim in self.claims
            if (said := self.data(claim).get("range")) is not None
            for interval in self.named(claim)
        }


class _Level:
    """The intervals of one depth. Hardly two of them overlap, so that few are looked at in vain."""

    def __init__(self, intervals: list[Interval]) -> None:
        self._intervals = sorted(intervals, key=lambda interval: interval.start_ns)
        reached = accumulate((span_of(interval).stop_ns for interval in self._intervals), max)
        self._reached = list(reached)

    def overlapping(self, span: Span) -> Iterator[Interval]:
        at = bisect_left(self._intervals, span.stop_ns, key=lambda interval: interval.start_ns) - 1
        while at >= 0 and self._reached[at] > span.start_ns:
            if span_of(self._intervals[at]).stop_ns > span.start_ns:
                yield self._intervals[at]
            at -= 1


def span_of(interval: Interval) -> Span:
    """Return the time of an interval that has ended."""
    assert interval.stop_ns is not None
    return Span(interval.start_ns, interval.stop_ns)


def activity_of_claim(claim: Claim) -> Activity:
    """Return the activity that a claim is about."""
    return ACTIVITY_OF.get(claim.stage or "", "compile")


def read_data(claim: Claim) -> Mapping[str, Any]:
    """Return a claim's `data`."""
    return cast("dict[str, Any]", json.loads(claim.data)) if claim.data else {}
