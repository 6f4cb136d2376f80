"""What is known of a running session's processes so far: their names, what they last did, who is gone."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.clock import ClockDomain
from ledger.events.rows import EventRow
from ledger.formatting import NO_STAGE, one_line
from ledger.timeline.incremental import Change, body_of
from ledger.timeline.process_names import process_names
from ledger.vocabulary import COMMAND_ENDED, COMMAND_STARTED

WAITING_FOR_FIRST_STAGE: Final = "Waiting for the first stage (imports run here)"
_FROM_BIRTH: Final = "python"
"""The source of what every process records before it comes to stages of its own."""


class _Identity(NamedTuple):
    process: str
    name: str | None = None
    rank: int | None = None
    pid: int | None = None
    host: str | None = None
    is_our_clock: bool = True


class ShownProcess(NamedTuple):
    """A process's display name, and what its row needs besides."""

    name: str
    rank: int = -1
    is_our_clock: bool = True


class ProcessNames:
    """Display names of a session's processes, from its events so far."""

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._here = here
        self._identities: dict[str, _Identity] = {}
        self._names: dict[str, str] | None = None

    def add(self, row: EventRow) -> None:
        """Add an event."""
        if row.kind != "process_joined":
            return
        body = body_of(row)
        known = self._identities.get(row.process)
        if known is None:
            domain = ClockDomain(*(body.get(part) for part in ClockDomain._fields))
            is_our_clock = self._here is None or domain == self._here
            known = _Identity(
                row.process, pid=body.get("pid"), host=body.get("host"), is_our_clock=is_our_clock
            )
        # Only the first such event of a process says where it runs; a later one has another name.
        name, rank = body.get("name"), body.get("rank")
        self._identities[row.process] = known._replace(
            name=None if name is None else one_line(str(name)), rank=None if rank is None else int(rank)
        )
        self._names = None

    def __getitem__(self, process: str) -> ShownProcess:
        known = self._identities.get(process)
        if known is None:
            return ShownProcess(one_line(process))
        if self._names is None:
            self._names = process_names(self._identities.values())
        rank = -1 if known.rank is None else known.rank
        return ShownProcess(one_line(self._names[process]), rank, known.is_our_clock)


class IdleProcess(NamedTuple):
    """A process that has no stage open."""

    process: str
    text: str
    """What to show in place of its stage."""
    since_ns: int


@dataclass(slots=True)
class _Life:
    since_ns: int
    last_stage: str | None = None
    is_over: bool = False


class ProcessLives:
    """Which of a session's processes live, and what each did last."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self.command_started_ns: int | None = None
        self.first_ns: int | None = None
        """When the earliest event of a process with our clock happened."""
        self.milestones: dict[str, int] = {}
        """When each was reached first, less those of the command itself."""
        self.ended_ns: int | None = None

    @property
    def began_ns(self) -> int | None:
        """When the command was started, or else the first process; None where no clock here says it."""
        return self.first_ns if self.command_started_ns is None else self.command_started_ns

    @property
    def is_empty(self) -> bool:
        """Whether no process of the session itself has been seen: who records it is none."""
        return not self._lives

    def add(self, row: EventRow, *, is_our_clock: bool) -> None:
        """Add an event, before the changes that come of it."""
        if is_our_clock and row.kind in ("process_joined", "stage_started"):
            self.first_ns = row.at_ns if self.first_ns is None else min(self.first_ns, row.at_ns)
        if row.kind == "process_joined":
            self._lives.setdefault(row.process, _Life(row.at_ns))
        elif row.kind == "milestone_reached":
            self._reach(row, is_our_clock=is_our_clock)
        elif row.kind == "process_left":
            self._end(row.process)
        elif row.kind == "process_lost":
            self._end(str(body_of(row)["lost"]))
        elif row.kind == "session_ended":
            self.ended_ns = row.at_ns if is_our_clock else None
            for life in self._lives.values():
                life.is_over = True

    def _reach(self, row: EventRow, *, is_our_clock: bool) -> None:
        name = str(body_of(row)["name"])
        if name == COMMAND_STARTED:
            # Who starts a command only records it, and has no stages.
            self._lives.pop(row.process, None)
            if is_our_clock and self.command_started_ns is None:
                self.command_started_ns = row.at_ns
        elif name != COMMAND_ENDED and is_our_clock:
            self.milestones.setdefault(name, row.at_ns)

    def _end(self, process: str) -> None:
        if process in self._lives:
            self._lives[process].is_over = True

    def apply(self, change: Change) -> None:
        """Take a change of an interval."""
        begun, end_ns = change
        # What is abandoned has a parent that stopped, or its process is over.
        if end_ns is None or not begun.is_stopped or begun.start.source == _FROM_BIRTH:
            return
        if (life := self._lives.get(begun.process)) is not None:
            life.last_stage, life.since_ns = begun.start.stage, max(life.since_ns, end_ns)

    def idle(self, busy: Container[str]) -> list[IdleProcess]:
        """Return the living processes less the busy ones; those that have not come to a stage first."""
        idle = [
            IdleProcess(process, _idle_text(life.last_stage), life.since_ns)
            for process, life in self._lives.items()
            if not life.is_over and process not in busy
        ]
        return sorted(idle, key=lambda one: one.text != WAITING_FOR_FIRST_STAGE)


def _idle_text(last_stage: str | None) -> str:
    if last_stage is None:
        return WAITING_FOR_FIRST_STAGE
    return f"{NO_STAGE} after {one_line(last_stage)}"
