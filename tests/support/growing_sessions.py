"""Random sessions as recorders write them, in parts as they come in: long enough to go on in the middle."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from ledger import Event
from ledger.events.models import GapNoted, MilestoneReached, SessionEnded, TotalClaimed
from tests.support.random_sessions import Tape

PLAIN = [
    {"stage": "work", "source": "engine"},
    {"stage": "compile_fx", "source": "torch"},
    {"stage": "compile_fx", "source": "torch", "role": "encoder"},
    {"stage": "step", "source": "user", "activity": "work"},
    {"stage": "waiting", "source": "engine"},
]
LOOKED_AT = [
    *PLAIN,
    {"stage": "dynamo", "source": "torch"},
    {"stage": "import", "source": "python", "component": "a.b"},
    {"stage": "weights_load", "source": "engine"},
]
STEPS = [
    *["span"] * 8,
    *["begin"] * 5,
    *["end"] * 5,
    "end_first",
    "forget",
    "stray_stop",
    "again",
    "far_parent",
    "note",
]
RARE = ["claim", "ready", "leave", "lose", "end_session"]

START = [
    *LOOKED_AT,
    {"stage": "torch_compile", "source": "monitor", "role": "encoder", "component": "block"},
    {"stage": "torch_compile", "source": "monitor", "role": "drafter"},
    {"stage": "graph_compile", "source": "backend"},
    {"stage": "aot_load", "source": "backend"},
    {"stage": "model_load", "source": "engine"},
]
SERVING = [
    *[{"stage": "serve", "source": "user", "activity": "work"}] * 4,
    *[{"stage": "batch", "source": "engine", "activity": "work", "component": "c"}] * 3,
    {"stage": "work", "source": "engine"},
    {"stage": "compile_fx", "source": "torch"},
]
CLAIMED = ["torch_compile", "graph_compile", "model_load", "dynamo", "work", None]
COUNTS = ["interval", "interval", "addition", "total", "total", "ranks"]


class _Growing:
    """A session while it is written."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.tape = Tape()
        self._about = draw(st.sampled_from([PLAIN, PLAIN, PLAIN, LOOKED_AT]))
        self._now = 100
        self._unit = 1
        self._claims = 0
        self._next_id = 0
        self._open: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._joined: list[str] = []
        self._is_one_clock = draw(st.sampled_from([True, True, True, False]))

    def write(self) -> list[Event]:
        """Return its events, by time."""
        draw = self._draw
        names = draw(st.sampled_from([["p"], ["p"], ["p", "q"], ["q", "p", "r"]]))
        steps = st.tuples(
            st.sampled_from(names),
            st.sampled_from(STEPS if draw(st.booleans()) else STEPS + RARE),
            st.sampled_from(["main", "main", "other"]),
            st.sampled_from([0, 1, 1, 2, 40]),
        )
        for name, step, thread, pause in draw(st.lists(steps, min_size=8, max_size=60)):
            self._now += pause
            self._step(name, step, thread)
        return self.tape.events

    def write_start(self) -> list[Event]:
        """Return its events, by time: of a start with claims of every kind, and of what came after ready."""
        draw = self._draw
        # A finding has a stake of a tenth of a second at least.
        self._unit = draw(st.sampled_from([1, 50_000_000]))
        names = draw(st.sampled_from([["p"], ["p", "q"], ["q", "p", "r"]]))
        processes, threads = st.sampled_from(names), st.sampled_from(["main", "main", "other"])
        pauses = st.sampled_from([0, 1, 1, 2, 40])
        self._about = START
        steps = ["span", "span", "span", "begin", "end", "claim_any", "claim_any"]
        of_start = st.tuples(processes, st.sampled_from(steps), threads, pauses)
        for name, step, thread, pause in draw(st.lists(of_start, min_size=3, max_size=25)):
            self._now += pause * self._unit
            self._step(name, step, thread)
        for name in draw(st.sampled_from([[], names[:1], names])):
            self._now += self._unit
            self._step(name, "ready", "main")
        self._about = SERVING
        often = ["span"] * 16 + ["begin", "end", "begin", "end", "note"]
        steps = often + draw(
            st.sampled_from(
                [[], [], ["claim_any"], ["claim_any", *RARE], ["stray_stop", "again", "far_parent"]]
            )
        )
        serving = st.tuples(processes, st.sampled_from(steps), threads, pauses)
        for name, step, thread, pause in draw(st.lists(serving, min_size=6, max_size=40)):
            self._now += pause * self._unit
            self._step(name, step, thread)
        return self.tape.events

    def _step(self, name: str, step: str, thread: str) -> None:
        draw, tape = self._draw, self.tape
        tape.process = name
        if name not in self._joined:
            self._join(name)
        open_ones = self._open[name, thread]
        if step == "span":
            self._begin(open_ones, thread)
            self._now += draw(st.sampled_from([0, 1, 3])) * self._unit
            tape.stop(open_ones.pop(), self._now)
        elif step == "begin":
            self._begin(open_ones, thread)
        elif step == "end" and open_ones:
            tape.stop(open_ones.pop(), self._now)
        elif step == "end_first" and open_ones:
            tape.stop(open_ones.pop(0), self._now)
        elif step == "forget" and open_ones:
            open_ones.pop()
        elif step == "stray_stop":
            tape.stop(draw(st.integers(0, self._next_id + 1)), self._now)
        elif step == "again" and self._next_id:
            tape.start(draw(st.integers(0, self._next_id - 1)), self._now, stage="work", source="engine")
        elif step == "far_parent":
            self._begin(open_ones, thread, parent=draw(st.integers(0, self._next_id + 2)))
        elif step == "note":
            tape.add(GapNoted, self._now, what="dropped")
        else:
            self._rarely(name, step)

    def _rarely(self, name: str, step: str) -> None:
        tape = self.tape
        if step == "claim_any":
            self._claim()
        elif step == "claim":
            tape.add(
                TotalClaimed, self._now, claim=self._next_id, source="engine",
                counts=self._draw(st.sampled_from(["total", "total", "ranks", "interval"])),
                claimed_ns=self._draw(st.sampled_from([7, 0])),
                role=self._draw(st.sampled_from([None, None, "encoder", "model"])),
            )  # fmt: skip
        elif step == "ready":
            tape.add(MilestoneReached, self._now, name="engine_ready")
        elif step == "leave":
            tape.leave(self._now)
        elif step == "lose":
            tape.lose(self._now, lost=name, alive_ns=self._now + 5)
        elif step == "end_session":
            tape.add(SessionEnded, self._now, outcome="completed")

    def _claim(self) -> None:
        """Add a claim of any kind: of what was, of what is open, or of what is yet to come."""
        draw = self._draw
        ids = st.integers(0, self._next_id + 1)
        counts = draw(st.sampled_from(COUNTS))
        data = draw(
            st.sampled_from(
                [
                    *[None] * 6,
                    {"intervals": draw(st.lists(ids, max_size=3))},
                    {"parts": draw(st.lists(ids, max_size=3))},
                    {"adds_up": {"torch_compile": 2, "serve": 1}},
                    {"within": [[draw(ids), 2 * self._unit]]},
                    {"range": "x"},
                ]
            )
        )
        self._claims += 1
        self.tape.add(
            TotalClaimed, self._now, claim=self._claims, counts=counts,
            source=draw(st.sampled_from(["monitor", "engine", "torch"])),
            role=draw(st.sampled_from([None, None, "encoder", "model"])),
            stage=draw(st.sampled_from(CLAIMED)),
            claimed_ns=draw(st.integers(0, 9)) * self._unit, resolution_ns=draw(st.sampled_from([None, 2])),
            interval=draw(ids) if draw(st.booleans()) else None,
            text=draw(st.sampled_from([None, "took"])), data=data,
        )  # fmt: skip

    def _join(self, name: str) -> None:
        number = len(self._joined)
        self._joined.append(name)
        clock: dict[str, Any] = {"host": "one", "boot_id": "b", "pid_namespace": "n"}
        if not self._is_one_clock and number:
            clock["host"] = "two"
        parent = {"parent_pid": 1} if number else {}
        rank = {"rank": number} if self._draw(st.sampled_from([False, False, True])) else {}
        self.tape.join(self._now, pid=number + 1, **clock, **parent, **rank)

    def _begin(self, open_ones: list[int], thread: str, parent: int | None = None) -> None:
        if parent is None and open_ones:
            parent = open_ones[-1]
        about = self._draw(st.sampled_from(self._about))
        self.tape.start(self._next_id, self._now, **about, parent=parent, thread=thread)
        open_ones.append(self._next_id)
        self._next_id += 1


@st.composite
def growing_sessions(draw: st.DrawFn) -> list[list[Event]]:
    """Return a session in the parts in which it comes in; now and then something comes late."""
    events = _Growing(draw).write()
    late = draw(st.sampled_from([0, 0, 0, 1, 3]))
    for _ in range(late):
        event = events.pop(draw(st.integers(0, len(events) - 1)))
        events.insert(draw(st.integers(0, len(events))), event)
    places = sorted(draw(st.lists(st.integers(0, len(events)), min_size=1, max_size=8)))
    return [events[a:b] for a, b in pairwise([0, *places, len(events)]) if a < b]


@st.composite
def growing_starts(draw: st.DrawFn) -> list[list[Event]]:
    """Return a start with claims, and what came after it, in parts; now and then something comes late."""
    events = _Growing(draw).write_start()
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        event = events.pop(draw(st.integers(0, len(events) - 1)))
        events.insert(draw(st.integers(0, len(events))), event)
    places = sorted(draw(st.lists(st.integers(len(events) // 3, len(events)), min_size=2, max_size=8)))
    return [events[a:b] for a, b in pairwise([0, *places, len(events)]) if a < b]
