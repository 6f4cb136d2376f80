"""Sorts observations by time, within a window.

A thread reads the clock before it waits for the log's lock, so lines of several threads can be out of order.
Only a window is sorted, so that a trace of any length is read in constant memory.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

from ledger.adapters import UnreadLine
from ledger_torch_trace.observations import Observation

WINDOW: Final = 4_096
"""Number of observations to buffer. torch writes at most some 325 a second."""


def in_order(
    observations: Iterable[Observation | UnreadLine], window: int = WINDOW
) -> Iterator[Observation | UnreadLine]:
    """Yield observations by time, equal times in file order; unread lines are passed on at once."""
    waiting: list[tuple[int, int, Observation]] = []
    for number, observation in enumerate(observations):
        if isinstance(observation, UnreadLine):
            yield observation
            continue
        heapq.heappush(waiting, (observation.at_ns, number, observation))
        if len(waiting) > window:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
