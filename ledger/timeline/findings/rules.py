"""The rules of all findings, and what they find in a session."""

from collections.abc import Callable, Iterator
from typing import Final

from ledger.timeline.findings.compile_caches import compiled_without_cache
from ledger.timeline.findings.cuda_graphs import graphs_captured_twice
from ledger.timeline.findings.dynamo import graph_breaks, recompiles
from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding
from ledger.timeline.findings.kernels import kernels_compiled
from ledger.timeline.findings.late_compiles import compiled_after_ready
from ledger.timeline.findings.loaded import loaded_machine
from ledger.timeline.findings.loading import slow_imports, slow_weights
from ledger.timeline.findings.processes import compared_processes, serial_processes, straggling_rank
from ledger.timeline.findings.unattributed import is_much_unattributed, unattributed_time
from ledger.timeline.findings.wrong_claims import wrong_claim
from ledger.vocabulary import ENGINE_READY, SERVER_READY

Rule = Callable[[Evidence], Iterator[Finding]]

RULES: Final[tuple[Rule, ...]] = (
    compiled_without_cache,
    compiled_after_ready,
    recompiles,
    graph_breaks,
    kernels_compiled,
    graphs_captured_twice,
    slow_imports,
    slow_weights,
    serial_processes,
    straggling_rank,
    unattributed_time,
    wrong_claim,
    loaded_machine,
)


def findings_of(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what a session's evidence shows, what is worth most first."""
    found = [finding for rule in RULES for finding in rule(evidence)]
    return tuple(sorted(found, key=lambda one: (-one.stake_ns, one.finding, one.process or "", one.summary)))


def looks_at_all(evidence: Evidence) -> bool:
    """Tell whether a rule looks at more than the stages of `subjects`, what is compiled, and the windows.

    Such a rule looks at outermost intervals, at compiles after ready, or at each piece of a window.
    """
    return (
        any(window.ended_by in (ENGINE_READY, SERVER_READY) for window in evidence.windows)
        or looks_at_all_pieces(evidence)
        or bool(compared_processes(evidence.reduced.processes, evidence.reduced.milestones))
    )


def looks_at_all_pieces(evidence: Evidence) -> bool:
    """Tell whether a rule looks at more of the windows' pieces than those of imports."""
    return any(is_much_unattributed(evidence, window) for window in evidence.windows)
