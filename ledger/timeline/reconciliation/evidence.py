"""What a session's claims are compared with: its intervals, other claims, milestones and gaps."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import Final, NamedTuple

from ledger.timeline.claim_data import ClaimData, claim_data, names_of
from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.reconciliation.overlaps import OverlapIndex
from ledger.timeline.reconciliation.own_ranks import OwnRanks
from ledger.timeline.records import Claim, Interval
from ledger.timeline.reducer import Reduced
from ledger.timeline.spans import Span, union_ns
from ledger.vocabulary import ACTIVITY_OF, CLOCK_STEPPED, ENGINE_READY, STAGES, Activity

_STEP: Final = re.compile(r"([+-]\d{1,19}) ns\b")


class Taken(NamedTuple):
    """Some time, and the intervals that took it."""

    ns: int
    intervals: tuple[Interval, ...]


class Pieces(NamedTuple):
    """The pieces of an interval. None of them encloses another, so they stop in the order of their starts."""

    intervals: list[Interval]
    starts: list[int]
    stops: list[int]

    def append(self, piece: Interval) -> None:
        """Add the next one."""
        self.intervals.append(piece)
        self.starts.append(piece.start_ns)
        self.stops.append(span_of(piece).stop_ns)


_NO_PIECES: Final = Pieces([], [], [])
_NO_DATA: Final = ClaimData()


class Accumulator(NamedTuple):
    """An accumulator of a process: it has a name, or holds what is added of a role, or everything."""

    process: str
    name: str | None
    role: str | None


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
        # Two claims may have one id, so the whole claim is the key. It takes long to hash.
        self._data = {claim: claim_data(claim) for claim in self.claims if claim.data_json is not None}
        self.additions: defaultdict[str, list[Claim]] = defaultdict(list)
        """The claims of additions that name an interval, by process."""
        for claim in self.claims:
            if claim.counts == "addition" and self.named(claim):
                self.additions[claim.process].append(claim)
        self._hosts = {process.process: process.host for process in reduced.processes}
        claimants = {claim.process for claim in self.claims if claim.counts == "ranks"}
        self._own_ranks = OwnRanks(reduced.processes, claimants)
        self._ready: defaultdict[str, list[int]] = defaultdict(list)
        for milestone in reduced.milestones:
            if milestone.name == ENGINE_READY:
                self._ready[milestone.process].append(milestone.at_ns)
        self._steps: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for gap in reduced.gaps:
            if gap.what == CLOCK_STEPPED and (found := _STEP.match(gap.detail or "")) is not None:
                self._steps[gap.process].append((gap.at_ns, int(found[1])))
        self._overlaps: dict[str, OverlapIndex] = {}
        self._visible: dict[tuple[str, bool], Sequence[Interval]] = {}
        self._visible_of_role: dict[tuple[str, bool], Mapping[str | None, Sequence[Interval]]] = {}
        self._taken: dict[tuple[Activity, str | None], defaultdict[str | None, dict[str, Taken]]] = {}
        self._boundaries: dict[tuple[str, bool], list[int]] = {}
        self._ready_on: dict[tuple[str, str], list[int]] = {}

    def data(self, claim: Claim) -> ClaimData:
        """Return what a claim's `data` says."""
        return _NO_DATA if claim.data_json is None else self._data[claim]

    def named(self, claim: Claim) -> list[Interval]:
        """Return the intervals that a claim names: those of its own process that have ended."""
        found = (self.by_id.get((claim.process, number)) for number in self.names(claim))
        return [interval for interval in found if interval is not None]

    def parts(self, claim: Claim) -> list[Interval]:
        """Return the intervals that a claim says it adds up: those of its own process that have ended."""
        found = (self.by_id.get((claim.process, number)) for number in self.data(claim).parts)
        return [interval for interval in found if interval is not None]

    def names(self, claim: Claim) -> Sequence[int]:
        """Return the ids of the intervals that a claim names, each once, recorded or not."""
        return names_of(claim, self.data(claim))

    def additions_to(self, total: Claim, process: str) -> Sequence[Claim]:
        """Return what a process had added to an accumulator when it was read."""
        read_ns, added = self.read_ns(total, process), self.additions_of(self.accumulator(total, process))
        if read_ns is None:
            return added
        return added[: bisect_right(added, read_ns, key=attrgetter("at_ns"))]

    def accumulator(self, total: Claim, process: str) -> Accumulator:
        """Return what tells an accumulator of a process, which a claim reads."""
        accumulator = self.data(total).accumulator
        return Accumulator(process, accumulator, total.role if accumulator is None else None)

    def additions_of(self, accumulator: Accumulator) -> Sequence[Claim]:
        """Return all that was added to an accumulator, in order."""
        return self._added.get(accumulator, ())

    @cached_property
    def _added(self) -> Mapping[Accumulator, Sequence[Claim]]:
        """The additions of a process to each accumulator, of each role, and of all roles; in their order."""
        found: defaultdict[Accumulator, list[Claim]] = defaultdict(list)
        for process, claims in self.additions.items():
            for claim in claims:
                accumulator = self.data(claim).accumulator
                if accumulator is not None:
                    found[Accumulator(process, accumulator, None)].append(claim)
                for role in {None, claim.role}:
                    found[Accumulator(process, None, role)].append(claim)
        return found

    def top_level(self, process: str, activity: Activity, role: str | None) -> Sequence[Interval]:
        """Return a process's top-level intervals of an activity; without a role, those of all roles."""
        return self._top_level[activity, role].get(process, ())

    def processes_of(self, activity: Activity, role: str | None) -> Iterable[str]:
        """Return the processes that have top-level intervals of an activity, and of the role if given."""
        return self._top_level[activity, role]

    def taken(self, activity: Activity, role: str | None) -> Mapping[str | None, Mapping[str, Taken]]:
        """Return what an activity took: by role, of all of them or of one, and process."""
        key = (activity, role)
        if key not in self._taken:
            found = self._taken[key] = defaultdict(dict)
            for process in sorted(self.processes_of(activity, role)):
                by_role: defaultdict[str | None, list[Interval]] = defaultdict(list)
                for interval in self.top_level(process, activity, role):
                    by_role[interval.role].append(interval)
                for of_role, intervals in by_role.items():
                    taken_ns = union_ns(map(span_of, intervals))
                    found[of_role][process] = Taken(taken_ns, tuple(intervals))
        return self._taken[key]

    @cached_property
    def _top_level(self) -> Mapping[tuple[str, str | None], Mapping[str, list[Interval]]]:
        found: defaultdict[tuple[str, str | None], defaultdict[str, list[Interval]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for process, intervals in self.of_process.items():
            for interval in intervals:
                if interval.is_top_level:
                    for role in {None, interval.role}:
                        found[interval.activity, role][process].append(interval)
        return found

    def visible(self, process: str, *, is_torch: bool) -> Sequence[Interval]:
        """Return the intervals of a process that may say what went on in it, by enclosure.

        torch's own hundreds of stages would name what the stages around them name better: of them only the
        top-level ones may, but all of them for claims of torch.
        """
        key = (process, is_torch)
        if key not in self._visible:
            found = (one for one in self.of_process[process] if is_torch or is_seen_by_all(one))
            self._visible[key] = sorted(found, key=by_enclosure)
        return self._visible[key]

    def visible_of_role(self, process: str, role: str | None, *, is_torch: bool) -> Sequence[Interval]:
        """Return those of them that have a role, or none."""
        key = (process, is_torch)
        if key not in self._visible_of_role:
            found: defaultdict[str | None, list[Interval]] = defaultdict(list)
            for interval in self.visible(process, is_torch=is_torch):
                found[interval.role].append(interval)
            self._visible_of_role[key] = found
        return self._visible_of_role[key].get(role, ())

    def boundaries(self, process: str, *, is_torch: bool) -> Sequence[int]:
        """Return the moments at which one of the visible intervals begins or ends, in order."""
        key = (process, is_torch)
        if key not in self._boundaries:
            visible = self.visible(process, is_torch=is_torch)
            self._boundaries[key] = sorted(
                {at_ns for one in visible if one.start_ns != one.stop_ns for at_ns in span_of(one)}
            )
        return self._boundaries[key]

    def near(self, process: str, span: Span) -> list[Interval]:
        """Return a process's intervals that overlap a span."""
        if process not in self._overlaps:
            self._overlaps[process] = OverlapIndex(self.of_process[process])
        return self._overlaps[process].overlapping(span)

    def ranks_of(self, claim: Claim) -> list[str]:
        """Return the processes that a maximum may be of, in order: not those of another engine."""
        return [one for one in sorted(self.of_process) if self._own_ranks.includes(claim.process, one)]

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
        key = (claim.process, process)
        if key not in self._ready_on:
            own = self._ready.get(claim.process)
            of_which = {claim.process: own} if own else self._ready
            self._ready_on[key] = sorted(
                at_ns
                for speaker, moments in of_which.items()
                if self.is_one_clock(speaker, process) and self.is_one_clock(speaker, claim.process)
                for at_ns in moments
            )
        ready = self._ready_on[key]
        at = bisect_left(ready, claim.at_ns)
        return ready[min(at, len(ready) - 1)] if ready else None

    def stepped_ns(self, process: str, since_ns: int, until_ns: int) -> int:
        """Return by how much a process's wall clock was set forward between two moments of the other one."""
        moments, sums_ns = self._stepped[process]
        return sums_ns[bisect_right(moments, until_ns)] - sums_ns[bisect_right(moments, since_ns)]

    @cached_property
    def _stepped(self) -> Mapping[str, tuple[Sequence[int], Sequence[int]]]:
        """By process, when its wall clock was set, and by how much so far: 0 before the first time."""
        found: defaultdict[str, tuple[Sequence[int], Sequence[int]]] = defaultdict(lambda: ((), (0,)))
        for process, unordered in self._steps.items():
            steps = sorted(unordered)
            found[process] = (
                [at_ns for at_ns, _ in steps],
                list(accumulate((ns for _, ns in steps), initial=0)),
            )
        return found

    def pieces_of(self, interval: Interval) -> Pieces:
        """Return what an interval encloses directly in its own thread, in order; not torch's own stages."""
        return self._pieces.get((interval.process, interval.interval), _NO_PIECES)

    @cached_property
    def _pieces(self) -> Mapping[tuple[str, int], Pieces]:
        found: defaultdict[tuple[str, int], Pieces] = defaultdict(lambda: Pieces([], [], []))
        for process, intervals in self.of_process.items():
            for piece in sorted(intervals, key=attrgetter("start_ns", "start_seq")):
                around = None if piece.enclosing is None else self.by_id.get((process, piece.enclosing))
                if around is not None and piece.source != "torch" and piece.thread == around.thread:
                    found[process, around.interval].append(piece)
        return found

    @cached_property
    def compile_starts(self) -> dict[str, list[int]]:
        """When each process's intervals of compiles of the model began, in order; kernels are none."""
        return {
            process: sorted(one.start_ns for one in intervals if one.stage in STAGES["compile"])
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
    def stated_resolution_ns(self) -> Mapping[tuple[str, int], int]:
        """The unit of the last digit of what a log's lines state as lengths: by process and interval."""
        return {
            (interval.process, interval.interval): claim.resolution_ns or 0
            for claim in self.claims
            if claim.counts == "interval"
            for interval in self.named(claim)
            if interval.source == LOG and interval.duration_ns == claim.claimed_ns
        }

    @cached_property
    def range_of(self) -> Mapping[tuple[str, int], str]:
        """The range of sizes that a graph was compiled for, as the claims about it say: by process and id."""
        return {
            (interval.process, interval.interval): range_
            for claim in self.claims
            if (range_ := self.data(claim).range) is not None
            for interval in self.named(claim)
        }


def is_seen_by_all(interval: Interval) -> bool:
    """Tell whether an interval may say what went on for claims of others than torch as well."""
    return interval.source != "torch" or interval.is_top_level


def look_at_visible_alone(claims: Iterable[Claim]) -> bool:
    """Tell whether claims are compared with intervals that are seen by all, and with no others.

    Such are totals of which nothing tells what was added up. torch's see all of its stages.
    """
    return all(
        claim.counts in ("total", "ranks") and claim.source != "torch" and claim_data(claim).adds_up is None
        for claim in claims
    )


def span_of(interval: Interval) -> Span:
    """Return the time of an interval that has ended."""
    assert interval.stop_ns is not None
    return Span(interval.start_ns, interval.stop_ns)


def activity_of_claim(claim: Claim) -> Activity:
    """Return the activity that a claim is about."""
    return ACTIVITY_OF.get(claim.stage or "", "compile")
