"""Random sessions for the breakdown: several processes in a tree, on one clock or two, and milestones.

Times are few and small multiples of UNIT, so that ties and touching ends are the rule. A tick of
`pid_start` is two units. What a process's stages are is left, by half, to the reducer's own strategies,
whose every kind of stray event comes with them; the rest is whole intervals of few lengths.
"""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from ledger.events.models import (
    Event,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
    StageStarted,
)
from tests.support.random_sessions import (
    Tape,
    crossing_stages,
    nested_stages,
    outcomes,
    small,
    wild_stages,
)

UNIT = 5_000_000
TICK = 2
"""Units in a tick of `pid_start`."""
BOOTED_AT = 1_700_000_000_000_000_000
"""The wall time at which the first host's clock was 0."""
IDS = ["p", "q", "r", "s"]
PIDS = st.sampled_from([10, 11, 12, 13])

ABOUT: list[dict[str, Any]] = [
    {"stage": "waiting", "source": "engine"},
    {"stage": "waiting", "source": "python"},
    {"stage": "import", "source": "python", "component": "torch"},
    {"stage": "engine_init", "source": "engine"},
    {"stage": "weights_load", "source": "engine"},
    {"stage": "dynamo", "source": "torch"},
    {"stage": "torch_compile", "source": "monitor", "role": "encoder", "component": "block"},
    {"stage": "of_nobody", "source": "user", "activity": "startup"},
]
about = st.sampled_from(ABOUT)


MILESTONES = [
    ["first_token"],
    ["engine_ready", "engine_ready", "first_token"],
    ["command_started", "engine_ready", "engine_ready", "engine_ready", "command_ended"],
    ["command_started", "server_ready", "engine_ready", "first_token"],
    ["command_started", "command_ended", "first_token"],
]
"""What a session's processes may reach."""


class Host(NamedTuple):
    """A clock domain as `process_joined` tells it, and its lead over the first one's, in units."""

    fields: dict[str, Any]
    ahead: int
    booted_at: int | None
    """The wall time at which its clock was 0; None where nobody reads the wall clock."""


ONE = {"host": "one", "boot_id": "b"}


@st.composite
def hosts(draw: st.DrawFn) -> list[Host]:
    """One clock domain, mostly; or two, which may be of one host, or say nothing of the wall clock."""
    first = Host(dict(ONE), 0, draw(st.sampled_from([BOOTED_AT] * 6 + [None])))
    if draw(st.sampled_from([True, False])):
        return [first]
    other = draw(
        st.sampled_from(
            [
                {"host": "two", "boot_id": "c"},
                {"host": "two", "boot_id": "b"},
                {**ONE, "time_namespace": "t"},
                {"boot_id": "c"},
            ]
        )
    )
    ahead = draw(st.sampled_from([0, 3, 40]))
    # The hosts' clocks agree, or do not: by a unit, by less than one.
    astray = draw(st.sampled_from([0, 0, UNIT, -2 * UNIT, 777]))
    booted_at = draw(st.sampled_from([BOOTED_AT] * 6 + [None]))
    return [first, Host(other, ahead, None if booted_at is None else booted_at - ahead * UNIT + astray)]


@st.composite
def plain_stages(draw: st.DrawFn, tape: Tape) -> None:
    """Whole intervals, anywhere: nested, crossing, identical, of no length; a few never stop."""
    moments = st.integers(0, draw(st.sampled_from([3, 6, 12])))
    pairs = st.lists(st.tuples(moments, moments), min_size=1, max_size=7)
    are_ids_falling = draw(st.booleans())
    for number, (start, stop) in enumerate(draw(pairs)):
        interval = 9 - number if are_ids_falling else number
        start, stop = sorted((start, stop))
        tape.start(interval, start, **draw(about), thread=draw(st.sampled_from(["main", "other"])))
        if draw(st.sampled_from([True] * 5 + [False])):
            tape.stop(interval, stop)


@st.composite
def waiting_stages(draw: st.DrawFn, tape: Tape) -> None:
    """What a process with children does: it works, waits, inside of another stage or not, works again."""
    first, second, third = (draw(small) for _ in range(3))
    tape.start(0, 0, stage="engine_init", source="engine")
    if is_outside := draw(st.booleans()):
        tape.stop(0, first)
    tape.span(1, first, first + second, stage="waiting", source="engine")
    tape.span(2, first + second, first + second + third, **draw(about))
    if not is_outside:
        tape.stop(0, first + second + third)


@st.composite
def stages(draw: st.DrawFn, process: str) -> list[Event]:
    """A process's stages, in units from 0; its events have no seq worth keeping."""
    tape = Tape(process)
    kinds = [
        plain_stages,
        plain_stages,
        plain_stages,
        waiting_stages,
        nested_stages,
        crossing_stages,
        wild_stages,
    ]
    draw(draw(st.sampled_from(kinds))(tape))
    # The reducer's strategies know no waiting, and reach an `engine_ready` at every other moment.
    events: list[Event] = [event for event in tape.events if not isinstance(event, MilestoneReached)]
    for place, event in enumerate(events):
        if (
            isinstance(event, StageStarted)
            and event.source == "engine"
            and draw(st.sampled_from([True, False, False]))
        ):
            events[place] = event.model_copy(update={"stage": "waiting", "activity": "startup"})
    return events


@st.composite
def breakdown_sessions(draw: st.DrawFn) -> list[Event]:
    """Return a session's events, in any order, of one to four processes."""
    tape = Tape()
    all_hosts = draw(hosts())
    processes = draw(st.permutations(IDS))[: draw(st.sampled_from([1, 2, 3, 3, 4, 4]))]
    with_pid_start = draw(st.sampled_from(["all", "some", "none"]))
    all_join = draw(st.sampled_from([True] * 5 + [False]))
    # A ring: all but one began at once, and each names the next one as its parent.
    shape = draw(st.sampled_from(["tree", "tree", "tree", "any", "any", "ring"]))
    longest = draw(st.sampled_from([2, 6, 12]))
    latest = begin = 0
    milestones = draw(st.sampled_from(MILESTONES))
    for number, process in enumerate(processes):
        tape.process = process
        host = draw(st.sampled_from(all_hosts))
        # Where it begins, on the first host's clock: in a tree after its parents, or together with them.
        if shape == "tree":
            begin += draw(st.sampled_from([0, 0, 1, 2]))
        elif shape == "ring":
            begin = min(2, 2 * number)
        else:
            begin = draw(st.integers(0, longest))
        own: list[tuple[int, type[Any], dict[str, Any]]] = []

        # Its stages, and where it says that it joined.
        for event in draw(stages(process)):
            fields = event.model_dump(exclude={"kind", "session", "process", "seq", "at_ns"})
            own.append((begin + event.at_ns, type(event), fields))
        joins = draw(st.sampled_from([1, 1, 1, 2] if all_join else [0, 1, 1, 2]))
        pid = 10 + number if shape == "ring" or draw(st.sampled_from([True, True, False])) else draw(PIDS)
        for _ in range(joins):
            at = begin + draw(st.sampled_from([0, 0, 0, 1, 3]))
            join: dict[str, Any] = {"name": process, **host.fields, "pid": pid}
            join["rank"] = draw(st.sampled_from([None, None, 0, 1, 1]))
            of_tree = st.sampled_from([10 + max(0, number - 1), 10 + number // 2, 10 + number // 3])
            if shape == "ring":
                join["parent_pid"] = 10 + number % (len(processes) - 1 or 1) + 1
            else:
                join["parent_pid"] = draw(of_tree if shape == "tree" else st.one_of(st.none(), PIDS))
            join["pid_namespace"] = draw(st.sampled_from([None] * 9 + ["n"]))
            if not all_join and draw(st.sampled_from([True] * 5 + [False])) is False:
                join = {key: join[key] for key in ("name", "rank", "pid", "parent_pid")}  # of no known clock
            if with_pid_start == "all" or (with_pid_start == "some" and draw(st.booleans())):
                # Now and then after its first event.
                earlier = 0 if shape == "ring" else draw(st.sampled_from([0, -1, -2, -3, -5, 2]))
                begun = begin + host.ahead + earlier
                join["pid_start"] = max(0, begun // TICK)
            if host.booted_at is not None and draw(st.sampled_from([True] * 9 + [False])):
                # Read at the same time, or nearly: a second anchor may say another thing.
                off = draw(st.sampled_from([0, 0, 0, 1, UNIT]))
                join["wall_ns"] = host.booted_at + (at + host.ahead) * UNIT + off
            own.append((at, ProcessJoined, join))

        # Its milestones: few, so that a window has room.
        for name in draw(st.lists(st.sampled_from(milestones), max_size=3)):
            early = name == "command_started" and draw(st.booleans())
            at = draw(small if early else st.integers(begin, begin + longest + 4))
            own.append((at, MilestoneReached, {"name": name}))
        if not own:
            own.append((begin, MilestoneReached, {"name": "first_token"}))

        # Its end.
        last = max(at for at, *_ in own)
        latest = max(latest, last)
        ending = draw(st.sampled_from(["none", "none", "left", "left", "lost", "left and lost"]))
        if "left" in ending:
            # Mostly its last event; sometimes others come after it, which a thread may write.
            at = last + draw(small) if draw(st.booleans()) else draw(st.integers(min(begin, last), last))
            own.append((at, ProcessLeft, {"outcome": draw(outcomes), "event_count": len(own) + 1}))
        never_ready = not {"engine_ready", "server_ready"} & {*milestones}
        if draw(st.sampled_from([False] * (1 if never_ready else 7) + [True])):
            own.append((draw(st.integers(0, longest + 8)), SessionEnded, {"outcome": draw(outcomes)}))
        if draw(st.booleans()):
            own.sort(key=lambda event: event[0])  # in the order of time, as a recorder would
        for at, kind, fields in own:
            tape.add(kind, (at + host.ahead) * UNIT, **fields)
        if "lost" in ending:
            at = (last if draw(st.booleans()) else draw(st.integers(0, last))) + host.ahead
            tape.add(ProcessLost, at * UNIT, process=f"{process}:lost", lost=process, last_seq=len(own))
    if draw(st.sampled_from([False, False, True])):
        # By the recording command itself: a process of its own.
        command = Tape("command")
        if all_join or draw(st.booleans()):
            command.join(0, **{**ONE, "name": "record", "pid": draw(st.sampled_from([9, 9, 10]))})
        command.add(MilestoneReached, draw(st.integers(0, longest)) * UNIT, name="command_started")
        if draw(st.booleans()):
            command.add(MilestoneReached, (latest + draw(small)) * UNIT, name="command_ended")
        tape.events += command.events
    lost = draw(st.one_of(st.just(set[int]()), st.just(set[int]()), st.sets(st.integers(0, 30), max_size=3)))
    return [event for place, event in enumerate(tape.events) if place not in lost] or tape.events
