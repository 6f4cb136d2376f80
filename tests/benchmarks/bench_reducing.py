"""Reducing and projecting a session of a million stored events: time, memory, and reading totals back."""

import random
import tempfile
import time
from pathlib import Path

from measuring import Goal, peak_memory_mb, per_call_us

from ledger import Ledger
from ledger.events.rows import EventRow
from ledger.storage.projections import rebuild
from ledger.storage.store import Store

_INTERVALS = 500_000
_MAX_DEPTH = 15
_THREADS = 3
_SESSION, _PROCESS = "20261122-113000-ab12cd34", "4242-5e6f7a8b"


def main() -> None:
    """Write the session straight into a ledger, then derive everything from it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "million.db"
        store = Store.open(path)
        _fill(store)
        start = time.perf_counter()
        rebuild(store)
        seconds = time.perf_counter() - start
        store.close()
        with Ledger.open(path) as ledger:
            query = "SELECT role, activity, total_ns FROM role_totals WHERE session = ?"
            totals_us = per_call_us(lambda: ledger.sql(query, [_SESSION]), 100)
    print(f"Reducing and projecting {2 * _INTERVALS:,} stored events")
    print(Goal("time", seconds, 8.0, "s"))
    print(Goal("peak memory", peak_memory_mb(), 1024, "MB"))
    print(Goal("role totals out of the projection", totals_us / 1e3, 10, "ms"))


def _fill(store: Store) -> None:
    """Insert nested intervals of random lengths on a few threads, a part of them with a role."""
    chance = random.Random(1)
    at_ns = [0] * _THREADS
    stacks: list[list[int]] = [[] for _ in range(_THREADS)]
    rows: list[EventRow] = []
    begun = seq = 0
    with store.transaction():
        while begun < _INTERVALS or any(stacks):
            thread = begun % _THREADS if begun < _INTERVALS else chance.randrange(_THREADS)
            stack = stacks[thread]
            at_ns[thread] += chance.randrange(1, 1000)
            grows = len(stack) < _MAX_DEPTH and chance.random() < 0.52
            if begun < _INTERVALS and (grows or not stack):
                parent = stack[-1] if stack else None
                rows.append(
                    EventRow(
                        _SESSION, _PROCESS, seq, "stage_started", at_ns[thread], begun,
                        f"stage_{begun % 300}", "compile", None if stack else "encoder", None, "torch",
                        f"Thread-{thread}", parent, None, None, '{"compile_id":"0/0"}', None, at_ns[thread],
                    )
                )  # fmt: skip
                stack.append(begun)
                begun += 1
            elif stack:
                rows.append(
                    EventRow(
                        _SESSION, _PROCESS, seq, "stage_stopped", at_ns[thread], stack.pop(),
                        *[None] * 7, "completed", None, None, None, at_ns[thread],
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
