"""The report's first screen: how long a start took, where that went, and what to do about it, in 24 lines."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.durations import seconds
from ledger.formatting import counted, cut
from ledger.reports.model import Report
from ledger.reports.startup_tree import INSIDE, TreeLine, begins_role, tree_lines
from ledger.reports.terminal_table import NO_TERMINAL_WIDTH
from ledger.timeline.findings import Finding
from ledger.timeline.records import StartupWindow

_WIDTH: Final = 80
_HEIGHT: Final = 24
_MOST_WIDTH: Final = 120
_MOST_HEIGHT: Final = 40
_TREE_LINES: Final = 10
"""The tree has at least so many, however many findings there are."""
_MOST_FINDINGS: Final = 5
_OUR_OWN: Final = ("python", "compile_ledger")
"""Versions that there is no room for."""
_SECONDS_WIDTH: Final = 8
_SHARE_WIDTH: Final = 6
_BAR_WIDTH: Final = 10
_PROCESS_WIDTH: Final = 17
_COMMAND_WIDTH: Final = 40
_ROLE_STYLES: Final = {
    "language_model": "cyan", "encoder": "magenta", "drafter": "yellow", "model": "green",
}  # fmt: skip


class _Note(NamedTuple):
    """Something that another section of the report shows."""

    text: str
    section: str


def print_first_screen(report: Report, console: Console) -> None:
    """Print the first screen of a report: 80 columns and 24 lines, or more where the terminal has them."""
    # Colours on demand make a terminal of any console.
    is_screen = console.is_terminal and console.width < NO_TERMINAL_WIDTH
    width = max(_WIDTH, min(console.width, _MOST_WIDTH)) if is_screen else _WIDTH
    height = max(_HEIGHT, min(console.height, _MOST_HEIGHT)) if is_screen else _HEIGHT
    notes = list(_notes(report))
    # Less the line of the next prompt, the heading, and what stands between the parts.
    room = height - 1 - 3 - (1 + len(notes) if notes else 0)
    lines_of_others = 1 if notes else 2
    findings = _fitting(report.findings, room - 1 - _lines_wanted(report), lines_of_others)
    room -= 1 + 2 * len(findings) if findings else 0
    if len(findings) < len(report.findings):
        others = len(report.findings) - len(findings)
        notes.insert(0, _Note(counted(others, "more finding"), "findings"))
        room -= lines_of_others
    _print_heading(report, console, width)
    for window in report.startup.windows[:1]:
        console.print()
        _print_tree(report, window, console, width, room)
    if findings:
        console.print()
        for finding in findings:
            _print_finding(finding, console, width)
    if notes:
        console.print()
        for note in notes:
            console.print(Text(cut(f"{note.text} (--section {note.section})", width), style="dim"))


def _lines_wanted(report: Report) -> int:
    """Return how many lines the tree should have at least: all, where it is a small one."""
    windows = report.startup.windows
    lines = tree_lines(report.startup.tree, windows[0].duration_ns, _MOST_HEIGHT) if windows else []
    return min(_TREE_LINES, len(lines) + 1)


def _fitting(findings: tuple[Finding, ...], room: int, lines_of_others: int) -> list[Finding]:
    """Return the findings that there is room for: first of each kind the one that is worth most."""
    number = min(_MOST_FINDINGS, room // 2)
    if len(findings) > number:
        # What says how many others there are takes room as well.
        number = min(_MOST_FINDINGS, max(1, (room - lines_of_others) // 2))
    first: dict[str, int] = {}
    for at, finding in enumerate(findings):
        first.setdefault(finding.finding, at)
    chosen = sorted(range(len(findings)), key=lambda at: (first[findings[at].finding] != at, at))[:number]
    return [findings[at] for at in sorted(chosen)]


def _print_heading(report: Report, console: Console, width: int) -> None:
    heading = report.heading
    what = heading.label or heading.command or f"session {heading.session}"
    result = report.result
    console.print(Text(f"{cut(what, width - len(result) - 2)}: {result}", style="bold"))
    command = cut(heading.command or "", _COMMAND_WIDTH) if heading.label else None
    versions = ", ".join(f"{name} {version}" for name, version in heading.versions if name not in _OUR_OWN)
    details = filter(None, (command, versions, heading.session))
    console.print(Text(cut(" · ".join(details), width), style="dim"))


def _print_tree(report: Report, window: StartupWindow, console: Console, width: int, room: int) -> None:
    lines = tree_lines(report.startup.tree, window.duration_ns, room - 1)
    has_processes = len({line.process for line in lines if line.process}) > 1
    bar_width = _BAR_WIDTH + (width - _WIDTH) // 2
    numbers_width = 1 + _SECONDS_WIDTH + 1 + _SHARE_WIDTH + 1 + bar_width
    label_width = width - numbers_width - (_PROCESS_WIDTH + 1 if has_processes else 0)
    table = Table.grid(padding=(0, 1))
    if has_processes:
        table.add_column(width=_PROCESS_WIDTH, no_wrap=True)
    table.add_column(width=label_width, no_wrap=True)
    table.add_column(width=_SECONDS_WIDTH, justify="right", no_wrap=True)
    table.add_column(width=_SHARE_WIDTH, justify="right", no_wrap=True)
    table.add_column(width=bar_width, no_wrap=True)
    before = None
    for label, line in zip(_labels(lines, label_width), lines, strict=True):
        process = None if line.process == before or line.depth else line.process
        before = line.process or before
        cells = [Text(_end_of(process or "", _PROCESS_WIDTH), style="dim")] if has_processes else []
        table.add_row(*cells, *_cells(label, label_width, line.duration_ns, window, _style(line.name)))
    cells = [Text("")] if has_processes else []
    unattributed = window.unattributed_ns
    table.add_row(*cells, *_cells("unattributed", label_width, unattributed, window, "red"))
    console.print(table)


def _cells(label: str, width: int, duration_ns: int, window: StartupWindow, style: str) -> list[Text | Bar]:
    share = duration_ns / max(1, window.duration_ns)
    return [
        Text(cut(label, width), style=style),
        Text(seconds(duration_ns)),
        Text(f"{share:.1%}", style="dim"),
        Bar(max(1, window.duration_ns), 0, duration_ns, color=style or "default"),
    ]


def _labels(lines: list[TreeLine], width: int) -> Iterator[str]:
    """Yield the names with the guides of a tree before them, cut to a width."""
    is_last_at: list[bool] = []
    for line in lines:
        del is_last_at[line.depth :]
        guides = "".join("  " if is_last else "│ " for is_last in is_last_at[1:])
        is_last_at.append(line.is_last)
        guides += "" if not line.depth else "└ " if line.is_last else "├ "
        yield guides + _fitting_name(line.name, width - len(guides))


def _fitting_name(name: str, width: int) -> str:
    """Return a name, cut; of several stages in one, the innermost stays where it begins a role."""
    first, *inner = name.split(INSIDE)
    if inner and len(name) > width:
        name = f"…{INSIDE}{inner[-1]}" if begins_role(inner[-1]) else f"{first}{INSIDE}…"
    return cut(name, width)


def _style(name: str) -> str:
    if not begins_role(name):
        return ""
    role = name.rpartition("[")[2].rstrip("]")
    return _ROLE_STYLES.get(role, "blue")


def _end_of(text: str, length: int) -> str:
    """Cut a name at its beginning, where what tells names apart stands at their ends."""
    return text if len(text) <= length else "…" + text[1 - length :]


def _print_finding(finding: Finding, console: Console, width: int) -> None:
    amount = f"{seconds(finding.stake_ns)} s"
    margin = _SECONDS_WIDTH + 3
    console.print(Text(f"{amount:>{margin - 1}} {cut(finding.summary, width - margin)}", style="bold"))
    console.print(Text(f"{'':{margin - 2}}→ {cut(finding.advice, width - margin)}"))


def _notes(report: Report) -> Iterator[_Note]:
    if report.startup.windows[1:]:
        yield _Note("Of the first start; the others", "startup")
    differing = [row for row in report.claims.differing if row.claim.source != "torch"]
    if differing:
        most = max(row.size_ns for row in differing)
        number = counted(len(differing), "reported time")
        verb = "is" if len(differing) == 1 else "are"
        yield _Note(f"{number} {verb} off, by up to {seconds(most)} s", "claims")
    if report.failed.rows and report.heading.outcome != "completed":
        yield _Note(counted(report.failed.number, "failed stage"), "failed")
    if report.anomalies.rows:
        yield _Note(counted(len(report.anomalies.rows), "anomaly", "anomalies"), "anomalies")
    if report.gaps.rows or report.missing_hooks or report.ledger_notes:
        number = len(report.gaps.rows) + len(report.missing_hooks) + len(report.ledger_notes)
        yield _Note(counted(number, "gap") + " in what was recorded", "gaps")
