"""A session's events, separated by process."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from ledger.clock import Anchor, ClockDomain
from ledger.events.models import Event, ProcessJoined, ProcessLeft, ProcessLost
from ledger.timeline.stage_events import Lost, StageCounts, StageEvents
from ledger.vocabulary import ProcessOutcome


class SessionEvents(NamedTuple):
    """A session's events: those of stages by process, and all others, in any order, each once."""

    stages: Mapping[str, StageEvents]
    """Looked at once a process: a mapping may read each one's only then, so that they are never all there."""
    others: Sequence[Event]


@dataclass(slots=True)
class ProcessEvents:
    """What is to be known of a process besides its stages."""

    stage_events: int = 0
    """How many of its events are starts and stops."""
    joined: ProcessJoined | None = None
    renamed: ProcessJoined | None = None
    """Its last: what a process learns of itself after its first event is in another one."""
    left: ProcessLeft | None = None
    lost: ProcessLost | None = None
    others: list[Event] = field(default_factory=list[Event])
    last_seq: int = -1
    _times: list[int] = field(default_factory=list[int])

    def add_stages(self, stages: StageEvents) -> None:
        """Take note of its starts and stops, which are in their order."""
        for events in stages:
            if events.seq:
                self.stage_events += len(events.seq)
                self._times += (events.at_ns[0], events.at_ns[-1])
                self.last_seq = max(self.last_seq, *events.seq)

    def add_counts(self, counts: StageCounts) -> None:
        """Take note of starts and stops by their counts."""
        if counts.number:
            self.stage_events += counts.number
            self._times += (counts.first_ns, counts.last_ns)
            self.last_seq = max(self.last_seq, counts.last_seq)

    @property
    def is_process(self) -> bool:
        """Whether it says anything itself, and is not only the collector's note about another."""
        return self.stage_events > 0 or not all(isinstance(e, ProcessLost) for e in self.others)

    @property
    def event_count(self) -> int:
        """How many events there are of it."""
        return self.stage_events + len(self.others)

    @property
    def first_ns(self) -> int:
        """When its first event was."""
        return min(self._times + [event.at_ns for event in self.others[:1]])

    @property
    def last_ns(self) -> int:
        """When its last event was."""
        return max(self._times + [event.at_ns for event in self.others[-1:]])

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
    """Separate the processes; their stages are left for `add_stages`."""
    parts: defaultdict[str, ProcessEvents] = defaultdict(ProcessEvents)
    for process in events.stages:
        parts[process] = ProcessEvents()
    for event in events.others:
        parts[event.process].others.append(event)
    by_seq = attrgetter("seq")
    for part in parts.values():
        part.others.sort(key=attrgetter("at_ns", "seq"))
        part.last_seq = max(map(by_seq, part.others), default=-1)
        joined = sorted((e for e in part.others if isinstance(e, ProcessJoined)), key=by_seq)
        part.joined, part.renamed = (joined[0], joined[-1]) if joined else (None, None)
        part.left = min((e for e in part.others if isinstance(e, ProcessLeft)), key=by_seq, default=None)
    for event in sorted((e for e in events.others if isinstance(e, ProcessLost)), key=attrgetter("process")):
        if (part := parts.get(event.lost)) is not None:
            part.lost = part.lost or event
    return parts
