"""Projecting 1,000 new events of a session that grows: in one process and in eight, short and long.

And in one that claims a total: what is held against it are all of the session's intervals. And in a start of
ranks that was ready, with claims of every kind, whose events go on.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from growing import growing, growing_start
from measuring import Figure, Goal, rounds

from ledger.events.rows import EventRow
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store

_EVENTS: Final = int(os.environ.get("BENCH_EVENTS", "1000000"))
_NEW: Final = 1_000
_AT_ONCE: Final = 20_000


def main() -> None:
    """Measure the processor time of each projection, the median of several."""
    print(f"Projecting {_NEW:,} new events of a session of {_EVENTS:,}")
    short_ms = _milliseconds(_EVENTS // 10, growing(1))
    long_ms = _milliseconds(_EVENTS, growing(1))
    print(Goal("new events of one process", long_ms, 50, "ms"))
    print(Goal("growth against a tenth of the session", long_ms / short_ms, 1.3, "x"))
    print(Goal("new events of 8 processes", _milliseconds(_EVENTS // 10, growing(8)), 50, "ms"))
    started_ms = _milliseconds(_EVENTS, growing_start(4))
    print(Goal("new events of 4 ranks that were ready, with their claims", started_ms, 50, "ms"))
    claimed_ms = _milliseconds(_EVENTS // 10, growing(1, is_claimed=True))
    # Each of these events is a part of the total, which names all of its parts.
    print(Figure(f"new events of one process of {_EVENTS // 10:,} in one claimed total", claimed_ms, "ms"))


def _milliseconds(number: int, events: Iterator[EventRow]) -> float:
    with tempfile.TemporaryDirectory() as name:
        store = Store.open(Path(name) / "startup.db")
        # The floor of inserting is another benchmark's: here events only have to be there.
        store.connection.execute("DROP TRIGGER events_no_replace")
        while number:
            number -= _append(store, events, min(number, _AT_ONCE))
        bring_up_to_date(store)
        found: list[float] = []
        for _ in range(rounds(9)):
            _append(store, events, _NEW)
            start_s = time.process_time()
            bring_up_to_date(store)
            found.append((time.process_time() - start_s) * 1e3)
        store.close()
        return statistics.median(found)


def _append(store: Store, events: Iterator[EventRow], number: int) -> int:
    with store.transaction():
        store.append(list(islice(events, number)))
    return number


if __name__ == "__main__":
    main()
