"""The slow, obvious twin of the breakdown: "From command to ready" of the design, rules 1 to 5.

Moment by moment: every time at which anything begins or ends cuts the window; for each elementary piece
between two neighbouring cuts all processes and all intervals are looked at; neighbours charged alike are
then one piece. It takes the intervals (stop, depth, role) from `ledger.reduce`, the alignment of clocks
from `clock_alignment`, and derives all else itself. It knows nothing of the real breakdown.

Conventions given, where the design is silent:

- Creation of a process: the `pid_start` (10 ms ticks since boot, on its own clock) of the `process_joined`
  with the smallest seq that has one, where that is not after the process's first event (its smallest
  at_ns). Otherwise it has no creation. Rule 1 takes the earliest creation, and the earliest event only
  where no process has a creation.
- Processes are those that `reduce` lists. One exists from its creation (else its first event) until its
  `process_left` (of the smallest seq), else the `process_lost` about it, else for ever.
- An interval without a stop never stops. Moments are half-open, [start, stop): a length of nothing is never
  open.
- The first process has the earliest start of existence on the common clock, then the smallest id. Distance:
  0 for it; else the parent's + 1; else, parent unknown, 1. The parent has the same host, boot_id and
  pid_namespace, the pid that the child names as its parent's, is not the child, began no later than it, and
  of those the latest; then the smallest id. Where a chain of parents closes (all began at once), the parent
  that closes it counts as unknown.
- The common clock is `clock_alignment`'s; times in the result are on the clock of the first process.
- Uncertainty: 10 ms where a window began by a creation; across domains also the greatest spread of (wall_ns
  - at_ns) among the anchors of any one domain.
- Windows: see `readies`. A window whose start is after its stop is none; one of no length has no pieces.
- A process waits when it has an interval of the stage `waiting` open, whatever else it has open.
- Rule 2's "outermost, stops last": the greatest stop of all intervals that the process has open at that
  moment.
- Rule 3: the farthest existing process that does not wait; else the farthest existing one; else None.
  Farthest: greatest distance, then lower rank (None last), then smallest process id.
- after_stage, before_stage: for pieces without an interval alone: the stage of that process's interval that
  stopped last at or before the piece's start (ties: latest start, latest start_seq), of the one that starts
  first at or after its stop (ties: smallest depth, smallest start_seq).

Decided here, where the conventions were silent too:

- D1 A process's host, boot_id, pid_namespace, pid and parent_pid are those of its `process_joined` of the
  smallest seq, its rank that of the largest (as in `processes`), a lone exception being `pid_start`. None
  equals None when hosts, boots or namespaces are compared; a `parent_pid` of None has no parent.
- D2 "Where it closes" is seen from each process: walk up from it; the walk ends at the first process, at an
  unknown parent or before a process met already. So each of two processes that are each other's parents has
  distance 2.
- D3 "Interval innermost then" is among all that the process has open, `waiting` ones too
  (`charged_interval`).
- D4 Of several `command_started` the earliest begins the window: for window 0 of all, for a later one of
  those in between. At one moment `command_started` comes before readiness, so "in between" is (previous
  end, this end].
- D5 What lies before the window's start is ignored when ends are looked for, `session_ended` too, and as if
  it were not there: a session whose only `server_ready` lies before the start is one without.
- D6 Of several `command_ended`, or `session_ended`, at or after the start the earliest ends the window.
- D7 Earliest and latest event: of all events of the session, `process_lost` too.
- D8 Domains and their anchors are those of `clock_alignment`: a process is of the domain of its first join
  that names one; a process that names none has a domain of its own, which has no anchors.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import ledger
from ledger.clock import ClockDomain
from ledger.events.models import (
    Event,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
)
from ledger.events.rows import to_row
from ledger.timeline.records import Interval
from ledger.timeline.replay import clock_alignment

TICK_NS = 10_000_000
FOR_EVER = float("inf")


class Window(NamedTuple):
    session: str
    window: int
    began_by: str
    ended_by: str
    start_ns: int
    stop_ns: int
    duration_ns: int
    uncertainty_ns: int
    unattributed_ns: int


class Piece(NamedTuple):
    session: str
    window: int
    piece: int
    start_ns: int
    stop_ns: int
    duration_ns: int
    process: str | None
    interval: int | None
    activity: str | None
    stage: str | None
    role: str | None
    component: str | None
    source: str | None
    after_stage: str | None
    before_stage: str | None


class Moment(NamedTuple):
    """A milestone on the common clock."""

    at: int
    name: str
    process: str
    seq: int


class Span(NamedTuple):
    """An interval on the common clock."""

    start: int
    stop: int | float
    record: Interval

    def is_open_at(self, moment: int) -> bool:
        return self.start <= moment < self.stop


class ProcessTwin:
    """One process on the common clock: when it exists, who its parent is said to be, its intervals."""

    def __init__(
        self, process: str, events: list[Event], intervals: Iterable[Interval], offset_ns: int
    ) -> None:
        self.process = process
        own = by_seq(event for event in events if event.process == process)
        joins = [event for event in own if isinstance(event, ProcessJoined)]
        self.joined = joins[0] if joins else None
        self.rank = joins[-1].rank if joins else None

        # Creation, and existence.
        first_event = min(event.at_ns for event in own)
        pid_starts = [join.pid_start for join in joins if join.pid_start is not None]
        self.creation: int | None = None
        if pid_starts and pid_starts[0] * TICK_NS <= first_event:
            self.creation = pid_starts[0] * TICK_NS + offset_ns
        self.exists_from = first_event + offset_ns if self.creation is None else self.creation
        self.exists_until: int | float = FOR_EVER
        lefts = [event for event in own if isinstance(event, ProcessLeft)]
        losses = by_seq(e for e in events if isinstance(e, ProcessLost) and e.lost == process)
        if lefts:
            self.exists_until = lefts[0].at_ns + offset_ns
        elif losses:
            self.exists_until = losses[0].at_ns + offset_ns

        self.spans = [
            Span(
                record.start_ns + offset_ns,
                FOR_EVER if record.stop_ns is None else record.stop_ns + offset_ns,
                record,
            )
            for record in intervals
            if record.process == process
        ]
        self.starts_command = any(
            isinstance(e, MilestoneReached) and e.name == "command_started" and e.process == process
            for e in events
        )
        # Known once all processes are.
        self.distance = 0

    def exists_at(self, moment: int) -> bool:
        return self.exists_from <= moment < self.exists_until

    def open_at(self, moment: int) -> list[Span]:
        return [span for span in self.spans if span.is_open_at(moment)]

    def is_candidate_at(self, moment: int) -> bool:
        """Rule 2: it exists and has an interval open that is not of the stage `waiting`."""
        open_then = self.open_at(moment)
        return self.exists_at(moment) and any(span.record.stage != "waiting" for span in open_then)

    def waits_at(self, moment: int) -> bool:
        return any(span.record.stage == "waiting" for span in self.open_at(moment))

    def charged_interval(self, moment: int) -> Interval:
        """Rule 2: greatest depth, then latest start, then latest seq."""
        innermost = max(
            self.open_at(moment),
            key=lambda span: (span.record.depth, span.start, span.record.start_seq),
        )
        return innermost.record

    def stops_last(self, moment: int) -> int | float:
        """When the last of the intervals stops that are open at a moment."""
        return max(span.stop for span in self.open_at(moment))

    def could_be_parent_of(self, child: "ProcessTwin") -> bool:
        if self is child or self.joined is None or child.joined is None:
            return False
        mine, its = self.joined, child.joined
        return (
            its.parent_pid is not None
            and mine.pid == its.parent_pid
            and (mine.host, mine.boot_id, mine.pid_namespace) == (its.host, its.boot_id, its.pid_namespace)
            and self.exists_from <= child.exists_from
        )

    @property
    def rank_order(self) -> float:
        """Ranks as numbers to sort by: none is the highest."""
        return FOR_EVER if self.rank is None else self.rank


def by_seq(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.seq, event.process))


# The tree of processes.


def parent_of(child: ProcessTwin, processes: list[ProcessTwin]) -> ProcessTwin | None:
    possible = [process for process in processes if process.could_be_parent_of(child)]
    return min(possible, key=lambda process: (-process.exists_from, process.process), default=None)


def distance_of(process: ProcessTwin, first: ProcessTwin, processes: list[ProcessTwin]) -> int:
    """The number of steps up to the first process; a process without a parent stands right under it.

    One without a parent that started a command stands beside it.
    """
    steps = 0
    met = [process]
    while process is not first:
        if process.starts_command and parent_of(process, processes) is None:
            break
        steps += 1
        parent = parent_of(process, processes)
        if parent is None or parent in met:
            break  # stands under the first: this was the last step
        met.append(parent)
        process = parent
    return steps


# Rule 1: the windows.


class Stretch(NamedTuple):
    """A window on the common clock."""

    began_by: str
    ended_by: str
    start: int
    stop: int


def stretches(events: list[Event], processes: list[ProcessTwin], offset_ns: dict[str, int]) -> list[Stretch]:
    def at(event: Event) -> int:
        return event.at_ns + offset_ns[event.process]

    milestones = sorted(
        (Moment(at(e), e.name, e.process, e.seq) for e in events if isinstance(e, MilestoneReached)),
        key=lambda m: (m.at, m.name != "command_started", m.process, m.seq),
    )

    # Where the first window begins.
    commands = [m.at for m in milestones if m.name == "command_started"]
    creations = [process.creation for process in processes if process.creation is not None]
    if commands:
        began_by, start = "command_started", min(commands)
    elif creations:
        began_by, start = "creation", min(creations)
    else:
        began_by, start = "event", min(map(at, events))
    milestones = [m for m in milestones if m.at >= start]

    # Where nobody is ready, that is the only one.
    ready = readies(milestones)
    if not ready:
        command_ends = [m.at for m in milestones if m.name == "command_ended"]
        session_ends = [at(e) for e in events if isinstance(e, SessionEnded) and at(e) >= start]
        if command_ends:
            ended_by, stop = "command_ended", min(command_ends)
        elif session_ends:
            ended_by, stop = "session_ended", min(session_ends)
        else:
            ended_by, stop = "event", max(map(at, events))
        return [Stretch(began_by, ended_by, start, stop)] if start <= stop else []

    # A window for each time that it was ready.
    result: list[Stretch] = []
    for end in ready:
        if result:
            previous = result[-1]
            between = [c for c in commands if previous.stop < c <= end.at]
            began_by, start = (
                ("command_started", min(between)) if between else (previous.ended_by, previous.stop)
            )
        result.append(Stretch(began_by, end.name, start, end.at))
    return result


def readies(milestones: list[Moment]) -> list[Moment]:
    """The milestones that end a window each, of those since the start, in their order.

    Each `server_ready`. Where there is none: the last of each run of `engine_ready`s by distinct processes; a
    run is over at a `command_started`, and before the `engine_ready` of a process that is in the run already.
    """
    servers = [m for m in milestones if m.name == "server_ready"]
    if servers:
        return servers
    ends: list[Moment] = []
    run: list[Moment] = []
    for m in milestones:
        restarts = m.name == "command_started" or (
            m.name == "engine_ready" and any(m.process == other.process for other in run)
        )
        if restarts and run:
            ends.append(run[-1])
            run = []
        if m.name == "engine_ready":
            run.append(m)
    if run:
        ends.append(run[-1])
    return ends


# Rules 2 and 3: who is charged at a moment.


def charged(processes: list[ProcessTwin], moment: int) -> tuple[ProcessTwin | None, Interval | None]:
    candidates = [process for process in processes if process.is_candidate_at(moment)]
    if candidates:
        process = min(
            candidates,
            key=lambda p: (-p.distance, -p.stops_last(moment), p.rank_order, p.process),
        )
        return process, process.charged_interval(moment)
    existing = [process for process in processes if process.exists_at(moment)]
    not_waiting = [process for process in existing if not process.waits_at(moment)]
    process = min(
        not_waiting or existing,
        key=lambda p: (-p.distance, p.rank_order, p.process),
        default=None,
    )
    return process, None


def stage_after_which(process: ProcessTwin, start: int) -> str | None:
    stopped = [span for span in process.spans if span.stop <= start]
    last = max(stopped, key=lambda s: (s.stop, s.start, s.record.start_seq), default=None)
    return None if last is None else last.record.stage


def stage_before_which(process: ProcessTwin, stop: int) -> str | None:
    coming = [span for span in process.spans if span.start >= stop]
    first = min(coming, key=lambda s: (s.start, s.record.depth, s.record.start_seq), default=None)
    return None if first is None else first.record.stage


# Rule 4: the pieces of a window.


def elementary(processes: list[ProcessTwin], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of a window within which nothing begins or ends."""
    cuts: set[int | float] = {start, stop}
    for process in processes:
        cuts |= {process.exists_from, process.exists_until}
        for span in process.spans:
            cuts |= {span.start, span.stop}
    inside = sorted(int(cut) for cut in cuts if start <= cut <= stop)
    return pairwise(inside)


def pieces_of(
    processes: list[ProcessTwin], start: int, stop: int
) -> list[tuple[int, int, ProcessTwin | None, Interval | None]]:
    result: list[tuple[int, int, ProcessTwin | None, Interval | None]] = []
    for begin, end in elementary(processes, start, stop):
        process, interval = charged(processes, begin)
        if result and result[-1][2] is process and result[-1][3] is interval:
            result[-1] = (result[-1][0], end, process, interval)
        else:
            result.append((begin, end, process, interval))
    return result


# Clocks.


def spread_ns(events: list[Event]) -> int:
    """The greatest spread of (wall_ns - at_ns) among the anchors of one clock domain."""
    joins = [event for event in by_seq(events) if isinstance(event, ProcessJoined)]
    joins = [join for join in joins if join.clock_domain is not None]
    # A process is of one domain: that of its first join that has one.
    domain_of: dict[str, ClockDomain | None] = {}
    for join in joins:
        domain_of.setdefault(join.process, join.clock_domain)
    spreads = [0]
    for domain in set(domain_of.values()):
        aheads = [
            join.wall_ns - join.at_ns
            for join in joins
            if domain_of[join.process] == domain and join.wall_ns is not None
        ]
        if aheads:
            spreads.append(max(aheads) - min(aheads))
    return max(spreads)


def windows_and_pieces(events: Iterable[Event]) -> tuple[list[Window], list[Piece]]:
    """Return the windows of one session's events, and their pieces."""
    events = list({(event.process, event.seq): event for event in events}.values())
    if not events:
        return [], []
    timeline = ledger.reduce(events)
    alignment = clock_alignment([to_row(event) for event in events])
    offset_ns = dict(alignment.offset_ns)
    processes = [
        ProcessTwin(row.process, events, timeline.intervals, offset_ns[row.process])
        for row in timeline.processes
    ]
    # Without a process (a loss is all that is known) there is nobody to be charged, and no clock but its own.
    first = min(processes, key=lambda p: (p.exists_from, p.process), default=None)
    to_result = -(offset_ns[first.process] if first else offset_ns[events[0].process])
    for process in processes:
        assert first is not None
        process.distance = distance_of(process, first, processes)

    across_domains = spread_ns(events) if alignment.domains > 1 else 0
    session = events[0].session
    windows: list[Window] = []
    pieces: list[Piece] = []
    for number, stretch in enumerate(stretches(events, processes, offset_ns)):
        of_window = [
            Piece(
                session=session,
                window=number,
                piece=place,
                start_ns=start + to_result,
                stop_ns=stop + to_result,
                duration_ns=stop - start,
                process=process.process if process else None,
                interval=interval.interval if interval else None,
                activity=interval.activity if interval else None,
                stage=interval.stage if interval else None,
                role=interval.role if interval else None,
                component=interval.component if interval else None,
                source=interval.source if interval else None,
                after_stage=stage_after_which(process, start) if process and not interval else None,
                before_stage=stage_before_which(process, stop) if process and not interval else None,
            )
            for place, (start, stop, process, interval) in enumerate(
                pieces_of(processes, stretch.start, stretch.stop)
            )
        ]
        pieces += of_window
        windows.append(
            Window(
                session=session,
                window=number,
                began_by=stretch.began_by,
                ended_by=stretch.ended_by,
                start_ns=stretch.start + to_result,
                stop_ns=stretch.stop + to_result,
                duration_ns=stretch.stop - stretch.start,
                uncertainty_ns=(TICK_NS if stretch.began_by == "creation" else 0) + across_domains,
                unattributed_ns=sum(piece.duration_ns for piece in of_window if piece.interval is None),
            )
        )
    return windows, pieces
