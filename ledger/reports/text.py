"""The report as text, for a terminal: tables that are readable at 80 columns."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from ledger.durations import seconds, signed
from ledger.formatting import NO_ROLE, counted, cut
from ledger.reports.model import (
    ROUNDING,
    Heading,
    IntervalRow,
    Kind,
    ProcessRow,
    ReconciledClaim,
    Report,
    Section,
    SourceRow,
    StartupSection,
    TotalRow,
)
from ledger.reports.terminal_table import table

UNATTRIBUTED_SHOWN: Final = 5
_STARTUP_SHOWN: Final = 10
_CLAIMS_SHOWN: Final = 10
_CAUSES_SHOWN: Final = 3
_TEXT_SHOWN: Final = 50
_ANOMALIES_SHOWN: Final = 10
_FAILED_SHOWN: Final = 10


def print_report(report: Report, console: Console) -> None:
    """Print a report. Empty sections are left out."""
    _print_heading(report.heading, console)
    _print_startup(report.startup, console)
    _print_totals(report.totals, console)
    _print_claims(report, console)
    _print_unattributed(report.unattributed, console)
    _print_sources(report.sources, console)
    _print_processes(report.processes, console)
    _print_failed(report.failed, console)
    _print_kinds(report.anomalies.title, "anomaly", report.anomalies.kinds, _ANOMALIES_SHOWN, console)
    _print_kinds(report.gaps.title, "not seen", report.gaps.kinds, None, console)
    for note in (*report.missing_hooks, *report.ledger_notes):
        console.print(Text(note), soft_wrap=True)


def _print_heading(heading: Heading, console: Console) -> None:
    label = f" “{heading.label}”" if heading.label else ""
    versions = ", ".join(f"{name} {version}" for name, version in heading.versions)
    started_at = heading.started_at or "at an unknown time"
    console.print(Text(f"Session {heading.session}{label}: {heading.outcome}", style="bold"), soft_wrap=True)
    console.print(Text(f"  {heading.command or 'unknown command'}"), soft_wrap=True)
    console.print(Text(f"  started {started_at}, {versions or 'versions unknown'}"))
    if heading.other_sessions:
        others = ", ".join(heading.other_sessions)
        console.print(Text(f"  one of {heading.session_count} sessions; others: {others}"), soft_wrap=True)
    console.print()


def _print_startup(section: StartupSection, console: Console) -> None:
    for window in section.windows:
        rows = [row for row in section.rows if row.window == window]
        cells: list[list[object]] = [
            [row.process or "nobody", row.stage_name, seconds(row.duration_ns), f"{row.share:.1%}"]
            for row in rows[:_STARTUP_SHOWN]
        ]
        if others := rows[_STARTUP_SHOWN:]:
            rest_ns = sum(row.duration_ns for row in others)
            share = f"{rest_ns / window.duration_ns:.1%}"
            cells.append([counted(len(others), "more row"), None, seconds(rest_ns), share])
        _print_table(["process", "stage", "seconds", "share"], cells, section.title, console)
    if section.windows:
        console.print(Text(f"{section.summary}\n"))


def _print_totals(section: Section[TotalRow], console: Console) -> None:
    if not section.rows:
        console.print(Text(f"{section.if_empty}\n"))
        return
    has_several = any(row.total.process_count > 1 for row in section.rows)
    has_open = any(row.open_count for row in section.rows)
    columns = ["role", "activity", "seconds"]
    columns += ["union", "sum", "processes", "slowest"] if has_several else []
    columns += ["still open"] if has_open else []
    cells: list[list[object]] = []
    for total, slowest, open_count in section.rows:
        cells.append([total.role or NO_ROLE, total.activity, seconds(total.max_ns)])
        if has_several:
            cells[-1] += [seconds(total.union_ns), seconds(total.sum_ns), total.process_count, slowest]
        if has_open:
            cells[-1].append(open_count)
    title = section.title + (" (seconds: of the slowest process)" if has_several else "")
    console.print(table(columns, cells, title))


def _print_claims(report: Report, console: Console) -> None:
    section = report.claims
    rows = section.differing[:_CLAIMS_SHOWN]
    has_several = len({row.process for row in rows}) > 1
    cells = [
        [
            *([row.process] if has_several else []), row.claim.source, row.claim.role, row.claim.stage,
            seconds(row.claim.claimed_ns), seconds(row.reconciliation.measured_ns),
            seconds(row.reconciliation.difference_ns), _why(row), cut(row.claim.text or "", _TEXT_SHOWN),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["process"] if has_several else []
    columns += ["source", "role", "stage", "claimed", "measured", "difference", "why", "read from"]
    _print_table(columns, cells, section.title, console, len(section.differing))
    if section.rows:
        console.print(Text(section.summary), soft_wrap=True)
        console.print()


def _why(row: ReconciledClaim) -> str:
    causes = [cause for cause in row.causes if cause.cause != ROUNDING]
    texts = [
        f"{cause.cause}{f' of {cause.stage}' if cause.stage is not None else ''} {signed(cause.ns)}"
        for cause in causes[:_CAUSES_SHOWN]
    ]
    if others := causes[_CAUSES_SHOWN:]:
        texts.append(f"{len(others)} more {signed(sum(cause.ns for cause in others))}")
    return ", ".join(texts)


def _print_unattributed(section: Section[IntervalRow], console: Console) -> None:
    rows = section.rows[:UNATTRIBUTED_SHOWN]
    has_several = len({process for process, _ in rows}) > 1
    cells = [
        [
            *([process] if has_several else []), one.role or NO_ROLE, one.stage, one.component, one.source,
            seconds(one.duration_ns), seconds(one.unattributed_ns),
        ]
        for process, one in rows
    ]  # fmt: skip
    columns = ["process"] if has_several else []
    columns += ["role", "stage", "component", "source", "seconds", "unattributed"]
    _print_table(columns, cells, section.title, console, section.number)


def _print_sources(section: Section[SourceRow], console: Console) -> None:
    cells = [
        [
            process, total.role or NO_ROLE, total.activity, total.source, seconds(total.total_ns),
            seconds(total.naive_sum_ns), seconds(total.double_counted_ns),
        ]
        for process, total in section.rows
    ]  # fmt: skip
    columns = ["process", "role", "activity", "source", "seconds", "naive sum", "counted twice"]
    _print_table(columns, cells, section.title, console)


def _print_processes(section: Section[ProcessRow], console: Console) -> None:
    cells = [
        [
            name, process.pid, process.rank, process.outcome, in_stage, process.event_count,
            process.lost_events or None,
        ]
        for name, process, in_stage in section.rows
    ]  # fmt: skip
    columns = ["process", "pid", "rank", "outcome", "in stage", "events", "lost"]
    console.print(table(columns, cells, section.title))


def _print_failed(section: Section[IntervalRow], console: Console) -> None:
    shown = section.rows[:_FAILED_SHOWN]
    cells = [
        [
            row.process, row.interval.role or NO_ROLE, row.interval.stage, row.interval.component,
            row.failure, seconds(row.interval.duration_ns),
        ]
        for row in shown
    ]  # fmt: skip
    columns = ["process", "role", "stage", "component", "error", "seconds"]
    _print_table(columns, cells, section.title, console, section.number)
    for row in shown:
        if row.last_line is not None:
            console.print(Text(f"{row.process}: {row.last_line}"), soft_wrap=True)


def _print_kinds(title: str, name: str, kinds: Sequence[Kind], most: int | None, console: Console) -> None:
    _print_table([name, "number", "for example"], kinds[:most], title, console, len(kinds))


def _print_table(
    columns: Sequence[str],
    cells: Sequence[Sequence[object]],
    title: str,
    console: Console,
    number: int = 0,
) -> None:
    """Print a table, unless it is empty; one that stops before its `number` of rows says so."""
    if cells:
        stops = f" ({len(cells)} of {number:,})" if number > len(cells) else ""
        console.print(table(columns, cells, title + stops))
