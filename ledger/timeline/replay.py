"""Goes through a session's events again, in their order on one clock, with the session as it was at each."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from ledger.durations import ns_of
from ledger.errors import ConflictingEvents, NoSuchMoment
from ledger.events.models import Event, MilestoneReached, ProcessJoined, TotalClaimed
from ledger.events.rows import EventRow, from_row
from ledger.gc_pause import gc_paused
from ledger.timeline.clocks import ClockAlignment, SharedClock
from ledger.timeline.incremental import Change, IncrementalReducer, RunningTotals, StartedInterval, body_of
from ledger.timeline.records import Claim
from ledger.timeline.reducer import SessionEvents, claim_of
from ledger.timeline.stage_events import StageEvents, Start, Stop, start_of_row, stop_of_row
from ledger.timeline.timeline import Timeline, timeline_of_stored

_CHECKPOINT_EVERY: Final = 1_000
"""Events between two kept states: what lies between is folded again when it is looked at."""


class OpenStage(NamedTuple):
    """A stage that had begun and not ended."""

    process: str
    interval: int
    stage: str
    activity: str
    role: str | None
    component: str | None
    source: str
    thread: str | None
    open_ns: int
    """From its start until then."""


class TotalSoFar(NamedTuple):
    """A role's time in one process until then, as `role_totals` of the events until then has it."""

    process: str
    role: str | None
    activity: str
    total_ns: int


class Moment:
    """A session after its first `position` events. What it shows is made when it is looked at."""

    __slots__ = ("_replay", "at_ns", "position")

    def __init__(self, replay: "Replay", position: int, at_ns: int) -> None:
        self._replay = replay
        self.position: Final = position
        self.at_ns: Final = at_ns
        """Since the session's first event, in nanoseconds."""

    @property
    def open(self) -> tuple[OpenStage, ...]:
        """The stages that were open, in the order in which they began."""
        return tuple(
            self._replay.open_stage(begun, self.at_ns) for begun in self._replay.state(self.position).open
        )

    @property
    def open_count(self) -> int:
        """How many stages were open."""
        return self._replay.state(self.position).open_count

    def opened_last(self, most: int) -> tuple[OpenStage, ...]:
        """Return the stages of `open` that began last, at most so many."""
        begun = self._replay.state(self.position).opened_last(most)
        return tuple(self._replay.open_stage(one, self.at_ns) for one in begun)

    @property
    def totals(self) -> tuple[TotalSoFar, ...]:
        """The time of each role and activity so far, by process; what is open counts in none."""
        return self.totals_of(None)

    @property
    def total_count(self) -> int:
        """How many totals there are, those included that are 0 so far."""
        return self._replay.state(self.position).group_count

    def totals_of(self, process: str | None) -> tuple[TotalSoFar, ...]:
        """Return the totals of one process, or of all where that is none."""
        totals = self._replay.state(self.position).totals_ns(process)
        return tuple(TotalSoFar(*group, total_ns) for group, total_ns in totals.items())

    @property
    def claim_count(self) -> int:
        """How many claims had been made."""
        return self._replay.claim_count(self.position)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims that had been made."""
        return self._replay.claims(self.position)

    @property
    def milestones(self) -> tuple[str, ...]:
        """The names of the milestones that had been reached."""
        return self._replay.milestones(self.position)

    @property
    def timeline(self) -> Timeline:
        """The session as it reduces to by these events; after the last one it is the ledger's own."""
        return self._replay.timeline(self.position)


class Replay:
    """One session's events, those of all processes and hosts in order on one clock.

    Times of one clock domain are compared as they are. Several domains are laid beside each other by the wall
    clock that was read when their processes joined: as well as their hosts' clocks agree. A domain that says
    nothing of the wall clock begins with the session, and its processes are in `unplaced`.
    """

    def __init__(self, rows: Iterable[EventRow], ids: Mapping[tuple[str, int], int] | None = None) -> None:
        """Take the rows of one session, in any order; `ids` has the ledger's ids, by process and `seq`.

        Raises ConflictingEvents where two different events have one key, or where there are two sessions.
        """
        with gc_paused():
            distinct = _distinct(rows)
            clock = _shared_clock(distinct)
            ordered = sorted(
                (row.at_ns + clock.offset_ns(row.process), row.process, row.seq, row) for row in distinct
            )
            first_ns = ordered[0][0] if ordered else 0
            self.rows: Final = [row for *_, row in ordered]
            """The events in their order, as rows."""
            self._at_ns: Final = [at_ns - first_ns for at_ns, *_ in ordered]
            reducer = IncrementalReducer()
            self._changes: Final = [reducer.take(row) for row in self.rows]
            self._checkpoints: Final = list(_checkpoints(self._changes))
        self.session: Final = distinct[0].session if distinct else ""
        self.unplaced: Final = clock.unplaced
        """The processes whose times can't be placed beside those of the others."""
        self._ids = ids or {}
        self._clock: Final = clock
        self._first_ns: Final = first_ns
        self._cursor: tuple[int, RunningTotals] = (0, RunningTotals())

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Event, Moment]]:
        """Yield each event with the session as it was right after it."""
        for position, (row, at_ns) in enumerate(zip(self.rows, self._at_ns, strict=True), 1):
            yield from_row(row), Moment(self, position, at_ns)

    def at(self, position: int) -> Moment:
        """Return the session after so many of its events. Raises NoSuchMoment."""
        if not 0 <= position <= len(self.rows):
            raise NoSuchMoment(f"there are {len(self.rows):,} events, so no moment after {position:,}")
        return Moment(self, position, self._at_ns[position - 1] if position else 0)

    def event(self, position: int) -> Event:
        """Return the event that led to `at(position)`; the first is number 1."""
        return from_row(self.rows[position - 1])

    def until(self, what: str) -> Moment:
        """Return a moment by its name: a time since the first event, a milestone, or an event.

        "12.5 s" is after all events until then; "engine_ready" after that milestone's; "4711" after the event
        of that id in the ledger; "PROCESS:12" after the event of that process with that `seq`. Raises
        NoSuchMoment.
        """
        for position, row in enumerate(self.rows, 1):
            is_named = row.kind == "milestone_reached" and body_of(row).get("name") == what
            is_id = what.isdecimal() and self._ids.get((row.process, row.seq)) == int(what)
            if is_named or is_id or f"{row.process}:{row.seq}" == what:
                return self.at(position)
        if (since_ns := ns_of(what)) is not None:
            position = bisect_right(self._at_ns, since_ns)
            return Moment(self, position, since_ns)
        named = ", ".join(self.milestones(len(self))) or "none"
        raise NoSuchMoment(
            f'no moment {what!r}; name a time ("12.5 s"), a milestone ({named}), or an event\'s id or '
            "PROCESS:SEQ"
        )

    def claims(self, position: int) -> tuple[Claim, ...]:
        """Return the claims among the first events."""
        return tuple(claim for _, claim in self._claims[: self.claim_count(position)])

    def claim_count(self, position: int) -> int:
        """Return how many claims there are among the first events."""
        return bisect_right(self._claims, position, key=lambda claimed: claimed[0])

    def milestones(self, position: int) -> tuple[str, ...]:
        """Return the names of the milestones among the first events."""
        until = bisect_right(self.reached, position, key=lambda reached: reached[0])
        return tuple(name for _, name in self.reached[:until])

    def timeline(self, position: int) -> Timeline:
        """Reduce the first events."""
        stages: defaultdict[str, tuple[list[Start], list[Stop]]] = defaultdict(lambda: ([], []))
        others: list[Event] = []
        for row in self.rows[:position]:
            if row.kind == "stage_started":
                stages[row.process][0].append(start_of_row(row))
            elif row.kind == "stage_stopped":
                stages[row.process][1].append(stop_of_row(row))
            else:
                others.append(from_row(row))
        with gc_paused():
            in_columns = {process: StageEvents.of(*of_process) for process, of_process in stages.items()}
            return timeline_of_stored(self.session, SessionEvents(in_columns, others))

    def state(self, position: int) -> RunningTotals:
        """Return what was open and top-level after the first events: to be looked at before the next call."""
        done, state = self._cursor
        checkpoint = position // _CHECKPOINT_EVERY
        if done > position or done < checkpoint * _CHECKPOINT_EVERY:
            done, state = checkpoint * _CHECKPOINT_EVERY, self._checkpoints[checkpoint].copy()
        for changes in self._changes[done:position]:
            for change in changes:
                state.apply(change)
        self._cursor = (position, state)
        return state

    def open_stage(self, begun: StartedInterval, at_ns: int) -> OpenStage:
        """Return an open interval as it was at a time since the first event."""
        start = begun.start
        began_ns = start.at_ns + self._clock.offset_ns(begun.process) - self._first_ns
        return OpenStage(
            begun.process,
            start.interval,
            start.stage,
            start.activity,
            begun.role,
            start.component,
            start.source,
            start.thread,
            at_ns - began_ns,
        )

    @cached_property
    def _claims(self) -> list[tuple[int, Claim]]:
        events = ((position, from_row(row)) for position, row in self._of_kind("total_claimed"))
        return [(position, claim_of(event)) for position, event in events if isinstance(event, TotalClaimed)]

    @cached_property
    def reached(self) -> list[tuple[int, str]]:
        """The milestones by name, each with the position of its event."""
        events = ((position, from_row(row)) for position, row in self._of_kind("milestone_reached"))
        return [(position, event.name) for position, event in events if isinstance(event, MilestoneReached)]

    def _of_kind(self, kind: str) -> Iterator[tuple[int, EventRow]]:
        return ((position, row) for position, row in enumerate(self.rows, 1) if row.kind == kind)


def _shared_clock(rows: Iterable[EventRow]) -> SharedClock:
    """Return the clock on which a session's events have one order."""
    first_ns: dict[str, int] = {}
    joined: list[ProcessJoined] = []
    about: dict[str, str] = {}
    for row in rows:
        first_ns[row.process] = min(first_ns.get(row.process, row.at_ns), row.at_ns)
        if row.kind == "process_joined" and isinstance(event := from_row(row), ProcessJoined):
            joined.append(event)
        elif row.kind == "process_lost":
            about[row.process] = str(body_of(row)["lost"])
    return SharedClock(joined, first_ns, about)


def clock_alignment(rows: Sequence[EventRow]) -> ClockAlignment:
    """Lay the clocks of one session's processes on one, as a replay does.

    Each process's first event and all that say when and where one joined, or was lost, are enough.
    """
    clock = _shared_clock(rows)
    first_ns = min((row.at_ns + clock.offset_ns(row.process) for row in rows), default=0)
    offset_ns = {row.process: clock.offset_ns(row.process) - first_ns for row in rows}
    return ClockAlignment(offset_ns, clock.unplaced, clock.domains)


def _checkpoints(changes: Iterable[Iterable[Change]]) -> Iterator[RunningTotals]:
    """Yield the state before each `_CHECKPOINT_EVERY`th event."""
    state = RunningTotals()
    for position, of_event in enumerate(changes):
        if position % _CHECKPOINT_EVERY == 0:
            yield state.copy()
        for change in of_event:
            state.apply(change)
    yield state


def _distinct(rows: Iterable[EventRow]) -> list[EventRow]:
    """Return each event once. Raises ConflictingEvents."""
    by_key: dict[tuple[str, int], EventRow] = {}
    session = None
    for row in rows:
        session = session or row.session
        if row.session != session:
            raise ConflictingEvents(f"events of two sessions, {session} and {row.session}, are no replay")
        there = by_key.setdefault((row.process, row.seq), row)
        # The time on the wall is derived, and may be known to one of the two only.
        if there is not row and there._replace(wall_ns=row.wall_ns) != row:
            raise ConflictingEvents(f"two events of process {row.process} have seq {row.seq}")
    return list(by_key.values())
