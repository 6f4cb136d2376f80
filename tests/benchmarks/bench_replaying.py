"""Replaying a session of four processes and 100,000 events: going through it, and stepping anywhere."""

import random
import time

from measuring import Goal

from ledger.events.rows import EventRow, to_row
from ledger.testing import SessionBuilder
from ledger.timeline.replay import Replay

_PROCESSES = 4
_EVENTS = 100_000
_MAX_DEPTH = 15
_LOOKS = 300
_ROLES = (None, None, "encoder", "language_model")


def main() -> None:
    """Go through all of it, then look at moments anywhere."""
    rows = [row for number in range(_PROCESSES) for row in _process(number)]
    start = time.perf_counter()
    replay = Replay(rows)
    for _ in replay:
        pass
    seconds = time.perf_counter() - start
    chance = random.Random(1)
    looks: list[float] = []
    for _ in range(_LOOKS):
        start = time.perf_counter()
        moment = replay.at(chance.randrange(len(replay) + 1))
        _ = moment.open, moment.totals, moment.claims
        looks.append(time.perf_counter() - start)
    print(f"Replaying {len(replay):,} events of {_PROCESSES} processes")
    print(Goal("opening and going through, an event", seconds / len(replay) * 1e6, 20, "µs"))
    print(Goal(f"the slowest of {_LOOKS} looks at a moment anywhere", max(looks) * 1e3, 200, "ms"))


def _process(number: int) -> list[EventRow]:
    chance = random.Random(number)
    builder = SessionBuilder(process=f"worker-{number}")
    builder.begin(wall_ns=10**18)
    at_ns, stack = 0, [builder.start(0, "engine_init", source="engine")]
    while len(builder.events) < _EVENTS // _PROCESSES - _MAX_DEPTH:
        at_ns += chance.randrange(1, 1000)
        if len(stack) < _MAX_DEPTH and chance.random() < 0.52:
            parent = stack[-1] if stack and chance.random() < 0.8 else None
            role, source = chance.choice(_ROLES), chance.choice(("monitor", "torch"))
            stage = f"stage_{chance.randrange(300)}"
            stack.append(
                builder.start(at_ns, stage, role=role, source=source, activity="compile", parent=parent)
            )
        elif len(stack) > 1:
            builder.stop(at_ns, stack.pop())
        elif chance.random() < 0.01:
            builder.claim(at_ns, at_ns, source="monitor")
    while stack:
        builder.stop(at_ns := at_ns + 1, stack.pop())
    return [to_row(event) for event in builder.events]


if __name__ == "__main__":
    main()
