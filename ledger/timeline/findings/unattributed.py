"""The finding of time that no interval accounts for."""

from collections.abc import Iterator

from ledger.durations import seconds
from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding

_SHARE = 0.05


def unattributed_time(evidence: Evidence) -> Iterator[Finding]:
    """Of each start, the time in no interval, and where most of it lies in one piece."""
    for window in evidence.windows:
        if not evidence.matters(window.unattributed_ns, _SHARE):
            continue
        holes = [
            piece for piece in evidence.pieces if piece.window == window.window and piece.interval is None
        ]
        longest = max(holes, key=lambda piece: piece.duration_ns)
        where = evidence.names.get(longest.process or "", "no process")
        between = f"after {longest.after_stage}" if longest.after_stage else "before its first stage"
        yield evidence.finding(
            "unattributed_time",
            window.unattributed_ns,
            f"no stage accounts for it; {seconds(longest.duration_ns)} s of it in {where} {between}",
            "Put recorder.stage() around what runs there, or see the query `holes`",
            process=longest.process,
        )
