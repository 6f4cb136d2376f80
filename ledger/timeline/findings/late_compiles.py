"""The finding of compiles after ready."""

from collections.abc import Iterator
from typing import Final

from ledger.durations import seconds
from ledger.formatting import counted
from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding, fitting
from ledger.timeline.findings.slowest import slowest
from ledger.vocabulary import ENGINE_READY, SERVER_READY

_READY: Final = (ENGINE_READY, SERVER_READY)


def compiled_after_ready(evidence: Evidence) -> Iterator[Finding]:
    """Compiles that started when the engine, or the server, was ready already: a request waited for them.

    The stake is the union of those of the process in which they took longest. Time after ready is no part of
    the start, so a tenth of a second is enough. A session that became ready again is asked about the time
    after the last time. Of several hosts the clocks differ, and nothing can be said.
    """
    ready = [window.stop_ns for window in evidence.windows if window.ended_by in _READY]
    if not ready or not evidence.is_one_clock:
        return
    late = [
        one
        for one in evidence.reduced.intervals
        if one.activity == "compile"
        and one.is_top_level
        and one.stop_ns is not None
        and one.start_ns >= max(ready)
        and (one.data or {}).get("cache") != "hit"
    ]
    if not late:
        return
    found = slowest(evidence, late)
    if not evidence.matters(found.stake_ns, share=0):
        return
    longest = found.intervals[0]
    of = longest.component or longest.role
    summary = (
        f"{counted(len(found.intervals), 'compile')} after ready{found.on_ranks}; "
        f"longest {seconds(longest.duration_ns)} s"
    )
    yield evidence.finding(
        "compiled_after_ready",
        found.stake_ns,
        fitting(f"{summary}, {of}", summary) if of else summary,
        "Let a warm-up request run what the first requests will run",
        process=found.process,
        role=longest.role,
        component=longest.component,
        intervals=found.keys,
    )
