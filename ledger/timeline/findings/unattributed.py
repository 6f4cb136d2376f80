"""The finding of time that no interval accounts for."""

from collections.abc import Iterable, Iterator
from itertools import chain

from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding, fitting
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.records import StartupPiece, StartupWindow
from ledger.vocabulary import COMMAND_STARTED, IMPORT

_SHARE = 0.05
_SHORT_NS = 50_000_000


def unattributed_time(evidence: Evidence) -> Iterator[Finding]:
    """Of each start, the time in no interval, and where most of it lies in one piece.

    Below a twentieth of the start it is none: nobody puts a stage around everything.
    """
    for window in evidence.windows:
        if not is_much_unattributed(evidence, window):
            continue
        pieces = [piece for piece in evidence.pieces if piece.window == window.window]
        holes = (at for at, piece in enumerate(pieces) if piece.interval is None)
        at = max(holes, key=lambda at: pieces[at].duration_ns)
        hole, processes = pieces[at], [piece.process for piece in pieces]
        before = _nearest(hole, reversed(processes[:at]))
        after = _nearest(hole, processes[at + 1 :])
        yield evidence.finding(
            "unattributed_time",
            window.unattributed_ns,
            _longest_hole(evidence, hole, _where(evidence, hole, before, after))
            if hole.duration_ns >= _SHORT_NS
            else f"unattributed: {sum(piece.interval is None for piece in pieces):,} pieces, none long",
            _advice(evidence, hole, before),
            process=hole.process,
        )


def is_much_unattributed(evidence: Evidence, window: StartupWindow) -> bool:
    """Tell whether the time of a window that belongs to no interval is worth a word."""
    return evidence.matters(window.unattributed_ns, _SHARE)


def _longest_hole(evidence: Evidence, hole: StartupPiece, where: str) -> str:
    amount = f"unattributed: {hole.duration_ns / 1e9:.1f} s"
    name = evidence.names.get(hole.process or "", "no process")
    return fitting(f"{amount} {where}", f"{amount} in {name}")


def _nearest(hole: StartupPiece, processes: Iterable[str | None]) -> str | None:
    return next((process for process in processes if process not in (None, hole.process)), None)


def _where(evidence: Evidence, hole: StartupPiece, before: str | None, after: str | None) -> str:
    """Return in which process a hole is, and between which of its stages, or which other processes."""
    if hole.process is None:
        return "in no process"
    names = evidence.names
    name = names.get(hole.process, hole.process)
    if hole.after_stage and hole.before_stage:
        return f"in {name} between {hole.after_stage} and {hole.before_stage}"
    if hole.after_stage:
        return f"in {name} after {hole.after_stage}"
    if hole.before_stage:
        return f"in {name} before its first stage"
    if before is not None:
        return f"in {name} after {names.get(before, before)}"
    if after is not None:
        return f"in {name} before {names.get(after, after)}"
    return f"in {name}, which has no stage"


def _advice(evidence: Evidence, hole: StartupPiece, before: str | None) -> str:
    """Return what would show what runs there."""
    if any(interval.source == LOG for interval in evidence.reduced.intervals):
        return "Record the start itself: its log has only what is printed"
    commands = {one.process for one in evidence.reduced.milestones if one.name == COMMAND_STARTED}
    if hole.process in commands:
        if before is None:
            return "`compile-ledger doctor` says whether the command's processes record"
        return "Look at what the command does then: no process of it records"
    if hole.after_stage is None and not _is_from_birth(evidence, hole):
        return "Record it from its birth on: see `compile-ledger doctor`"
    return "Put recorder.stage() around it; the query `holes` lists all"


def _is_from_birth(evidence: Evidence, hole: StartupPiece) -> bool:
    stages = (evidence.by_stage[stage] for stage in ("interpreter_start", IMPORT))
    return any(interval.process == hole.process for interval in chain.from_iterable(stages))
