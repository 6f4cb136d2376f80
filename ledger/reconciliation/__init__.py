"""Holds each claim against what was measured, and takes the difference apart into named causes.

A pure function, like the reducer. The parts of a difference add up to it to the nanosecond: what no cause
explains is a part of its own, `unexplained`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ledger.reconciliation.causes import (
    OF_REMAINDERS,
    OF_SPANS,
    UNEXPLAINED,
    UNMATCHED,
    Remainder,
    Stretch,
)
from ledger.reconciliation.counting import Counted, counted
from ledger.reconciliation.evidence import Evidence, span_of
from ledger.reconciliation.measuring import Measured, measure
from ledger.reconciliation.oddities import anomalies
from ledger.reconciliation.spans import Span, sweep
from ledger.records import Anomaly, CauseShare, Claim, Interval, Milestone, Reconciliation

Part = tuple[str, str | None]
"""A cause, and the stage that it shows in."""


class Reconciled(NamedTuple):
    """What is made of a session's claims."""

    reconciliation: tuple[Reconciliation, ...]
    causes: tuple[CauseShare, ...]
    anomalies: tuple[Anomaly, ...]


class _Share(NamedTuple):
    ns: int = 0
    shown_by: tuple[tuple[str, int], ...] = ()


def reconcile(
    intervals: Sequence[Interval], claims: Sequence[Claim], milestones: Sequence[Milestone]
) -> Reconciled:
    """Reconcile the claims of one session with its intervals."""
    if not claims:
        return Reconciled((), (), ())
    evidence = Evidence(intervals, claims, milestones)
    against = measure(evidence)
    rows: list[Reconciliation] = []
    causes: list[CauseShare] = []
    for claim in claims:
        measured = against.get((claim.process, claim.claim))
        parts = _parts(evidence, claim, measured) if measured is not None else {}
        main = max(parts, key=lambda part: (abs(parts[part].ns), part[0]), default=None)
        rows.append(
            Reconciliation(
                claim.session,
                claim.process,
                claim.claim,
                claim.source,
                claim.role,
                claim.component,
                claim.stage,
                claim.claimed_ns,
                measured_ns=None if measured is None else measured.ns,
                measured_uncertainty_ns=None if measured is None else measured.uncertainty_ns,
                difference_ns=None if measured is None else claim.claimed_ns - measured.ns,
                main_cause=UNMATCHED if measured is None else (main[0] if main else None),
            )
        )
        causes += (
            CauseShare(
                claim.session,
                claim.process,
                claim.claim,
                cause,
                stage,
                share.ns,
                json.dumps([{"process": process, "interval": number} for process, number in share.shown_by]),
            )
            for (cause, stage), share in parts.items()
        )
    return Reconciled(tuple(rows), tuple(causes), tuple(anomalies(evidence, against)))


def _parts(evidence: Evidence, claim: Claim, measured: Measured) -> dict[Part, _Share]:
    """Take a claim's difference apart."""
    difference_ns = claim.claimed_ns - measured.ns
    pieces = counted(evidence, claim, measured)
    additions = max(1, len(pieces or ()))
    remainder = Remainder(claim, evidence, measured, difference_ns, additions)
    parts: dict[Part, _Share] = {}
    if measured.spans and pieces is not None and _is_apart(claim, measured, pieces):
        parts = _of_spans(evidence, claim, measured, pieces)
        explained_ns = sum(share.ns for share in parts.values())
        remainder = remainder._replace(ns=difference_ns - explained_ns)
    if remainder.ns:
        named = (rule.__name__ for rule in OF_REMAINDERS if rule(remainder))
        shown_by = tuple((interval.process, interval.interval) for interval in measured.intervals)
        parts[next(named, UNEXPLAINED), claim.stage] = _Share(remainder.ns, shown_by)
    return parts


def _of_spans(
    evidence: Evidence, claim: Claim, measured: Measured, pieces: Sequence[Counted]
) -> dict[Part, _Share]:
    parts_ns: defaultdict[Part, int] = defaultdict(int)
    shown_by: defaultdict[Part, dict[tuple[str, int], None]] = defaultdict(dict)
    for stretch in _wider_than(_edge_ns(claim, measured), _stretches(evidence, claim, measured, pieces)):
        cause = next((rule.__name__ for rule in OF_SPANS if rule(stretch)), None)
        if cause is None:
            continue
        innermost = _innermost(stretch.around)
        part = (cause, innermost.stage if innermost else claim.stage)
        parts_ns[part] += stretch.excess * (stretch.span.stop_ns - stretch.span.start_ns)
        if innermost is not None:
            shown_by[part][innermost.process, innermost.interval] = None
    return {part: _Share(ns, tuple(shown_by[part])) for part, ns in parts_ns.items() if ns}


def _stretches(
    evidence: Evidence, claim: Claim, measured: Measured, pieces: Sequence[Counted]
) -> Iterator[Stretch]:
    """Yield what was counted more or less often than it was measured, cut at every boundary, in order."""
    spans = [*measured.spans, *(piece.span for piece in pieces)]
    # What lies beside the measured time tells only those apart who add up, or whose clock runs on for others.
    adds_up = claim.counts in ("total", "ranks") or any(piece.range is not None for piece in pieces)
    whole, looked_at = _hull(spans), _hull(spans if adds_up else measured.spans)
    # torch's own hundreds of stages would name what the stages around them name better.
    near: list[tuple[Span, Interval | None]] = [
        (span_of(interval), interval)
        for interval in evidence.near(measured.process, looked_at)
        if interval.source != "torch" or claim.source == "torch" or interval.is_top_level
    ]
    near += ((span, None) for span in evidence.claimed_elsewhere(claim, whole))
    for span, (is_measured, covering, around) in sweep(
        measured.spans, [(piece.span, piece) for piece in pieces], near
    ):
        if len(covering) != is_measured:
            known = (interval for interval in around if interval is not None)
            by_depth = sorted(known, key=lambda interval: (interval.depth, interval.start_ns))
            yield Stretch(claim, evidence, measured, span, tuple(covering), is_measured, tuple(by_depth))


def _hull(spans: Iterable[Span]) -> Span:
    starts, stops = zip(*spans, strict=True)
    return Span(min(starts), max(stops))


def _edge_ns(claim: Claim, measured: Measured) -> float:
    """Return how well the ends of what was counted are known."""
    return (claim.resolution_ns or 0) / 2 + measured.uncertainty_ns / len(measured.intervals)


def _is_apart(claim: Claim, measured: Measured, pieces: Sequence[Counted]) -> bool:
    """Tell whether counted and measured time differ by more than how well one piece's ends are known."""
    if len(pieces) != 1 or len(measured.spans) != 1:
        return True
    (one,), (other,) = pieces, measured.spans
    ends = zip(one.span, other, strict=True)
    return max(abs(end - other_end) for end, other_end in ends) > _edge_ns(claim, measured)


def _wider_than(edge_ns: float, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Leave out what is no wider than an edge is known: two clocks' looks at one moment, a rounded number."""
    together: list[Stretch] = []

    def known() -> list[Stretch]:
        width_ns = together[-1].span.stop_ns - together[0].span.start_ns if together else 0
        return together if width_ns > edge_ns else []

    for stretch in stretches:
        if together and (
            together[-1].span.stop_ns != stretch.span.start_ns or together[-1].excess != stretch.excess
        ):
            yield from known()
            together = []
        together.append(stretch)
    yield from known()


def _innermost(around: Sequence[Interval]) -> Interval | None:
    """Return the interval that names a stretch best: the innermost one that is about a compile."""
    of_compile = [interval for interval in around if interval.activity == "compile"]
    return (of_compile or list(around) or [None])[-1]
