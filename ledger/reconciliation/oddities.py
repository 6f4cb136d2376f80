"""What explains no difference but should be known of a claim: it becomes an anomaly with the claim's id."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ledger.reconciliation.evidence import Evidence, span_of
from ledger.reconciliation.measuring import Measured
from ledger.reconciliation.spans import Span, union_ns
from ledger.records import Anomaly, Claim, Interval


def anomalies(evidence: Evidence, against: Mapping[tuple[str, int], Measured]) -> Iterator[Anomaly]:
    """Yield the anomalies of a session's claims."""
    yield from _repeated_loads(evidence)
    yield from _outside_parents(evidence, against)


def _repeated_loads(evidence: Evidence) -> Iterator[Anomaly]:
    """Loads that were added to a compile of the same component, as one number."""
    added: defaultdict[tuple[str, str | None, str | None], list[tuple[Claim, Interval]]] = defaultdict(list)
    for claim in (claim for claims in evidence.additions.values() for claim in claims):
        for interval in evidence.named(claim):
            added[claim.process, interval.role, interval.component].append((claim, interval))
    for (process, _, component), additions in sorted(added.items(), key=str):
        loads = [(claim, interval) for claim, interval in additions if _is_load(evidence, interval)]
        compiles = len(additions) - len(loads)
        if loads and compiles:
            claim, _ = loads[-1]
            yield Anomaly(
                claim.session,
                process,
                "repeated_load",
                None,
                claim.claim,
                sum(interval.duration_ns or 0 for _, interval in loads),
                f"{len(loads)} loads of {component or 'a component'} are added to {compiles} compiles of it",
            )


def _is_load(evidence: Evidence, compiling: Interval) -> bool:
    loads, span = evidence.loads[compiling.process], span_of(compiling)
    at = bisect_left(loads, span.start_ns, key=lambda load: load.start_ns)
    return at < len(loads) and span.covers(loads[at])


def _outside_parents(evidence: Evidence, against: Mapping[tuple[str, int], Measured]) -> Iterator[Anomaly]:
    """Parts that one text states inside a whole, and that were not inside it."""
    wholes = {
        (claim.process, claim.text): span_of(intervals[0])
        for claim in evidence.claims
        if claim.text is not None and claim.counts == "interval" and (intervals := evidence.named(claim))
    }
    for claim in evidence.claims:
        whole = wholes.get((claim.process, claim.text or ""))
        measured = against.get((claim.process, claim.claim))
        if whole is None or measured is None or claim.counts != "ranks":
            continue
        outside_ns = union_ns(_without(measured.spans, whole))
        if outside_ns:
            yield Anomaly(
                claim.session,
                claim.process,
                "outside_parent",
                None,
                claim.claim,
                outside_ns,
                f"this much of the {claim.role or 'compile'} time was not within what it is a part of",
            )


def _without(spans: tuple[Span, ...], whole: Span) -> Iterator[Span]:
    for span in spans:
        if span.start_ns < whole.start_ns:
            yield Span(span.start_ns, min(span.stop_ns, whole.start_ns))
        if span.stop_ns > whole.stop_ns:
            yield Span(max(span.start_ns, whole.stop_ns), span.stop_ns)
