"""Measures a session for a limit: a pure function of its timeline."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import singledispatch
from itertools import chain, islice, takewhile
from typing import Final, NamedTuple, TypeVar

from ledger.analysis.budget.amounts import rounded_text
from ledger.analysis.budget.model import (
    Anomalies,
    Difference,
    Disagreement,
    Limit,
    Selection,
    Total,
    Unattributed,
    WorstFinding,
)
from ledger.timeline.enclosure import encloses, outermost
from ledger.timeline.findings import Finding
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Interval, Reconciliation
from ledger.timeline.spans import Span, merged, union_ns
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import UNMATCHED, FindingName

_Row = TypeVar("_Row", Interval, Reconciliation, Finding)

Group = tuple[str | None, ...]
"""For a limit with `each`: a role, or a role and a component. Otherwise empty."""

_IN_ROLE_OR_STAGE: Final = ("role", "component", "stage", "activity")


class Trace(NamedTuple):
    """One of the intervals, claims, findings or anomalies behind a number."""

    process: str | None
    """None for a finding about several."""
    interval: int | None = None
    claim: int | None = None
    ns: int | None = None
    """Its share of the number."""
    what: str = ""
    finding: FindingName | None = None
    advice: str | None = None
    """What to do about a finding."""


class Measured(NamedTuple):
    """One session's measurement for one limit."""

    value: int | None = None
    """Nanoseconds, or a count; None if there was nothing to measure."""
    missing: str = "nothing measured"
    """The text to show if the value is None."""
    unknown: str | None = None
    """Why the value is uncertain."""
    is_lower_bound: bool = False
    process: str | None = None
    process_name: str | None = None
    trace: tuple[Trace, ...] = ()
    """The largest first."""


def measure(limit: Limit, timeline: Timeline) -> Mapping[Group, Measured]:
    """Return a session's measurement for a limit, for each group in the session."""
    names = {process.process: process.name for process in timeline.processes}
    return {
        group: measured._replace(process_name=names.get(measured.process or ""))
        for group, measured in _measure(limit, timeline).items()
    }


@singledispatch
def _measure(limit: Limit, timeline: Timeline) -> Mapping[Group, Measured]:
    raise NotImplementedError(type(limit))


@_measure.register
def _(limit: Total, timeline: Timeline) -> Mapping[Group, Measured]:
    return _by_group(limit, timeline, _elapsed)


@_measure.register
def _(limit: Unattributed, timeline: Timeline) -> Mapping[Group, Measured]:
    all_of: defaultdict[str, list[Interval]] = defaultdict(list)
    for interval in sorted(timeline.intervals, key=lambda one: one.start_ns):
        if interval.stop_ns is not None:
            all_of[interval.process].append(interval)

    def not_accounted_for(process: str, intervals: Sequence[Interval]) -> Measured | None:
        accounted = [interval for interval in intervals if interval.unattributed_ns is not None]
        if not accounted:
            return None
        gaps = (_gaps(interval, all_of[process]) for interval in accounted if interval.unattributed_ns)
        return Measured(
            union_ns(chain.from_iterable(gaps)),
            is_lower_bound=any(interval.outcome == "abandoned" for interval in accounted),
            process=process,
            trace=_sorted(
                _trace(interval, interval.unattributed_ns)
                for interval in accounted
                if interval.unattributed_ns
            ),
        )

    return _by_group(limit, timeline, not_accounted_for)


@_measure.register
def _(limit: Disagreement, timeline: Timeline) -> Mapping[Group, Measured]:
    intervals = _selected(limit, _IN_ROLE_OR_STAGE, timeline.intervals)
    of_source = {source: [i for i in intervals if i.source == source] for source in limit.between}
    missing = [source for source, found in of_source.items() if not found]
    if missing:
        return {(): Measured(missing=f"nothing measured by the {' and the '.join(missing)}")}
    first, second = limit.between
    apart: list[Measured] = []
    for process in dict.fromkeys(interval.process for interval in intervals):
        totals_ns = {
            source: union_ns(_spans(i for i in found if i.process == process))
            for source, found in of_source.items()
        }
        trace = tuple(Trace(process, ns=ns, what=f"by the {source}") for source, ns in totals_ns.items())
        apart.append(Measured(abs(totals_ns[first] - totals_ns[second]), process=process, trace=trace))
    return {(): max(apart, key=value_of)._replace(unknown=_still_open(intervals))}


@_measure.register
def _(limit: Difference, timeline: Timeline) -> Mapping[Group, Measured]:
    keys = ("source", "role", "component", "stage")
    counts = {(claim.process, claim.claim): claim.counts for claim in timeline.claims}
    found = [
        row
        for row in _selected(limit, keys, timeline.reconciliation)
        if limit.counts in (None, counts[row.process, row.claim])
    ]
    if not found:
        return {(): Measured()}
    matched = [row for row in found if row.main_cause != UNMATCHED]
    apart_ns = _apart(limit, timeline, matched)
    texts = {(claim.process, claim.claim): claim.text for claim in timeline.claims}
    trace = _sorted(
        Trace(row.process, claim=row.claim, ns=ns, what=_claim_text(limit, row, texts))
        for row, ns in zip(matched, apart_ns, strict=True)
        if ns
    )
    unknown = None
    if len(matched) < len(found) and not limit.may_be_unmatched:
        unmatched = next(row for row in found if row.main_cause == UNMATCHED)
        unknown = f"claim {unmatched.claim} of process {unmatched.process} matches nothing that was recorded"
        unknown += _and_more(len(found) - len(matched) - 1)
    process = trace[0].process if trace else None
    return {(): Measured(max(apart_ns, default=None), unknown=unknown, process=process, trace=trace)}


@_measure.register
def _(limit: WorstFinding, timeline: Timeline) -> Mapping[Group, Measured]:
    found = [
        finding
        for finding in _selected(limit, ("role", "component"), timeline.findings)
        if finding.finding in limit.finding
    ]
    if limit.process is not None:
        shown = process_names(timeline.processes)
        processes = {
            one.process
            for one in timeline.processes
            if limit.process in (one.name, one.process, shown[one.process])
        }
        found = [finding for finding in found if finding.process in processes]
    trace = _sorted(
        Trace(one.process, ns=one.stake_ns, what=one.summary, finding=one.finding, advice=one.advice)
        for one in found
    )
    if not trace:
        return {(): Measured(0)}
    return {(): Measured(trace[0].ns, process=trace[0].process, trace=trace)}


@_measure.register
def _(limit: Anomalies, timeline: Timeline) -> Mapping[Group, Measured]:
    found = [
        anomaly
        for anomaly in timeline.anomalies
        if limit.what in (None, anomaly.what) and anomaly.what not in limit.but_not
    ]
    trace = tuple(
        Trace(anomaly.process, anomaly.interval, anomaly.claim, anomaly.ns, anomaly.what) for anomaly in found
    )
    return {(): Measured(len(found), trace=trace)}


def _by_group(
    limit: Selection, timeline: Timeline, of_process: Callable[[str, Sequence[Interval]], Measured | None]
) -> Mapping[Group, Measured]:
    """Measure each group process by process, and keep the process with the largest value."""
    groups: defaultdict[Group, list[Interval]] = defaultdict(list)
    for interval in _selected(limit, (*_IN_ROLE_OR_STAGE, "source"), timeline.intervals):
        if limit.each is None:
            groups[()].append(interval)
        elif limit.each == "role":
            groups[interval.role,].append(interval)
        elif interval.component is not None:
            groups[interval.role, interval.component].append(interval)
    measured: dict[Group, Measured] = {}
    for group, intervals in groups.items():
        by_process: defaultdict[str, list[Interval]] = defaultdict(list)
        for interval in intervals:
            by_process[interval.process].append(interval)
        found = [one for process, its in by_process.items() if (one := of_process(process, its)) is not None]
        measured[group] = max(found, key=value_of, default=Measured())._replace(
            unknown=_still_open(intervals)
        )
    return measured


def _elapsed(process: str, intervals: Sequence[Interval]) -> Measured | None:
    if all(interval.stop_ns is None for interval in intervals):
        return None
    top_most = list(outermost(intervals))
    return Measured(
        union_ns(_spans(top_most)),
        is_lower_bound=any(interval.outcome == "abandoned" for interval in top_most),
        process=process,
        trace=_sorted(_trace(interval, interval.duration_ns) for interval in top_most),
    )


def _gaps(interval: Interval, by_start: Sequence[Interval]) -> Iterator[Span]:
    """Yield the parts of an interval that no interval inside it covers; `by_start`: all in its process."""
    start_ns, stop_ns = interval.start_ns, interval.stop_ns or interval.start_ns
    first = bisect_left(by_start, start_ns, key=lambda one: one.start_ns)
    within = takewhile(lambda one: one.start_ns <= stop_ns, islice(by_start, first, None))
    enclosed = (other for other in within if encloses(interval, other))
    reached_ns = start_ns
    for span in merged(_spans(enclosed)):
        if span.start_ns > reached_ns:
            yield Span(reached_ns, span.start_ns)
        reached_ns = max(reached_ns, span.stop_ns)
    if stop_ns > reached_ns:
        yield Span(reached_ns, stop_ns)


def _selected(limit: Limit, keys: Iterable[str], rows: Iterable[_Row]) -> list[_Row]:
    wanted = [(key, value) for key in keys if (value := getattr(limit, key)) is not None]
    return [row for row in rows if all(getattr(row, key) == value for key, value in wanted)]


def _apart(limit: Difference, timeline: Timeline, rows: Iterable[Reconciliation]) -> list[int]:
    """Return each claim's distance from its measurement, or the part that the limit's cause explains."""
    if limit.cause is None:
        return [abs(row.difference_ns or 0) for row in rows]
    explained: defaultdict[tuple[str, int], int] = defaultdict(int)
    for share in timeline.causes:
        if share.cause == limit.cause:
            explained[share.process, share.claim] += share.ns
    return [abs(explained[row.process, row.claim]) for row in rows]


def _still_open(intervals: Iterable[Interval]) -> str | None:
    waiting = [interval for interval in intervals if interval.outcome == "open"]
    if not waiting:
        return None
    longest = max(waiting, key=lambda interval: interval.open_ns or 0)
    text = f"interval {longest.interval} ({longest.stage}) of process {longest.process} is still open"
    return f"{text} after {rounded_text(longest.open_ns or 0)}{_and_more(len(waiting) - 1)}"


def _and_more(number: int) -> str:
    return f", and {number} more" if number else ""


def _trace(interval: Interval, ns: int | None) -> Trace:
    named = (interval.stage, interval.component)
    return Trace(interval.process, interval.interval, ns=ns, what=" ".join(name for name in named if name))


def _claim_text(limit: Difference, row: Reconciliation, texts: Mapping[tuple[str, int], str | None]) -> str:
    cause = limit.cause or row.main_cause
    numbers = f"{rounded_text(row.claimed_ns)} claimed, {rounded_text(row.measured_ns or 0)} measured"
    text = texts[row.process, row.claim]
    return f"{numbers}{f', {cause}' if cause else ''}{f', “{text}”' if text else ''}"


def _spans(intervals: Iterable[Interval]) -> Iterator[Span]:
    return (Span(i.start_ns, i.stop_ns) for i in intervals if i.stop_ns is not None)


def _sorted(trace: Iterable[Trace]) -> tuple[Trace, ...]:
    return tuple(sorted(trace, key=lambda one: -(one.ns or 0)))


def value_of(measured: Measured) -> int:
    """Return the value, below every other one if there is none."""
    return -1 if measured.value is None else measured.value
