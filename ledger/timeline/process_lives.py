"""When each process of a session existed, on one clock, and how far it is from the session's first one."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from ledger.events.models import MilestoneReached, ProcessJoined, ProcessLost
from ledger.timeline.clocks import SharedClock
from ledger.timeline.process_events import ProcessEvents
from ledger.vocabulary import COMMAND_STARTED

TICK_NS: Final = 10_000_000
"""The kernel counts when a process was created in these: the 100 ticks a second of every Linux."""


class ProcessLife(NamedTuple):
    """A process of a session: its times are on the session's one clock."""

    process: str
    rank: int | None
    identity: tuple[object, ...] | None
    """Host, boot, pid namespace and pid; None where it has no pid."""
    parent: tuple[object, ...] | None
    """The same of its parent."""
    starts_command: bool
    """Whether it started the command, as `record` does: on each host of several one may."""
    is_creation_known: bool
    began_ns: int
    """Its creation by the kernel; its first event where that is not known."""
    ended_ns: int | None
    """When it left or was lost; None where it had not."""


class Lives(NamedTuple):
    """The processes of a session, on its one clock: that of the process that began first."""

    processes: tuple[ProcessLife, ...]
    """In the order of their beginning."""
    offset_ns: Mapping[str, int]
    """By process, those that only say something of another included: what lays its times on that clock."""
    uncertainty_ns: int
    """How well the clocks are aligned; 0 where there is only one."""


def lives_of(parts: Mapping[str, ProcessEvents]) -> Lives:
    """Return when the processes of a session existed. There is at least one."""
    clock = SharedClock(
        [event for part in parts.values() for event in part.others if isinstance(event, ProcessJoined)],
        {process: part.first_ns for process, part in parts.items()},
        {
            process: event.lost
            for process, part in parts.items()
            for event in part.others
            if isinstance(event, ProcessLost)
        },
    )
    lives = [
        _life(process, part, clock.offset_ns(process)) for process, part in parts.items() if part.is_process
    ]
    lives.sort(key=attrgetter("began_ns", "process"))
    of_first_ns = clock.offset_ns(lives[0].process) if lives else 0
    return Lives(
        tuple(
            life._replace(
                began_ns=life.began_ns - of_first_ns,
                ended_ns=None if life.ended_ns is None else life.ended_ns - of_first_ns,
            )
            for life in lives
        ),
        {process: clock.offset_ns(process) - of_first_ns for process in parts},
        clock.spread_ns if clock.domains > 1 else 0,
    )


def _life(process: str, part: ProcessEvents, offset_ns: int) -> ProcessLife:
    joined, ticks = part.joined, part.creation_ticks
    identity = parent = created_ns = None
    if joined is not None:
        place = (joined.host, joined.boot_id, joined.pid_namespace)
        identity = None if joined.pid is None else (*place, joined.pid)
        parent = None if joined.parent_pid is None else (*place, joined.parent_pid)
    # The kernel counts from the boot, and so does the clock of events, but for the time that the machine was
    # suspended: a creation that seems to lie after the first event says nothing.
    if ticks is not None and ticks * TICK_NS <= part.first_ns:
        created_ns = ticks * TICK_NS
    began_ns = part.first_ns if created_ns is None else created_ns
    end, alive = part.left or part.lost, part.seen_alive
    ended_ns = None if end is None else end.at_ns if end is part.left or alive is None else alive.alive_ns
    return ProcessLife(
        process,
        part.renamed.rank if part.renamed else None,
        identity,
        parent,
        any(isinstance(event, MilestoneReached) and event.name == COMMAND_STARTED for event in part.others),
        created_ns is not None,
        began_ns + offset_ns,
        None if ended_ns is None else ended_ns + offset_ns,
    )


def distances(lives: Sequence[ProcessLife]) -> dict[str, int]:
    """Return how many steps each process is from the first one, down the tree of processes.

    `lives` are in the order of their beginning. A process whose parent does not record stands right under the
    first; one that started the command stands beside it, so that the hosts of a session are charged alike.
    """
    parent_of = parents_of(lives)
    steps = {life.process: 0 for life in lives if life.starts_command and life.process not in parent_of}
    steps |= {life.process: 0 for life in lives[:1]}
    for life in lives:
        _add_steps(steps, life.process, parent_of)
    return {life.process: steps[life.process] for life in lives}


def parents_of(lives: Sequence[ProcessLife]) -> dict[str, str]:
    """Return which process of the session started each; `lives` are in the order of their beginning."""
    of_identity: defaultdict[tuple[object, ...] | None, list[ProcessLife]] = defaultdict(list)
    for life in lives:
        of_identity[life.identity].append(life)
    parent_of: dict[str, str] = {}
    for life in lives[1:]:
        # A pid may have been another process's before.
        if (parent := _newest(of_identity.get(life.parent or (), ()), life)) is not None:
            parent_of[life.process] = parent.process
    return parent_of


def _newest(lives: Sequence[ProcessLife], child: ProcessLife) -> ProcessLife | None:
    """Return the one of some lives that began last by when a child did; of several the first."""
    began_ns = attrgetter("began_ns")
    number = bisect_right(lives, child.began_ns, key=began_ns)
    while number:
        first = bisect_left(lives, lives[number - 1].began_ns, key=began_ns)
        found = next((life for life in lives[first : min(first + 2, number)] if life is not child), None)
        if found is not None:
            return found
        number = first
    return None


def _add_steps(steps: dict[str, int], process: str, parent_of: Mapping[str, str]) -> None:
    """Add how many steps a process and those above it are from the first one, which is in there."""
    path: dict[str, None] = {}
    at: str | None = process
    while at is not None and at not in steps and at not in path:
        path[at] = None
        at = parent_of.get(at)
    up = list(path)
    if at is None:
        steps[up[-1]] = 1
    elif at not in steps:
        # Of processes that began at one time, each may seem the other's parent: such a circle is cut.
        circle = up[up.index(at) :]
        steps.update(dict.fromkeys(circle, len(circle)))
    for each in reversed(up):
        if each not in steps:
            steps[each] = steps[parent_of[each]] + 1
