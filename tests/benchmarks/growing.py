"""A session as recorders write it, without an end: several processes, each in a stage that stays open."""

import random
from collections.abc import Iterator
from itertools import count
from typing import Final

from ledger.events.models import ProcessJoined, TotalClaimed
from ledger.events.rows import EventRow, to_row

SESSION: Final = "20261122-113000-ab12cd34"
_DEEPEST: Final = 6
_STAGES: Final = 300
_THREADS: Final = ("MainThread", "worker")


def growing(processes: int, *, is_claimed: bool = False) -> Iterator[EventRow]:
    """Yield events by time, for ever: units of work in one thread or two, none of more than 40 stages.

    Where it is claimed, each process says at first how long all of that took: a total to be reconciled.
    """
    chance = random.Random(1)
    names = [f"{4242 + number}-5e6f7a8b" for number in range(processes)]
    at_ns = 1_000
    units: list[Iterator[tuple[str, int, str | None]]] = []
    seqs = [count() for _ in names]
    for number, (name, seq) in enumerate(zip(names, seqs, strict=True)):
        at_ns += 100
        joined = ProcessJoined(
            session=SESSION, process=name, seq=next(seq), at_ns=at_ns, name="Worker", pid=4242 + number,
            host="one", boot_id="b", wall_ns=at_ns,
        )  # fmt: skip
        yield to_row(joined)
        yield _started(name, next(seq), at_ns, 0, "run", None, "MainThread")
        if is_claimed:
            claimed = TotalClaimed(
                session=SESSION, process=name, seq=next(seq), at_ns=at_ns, claim=0, counts="total",
                source="engine", stage="torch_compile", claimed_ns=1_000_000_000,
            )  # fmt: skip
            yield to_row(claimed)
        units.append(_work(random.Random(number)))
    ids = [count(1) for _ in names]
    open_ids: list[dict[str, list[int]]] = [{thread: [0] for thread in _THREADS} for _ in names]
    while True:
        number = chance.randrange(processes)
        name, seq = names[number], seqs[number]
        at_ns += chance.randrange(100, 2_000)
        step, stage, thread = next(units[number])
        stack = open_ids[number][thread or ""]
        if step == "begin":
            interval = next(ids[number])
            yield _started(name, next(seq), at_ns, interval, f"stage_{stage}", stack[-1], thread)
            stack.append(interval)
        else:
            yield EventRow(
                SESSION, name, next(seq), "stage_stopped", at_ns, stack.pop(), *[None] * 7, "completed",
                None, None, None, at_ns,
            )  # fmt: skip


def _work(chance: random.Random) -> Iterator[tuple[str, int, str | None]]:
    """Yield the steps of one unit of work after the other."""
    while True:
        threads = _THREADS[: chance.choice((1, 1, 2))]
        depths = dict.fromkeys(threads, 0)
        left = chance.randrange(1, 40)
        while left or any(depths.values()):
            thread = chance.choice(threads)
            if left and depths[thread] < _DEEPEST and chance.random() < 0.55:
                depths[thread] += 1
                left -= 1
                yield "begin", chance.randrange(_STAGES), thread
            elif depths[thread]:
                depths[thread] -= 1
                yield "end", 0, thread


def _started(
    process: str, seq: int, at_ns: int, interval: int, stage: str, parent: int | None, thread: str | None
) -> EventRow:
    role = "encoder" if interval % 40 == 0 else None
    return EventRow(
        SESSION, process, seq, "stage_started", at_ns, interval, stage, "compile", role, None, "torch",
        thread, parent, None, None, '{"compile_id":"0/0"}', None, at_ns,
    )  # fmt: skip
