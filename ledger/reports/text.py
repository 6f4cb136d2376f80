"""The report's sections as text: tables as wide as the console is, to be read on demand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.durations import seconds, signed
from ledger.formatting import NO_ROLE, counted, cut
from ledger.reports.cause_text import cause_text
from ledger.reports.model import (
    ROUNDING,
    Heading,
    KindSection,
    ReconciledClaim,
    Report,
    Row,
)
from ledger.reports.terminal_table import table
from ledger.timeline.records import Process

UNATTRIBUTED_SHOWN: Final = 5
_STARTUP_SHOWN: Final = 10
_CLAIMS_SHOWN: Final = 10
_CAUSES_SHOWN: Final = 3
_SHOWN_NS: Final = 500_000
"""A cause of less would be shown as 0.000."""
_TEXT_SHOWN: Final = 50
_ANOMALIES_SHOWN: Final = 10
_FAILED_SHOWN: Final = 10
_PROCESSES_SHOWN: Final = 100
"""Of more processes, those come first of which there is something to say."""
_AMOUNTS: Final = ("reported", "measured", "difference")
_WIDE: Final = 250
"""From so many columns on a claim's causes are in its row; else they are below the table."""


def print_report(report: Report, console: Console, *sections: str) -> None:
    """Print a report's sections: those that are named, or all that have something to show.

    Raises KeyError for a name that is not in SECTIONS.
    """
    named = {name: SECTIONS[name] for name in sections}
    chosen = {name: show for name, show in SECTIONS.items() if name in named or not named}
    _print_heading(report.heading, console)
    for name, show in chosen.items():
        if not show(report, console) and sections:
            console.print(Text(f"{name}: nothing to show\n"))


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


def _print_startup(report: Report, console: Console) -> bool:
    section = report.startup
    for window in section.windows:
        rows = [row for row in section.rows if row.window == window]
        cells: list[list[object]] = [
            [row.process or "(no process)", row.stage_name, seconds(row.duration_ns), f"{row.share:.1%}"]
            for row in rows[:_STARTUP_SHOWN]
        ]
        if others := rows[_STARTUP_SHOWN:]:
            rest_ns = sum(row.duration_ns for row in others)
            share = f"{rest_ns / window.duration_ns:.1%}"
            cells.append([counted(len(others), "more row"), None, seconds(rest_ns), share])
        _print_table(["process", "stage", "seconds", "share"], cells, section.title, console)
    if section.windows:
        console.print(Text(f"{section.summary}\n"))
    return bool(section.windows)


def _print_findings(report: Report, console: Console) -> bool:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    for finding in report.findings:
        what = f"{finding.summary}\n→ {finding.advice}\n({finding.finding})"
        grid.add_row(Text(f"{seconds(finding.stake_ns)} s"), Text(what))
    if report.findings:
        console.print(grid)
        console.print()
    return bool(report.findings)


def _print_totals(report: Report, console: Console) -> bool:
    section = report.totals
    if not section.rows:
        console.print(Text(f"{section.if_empty}\n"))
        return True
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
    return _print_table(columns, cells, title, console)


def _print_claims(report: Report, console: Console) -> bool:
    section = report.claims
    rows = section.differing[:_CLAIMS_SHOWN]
    show = _print_claims_wide if console.width >= _WIDE else _print_claims_narrow
    show(section.title, rows, len(section.differing), console)
    if section.rows:
        console.print(Text(section.summary), soft_wrap=True)
        console.print()
    return bool(section.rows)


def _print_claims_wide(title: str, rows: Sequence[ReconciledClaim], number: int, console: Console) -> None:
    """Print a row for each claim, with all of it."""
    cells = [
        [
            row.process, row.claim.source, row.claim.role, row.claim.stage, *_amounts(row), _why(row),
            cut(row.claim.text or "", _TEXT_SHOWN),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["process", "source", "role", "stage", *_AMOUNTS, "why", "read from"]
    _print_table(columns, cells, title, console, number)


def _print_claims_narrow(title: str, rows: Sequence[ReconciledClaim], number: int, console: Console) -> None:
    """Print the numbers as a table, and below it what else is known of each."""
    cells = [
        [
            f"{place}.", row.claim.source, " ".join(filter(None, (row.claim.role, row.claim.stage))),
            *_amounts(row),
        ]
        for place, row in enumerate(rows, 1)
    ]  # fmt: skip
    _print_table(["", "source", "of", *_AMOUNTS], cells, title, console, number)
    grid = Table.grid(padding=(0, 1))
    for place, row in enumerate(rows, 1):
        text = f"\n“{cut(row.claim.text, console.width - 8)}”" if row.claim.text else ""
        grid.add_row(Text(f"{place:>3}."), Text(f"{row.process}: {_why(row)}{text}"))
    if rows:
        console.print(grid)
        console.print()


def _amounts(row: ReconciledClaim) -> list[str]:
    reconciliation = row.reconciliation
    return list(
        map(seconds, (row.claim.claimed_ns, reconciliation.measured_ns, reconciliation.difference_ns))
    )


def _why(row: ReconciledClaim) -> str:
    causes = [cause for cause in row.causes if cause.cause != ROUNDING and abs(cause.ns) >= _SHOWN_NS]
    texts = list(map(cause_text, causes[:_CAUSES_SHOWN]))
    if others := causes[_CAUSES_SHOWN:]:
        texts.append(f"{len(others)} more: {signed(sum(cause.ns for cause in others))} s")
    return ", ".join(texts)


def _print_unattributed(report: Report, console: Console) -> bool:
    section = report.unattributed
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
    return _print_table(columns, cells, section.title, console, section.number)


def _print_sources(report: Report, console: Console) -> bool:
    section = report.sources
    rows = section.rows
    if len(rows) > _PROCESSES_SHOWN:
        rows = sorted(rows, key=lambda row: -row.total.double_counted_ns)[:_PROCESSES_SHOWN]
    cells = [
        [
            process, total.role or NO_ROLE, total.activity, total.source, seconds(total.total_ns),
            seconds(total.naive_sum_ns), seconds(total.double_counted_ns),
        ]
        for process, total in rows
    ]  # fmt: skip
    columns = ["process", "role", "activity", "source", "seconds", "added up", "counted more than once"]
    return _print_table(columns, cells, section.title, console, len(section.rows))


def _print_processes(report: Report, console: Console) -> bool:
    section = report.processes
    rows = section.rows
    if len(rows) > _PROCESSES_SHOWN:
        rows = sorted(rows, key=lambda row: _is_as_it_should_be(row.process))[:_PROCESSES_SHOWN]
    cells = [
        [
            name, process.pid, process.rank, process.outcome, in_stage, process.event_count,
            process.lost_events or None,
        ]
        for name, process, in_stage in rows
    ]  # fmt: skip
    columns = ["process", "pid", "rank", "outcome", "in stage", "events", "lost"]
    return _print_table(columns, cells, section.title, console, len(section.rows))


def _is_as_it_should_be(process: Process) -> bool:
    return process.outcome == "completed" and not process.lost_events


def _print_failed(report: Report, console: Console) -> bool:
    section = report.failed
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
        said = ": ".join(filter(None, (row.circumstances, row.last_line)))
        if said:
            console.print(Text(f"{row.process}: {said}"), soft_wrap=True)
    return bool(shown)


def _print_anomalies(report: Report, console: Console) -> bool:
    return _print_kinds(report.anomalies, "anomaly", _ANOMALIES_SHOWN, console)


def _print_gaps(report: Report, console: Console) -> bool:
    has_kinds = _print_kinds(report.gaps, "not seen", None, console)
    notes = (*report.missing_hooks, *report.ledger_notes)
    for note in notes:
        console.print(Text(note), soft_wrap=True)
    return has_kinds or bool(notes)


def _print_kinds(section: KindSection[Row], name: str, most: int | None, console: Console) -> bool:
    kinds = section.kinds
    return _print_table([name, "number", "for example"], kinds[:most], section.title, console, len(kinds))


def _print_table(
    columns: Sequence[str],
    cells: Sequence[Sequence[object]],
    title: str,
    console: Console,
    number: int = 0,
) -> bool:
    """Print a table, unless it is empty, and return whether; one that stops before `number` rows says so."""
    if cells:
        stops = f" ({len(cells)} of {number:,})" if number > len(cells) else ""
        console.print(table(columns, cells, title + stops, width=console.width))
    return bool(cells)


SECTIONS: Final[Mapping[str, Callable[[Report, Console], bool]]] = {
    "startup": _print_startup,
    "findings": _print_findings,
    "totals": _print_totals,
    "claims": _print_claims,
    "unattributed": _print_unattributed,
    "sources": _print_sources,
    "processes": _print_processes,
    "failed": _print_failed,
    "anomalies": _print_anomalies,
    "gaps": _print_gaps,
}
"""What prints each section, by its name: whether there was something to show."""
