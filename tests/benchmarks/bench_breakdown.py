"""The breakdown of a session of 100,000 intervals in 8 processes, against what else reducing it takes."""

import random
from collections.abc import Iterator

from measuring import Figure, Goal, per_call_us

from ledger.events.models import MilestoneReached, ProcessJoined
from ledger.gc_pause import gc_paused
from ledger.timeline.breakdown import startup_breakdown
from ledger.timeline.process_events import SessionEvents, StageEvents, by_process
from ledger.timeline.records import Interval
from ledger.timeline.reducer import reduce_stored
from ledger.timeline.stage_events import Start, Stop

_PROCESSES, _INTERVALS, _MAX_DEPTH = 8, 100_000, 15
_SESSION = "s"


def main() -> None:
    """Reduce as a whole, which breaks down too, and break down alone."""
    events = _session()
    whole = reduce_stored(_SESSION, events)
    parts = by_process(events)
    for process, stages in events.stages.items():
        parts[process].add_stages(stages.in_order())
    intervals: dict[str, list[Interval]] = {process: [] for process in parts}
    for interval in whole.intervals:
        intervals[interval.process].append(interval)
    with gc_paused():
        reduce_s = per_call_us(lambda: reduce_stored(_SESSION, events), 1) / 1e6
        breakdown_s = per_call_us(lambda: startup_breakdown(_SESSION, parts, intervals), 1) / 1e6
    print(f"Breaking down {_INTERVALS:,} intervals in {_PROCESSES} processes")
    print(Figure("reducing, the breakdown included", reduce_s, "s"))
    print(Figure("pieces", len(whole.startup_breakdown), "pieces"))
    print(
        Goal("the breakdown against the rest of reducing", breakdown_s / (reduce_s - breakdown_s), 0.5, "x")
    )


def _session() -> SessionEvents:
    """Return an engine and seven ranks, all of them at work at once."""
    stages: dict[str, StageEvents] = {}
    others: list[ProcessJoined | MilestoneReached] = []
    last_ns = 0
    for number in range(_PROCESSES):
        process = f"p{number}"
        joined = ProcessJoined(
            session=_SESSION, process=process, seq=0, at_ns=0, name=process, host="h", boot_id="b",
            rank=number - 1 if number else None, pid=100 + number, parent_pid=100 if number else 1,
            pid_start=0,
        )  # fmt: skip
        others.append(joined)
        found = list(stages_of(number, _INTERVALS // _PROCESSES))
        stops = [stage for stage in found if isinstance(stage, Stop)]
        stages[process] = StageEvents.of([stage for stage in found if isinstance(stage, Start)], stops)
        last_ns = max(last_ns, stops[-1].at_ns)
    others.append(
        MilestoneReached(session=_SESSION, process="p0", seq=10**9, at_ns=last_ns, name="server_ready")
    )
    return SessionEvents(stages, others)


def stages_of(number: int, intervals: int) -> Iterator[Start | Stop]:
    """Yield the starts and stops of one process: nested, and after each outermost one a pause."""
    chance = random.Random(number)
    at_ns, seq, interval = 0, 1, 0
    stack: list[int] = []
    while interval < intervals or stack:
        at_ns += chance.randrange(1, 1000)
        grows = len(stack) < _MAX_DEPTH and chance.random() < 0.52
        if interval < intervals and (grows or not stack):
            yield Start(
                at_ns, seq, interval, f"stage_{interval % 300}", "compile", None if stack else "encoder",
                None, "torch", "MainThread", stack[-1] if stack else None, None,
            )  # fmt: skip
            stack.append(interval)
            interval += 1
        else:
            yield Stop(at_ns, seq, stack.pop(), "completed", None, None)
        seq += 1


if __name__ == "__main__":
    main()
