"""Compares each claim with the measurement, and splits the difference into named causes.

A pure function, like the reducer. The parts of a difference add up to it to the nanosecond: what no cause
explains is a part of its own, `unexplained`.
"""

from typing import NamedTuple

from ledger.timeline.reconciliation.anomalies import anomalies
from ledger.timeline.reconciliation.carryover import numbers_before
from ledger.timeline.reconciliation.decomposition import Decomposition
from ledger.timeline.reconciliation.evidence import Evidence
from ledger.timeline.reconciliation.matching import measure
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.records import Anomaly, Cause, Reconciliation
from ledger.timeline.reducer import Reduced
from ledger.vocabulary import UNMATCHED


class Reconciled(NamedTuple):
    """Everything that is derived from a session's claims."""

    reconciliation: tuple[Reconciliation, ...]
    causes: tuple[Cause, ...]
    anomalies: tuple[Anomaly, ...]


def reconcile(reduced: Reduced) -> Reconciled:
    """Reconcile the claims of one session with its intervals."""
    if not reduced.claims:
        return Reconciled((), (), ())
    evidence = Evidence(reduced)
    against = measure(evidence)
    before = numbers_before(evidence, against)
    decomposition = Decomposition(evidence)
    rows: list[Reconciliation] = []
    causes: list[Cause] = []
    for claim in reduced.claims:
        measured = against.get(claim)
        parts = Breakdown() if measured is None else decomposition.of(claim, measured, before.get(claim, ()))
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
                measured_uncertainty_ns=None if measured is None else measured.length_uncertainty_ns,
                difference_ns=None if measured is None else claim.claimed_ns - measured.ns,
                main_cause=UNMATCHED if measured is None else parts.main_cause,
            )
        )
        causes += parts.shares(claim)
    return Reconciled(tuple(rows), tuple(causes), tuple(anomalies(evidence, against)))
