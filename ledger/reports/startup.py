"""The section of a report that says where the time from the command to ready went."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from ledger.reports.model import StartupRow, StartupSection
from ledger.reports.startup_tree import stage_tree
from ledger.timeline.breakdown import stage_paths
from ledger.timeline.records import StartupPiece, StartupWindow
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import IMPORT, package_of


def startup_section(timeline: Timeline, names: Callable[[str], str]) -> StartupSection:
    """Return where the time of each window went, and the first one's as a tree.

    What was imported from a source without time stamps has no window: only claims, all at one moment.
    """
    if not timeline.intervals and not any(window.duration_ns for window in timeline.startup_windows):
        return StartupSection("From command to ready", ())
    windows, pieces = timeline.startup_windows, timeline.startup_breakdown
    tree = stage_tree(stage_paths(pieces), names)
    return StartupSection(
        "From command to ready", startup_rows(windows, pieces, names), windows=windows, tree=tuple(tree)
    )


def startup_rows(
    windows: Sequence[StartupWindow], pieces: Iterable[StartupPiece], names: Callable[[str], str]
) -> tuple[StartupRow, ...]:
    """Return each window's time by process and stage, imports by package; the longest first."""
    durations: defaultdict[tuple[int, str | None, str | None, str | None], int] = defaultdict(int)
    for piece in pieces:
        durations[piece.window, piece.process, piece.stage, _package(piece)] += piece.duration_ns
    rows = [
        StartupRow(windows[window], None if process is None else names(process), stage, package, duration_ns)
        for (window, process, stage, package), duration_ns in durations.items()
    ]
    rows.sort(key=lambda row: (row.window.window, -row.duration_ns, row.process or "", row.stage or ""))
    return tuple(rows)


def _package(piece: StartupPiece) -> str | None:
    return package_of(piece.component) if piece.stage == IMPORT else None
