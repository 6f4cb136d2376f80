"""`report` on 100,000 projected events of 8 processes: until its first line, and until its end.

Each in a process of its own, beside one that only imports what any command line of this kind imports.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench_breakdown import stages_of
from measuring import Figure, Goal, rounds

from ledger import Event, Ledger
from ledger.events.models import MilestoneReached, ProcessJoined, StageStarted, StageStopped, TotalClaimed
from ledger.events.rows import to_row
from ledger.storage.store import Store
from ledger.timeline.stage_events import Start

_PROCESSES, _EVENTS = 8, 100_000
_SESSION = "20261128-100000-ab12cd34"
_FLOOR = [sys.executable, "-c", "import pydantic, rich, typer\nprint()"]
_ROUNDS = 7


def main() -> None:
    """Write the session straight into a ledger, project it, and report."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "startup.db"
        _fill(path)
        command = [sys.executable, "-m", "ledger.cli", "report", str(path)]
        floor_s, first_s, whole_s = (
            min(_seconds(which, until_end) for _ in range(rounds(_ROUNDS)))
            for which, until_end in ((_FLOOR, True), (command, False), (command, True))
        )
    print(f"Reporting {_EVENTS:,} events in {_PROCESSES} processes")
    print(Figure("importing pydantic, rich and typer", floor_s, "s"))
    print(Goal("until the first line", first_s, 1.0, "s"))
    print(Figure("until the end", whole_s, "s"))
    print(Figure("the first line against the imports", first_s / floor_s, "x"))


def _seconds(command: Sequence[str], until_end: bool) -> float:
    """Return how long a process takes from its start to its first line, or to its end."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.read()
        process.wait()
        return time.perf_counter() - start if until_end else seconds


def _fill(path: Path) -> None:
    store = Store.open(path)
    with store.transaction():
        store.append([to_row(event, event.at_ns) for event in _events()])
    store.close()
    Ledger.open(path).close()


def _events() -> Iterator[Event]:
    """Yield the events of an engine and seven ranks, with a claim of each and hundreds of torch's."""
    for number in range(_PROCESSES):
        process = f"p{number}"
        key = {"session": _SESSION, "process": process}
        yield ProcessJoined(
            **key, seq=0, at_ns=0, name="EngineCore" if number == 0 else f"Worker_TP{number - 1}", host="h",
            boot_id="b", rank=number - 1 if number else None, pid=100 + number, pid_start=0,
            parent_pid=100 if number else 1, wall_ns=1_800_000_000_000_000_000,
        )  # fmt: skip
        seq = at_ns = 0
        for stage in stages_of(number, _EVENTS // 2 // _PROCESSES):
            seq, at_ns = stage.seq, stage.at_ns * 10_000
            if isinstance(stage, Start):
                yield StageStarted(
                    **key, seq=seq, at_ns=at_ns, interval=stage.interval, stage=stage.stage, role=stage.role,
                    activity=stage.activity, source=stage.source, thread=stage.thread, parent=stage.parent,
                )  # fmt: skip
            else:
                yield StageStopped(**key, seq=seq, at_ns=at_ns, interval=stage.interval, outcome="completed")
        for claim in range(50):
            yield TotalClaimed(
                **key, seq=seq + 1 + claim, at_ns=at_ns, claim=claim, counts="total", source="engine",
                role="encoder", stage="torch_compile", claimed_ns=at_ns // 2, resolution_ns=10_000_000,
            )  # fmt: skip
        yield MilestoneReached(**key, seq=seq + 100, at_ns=at_ns, name="engine_ready")


if __name__ == "__main__":
    main()
