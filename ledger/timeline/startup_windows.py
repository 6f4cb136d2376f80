"""Where the time from the command to ready begins and ends (rule 1 of the breakdown)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ledger.events.models import MilestoneReached, SessionEnded
from ledger.timeline.process_events import ProcessEvents
from ledger.timeline.process_lives import Lives
from ledger.vocabulary import (
    COMMAND_ENDED,
    COMMAND_STARTED,
    ENGINE_READY,
    SERVER_READY,
    Readiness,
    WindowEnd,
    WindowStart,
)


class Bounds(NamedTuple):
    """Where a window begins and ends, and what says so."""

    began_by: WindowStart
    ended_by: WindowEnd
    start_ns: int
    stop_ns: int


class _Moment(NamedTuple):
    """A milestone, on the session's one clock."""

    at_ns: int
    process: str
    name: str


def windows_of(parts: Mapping[str, ProcessEvents], lives: Lives) -> list[Bounds]:
    """Return a session's windows: one, or as many as the times that it became ready.

    A session that ends before it begins has none.
    """
    milestones = _milestones(parts, lives)
    commands = [moment.at_ns for moment in milestones if moment.name == COMMAND_STARTED]
    began_by, start_ns = _beginning(commands, parts, lives)
    since = [moment for moment in milestones if moment.at_ns >= start_ns]
    found: list[Bounds] = []
    for ready_by, ready_ns in _readies(since):
        if found:
            again = [at_ns for at_ns in commands if start_ns < at_ns <= ready_ns]
            began_by, start_ns = ("command_started", again[0]) if again else (began_by, start_ns)
        found.append(Bounds(began_by, ready_by, start_ns, ready_ns))
        began_by, start_ns = ready_by, ready_ns
    if not found:
        ended_by, stop_ns = _end(since, parts, lives, start_ns)
        found.append(Bounds(began_by, ended_by, start_ns, stop_ns))
    return [bounds for bounds in found if bounds.start_ns <= bounds.stop_ns]


def _milestones(parts: Mapping[str, ProcessEvents], lives: Lives) -> list[_Moment]:
    moments = [
        _Moment(event.at_ns + lives.offset_ns[process], process, event.name)
        for process, part in parts.items()
        for event in part.others
        if isinstance(event, MilestoneReached)
    ]
    # A command starts before what it starts is ready.
    return sorted(moments, key=lambda moment: (moment.at_ns, moment.name != COMMAND_STARTED, moment.process))


def _beginning(
    commands: Sequence[int], parts: Mapping[str, ProcessEvents], lives: Lives
) -> tuple[WindowStart, int]:
    if commands:
        return "command_started", commands[0]
    created = [life.began_ns for life in lives.processes if life.is_creation_known]
    if created:
        return "creation", min(created)
    return "event", min(part.first_ns + lives.offset_ns[process] for process, part in parts.items())


def _readies(milestones: Sequence[_Moment]) -> list[tuple[Readiness, int]]:
    """Return each time that a server, or else all of its engines, became ready."""
    servers: list[tuple[Readiness, int]] = [
        (SERVER_READY, moment.at_ns) for moment in milestones if moment.name == SERVER_READY
    ]
    if servers:
        return servers
    # An engine that becomes ready again, or another command, is another start.
    starts: list[dict[str, int]] = [{}]
    for moment in milestones:
        is_engine = moment.name == ENGINE_READY
        if moment.name == COMMAND_STARTED or (is_engine and moment.process in starts[-1]):
            starts.append({})
        if is_engine:
            starts[-1][moment.process] = moment.at_ns
    return [(ENGINE_READY, max(engines.values())) for engines in starts if engines]


def _end(
    milestones: Sequence[_Moment], parts: Mapping[str, ProcessEvents], lives: Lives, start_ns: int
) -> tuple[WindowEnd, int]:
    """Return where a window ends in which nobody says that anything is ready."""
    ended = [moment.at_ns for moment in milestones if moment.name == COMMAND_ENDED]
    if ended:
        return COMMAND_ENDED, ended[0]
    sessions = [
        at_ns
        for process, part in parts.items()
        for event in part.others
        if isinstance(event, SessionEnded) and (at_ns := event.at_ns + lives.offset_ns[process]) >= start_ns
    ]
    if sessions:
        return "session_ended", min(sessions)
    return "event", max(part.last_ns + lives.offset_ns[process] for process, part in parts.items())
