"""What a timeline shows of itself in a notebook: how long until it was ready, where that went, what to do."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ledger.durations import seconds
from ledger.formatting import NO_ROLE, NO_STAGE, counted
from ledger.notebook_tables import Bar, Figure, html_line, html_table
from ledger.timeline.findings import Finding
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Process, SessionTotal, StartupPiece, StartupWindow
from ledger.vocabulary import ENGINE_READY, IMPORT, SERVER_READY, WINDOW_ENDS, WINDOW_STARTS, package_of

_STAGES_SHOWN: Final = 12
_PROCESSES_NAMED: Final = 2
_WINDOWS_SHOWN: Final = 3
_FINDINGS_SHOWN: Final = 5
_NAME_LENGTH: Final = 40


def html_of(
    title: str,
    windows: Sequence[StartupWindow],
    pieces: Iterable[StartupPiece],
    findings: Sequence[Finding],
    totals: Iterable[SessionTotal],
    processes: Iterable[Process],
) -> str:
    """Return a session as HTML: each time that it became ready, with its breakdown; findings; role totals."""
    names = process_names(processes, max_length=_NAME_LENGTH)
    of_window: defaultdict[int, list[StartupPiece]] = defaultdict(list)
    for piece in pieces:
        of_window[piece.window].append(piece)
    parts = [html_line(title)]
    for window in windows[-_WINDOWS_SHOWN:]:
        parts.append(html_line(window_sentence(window), is_strong=True))
        parts.append(_breakdown(window, of_window[window.window], names))
    if len(windows) > _WINDOWS_SHOWN:
        parts.append(html_line(f"and {counted(len(windows) - _WINDOWS_SHOWN, 'earlier start')}"))
    if findings:
        parts.append(_findings(findings[:_FINDINGS_SHOWN]))
    if len(findings) > _FINDINGS_SHOWN:
        parts.append(html_line(f"and {counted(len(findings) - _FINDINGS_SHOWN, 'more finding')}"))
    parts.append(_role_totals(totals, names))
    return "".join(parts)


def window_sentence(window: StartupWindow) -> str:
    """Return how long a window was, and whether anything was ready at its end."""
    bounds = f"from {WINDOW_STARTS[window.began_by]} to {WINDOW_ENDS[window.ended_by]}"
    if window.ended_by in (SERVER_READY, ENGINE_READY):
        return f"Ready after {seconds(window.duration_ns)} s, {bounds}"
    return f"{seconds(window.duration_ns)} s {bounds}"


def _breakdown(window: StartupWindow, pieces: Iterable[StartupPiece], names: Mapping[str, str]) -> str:
    """Return a window's time by stage, over all processes: its rows add up to the window."""
    durations: defaultdict[str, defaultdict[str | None, int]] = defaultdict(lambda: defaultdict(int))
    for piece in pieces:
        durations[_stage_name(piece)][piece.process] += piece.duration_ns
    totals = {stage: sum(of_processes.values()) for stage, of_processes in durations.items()}
    stages = sorted(totals, key=lambda stage: (stage == NO_STAGE, -totals[stage], stage))
    timed = [stage for stage in stages if stage != NO_STAGE]
    # One row that stands for another one alone would hide it and save nothing.
    shown = timed if len(timed) <= _STAGES_SHOWN + 1 else timed[:_STAGES_SHOWN]
    rows = [(stage, totals[stage], ", ".join(_where(durations[stage], names))) for stage in shown]
    if others := timed[len(shown) :]:
        rows.append((counted(len(others), "more stage"), sum(totals[stage] for stage in others), ""))
    rows += [(stage, totals[stage], "") for stage in stages[len(timed) :]]
    longest_ns = max((duration_ns for _, duration_ns, _ in rows), default=0) or 1
    cells = [
        (
            stage, duration_ns / 1e9, Figure(f"{duration_ns / (window.duration_ns or 1):.1%}"),
            Bar(duration_ns / longest_ns), where,
        )
        for stage, duration_ns, where in rows
    ]  # fmt: skip
    return html_table("Where that went", ("stage", "seconds", "share", "", "processes"), cells)


def _stage_name(piece: StartupPiece) -> str:
    if piece.stage == IMPORT and piece.component:
        return f"{IMPORT} {package_of(piece.component)}"
    return piece.stage or NO_STAGE


def _where(durations: Mapping[str | None, int], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the processes that a stage's time is charged to, the longest first."""
    processes = sorted(durations, key=lambda process: (-durations[process], process or ""))
    for process in processes[:_PROCESSES_NAMED]:
        yield names.get(process or "", process or "")
    if len(processes) > _PROCESSES_NAMED:
        yield f"{len(processes) - _PROCESSES_NAMED} more"


def _findings(findings: Iterable[Finding]) -> str:
    rows = [(finding.stake_ns / 1e9, finding.summary, finding.advice) for finding in findings]
    return html_table("Findings", ("seconds", "finding", "what to do"), rows)


def _role_totals(totals: Iterable[SessionTotal], names: Mapping[str, str]) -> str:
    rows = [
        (
            NO_ROLE if total.role is None else total.role,
            total.activity,
            total.max_ns / 1e9,
            names.get(total.slowest_process) or total.slowest_process,
            total.process_count,
        )
        for total in sorted(totals, key=lambda total: -total.max_ns)
    ]
    header = ("role", "activity", "seconds", "slowest process", "processes")
    return html_table("Time by role, in its slowest process", header, rows)
