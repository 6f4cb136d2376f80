"""Makes the events of one process of a log, numbered in the order in which they are made."""

from typing import Any, Final, Literal, NamedTuple

from ledger import (
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)

ClaimSource = Literal["monitor", "backend", "engine", "torch"]
Counts = Literal["interval", "addition", "total", "ranks"]
Outcome = Literal["completed", "failed"]


class StageEvents(NamedTuple):
    """An interval, as events."""

    interval: int
    start: StageStarted
    stop: StageStopped | None = None
    """None where the log does not have its end."""

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, in their order."""
        return (self.start,) if self.stop is None else (self.start, self.stop)


class ProcessEvents:
    """The events of a process. `joined` is its first one, and is made last: only then is all known."""

    def __init__(self, session: str, process: str) -> None:
        self.session: Final = session
        self.process: Final = process
        self._seq, self._intervals, self._claims = 1, 0, 0
        self._began_ns: int | None = None
        self._latest_ns = 0

    def see(self, at_ns: int) -> None:
        """Take note that the process was there at a time."""
        self._began_ns = at_ns if self._began_ns is None else min(self._began_ns, at_ns)
        self._latest_ns = max(self._latest_ns, at_ns)

    def stage(
        self,
        stage: str,
        start_ns: int,
        stop_ns: int | None,
        *,
        activity: str | None = None,
        role: str | None = None,
        component: str | None = None,
        data: dict[str, Any] | None = None,
        outcome: Outcome = "completed",
        error: str | None = None,
    ) -> StageEvents:
        """Return an interval; without `stop_ns` it was going on when the log ended."""
        interval, self._intervals = self._intervals, self._intervals + 1
        named: dict[str, Any] = {} if activity is None else {"activity": activity}
        start = StageStarted(
            **self._next(start_ns), interval=interval, stage=stage, source="log", role=role,
            component=component, data=data, **named,
        )  # fmt: skip
        if stop_ns is None:
            return StageEvents(interval, start)
        stop = StageStopped(**self._next(stop_ns), interval=interval, outcome=outcome, error=error)
        return StageEvents(interval, start, stop)

    def claim(
        self,
        stage: str,
        claimed_ns: int,
        at_ns: int,
        *,
        source: ClaimSource,
        counts: Counts = "interval",
        resolution_ns: int,
        text: str,
        interval: int | None = None,
        role: str | None = None,
        component: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> TotalClaimed:
        """Return a stated duration."""
        claim, self._claims = self._claims, self._claims + 1
        return TotalClaimed(
            **self._next(at_ns), claim=claim, counts=counts, source=source, role=role, component=component,
            stage=stage, claimed_ns=claimed_ns, resolution_ns=resolution_ns, text=text, interval=interval,
            data=data,
        )  # fmt: skip

    def milestone(self, name: str, at_ns: int) -> Event:
        """Return a milestone that the process reached."""
        return MilestoneReached(**self._next(at_ns), name=name)

    def gap(self, what: str, at_ns: int, detail: str) -> Event:
        """Return a note about something that the log does not contain."""
        return GapNoted(**self._next(at_ns), what=what, detail=detail)

    def session_started(
        self, at_ns: int, wall_ns: int | None, versions: dict[str, str] | None = None
    ) -> Event:
        """Return the session's start."""
        return SessionStarted(**self._next(at_ns), versions=versions or {}, wall_ns=wall_ns)

    def session_ended(self, outcome: Outcome, at_ns: int) -> Event:
        """Return the session's end."""
        return SessionEnded(**self._next(at_ns), outcome=outcome)

    def left(self, outcome: Outcome) -> Event:
        """Return the process's end, after all of its other events except that it joined."""
        return ProcessLeft(**self._next(self._latest_ns), outcome=outcome, event_count=self._seq)

    def lost(self) -> Event:
        """Return that the process is gone without having left, after all of its events."""
        return ProcessLost(
            session=self.session, process=f"{self.process}:lost", seq=0, at_ns=self._latest_ns,
            lost=self.process, last_seq=self._seq - 1,
        )  # fmt: skip

    def joined(
        self, name: str, *, rank: int | None, wall_offset_ns: int | None, pid: int | None = None
    ) -> Event:
        """Return how the process joined: when its first line or what it timed began, whichever was earlier.

        `wall_offset_ns` is by how much the wall clock is ahead of the log's time, where that is known.
        """
        at_ns = self._began_ns or 0
        return ProcessJoined(
            session=self.session, process=self.process, seq=0, at_ns=at_ns, name=name, rank=rank, pid=pid,
            # The boot is unknown, but all processes of a log were stamped by one clock.
            boot_id=self.session,
            wall_ns=None if wall_offset_ns is None else max(0, at_ns + wall_offset_ns),
        )  # fmt: skip

    def _next(self, at_ns: int) -> dict[str, Any]:
        seq, self._seq = self._seq, self._seq + 1
        self.see(at_ns)
        return {"session": self.session, "process": self.process, "seq": seq, "at_ns": at_ns}
