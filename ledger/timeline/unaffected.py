"""Which of what is derived from a session's claims, compiles and windows new events can't have changed.

New events change a process's intervals from a cut on: see `checkpoints`. What was derived of the time before
that stays where nothing in it looks beyond. These rules say when. Each rather says no than be wrong: then all
of it is derived anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from ledger.events.models import Event, GapNoted, MilestoneReached
from ledger.timeline.claim_data import claim_data, names_of
from ledger.timeline.compile_phases import BEGIN_ANYWHERE
from ledger.timeline.findings.subjects import STAGES_LOOKED_AT
from ledger.timeline.records import (
    Interval,
    IntervalKey,
    Milestone,
    Process,
    StartupWindow,
)
from ledger.timeline.reducer import Reduced
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import (
    ACTIVITY_OF,
    CLOCK_STEPPED,
    COMMAND_STARTED,
    ENGINE_READY,
    SERVER_READY,
    WAITING,
    Activity,
)

_READY: Final = (ENGINE_READY, SERVER_READY)
_LOOKED_AT: Final = (COMMAND_STARTED, *_READY)
OF_CLAIMS: Final = ("repeated_load", "outside_parent")
"""The anomalies that are about a claim."""
_OF_INTERVALS: Final = ("interval", "addition")


class Changes(NamedTuple):
    """What new events make of a process's intervals from a cut on."""

    before: Sequence[Interval]
    """Those that were there, and are gone or other ones now. They lack `error` and `data`."""
    after: Sequence[Interval]
    """Those that are there now, and were not, or were other ones."""
    same: Sequence[Interval]
    """Those since the cut that are as they were."""
    since_ns: int = 0
    """When the cut is. All that began before it is as it was, but that what is open is so until now."""
    still_open: Sequence[Interval] = ()
    """Those that began before it."""
    last_ns: int = 0
    """When the process's last event was, before the new ones."""
    has_waits: bool = False
    """Whether it is known of any since the cut that it waited for a processor."""

    @property
    def both(self) -> Iterable[Interval]:
        """What there was and is of the intervals that are not the same."""
        return chain(self.before, self.after)


class Dependencies(NamedTuple):
    """On what the rows of a session's claims and findings depend, besides the intervals before a cut."""

    totals: Sequence[tuple[str | None, Activity, str | None]]
    """What claims of totals are compared with: process, activity and role. None for all of them."""
    latest_ns: Mapping[str, int]
    """By process, when its last claim was made that looks at the intervals before it."""
    awaited: Sequence[IntervalKey]
    """What claims name that had not begun when they were made, or has not ended."""
    early_stages: Sequence[tuple[str, str | None]]
    """Stage and component of the outermost intervals that were completed and began within the windows."""
    early_processes: Sequence[str]
    """Those of the processes that are compared with one another whose first outermost interval did so."""
    begins_late: bool
    """Whether one of these began only later."""
    are_in_row: bool
    """Whether some of these started one after the other."""


def dependencies_of(timeline: Timeline) -> Dependencies:
    """Return on what the rows of a session depend."""
    from ledger.timeline.compilations import Compilations
    from ledger.timeline.findings.evidence import Evidence
    from ledger.timeline.findings.processes import are_in_row, compared_processes
    from ledger.timeline.reconciliation import Reconciled

    compared = compared_processes(timeline.processes, timeline.milestones)
    intervals, windows = timeline.intervals, timeline.startup_windows
    totals: dict[tuple[str | None, Activity, str | None], None] = {}
    latest_ns: dict[str, int] = {}
    named: dict[IntervalKey, int] = {}
    for claim in timeline.claims:
        data = claim_data(claim)
        if claim.counts not in _OF_INTERVALS:
            process = claim.process if claim.counts == "total" else None
            totals[process, ACTIVITY_OF.get(claim.stage or "", "compile"), claim.role] = None
        if claim.counts in _OF_INTERVALS or data.adds_up is not None:
            latest_ns[claim.process] = max(claim.at_ns, latest_ns.get(claim.process, claim.at_ns))
        for number in (*names_of(claim, data), *data.parts, *(one.interval for one in data.within)):
            key = IntervalKey(claim.process, number)
            named[key] = min(claim.at_ns, named.get(key, claim.at_ns))
    begun = {
        key: one.start_ns
        for one in intervals
        if one.stop_ns is not None and (key := IntervalKey(one.process, one.interval)) in named
    } if named else {}  # fmt: skip
    of_reducer = Reduced(*(getattr(timeline, name) for name in Reduced._fields))
    evidence = Evidence(of_reducer, Reconciled((), (), ()), Compilations((), ()))
    until_ns = max((window.stop_ns for window in windows), default=0)
    outermost = [
        one for one in intervals if one.process in compared and one.depth == 0 and one.stage != WAITING
    ]
    early = [one for one in outermost if one.start_ns < until_ns]
    began_early = {one.process for one in early}
    return Dependencies(
        list(totals),
        latest_ns,
        [key for key, at_ns in named.items() if begun.get(key, at_ns + 1) > at_ns],
        list({(one.stage, one.component): None for one in early if one.outcome == "completed"}),
        sorted(began_early),
        not {one.process for one in outermost} <= began_early,
        bool(compared) and are_in_row(evidence),
    )


def dependencies_from_json(kept: Sequence[Any]) -> Dependencies:
    """Return dependencies that were kept as JSON."""
    totals, latest_ns, awaited, early_stages, early_processes, begins_late, are_in_row = kept
    return Dependencies(
        [(process, activity, role) for process, activity, role in totals],
        latest_ns,
        [IntervalKey(*key) for key in awaited],
        [(stage, component) for stage, component in early_stages],
        early_processes,
        begins_late,
        are_in_row,
    )


def are_looked_at(events: Iterable[Event]) -> bool:
    """Tell whether new events that are none of stages say what claims or findings ask for."""
    return any(
        (isinstance(event, MilestoneReached) and event.name in _LOOKED_AT)
        or (isinstance(event, GapNoted) and event.what == CLOCK_STEPPED)
        for event in events
    )


def are_claims_unaffected(dependencies: Dependencies, changes: Mapping[str, Changes]) -> bool:
    """Tell whether a session's claims reconcile as they did; none is new, and the processes are the same."""
    awaited = set(dependencies.awaited)
    for process, of_process in changes.items():
        changed = list(of_process.both)
        if not changed:
            continue
        if dependencies.latest_ns.get(process, -1) >= of_process.since_ns:
            return False
        if not awaited.isdisjoint(IntervalKey(process, one.interval) for one in changed):
            return False
        groups = [each[1:] for each in dependencies.totals if each[0] in (None, process)]
        from_ns = min(one.start_ns for one in changed)
        measured = [*changed, *(one for one in of_process.same if (one.stop_ns or 0) >= from_ns)]
        if any(_is_measured(one, groups) for one in measured):
            return False
    return True


def _is_measured(interval: Interval, groups: Iterable[tuple[Activity, str | None]]) -> bool:
    """Tell whether an interval is a part of a total that is claimed."""
    if not interval.is_top_level or interval.stop_ns is None:
        return False
    return any(interval.activity == activity and role in (None, interval.role) for activity, role in groups)


def are_compilations_unaffected(changes: Iterable[Changes]) -> bool:
    """Tell whether the compiles of a session are what they were."""
    return not any(
        one.stage in BEGIN_ANYWHERE
        for each in changes
        for one in chain(each.both, each.same, each.still_open)
    )


def are_findings_unaffected(
    dependencies: Dependencies,
    changes: Iterable[Changes],
    windows: Sequence[StartupWindow],
    processes: Sequence[Process],
    milestones: Iterable[Milestone],
    compared: Collection[str],
) -> bool:
    """Tell whether the findings of a session are what they were.

    Its windows with their pieces, its claims' rows and its compiles are. `compared` are the processes whose
    outermost intervals are compared with one another.
    """
    until_ns = max((window.stop_ns for window in windows), default=0)
    ends_ready = any(window.ended_by in _READY for window in windows)
    if compared and (
        len({process.host for process in processes}) > 1
        or dependencies.begins_late
        or any(one.name in _READY and one.at_ns > until_ns for one in milestones)
    ):
        return False
    early_stages = set(dependencies.early_stages)

    def is_looked_at(one: Interval) -> bool:
        is_late = ends_ready and one.activity == "compile" and one.is_top_level and one.stop_ns is not None
        return one.stage in STAGES_LOOKED_AT or is_late or one.start_ns < until_ns

    def is_compared(one: Interval) -> bool:
        return (
            one.process in compared
            and one.depth == 0
            and (
                dependencies.are_in_row
                or (one.stage, one.component) in early_stages
                or one.process not in dependencies.early_processes
            )
        )

    for each in changes:
        if each.has_waits or any(map(is_looked_at, each.both)):
            return False
        if any(one.stage in STAGES_LOOKED_AT for one in each.still_open):
            return False
        if any(map(is_compared, each.both)):
            return False
        of_open = (each.last_ns < until_ns and one.depth == 0 for one in each.still_open)
        if compared and any(of_open):
            return False
    return True
