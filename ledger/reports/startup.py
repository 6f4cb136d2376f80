"""The section of a report that says where the time from the command to ready went."""

from collections import defaultdict
from collections.abc import Callable

from ledger.reports.model import StartupRow, StartupSection
from ledger.reports.startup_tree import stage_tree
from ledger.timeline.breakdown import stage_paths
from ledger.timeline.records import StartupPiece
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import IMPORT, package_of


def startup_section(timeline: Timeline, names: Callable[[str], str]) -> StartupSection:
    """Return each window's time by process and stage, imports by package; the longest first."""
    durations: defaultdict[tuple[int, str | None, str | None, str | None], int] = defaultdict(int)
    for piece in timeline.startup_breakdown:
        durations[piece.window, piece.process, piece.stage, _package(piece)] += piece.duration_ns
    windows = timeline.startup_windows
    rows = [
        StartupRow(windows[window], None if process is None else names(process), stage, package, duration_ns)
        for (window, process, stage, package), duration_ns in durations.items()
    ]
    rows.sort(key=lambda row: (row.window.window, -row.duration_ns, row.process or "", row.stage or ""))
    tree = stage_tree(stage_paths(timeline.startup_breakdown), names)
    return StartupSection("From command to ready", tuple(rows), windows=windows, tree=tuple(tree))


def _package(piece: StartupPiece) -> str | None:
    return package_of(piece.component) if piece.stage == IMPORT else None
