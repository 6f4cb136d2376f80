"""The finding of CUDA graphs that are captured twice."""

from collections.abc import Iterator

from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding
from ledger.timeline.findings.slowest import slowest_within_start


def graphs_captured_twice(evidence: Evidence) -> Iterator[Finding]:
    """Graphs were captured to measure their memory, and captured again to be used.

    The stake is the time of the first capture.
    """
    used = {one.process for one in evidence.by_stage["graph_capture"]}
    probes = [one for one in evidence.by_stage["graph_capture_probe"] if one.process in used]
    if not probes:
        return
    found = slowest_within_start(evidence, probes)
    if evidence.matters(found.stake_ns):
        yield evidence.finding(
            "graphs_captured_twice",
            found.stake_ns,
            f"captured once more{found.on_ranks}, to measure their memory",
            "Capture fewer sizes, or turn the engine's memory estimate off",
            process=found.process,
            intervals=found.keys,
        )
