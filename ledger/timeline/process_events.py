"""A session's events, separated by process."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from ledger.clock import Anchor, ClockDomain
from ledger.events.models import Event, ProcessJoined, ProcessLeft, ProcessLost
from ledger.timeline.intervals import Lost, Start, Stop
from ledger.vocabulary import ProcessOutcome


class StageEvents(NamedTuple):
    """The starts and stops of one process, in any order, each once: bare tuples, for they are many."""

    starts: list[Start]
    stops: list[Stop]


class SessionEvents(NamedTuple):
    """A session's events: those of stages by process, and all others, in any order, each once."""

    stages: Mapping[str, StageEvents]
    others: Sequence[Event]


@dataclass(slots=True)
class ProcessEvents:
    """All events of one process."""

    starts: list[Start] = field(default_factory=list[Start])
    stops: list[Stop] = field(default_factory=list[Stop])
    joined: ProcessJoined | None = None
    renamed: ProcessJoined | None = None
    """Its last: what a process learns of itself after its first event is in another one."""
    left: ProcessLeft | None = None
    lost: ProcessLost | None = None
    others: list[Event] = field(default_factory=list[Event])
    last_seq: int = -1

    @property
    def is_process(self) -> bool:
        """Whether it says anything itself, and is not only the collector's note about another."""
        return bool(self.starts or self.stops) or not all(isinstance(e, ProcessLost) for e in self.others)

    @property
    def event_count(self) -> int:
        """How many events there are of it."""
        return len(self.starts) + len(self.stops) + len(self.others)

    @property
    def first_ns(self) -> int:
        """When its first event was."""
        return min(events[0].at_ns for events in (self.starts, self.stops, self.others) if events)

    @property
    def last_ns(self) -> int:
        """When its last event was."""
        return max(events[-1].at_ns for events in (self.starts, self.stops, self.others) if events)

    @property
    def seen_alive(self) -> Lost | None:
        """When it was last seen alive, where that was after its last event."""
        lost = self.lost
        return None if lost is None or lost.alive_ns is None else Lost(lost.at_ns, lost.alive_ns)

    @property
    def is_over(self) -> bool:
        """Whether it left or was lost."""
        return self.left is not None or self.lost is not None

    @property
    def anchor(self) -> Anchor | None:
        """The moment of joining on both clocks, where it is known."""
        return self.joined.anchor if self.joined else None

    @property
    def creation_ticks(self) -> int | None:
        """When the kernel created it, in clock ticks since the boot, where it says so."""
        ticks = (
            (event.seq, event.pid_start)
            for event in self.others
            if isinstance(event, ProcessJoined) and event.pid_start is not None
        )
        return min(ticks, default=(0, None))[1]

    @property
    def clock_domain(self) -> ClockDomain | None:
        """Rule 9: only times of one host, boot and time namespace can be compared; None where unknown."""
        return self.joined.clock_domain if self.joined else None

    @property
    def outcome(self) -> ProcessOutcome:
        """How it ended (rule 10)."""
        if self.left is not None:
            return self.left.outcome
        return "running" if self.lost is None else "lost"


def by_process(events: SessionEvents) -> dict[str, ProcessEvents]:
    """Separate the processes; each one's starts and stops come out sorted by (at_ns, seq)."""
    parts: defaultdict[str, ProcessEvents] = defaultdict(ProcessEvents)
    for process, (starts, stops) in events.stages.items():
        parts[process] = ProcessEvents(list(starts), list(stops))
    for event in events.others:
        parts[event.process].others.append(event)
    by_seq, by_time = attrgetter("seq"), attrgetter("at_ns")
    for part in parts.values():
        # Twice by one number is faster than once by a pair, and sorting keeps the order of what is equal.
        for of_kind in (part.starts, part.stops, part.others):
            if of_kind:
                of_kind.sort(key=by_seq)
                part.last_seq = max(part.last_seq, of_kind[-1].seq)
                of_kind.sort(key=by_time)
        joined = sorted((e for e in part.others if isinstance(e, ProcessJoined)), key=by_seq)
        part.joined, part.renamed = (joined[0], joined[-1]) if joined else (None, None)
        part.left = min((e for e in part.others if isinstance(e, ProcessLeft)), key=by_seq, default=None)
    for event in sorted((e for e in events.others if isinstance(e, ProcessLost)), key=attrgetter("process")):
        if (part := parts.get(event.lost)) is not None:
            part.lost = part.lost or event
    return parts
