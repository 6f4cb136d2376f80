"""A session as recorders write it, without an end: several processes, each in a stage that stays open."""

import random
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from ledger.events.models import MilestoneReached, ProcessJoined, StageStarted, StageStopped, TotalClaimed
from ledger.events.rows import EventRow, to_row

SESSION: Final = "20261122-113000-ab12cd34"
_DEEPEST: Final = 6
_STAGES: Final = 300
_COMPILES: Final = 25
_THREADS: Final = ("MainThread", "worker")


def growing(processes: int, *, is_claimed: bool = False) -> Iterator[EventRow]:
    """Yield events by time, for ever: units of work in one thread or two, none of more than 40 stages.

    Where it is claimed, each process says at first how long all of that took: a total to be reconciled.
    """
    chance = random.Random(1)
    names = [f"{4242 + number}-5e6f7a8b" for number in range(processes)]
    at_ns = 1_000
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
    yield from _units(chance, names, seqs, at_ns, 0)


def growing_start(processes: int) -> Iterator[EventRow]:
    """Yield the same after a start of so many ranks, which compiled, claimed what that took, and were ready.

    Each has 25 compiles, with claims of each and of all of them. What comes then is other work.
    """
    names = [f"{4242 + number}-5e6f7a8b" for number in range(processes)]
    seqs = [count() for _ in names]
    seq_of = dict(zip(names, seqs, strict=True))

    def event(kind: type[Any], process: str, at_ns: int, **fields: Any) -> EventRow:
        return to_row(
            kind(session=SESSION, process=process, seq=next(seq_of[process]), at_ns=at_ns, **fields)
        )

    at_ns = 1_000
    for number, name in enumerate(names):
        yield event(
            ProcessJoined, name, at_ns, name=f"Worker_TP{number}", rank=number, pid=4242 + number,
            parent_pid=4000, host="one", boot_id="b", wall_ns=at_ns,
        )  # fmt: skip
    about = {"stage": "torch_compile", "source": "monitor", "role": "language_model"}
    for number in range(0, 2 * _COMPILES, 2):
        stop_ns = at_ns + 200_000_000
        for name in names:
            yield event(StageStarted, name, at_ns, interval=number, **about)
            yield event(
                StageStarted, name, at_ns + 10_000_000, interval=number + 1, stage="dynamo", source="torch",
                parent=number,
            )  # fmt: skip
            yield event(StageStopped, name, at_ns + 90_000_000, interval=number + 1)
            yield event(StageStopped, name, stop_ns, interval=number)
            for claim, counts in enumerate(("interval", "addition"), number):
                yield event(
                    TotalClaimed, name, stop_ns, claim=claim, counts=counts, interval=number,
                    claimed_ns=200_000_000, resolution_ns=10_000_000, **about,
                )  # fmt: skip
        at_ns = stop_ns + 10_000_000
    about["source"] = "engine"
    for name in names:
        for claim, counts in enumerate(("total", "ranks"), 2 * _COMPILES):
            yield event(
                TotalClaimed, name, at_ns, claim=claim, counts=counts, claimed_ns=6_000_000_000,
                resolution_ns=10_000_000, **about,
            )  # fmt: skip
        yield event(MilestoneReached, name, at_ns, name="engine_ready")
    for name, seq in seq_of.items():
        yield _started(name, next(seq), at_ns, 2 * _COMPILES, "serve", None, "MainThread", "work")
    yield from _units(random.Random(1), names, seqs, at_ns, 2 * _COMPILES, "work")


def _units(
    chance: random.Random, names: list[str], seqs: list[Iterator[int]], at_ns: int, run: int,
    activity: str = "compile",
) -> Iterator[EventRow]:  # fmt: skip
    """Yield units of work, for ever. `run` is the stage of each process that stays open around them."""
    units = [_work(random.Random(number)) for number in range(len(names))]
    ids = [count(run + 1) for _ in names]
    open_ids: list[dict[str, list[int]]] = [{thread: [run] for thread in _THREADS} for _ in names]
    while True:
        number = chance.randrange(len(names))
        name, seq = names[number], seqs[number]
        at_ns += chance.randrange(100, 2_000)
        step, stage, thread = next(units[number])
        stack = open_ids[number][thread or ""]
        if step == "begin":
            interval = next(ids[number])
            yield _started(name, next(seq), at_ns, interval, f"stage_{stage}", stack[-1], thread, activity)
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
    process: str, seq: int, at_ns: int, interval: int, stage: str, parent: int | None, thread: str | None,
    activity: str = "compile",
) -> EventRow:  # fmt: skip
    role = "encoder" if interval % 40 == 0 else None
    return EventRow(
        SESSION, process, seq, "stage_started", at_ns, interval, stage, activity, role, None, "torch",
        thread, parent, None, None, '{"compile_id":"0/0"}', None, at_ns,
    )  # fmt: skip
