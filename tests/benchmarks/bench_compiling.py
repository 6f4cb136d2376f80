"""What recording adds to a real cold compile: the hook's cost times the events, over the wall time."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Figure, Goal, rounds

from ledger import Ledger

_PAIRS = 3
_PROGRAM = Path(__file__).with_name("compile_once.py")
_HOOK_COST = """
import time
import torch
import torch._dynamo.utils as utils
def span():
    with utils.dynamo_timed("bench"):
        pass
def per_event_us(calls=3000):
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(calls):
            span()
        best = min(best, time.perf_counter() - start)
    return best / calls / 2 * 1e6
print(per_event_us())
"""


def main() -> None:
    """Run pairs with and without recording, alternating, and measure the hook by itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with_us, without_us = (_printed(folder, ["-c", _HOOK_COST], on=on) for on in (True, False))
        pairs = [
            [_printed(folder, [str(_PROGRAM)], on=on) for on in (False, True)] for _ in range(rounds(_PAIRS))
        ]
        with Ledger.open(folder / "bench.db") as ledger:
            session = ledger.sessions()[-1]
            events = int(
                str(
                    ledger.sql("SELECT event_count FROM sessions WHERE session = ?", [session])[0][
                        "event_count"
                    ]
                )
            )
    cost_us = with_us - without_us
    on = statistics.median(recorded for _, recorded in pairs)
    print("Recording a real cold compile")
    print(Figure("the hook adds, an event", cost_us, "µs"))
    print(Figure("recorded", events, "events"))
    print(Figure("a recorded compile, at the median", on, "s"))
    print(Goal("of the wall time", 100 * events * cost_us / 1e6 / on, 1.0, "%"))
    print(f"  pairs without and with, s: {', '.join(f'{a:.2f} {b:.2f}' for a, b in pairs)}")


def _printed(folder: Path, arguments: list[str], *, on: bool) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPILE_LEDGER")}
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        environment["TORCHINDUCTOR_CACHE_DIR"] = cache
        if on:
            environment["COMPILE_LEDGER"] = str(folder / "bench.db")
            time.sleep(1.1)  # sessions are told apart by the second of their start
        ran = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True
        )
    return float(ran.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
