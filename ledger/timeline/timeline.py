"""Everything derived from one session's events: what the reducer gives, claims reconciled, compilations."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.events.models import Event
from ledger.formatting import counted
from ledger.timeline.checkpoints import Checkpoints
from ledger.timeline.findings import Finding
from ledger.timeline.records import (
    Anomaly,
    Cause,
    Claim,
    Compilation,
    Gap,
    GraphBreak,
    Interval,
    Milestone,
    Process,
    Reconciliation,
    RoleTotal,
    Session,
    SessionTotal,
    SourceTotal,
    StartupPiece,
    StartupWindow,
)
from ledger.timeline.reducer import Reduced, SessionEvents, reduce_session, reduce_stored

if TYPE_CHECKING:
    from ledger.timeline.compilations import Compilations
    from ledger.timeline.reconciliation import Reconciled


@dataclass(frozen=True, slots=True, repr=False)
class Timeline:
    """One session, reduced: tuples of records whose fields are the columns that SQL sees."""

    session: Session | None
    processes: tuple[Process, ...]
    intervals: tuple[Interval, ...]
    role_totals: tuple[RoleTotal, ...]
    source_totals: tuple[SourceTotal, ...]
    session_totals: tuple[SessionTotal, ...]
    claims: tuple[Claim, ...]
    anomalies: tuple[Anomaly, ...]
    milestones: tuple[Milestone, ...]
    gaps: tuple[Gap, ...]
    startup_windows: tuple[StartupWindow, ...]
    startup_breakdown: tuple[StartupPiece, ...]
    reconciliation: tuple[Reconciliation, ...]
    causes: tuple[Cause, ...]
    compilations: tuple[Compilation, ...]
    graph_breaks: tuple[GraphBreak, ...]
    findings: tuple[Finding, ...]
    """What is worth most first."""

    def __repr__(self) -> str:
        return f"<Timeline of {self._title()}>"

    def _repr_html_(self) -> str:
        """Show in a notebook how long it took to be ready, where that went, and what to do about it."""
        from ledger.timeline.notebook_view import html_of

        return html_of(
            self._title(),
            self.startup_windows,
            self.startup_breakdown,
            self.findings,
            self.session_totals,
            self.processes,
        )

    def _title(self) -> str:
        if self.session is None:
            return "no session"
        session = self.session
        label = "" if session.label is None else f" ({session.label})"
        counts = (
            counted(len(self.processes), "process", "processes"),
            counted(len(self.intervals), "interval"),
            counted(len(self.claims), "claim"),
            counted(len(self.anomalies), "anomaly", "anomalies"),
        )
        return f"session {session.session}{label}, {session.outcome}: {', '.join(counts)}"


def reduce(events: Iterable[Event]) -> Timeline:
    """Reduce the events of one session. Pure: the same events give the same timeline, in whatever order.

    Raises ConflictingEvents where two different events have one key, or where there are two sessions.
    """
    return completed(reduce_session(events))


def timeline_of_stored(
    session: str, events: SessionEvents, checkpoints: Checkpoints | None = None
) -> Timeline:
    """Reduce a session's events as a ledger holds them; `checkpoints` takes note of where that can go on."""
    return completed(reduce_stored(session, events, checkpoints))


def completed(reduced: Reduced) -> Timeline:
    """Return everything that is derived of a session, out of what its events reduce to."""
    # Who reads a timeline that is projected already waits for none of these.
    from ledger.timeline.compilations import compilations_of
    from ledger.timeline.findings.evidence import Evidence
    from ledger.timeline.findings.rules import findings_of
    from ledger.timeline.reconciliation import reconcile

    reconciled = reconcile(reduced)
    compiled = compilations_of(reduced.intervals, reduced.claims)
    with_anomalies = reduced._replace(anomalies=(*reduced.anomalies, *reconciled.anomalies))
    return assembled(
        reduced, reconciled, compiled, findings_of(Evidence(with_anomalies, reconciled, compiled))
    )


def assembled(
    reduced: Reduced, reconciled: "Reconciled", compiled: "Compilations", findings: tuple[Finding, ...]
) -> Timeline:
    """Return a timeline of what was derived, where numbers beyond 64 bits are told apart."""
    from ledger.timeline.number_range import NumberRange

    numbers = NumberRange()
    windows = numbers.fit(reduced.startup_windows)
    # The pieces of a window lie within it.
    pieces = numbers.fit(reduced.startup_breakdown) if numbers.anomalies else reduced.startup_breakdown
    fitted = reduced._replace(
        role_totals=numbers.fit(reduced.role_totals),
        source_totals=numbers.fit(reduced.source_totals),
        session_totals=numbers.fit(reduced.session_totals),
        startup_windows=windows,
        startup_breakdown=pieces,
        anomalies=numbers.fit((*reduced.anomalies, *reconciled.anomalies)),
    )
    timeline = Timeline(
        *fitted,
        reconciliation=numbers.fit(reconciled.reconciliation),
        causes=numbers.fit(reconciled.causes),
        compilations=numbers.fit(compiled.compilations),
        graph_breaks=compiled.graph_breaks,
        findings=numbers.fit(findings),
    )
    return replace(timeline, anomalies=(*timeline.anomalies, *numbers.anomalies))
