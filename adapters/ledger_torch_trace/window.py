"""Sorts observations by time, over the distance that a trace's threads can have written them apart.

Each thread takes its time before it waits for the log's lock: what one wrote can lie before what others
wrote in the meantime. Only a window is kept, so that a trace of any length is read in constant memory.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

from ledger.adapters import UnreadLine
from ledger_torch_trace.observations import Observation

WINDOW: Final = 4_096
"""Observations that are kept back. torch writes some 325 a second at most."""


def in_order(
    observations: Iterable[Observation | UnreadLine], window: int = WINDOW
) -> Iterator[Observation | UnreadLine]:
    """Yield observations by time, of equal ones the first written first; what could not be read at once."""
    waiting: list[tuple[int, int, Observation]] = []
    for number, seen in enumerate(observations):
        if isinstance(seen, UnreadLine):
            yield seen
            continue
        heapq.heappush(waiting, (seen.at_ns, number, seen))
        if len(waiting) > window:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
