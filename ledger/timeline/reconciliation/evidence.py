"""What a session's claims are compared with: its intervals, other claims, milestones and gaps."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import Final

from ledger.timeline.claim_data import ClaimData, claim_data, names_of
from ledger.timeline.records import Claim, Interval
from ledger.timeline.reducer import Reduced
from ledger.timeline.spans import Span
from ledger.vocabulary import ACTIVITY_OF, CLOCK_STEPPED, ENGINE_READY, Activity

_STEP: Final = re.compile(r"([+-]\d{1,19}) ns\b")


class Evidence:
    """A session's intervals, claims, milestones and gaps, by what is asked of them."""

    def __init__(self, reduced: Reduced) -> None:
        self.claims = sorted(reduced.claims, key=lambda claim: (claim.process, claim.at_ns, claim.claim))
        self.of_process: defaultdict[str, list[Interval]] = defaultdict(list)
        self.by_id: dict[tuple[str, int], Interval] = {}
        for interval in reduced.intervals:
            if interval.stop_ns is not None:
                self.of_process[interval.process].append(interval)
                self.by_id[interval.process, interval.interval] = interval
        # Two claims may have one id, so the whole claim is the key.
        self._data = {claim: claim_data(claim) for claim in self.claims}
        self.additions: defaultdict[str, list[Claim]] = defaultdict(list)
        """The claims of additions that name an interval, by process."""
        for claim in self.claims:
            if claim.counts == "addition" and self.named(claim):
                self.additions[claim.process].append(claim)
        self._hosts = {process.process: process.host for process in reduced.processes}
        self._ready: defaultdict[str, list[int]] = defaultdict(list)
        for milestone in reduced.milestones:
            if milestone.name == ENGINE_READY:
                self._ready[milestone.process].append(milestone.at_ns)
        self._steps: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for gap in reduced.gaps:
            if gap.what == CLOCK_STEPPED and (found := _STEP.match(gap.detail or "")) is not None:
                self._steps[gap.process].append((gap.at_ns, int(found[1])))
        self._levels: dict[str, list[_Level]] = {}
        self._top_level: dict[tuple[str, Activity, str | None], list[Interval]] = {}

    def data(self, claim: Claim) -> ClaimData:
        """Return what a claim's `data` says."""
        return self._data[claim]

    def named(self, claim: Claim) -> list[Interval]:
        """Return the intervals that a claim names: those of its own process that have ended."""
        found = (self.by_id.get((claim.process, number)) for number in self.names(claim))
        return [interval for interval in found if interval is not None]

    def names(self, claim: Claim) -> Sequence[int]:
        """Return the ids of the intervals that a claim names, each once, recorded or not."""
        return names_of(claim, self._data[claim])

    def additions_to(self, total: Claim, process: str) -> list[Claim]:
        """Return what a process had added to an accumulator when it was read."""
        accumulator, read_ns = self.data(total).accumulator, self.read_ns(total, process)
        return [
            claim
            for claim in self.additions[process]
            if (read_ns is None or claim.at_ns <= read_ns)
            and (
                self.data(claim).accumulator == accumulator
                if accumulator is not None
                else total.role in (None, claim.role)
            )
        ]

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
            self._levels[process] = [_Level(of_depth) for of_depth in by_depth.values()]
        return [interval for level in self._levels[process] for interval in level.overlapping(span)]

    def is_one_clock(self, process: str, other: str) -> bool:
        """Tell whether the times of two processes can be compared."""
        host = self._hosts.get(process)
        return process == other or (host is not None and host == self._hosts.get(other))

    def read_ns(self, claim: Claim, process: str) -> int | None:
        """Return when a number was read, on the clock of a process; None where that can't be told."""
        return claim.at_ns if self.is_one_clock(claim.process, process) else None

    def ready_ns(self, claim: Claim, process: str) -> int | None:
        """Return when the engine that a claim is about was ready, on the clock of a process.

        Of several engines of a session it is that of the claim's own process, or the next one that was ready.
        """
        own = self._ready.get(claim.process)
        of_which = {claim.process: own} if own else self._ready
        ready_ns = [
            at_ns
            for speaker, moments in of_which.items()
            if self.is_one_clock(speaker, process) and self.is_one_clock(speaker, claim.process)
            for at_ns in moments
        ]
        return min((at_ns for at_ns in ready_ns if at_ns >= claim.at_ns), default=max(ready_ns, default=None))

    def stepped_ns(self, process: str, since_ns: int, until_ns: int) -> int:
        """Return by how much a process's wall clock was set forward between two moments of the other one."""
        return sum(ns for at_ns, ns in self._steps[process] if since_ns < at_ns <= until_ns)

    def pieces_of(self, interval: Interval) -> Sequence[Interval]:
        """Return what an interval encloses directly in its own thread, in order; not torch's own stages."""
        return self._pieces[interval.process, interval.interval]

    @cached_property
    def _pieces(self) -> defaultdict[tuple[str, int], list[Interval]]:
        found: defaultdict[tuple[str, int], list[Interval]] = defaultdict(list)
        for process, intervals in self.of_process.items():
            for piece in sorted(intervals, key=attrgetter("start_ns", "start_seq")):
                around = None if piece.enclosing is None else self.by_id.get((process, piece.enclosing))
                if around is not None and piece.source != "torch" and piece.thread == around.thread:
                    found[process, around.interval].append(piece)
        return found

    @cached_property
    def compile_starts(self) -> dict[str, list[int]]:
        """When each process's intervals of compiles began, in order."""
        return {
            process: sorted(one.start_ns for one in intervals if one.activity == "compile")
            for process, intervals in self.of_process.items()
        }

    @cached_property
    def loads(self) -> dict[str, list[Span]]:
        """When each process tried to load what an earlier start had compiled, in order."""
        found: defaultdict[str, list[Span]] = defaultdict(list)
        for process, intervals in self.of_process.items():
            found[process] = sorted(span_of(one) for one in intervals if one.stage == "aot_load")
        return found

    @cached_property
    def range_of(self) -> dict[Interval, str]:
        """The range of sizes that a graph was compiled for, as the claims about it say."""
        return {
            interval: range_
            for claim in self.claims
            if (range_ := self.data(claim).range) is not None
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
