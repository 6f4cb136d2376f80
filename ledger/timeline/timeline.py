"""What a session comes to: the reducer's result together with what is made of the claims."""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.events.models import Event
from ledger.timeline.reconciliation import reconcile
from ledger.timeline.records import (
    Anomaly,
    Cause,
    Claim,
    Gap,
    Interval,
    Milestone,
    Process,
    Reconciliation,
    RoleTotal,
    Session,
    SessionTotal,
    SourceTotal,
)
from ledger.timeline.reducer import Reduced, SessionEvents, reduce_session, reduce_stored


@dataclass(frozen=True, slots=True)
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
    reconciliation: tuple[Reconciliation, ...]
    causes: tuple[Cause, ...]


def reduce(events: Iterable[Event]) -> Timeline:
    """Reduce the events of one session. Pure: the same events give the same timeline, in whatever order.

    Raises ConflictingEvents where two different events have one key, or where there are two sessions.
    """
    return _timeline(reduce_session(events))


def timeline_of_stored(session: str, events: SessionEvents) -> Timeline:
    """Reduce a session's events as a ledger holds them."""
    return _timeline(reduce_stored(session, events))


def _timeline(reduced: Reduced) -> Timeline:
    reconciled = reconcile(reduced)
    odd = (*reduced.anomalies, *reconciled.anomalies)
    known = reduced._replace(anomalies=odd)
    return Timeline(*known, reconciliation=reconciled.reconciliation, causes=reconciled.causes)
