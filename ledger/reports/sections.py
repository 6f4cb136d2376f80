"""Derives a report from a timeline. Pure: the same timeline and facts give the same report."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from ledger.formatting import counted, in_shown_order
from ledger.reports.model import (
    AnomalyRow,
    ClaimSection,
    GapRow,
    Heading,
    IntervalRow,
    Kind,
    KindSection,
    ProcessRow,
    ReconciledClaim,
    Report,
    Section,
    SourceRow,
    TotalRow,
)
from ledger.reports.startup import startup_section
from ledger.timeline.clocks import ClockAlignment
from ledger.timeline.findings import Finding
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Cause, Interval, Session
from ledger.timeline.timeline import Timeline

Key = tuple[str, int]
"""A process, and the id of one of its intervals or claims."""

_OTHER_SESSIONS: Final = 5


class LedgerFacts(NamedTuple):
    """What a report says that no timeline knows."""

    sessions: tuple[str, ...] = ()
    """The ids of all sessions of the ledger, oldest first."""
    rejected_lines: int = 0
    first_rejected: tuple[str, ...] = ()
    """The first of them, each with where it is and why it could not be read."""
    clocks: ClockAlignment | None = None
    """How the processes' clocks are aligned, where somebody shows times of several processes together."""
    without_end: int = 0
    """How many of the session's processes never said that they left, and do not run here either."""
    findings: tuple[Finding, ...] | None = None
    """With what the sessions before it show; None where only its own events are known."""
    unattributed: int = 0
    """How many intervals have unattributed time, where the timeline has only those with the most."""


def report_of(timeline: Timeline, facts: LedgerFacts) -> Report:
    """Return what a report says of a session. Raises ValueError for a timeline without one."""
    if timeline.session is None:
        raise ValueError("a report is about a session, and this timeline has none")
    names = process_namer(timeline)

    def rows(intervals: Iterable[Interval]) -> tuple[IntervalRow, ...]:
        return tuple(IntervalRow(names(one.process), one) for one in intervals)

    return Report(
        timeline,
        _heading(timeline.session, facts),
        startup_section(timeline, names),
        Section("Time by role", _totals(timeline, names), "No interval was recorded."),
        ClaimSection("Reported and measured times", _claims(timeline, names), "No claims."),
        Section("Unattributed time", rows(_unattributed(timeline)), in_ledger=facts.unattributed),
        Section("Totals by source", _sources(timeline, names)),
        Section("Processes", _processes(timeline)),
        Section("Failed stages", rows(_failed(timeline)), "Nothing failed."),
        Section("Intervals without a stop", rows(_unended(timeline))),
        _anomalies(timeline, names),
        _gaps(timeline, names),
        timeline.findings if facts.findings is None else facts.findings,
        _missing_hooks(timeline),
        _clock_notes(facts.clocks, names),
        _ledger_notes(facts),
    )


def process_namer(timeline: Timeline) -> Callable[[str], str]:
    """Return a function that gives a process's name by its id: the id itself of one that is not known."""
    names = process_names(timeline.processes)
    return lambda process: names.get(process, process)


def _heading(session: Session, facts: LedgerFacts) -> Heading:
    others = [other for other in facts.sessions if other != session.session]
    return Heading(
        session.session,
        session.label or None,
        session.outcome,
        " ".join(session.command or ()) or None,
        session.started_at,
        tuple((name, session.versions[name]) for name in in_shown_order(session.versions)),
        len(facts.sessions),
        tuple(others[-_OTHER_SESSIONS:]),
    )


def _totals(timeline: Timeline, names: Callable[[str], str]) -> tuple[TotalRow, ...]:
    """Three numbers over the processes, never one; the role that took longest comes first."""
    still_open: Counter[tuple[str | None, str]] = Counter()
    for total in timeline.role_totals:
        still_open[total.role, total.activity] += total.open_count
    by_size = sorted(timeline.session_totals, key=lambda total: (-total.max_ns, total.role or ""))
    return tuple(
        TotalRow(total, names(total.slowest_process), still_open[total.role, total.activity])
        for total in by_size
    )


def _sources(timeline: Timeline, names: Callable[[str], str]) -> tuple[SourceRow, ...]:
    """Of each process, what torch says comes last."""
    by_group = sorted(
        timeline.source_totals,
        key=lambda total: (
            total.process, total.source == "torch", total.role or "", total.activity, -total.total_ns
        ),
    )  # fmt: skip
    return tuple(SourceRow(names(total.process), total) for total in by_group)


def _claims(timeline: Timeline, names: Callable[[str], str]) -> tuple[ReconciledClaim, ...]:
    """Those that differ come first, and of these torch's last: they are many, and of the same time."""
    causes: defaultdict[Key, list[Cause]] = defaultdict(list)
    for cause in timeline.causes:
        causes[cause.process, cause.claim].append(cause)
    rows = [
        ReconciledClaim(
            names(claim.process),
            claim,
            reconciliation,
            tuple(sorted(causes[claim.process, claim.claim], key=lambda cause: -abs(cause.ns))),
        )
        for claim, reconciliation in zip(timeline.claims, timeline.reconciliation, strict=True)
    ]
    rows.sort(
        key=lambda row: (
            not row.differs, row.claim.source == "torch", -row.size_ns, row.claim.process, row.claim.claim
        )
    )  # fmt: skip
    return tuple(rows)


def _unattributed(timeline: Timeline) -> list[Interval]:
    intervals = [one for one in timeline.intervals if one.unattributed_ns]
    return sorted(intervals, key=lambda one: -(one.unattributed_ns or 0))


def _failed(timeline: Timeline) -> list[Interval]:
    """The first to end comes first: it is what the others failed of.

    Of a process that was killed, or is gone for another reason, it is the innermost stage that it was in. An
    import's exception is caught by whoever imports, unless the process ended by it.
    """
    ended_by = {
        (one.process, one.error)
        for one in timeline.intervals
        if one.stage == "process_exit" and one.outcome == "failed" and one.error is not None
    }
    intervals = [
        one
        for one in timeline.intervals
        if one.outcome == "failed"
        and ((one.stage, one.source) != ("import", "python") or (one.process, one.error) in ended_by)
    ]
    died_in = _innermost_unended(timeline)
    intervals += [
        died_in[one.process] for one in timeline.processes if one.outcome == "lost" and one.process in died_in
    ]
    return sorted(intervals, key=lambda one: (one.stop_ns or 0, -one.depth))


def _unended(timeline: Timeline) -> list[Interval]:
    return [one for one in timeline.intervals if one.outcome in ("abandoned", "open")]


def _innermost_unended(timeline: Timeline) -> dict[str, Interval]:
    """Return the stage that each process was in last, of those without a stop.

    What was over long before, as a begin of torch's that never gets its end, it was not in.
    """
    last: dict[str, Interval] = {}
    for one in sorted(_unended(timeline), key=lambda one: (one.stop_ns or 0, one.start_ns, one.start_seq)):
        last[one.process] = one
    return last


def _processes(timeline: Timeline) -> tuple[ProcessRow, ...]:
    last = _innermost_unended(timeline)
    rows: list[ProcessRow] = []
    for process in sorted(timeline.processes, key=lambda one: (one.started_at or "", one.process)):
        has_left = process.outcome not in ("lost", "running")
        interval = last.get(process.process)
        in_stage = None if has_left or interval is None else interval.stage
        rows.append(ProcessRow(process.name or process.process, process, in_stage))
    return tuple(rows)


def _anomalies(timeline: Timeline, names: Callable[[str], str]) -> KindSection[AnomalyRow]:
    kinds = _kinds((anomaly.what, 1, anomaly.detail) for anomaly in timeline.anomalies)
    kinds.sort(key=lambda kind: (-kind.number, kind.what))
    rows = tuple(AnomalyRow(names(anomaly.process), anomaly) for anomaly in timeline.anomalies)
    return KindSection("Anomalies", rows, kinds=tuple(kinds))


def _gaps(timeline: Timeline, names: Callable[[str], str]) -> KindSection[GapRow]:
    kinds = _kinds((gap.what, gap.count, gap.detail) for gap in timeline.gaps)
    kinds.sort()
    rows = tuple(GapRow(names(gap.process), gap) for gap in timeline.gaps)
    return KindSection("Gaps", rows, kinds=tuple(kinds))


def _kinds(rows: Iterable[tuple[str, int, str | None]]) -> list[Kind]:
    """Count rows by name; the example is the least detail, so that the same rows give the same one."""
    numbers: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for what, number, detail in rows:
        numbers[what] += number
        if detail is not None:
            examples[what] = min(detail, examples.get(what, detail))
    return [Kind(what, number, examples.get(what)) for what, number in numbers.items()]


def _missing_hooks(timeline: Timeline) -> tuple[str, ...]:
    hooks = {name for process in timeline.processes for name in process.missing_hooks}
    return tuple(f"Not hooked: {name}" for name in sorted(hooks))


def _clock_notes(clocks: ClockAlignment | None, names: Callable[[str], str]) -> tuple[str, ...]:
    if clocks is None:
        return ()
    notes: list[str] = []
    if clocks.unplaced:
        processes = ", ".join(map(names, clocks.unplaced))
        notes.append(
            "The clocks of these processes can't be aligned with the others; they are drawn as if they "
            f"began together: {processes}"
        )
    if clocks.domains - len(clocks.unplaced) > 1:
        notes.append(
            f"There are {clocks.domains} clocks, aligned as well as the wall clocks of their hosts agree."
        )
    return tuple(notes)


def _ledger_notes(facts: LedgerFacts) -> tuple[str, ...]:
    notes: list[str] = []
    if facts.without_end:
        notes.append(
            f"{counted(facts.without_end, 'process', 'processes')} never said to have left, and can't be "
            "found here: the session may have been killed as a whole"
        )
    if facts.rejected_lines:
        lines = counted(facts.rejected_lines, "line")
        notes.append(f"{lines} in this ledger could not be read; see rejected_lines")
        notes += facts.first_rejected
    return tuple(notes)
