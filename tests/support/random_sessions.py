"""Random sessions, with every kind of stray event; and the tape that tests write events down on."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeVar

from hypothesis import strategies as st

from ledger.events.models import (
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger.timeline.reducer import Reduced, reduce_session

SECOND = 1_000_000_000

EventOfAKind = TypeVar("EventOfAKind", bound=Event)


@dataclass
class Tape:
    """Events written down one after another, numbered in their processes."""

    process: str = "p"
    events: list[Event] = field(default_factory=list)
    session: str = "s"

    def add(
        self,
        kind: type[EventOfAKind],
        at: int,
        *,
        process: str | None = None,
        seq: int | None = None,
        **rest: Any,
    ) -> EventOfAKind:
        """Add an event; its process and seq are the tape's and the next, where they are left out."""
        process = process or self.process
        if seq is None:
            seq = max((event.seq for event in self.events if event.process == process), default=-1) + 1
        event = kind(session=self.session, process=process, seq=seq, at_ns=at, **rest)
        self.events.append(event)
        return event

    def start(
        self, interval: int, at: int, stage: str = "dynamo", source: str = "torch", **rest: Any
    ) -> None:
        self.add(StageStarted, at, interval=interval, stage=stage, source=source, **rest)

    def stop(self, interval: int, at: int, **rest: Any) -> None:
        self.add(StageStopped, at, interval=interval, **rest)

    def span(self, interval: int, start: int, stop: int, **rest: Any) -> None:
        """Add an interval's start and stop, next to each other."""
        process = rest.get("process")
        self.start(interval, start, **rest)
        self.stop(interval, stop, process=process)

    def join(self, at: int = 0, **rest: Any) -> None:
        self.add(ProcessJoined, at, **{"name": "Worker", **rest})

    def leave(self, at: int, outcome: str = "completed", event_count: int = 0, **rest: Any) -> None:
        self.add(ProcessLeft, at, outcome=outcome, event_count=event_count, **rest)

    def lose(self, at: int, lost: str = "p", last_seq: int = 0, alive_ns: int | None = None) -> None:
        known = {"lost": lost, "last_seq": last_seq, "alive_ns": alive_ns}
        self.add(ProcessLost, at, process=f"{lost}:lost", **known)

    def reduce(self) -> Reduced:
        return reduce_session(self.events)


# Random sessions. Times are few and small, so that ties and touching ends are the rule.

ROLES = [None, None, None, "encoder", "drafter"]
ABOUT = [
    {"role": role, "stage": stage, "source": source}
    for role, (stage, source) in product(
        ROLES,
        [
            ("dynamo", "torch"),
            ("dynamo", "torch"),
            ("graph_compile", "backend"),
            ("warmup", "engine"),
            ("compile_fx", "torch"),
        ],
    )
]
THREADS = st.sampled_from(["main", "main", "other", None])
CLOCKS = st.sampled_from(
    [
        None,
        {},
        {"host": "one"},
        {"boot_id": "b"},
        {"host": "one", "boot_id": "b"},
        {"host": "one", "boot_id": "b"},
        {"host": "one", "boot_id": "b", "time_namespace": "t", "wall_ns": 1_700_000_000 * SECOND + 1_999},
        {"host": "one", "boot_id": "c"},
        {"host": "two", "boot_id": "b", "hooks": ["h"], "missing_hooks": ["m"], "rank": 1, "pid": 2},
    ]
)
about = st.sampled_from(ABOUT)
DATA: list[dict[str, Any] | None] = [
    *[None] * 4,
    {},
    {"compile_id": "0/0"},
    {"cache": "hit", "range": {"from": 1, "to": None}},
    {"cache": None, "range": {"to": 8}, "sizes": [1, None, 2.5]},
    {"compile_id": None, "text": "null …"},
]
data = st.sampled_from(DATA)
errors = st.sampled_from([None, None, "ValueError"])
outcomes = st.sampled_from(["completed", "completed", "failed"])
small = st.integers(0, 3)


@st.composite
def wild_stages(draw: st.DrawFn, tape: Tape) -> None:
    """Starts and stops of a handful of ids at any time in any order: every kind of stray event."""
    id_limit = draw(st.integers(0, 6))
    ids = st.integers(0, id_limit)
    moments = st.integers(0, draw(st.sampled_from([3, 8, 20])))
    parents = st.one_of(st.none(), st.integers(0, id_limit + 1))
    for is_start, interval, at in draw(st.lists(st.tuples(st.booleans(), ids, moments), max_size=16)):
        if is_start:
            tape.start(
                interval, at, **draw(about), parent=draw(parents), thread=draw(THREADS), data=draw(data)
            )
        else:
            tape.stop(interval, at, outcome=draw(outcomes), error=draw(errors), data=draw(data))


@st.composite
def nested_stages(draw: st.DrawFn, tape: Tape) -> None:
    """What a recorder would write: a stack of stages in each thread, now and then with a fault."""
    steps = st.tuples(
        st.sampled_from(["begin"] * 6 + ["end"] * 5 + ["forget", "end_outer", "again", "claim", "note"]),
        st.sampled_from(["main", "main", "other"]),
        st.sampled_from([0, 0, 1, 1, 2, 5]),
    )
    stacks: dict[str, list[int]] = {"main": [], "other": []}
    now, next_id = draw(small), 0
    with_parents = draw(st.sampled_from([True, True, True, False]))
    for step, thread, pause in draw(st.lists(steps, max_size=24)):
        now += pause
        stack = stacks[thread]
        if step == "begin":
            # A thread's first stage is often handed its parent by the thread that made it.
            outer = stack or stacks["main"]
            parent = outer[-1] if outer and with_parents else None
            tape.start(next_id, now, **draw(about), parent=parent, thread=thread, data=draw(data))
            stack.append(next_id)
            next_id += 1
        elif step == "again" and next_id:
            interval = draw(st.integers(0, next_id - 1))
            if draw(st.booleans()):
                tape.start(interval, now, **draw(about))
            else:
                tape.stop(interval, now)
        elif step == "claim":
            tape.add(TotalClaimed, now, claim=next_id, source="engine", claimed_ns=now, data=draw(data))
        elif step == "note":
            tape.add(GapNoted, now, what="dropped")
            tape.add(MilestoneReached, now, name="engine_ready")
        elif step == "end" and stack:
            tape.stop(stack.pop(), now, outcome=draw(outcomes), data=draw(data))
        elif step == "forget" and stack:
            stack.pop()
        elif step == "end_outer" and len(stack) > 1:
            stack.pop()
            tape.stop(stack.pop(), now)
    if draw(st.booleans()):
        for stack in stacks.values():
            while stack:
                tape.stop(stack.pop(), now)


@st.composite
def crossing_stages(draw: st.DrawFn, tape: Tape) -> None:
    """Whole intervals, each anywhere, with parents by any link: crossings, ties, lengths of nothing."""
    moments = st.integers(0, draw(st.sampled_from([4, 12])))
    spans = draw(st.lists(st.tuples(moments, moments, st.booleans()), max_size=10))
    parents = st.one_of(st.none(), st.integers(0, len(spans)))
    for interval, (start, stop, is_whole) in enumerate(spans):
        start, stop = sorted((start, stop))
        tape.start(interval, start, **draw(about), parent=draw(parents), thread=draw(THREADS))
        if is_whole or draw(st.booleans()):
            tape.stop(interval, stop)


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    """Return a session's events, in the order of their writing."""
    tape = Tape()
    common_clock = draw(st.one_of(st.none(), CLOCKS))
    for process in draw(st.sampled_from([["p"], ["p"], ["p", "q"], ["q", "p", "r"]])):
        tape.process = process
        clock = common_clock or draw(CLOCKS)
        if clock is not None:
            tape.join(draw(small), **clock)
        draw(draw(st.sampled_from([wild_stages, nested_stages, nested_stages, crossing_stages]))(tape))
        own = [event for event in tape.events if event.process == process]
        latest = max((event.at_ns for event in own), default=0)
        count, last_seq = len(own), len(own) - 1
        ending = draw(st.sampled_from(["none", "none", "left", "lost", "left and lost", "ended"]))
        if "left" in ending:
            seq = count + draw(st.sampled_from([0, 0, 2]))  # a hole before it
            tape.leave(
                latest + draw(small), draw(outcomes), seq=seq, event_count=draw(st.integers(0, seq + 1))
            )
        if "lost" in ending and own:
            alive_ns = draw(st.one_of(st.none(), st.just(latest + draw(small))))
            last_seq = max(0, last_seq + draw(st.integers(-1, 2)))
            tape.lose(latest, lost=process, last_seq=last_seq, alive_ns=alive_ns)
        if ending == "ended":
            tape.add(SessionEnded, latest, outcome="completed")
    lost = draw(st.one_of(st.just(set[int]()), st.sets(st.integers(0, 20), max_size=3)))
    return [event for place, event in enumerate(tape.events) if place not in lost]
