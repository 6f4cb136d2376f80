"""Reduces one session's events to intervals, totals and records: a pure function, without I/O or a clock.

Same events, same result, in whatever order they came. All times are integer nanoseconds. `intervals` holds
rules 1 to 4 and 7, `totals` rules 5, 6 and 8; this module separates the processes, and finds their clock
domains (rule 9) and their outcomes (rule 10).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import chain
from operator import attrgetter
from typing import Final, NamedTuple

from ledger.errors import ConflictingEvents
from ledger.events.models import (
    Event,
    GapNoted,
    MilestoneReached,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger.events.rows import json_of
from ledger.timeline.breakdown import startup_breakdown
from ledger.timeline.checkpoints import Checkpoints
from ledger.timeline.intervals import intervals_of
from ledger.timeline.process_events import ProcessEvents, SessionEvents, by_process
from ledger.timeline.records import (
    Anomaly,
    Claim,
    Gap,
    Interval,
    Milestone,
    Process,
    RoleTotal,
    Session,
    SessionTotal,
    SourceTotal,
    StartupPiece,
    StartupWindow,
)
from ledger.timeline.stage_events import StageEvents, Start, Stop, start_of, stop_of
from ledger.timeline.time_in_others import without_time_in_others
from ledger.timeline.totals import Group, ProcessTotals, session_totals, unions_of
from ledger.vocabulary import ProcessOutcome

REDUCER_VERSION: Final = 11
"""Raised when the same events reduce to something else, so that projections are derived anew."""

_claim_fields: Final = attrgetter(*Claim._fields[:-1])
_NO_STAGES: Final = StageEvents.of((), ())
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Reduced(NamedTuple):
    """What a session's events reduce to, before its claims are reconciled."""

    session: Session | None
    """None where there are no events."""
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


def reduce_session(events: Iterable[Event]) -> Reduced:
    """Reduce the events of one session. The same event twice counts once.

    Raises ConflictingEvents where two different events have one key, or where there are two sessions.
    """
    by_key: dict[tuple[str, int], Event] = {}
    session = None
    for event in events:
        session = session or event.session
        first = by_key.setdefault((event.process, event.seq), event)
        if event.session != session or first != event:
            raise ConflictingEvents(
                f"two events of process {event.process} have seq {event.seq}"
                if event.session == session
                else f"events of two sessions, {session} and {event.session}, can't be reduced as one"
            )
    stages: defaultdict[str, tuple[list[Start], list[Stop]]] = defaultdict(lambda: ([], []))
    others: list[Event] = []
    for event in by_key.values():
        if isinstance(event, StageStarted):
            stages[event.process][0].append(start_of(event))
        elif isinstance(event, StageStopped):
            stages[event.process][1].append(stop_of(event))
        else:
            others.append(event)
    in_columns = {process: StageEvents.of(*of_process) for process, of_process in stages.items()}
    return reduce_stored(session or "", SessionEvents(in_columns, others))


def reduce_stored(session: str, events: SessionEvents, checkpoints: Checkpoints | None = None) -> Reduced:
    """Reduce a session's events as a ledger holds them: each once, those of stages as bare tuples.

    `checkpoints` takes note of where this can go on later.
    """
    parts = by_process(events)
    is_ended = any(isinstance(event, SessionEnded) for event in events.others)
    intervals_by_process: dict[str, list[Interval]] = {}
    intervals, anomalies = list[Interval](), list[Anomaly]()
    of_roles, of_sources = list[RoleTotal](), list[SourceTotal]()
    for process, part in sorted(parts.items()):
        stages = events.stages.get(process, _NO_STAGES).in_order()
        part.add_stages(stages)
        is_over = is_ended or part.is_over
        found, odd = intervals_of(
            session, process, stages, is_over=is_over, last_ns=part.last_ns, lost=part.seen_alive
        )
        intervals_by_process[process] = found
        anomalies += odd.found
        if checkpoints is None:
            totals = ProcessTotals()
            totals.add(found)
        else:
            totals = checkpoints.add(process, stages, found, odd)
        of_roles += totals.role_totals(session, process)
        of_sources += totals.source_totals(session, process)
    intervals_by_process |= without_time_in_others(parts, intervals_by_process)
    intervals += chain.from_iterable(intervals_by_process.values())
    unions = unions_of(intervals) if checkpoints is None else checkpoints.unions_of(intervals)
    if checkpoints is not None:
        checkpoints.parts = parts
    windows, pieces = startup_breakdown(session, parts, intervals_by_process)
    return put_together(
        session, events.others, parts, intervals, of_roles, of_sources, unions, anomalies, windows, pieces
    )


def put_together(
    session: str,
    others: Iterable[Event],
    parts: Mapping[str, ProcessEvents],
    intervals: Iterable[Interval],
    of_roles: Sequence[RoleTotal],
    of_sources: Iterable[SourceTotal],
    unions: Mapping[Group, int],
    anomalies: Iterable[Anomaly],
    windows: Iterable[StartupWindow],
    pieces: Iterable[StartupPiece],
) -> Reduced:
    """Return what a session reduces to, of what its stages do and of its other events."""
    domain_of = {process: part.clock_domain or process for process, part in parts.items()}
    others = sorted(others, key=attrgetter("process", "seq"))
    processes = tuple(
        _process_record(session, process, part) for process, part in sorted(parts.items()) if part.is_process
    )
    return Reduced(
        _session_record(session, others, parts, processes),
        processes,
        tuple(intervals),
        tuple(of_roles),
        tuple(of_sources),
        tuple(session_totals(of_roles, unions, domain_of)),
        tuple(claim_of(event) for event in others if isinstance(event, TotalClaimed)),
        tuple(anomalies),
        tuple(
            Milestone(session, event.process, event.at_ns, event.name)
            for event in others
            if isinstance(event, MilestoneReached)
        ),
        tuple(
            Gap(session, event.process, event.at_ns, event.what, event.count, event.detail)
            for event in others
            if isinstance(event, GapNoted)
        ),
        tuple(windows),
        tuple(pieces),
    )


def _process_record(session: str, process: str, part: ProcessEvents) -> Process:
    joined, renamed = part.joined, part.renamed
    if part.left is not None:
        expected = part.left.event_count
    elif part.lost is not None:
        expected = part.lost.last_seq + 1
    else:
        expected = part.last_seq + 1
    return Process(
        session, process,
        name=renamed.name if renamed else None,
        rank=renamed.rank if renamed else None,
        pid=joined.pid if joined else None,
        parent_pid=joined.parent_pid if joined else None,
        host=joined.host if joined else None,
        started_at=_iso(joined.wall_ns if joined else None),
        outcome=part.outcome,
        event_count=part.event_count,
        lost_events=max(0, expected - part.event_count),
        hooks=renamed.hooks if renamed else (),
        missing_hooks=renamed.missing_hooks if renamed else (),
    )  # fmt: skip


def _session_record(
    session: str, others: list[Event], parts: Mapping[str, ProcessEvents], processes: tuple[Process, ...]
) -> Session | None:
    """Return the session's row. Of several processes that say how it started, the earliest counts."""
    if not parts:
        return None
    started = sorted(
        (event for event in others if isinstance(event, SessionStarted)),
        key=lambda event: (event.wall_ns is None, event.wall_ns, event.process, event.seq),
    )
    versions = {name: value for event in reversed(started) for name, value in event.versions.items()}
    command = next((event.command for event in started if event.command), None)
    ended = [event for event in others if isinstance(event, SessionEnded)]
    joined_ns = [part.anchor.wall_ns for part in parts.values() if part.anchor]
    started_ns = started[0].wall_ns if started else None
    outcome = _session_outcome(ended, processes)
    return Session(
        session,
        label=next((event.label for event in started if event.label is not None), None),
        command=command,
        started_at=_iso(min(joined_ns, default=None) if started_ns is None else started_ns),
        ended_at=None if outcome == "running" else _iso(_ended_ns(ended, parts)),
        outcome=outcome,
        process_count=len(processes),
        event_count=sum(part.event_count for part in parts.values()),
        versions=dict(sorted(versions.items())),
    )


def _session_outcome(ended: Sequence[SessionEnded], processes: tuple[Process, ...]) -> ProcessOutcome:
    """Rule 10: what its ends say, one for each host; without any, what most needs to be known."""
    if ended:
        return "failed" if any(event.outcome == "failed" for event in ended) else "completed"
    outcomes: set[ProcessOutcome] = {process.outcome for process in processes}
    order: tuple[ProcessOutcome, ...] = ("running", "lost", "failed", "completed")
    return next(outcome for outcome in order if outcome in outcomes or outcome == "completed")


def _ended_ns(ended: Sequence[SessionEnded], parts: Mapping[str, ProcessEvents]) -> int | None:
    lasts_ns = [(event.process, event.at_ns) for event in ended]
    lasts_ns = lasts_ns or [(process, part.last_ns) for process, part in parts.items()]
    anchors = ((parts[process].anchor, last_ns) for process, last_ns in lasts_ns)
    return max((anchor.wall_of(last_ns) for anchor, last_ns in anchors if anchor), default=None)


def _iso(wall_ns: int | None) -> str | None:
    """Return nanoseconds since the epoch as ISO 8601 in UTC, to the microsecond."""
    if wall_ns is None:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    except OverflowError:
        return None  # no calendar reaches so far
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def claim_of(event: TotalClaimed) -> Claim:
    """Return a claim as its record."""
    data_json = None if event.data is None else json_of(event.data)
    return Claim._make((*_claim_fields(event), data_json))
