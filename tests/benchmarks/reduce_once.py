"""Fills a ledger with a session and projects it, once: `python reduce_once.py CHECKOUT INTERVALS`.

CHECKOUT is the folder of any version of this project, whose own code does all of it. Prints the seconds of
processor time and the megabytes at most as JSON.

The session's events come in the order of time, over all its threads: so a recorder writes them, which numbers
them as they happen. (Threads whose clocks drift apart, as this had them once, no recorder gives.)
"""

import json
import random
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measuring import peak_memory_mb

_MAX_DEPTH = 15
_THREADS = 3
SESSION, PROCESS = "20261122-113000-ab12cd34", "4242-5e6f7a8b"


def main() -> None:
    """Measure one checkout."""
    checkout, intervals = Path(sys.argv[1]), int(sys.argv[2])
    sys.path[:0] = [str(checkout / folder) for folder in ("", "adapters", "migrations")]
    is_old = find_spec("ledger.storage") is None  # its rooms came later than the benchmark
    store_module = import_module("ledger.store" if is_old else "ledger.storage.store")
    projections = import_module("ledger.projections" if is_old else "ledger.storage.projections")
    rows = import_module("ledger.events" if is_old else "ledger.events.rows")
    with tempfile.TemporaryDirectory() as name:
        store = store_module.Store.open(Path(name) / "startup.db")
        fill(store, rows.EventRow, intervals)
        start_s = time.process_time()
        projections.rebuild(store)
        seconds = time.process_time() - start_s
        store.close()
    print(json.dumps({"seconds": seconds, "megabytes": peak_memory_mb()}))


def fill(store: Any, event_row: Any, intervals: int) -> None:
    """Insert nested intervals of random lengths on a few threads, a part of them with a role."""
    chance = random.Random(1)
    at_ns = 0
    stacks: list[list[int]] = [[] for _ in range(_THREADS)]
    rows: list[Any] = []
    begun = seq = 0
    with store.transaction():
        while begun < intervals or any(stacks):
            thread = chance.randrange(_THREADS)
            stack = stacks[thread]
            grows = len(stack) < _MAX_DEPTH and chance.random() < 0.52
            if begun < intervals and (grows or not stack):
                at_ns += chance.randrange(1, 1000)
                parent = stack[-1] if stack else None
                rows.append(
                    event_row(
                        SESSION, PROCESS, seq, "stage_started", at_ns, begun, f"stage_{begun % 300}",
                        "compile", None if stack else "encoder", None, "torch", f"Thread-{thread}", parent,
                        None, None, '{"compile_id":"0/0"}', None, at_ns,
                    )
                )  # fmt: skip
                stack.append(begun)
                begun += 1
            elif stack:
                at_ns += chance.randrange(1, 1000)
                rows.append(
                    event_row(
                        SESSION, PROCESS, seq, "stage_stopped", at_ns, stack.pop(),
                        *[None] * 7, "completed", None, None, None, at_ns,
                    )
                )  # fmt: skip
            else:
                continue
            seq += 1
            if len(rows) == 20_000:
                store.append(rows)
                rows.clear()
        store.append(rows)


if __name__ == "__main__":
    main()
