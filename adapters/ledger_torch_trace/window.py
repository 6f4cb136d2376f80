"""Puts observations in the order of their time, as far apart as a trace's threads can have written them.

Each thread takes its time before it waits for the log's lock: what one wrote can lie before what others
wrote in the meantime. Only a window is held, so that a trace of any length is read in constant memory.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

from ledger import UnreadLine
from ledger_torch_trace.observations import Observation

WINDOW: Final = 4_096
"""Observations that are held back. torch writes some 325 a second at most."""


def in_order(
    observations: Iterable[Observation | UnreadLine], window: int = WINDOW
) -> Iterator[Observation | UnreadLine]:
    """Yield observations by time, of equal ones the first written first; what could not be read at once."""
    held: list[tuple[int, int, Observation]] = []
    for number, seen in enumerate(observations):
        if isinstance(seen, UnreadLine):
            yield seen
            continue
        heapq.heappush(held, (seen.at_ns, number, seen))
        if len(held) > window:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]
