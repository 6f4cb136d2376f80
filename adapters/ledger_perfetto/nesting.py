"""Spreads intervals over tracks without partial overlaps, for which viewers would show wrong lengths.

Perfetto: "child slices nest perfectly inside parent slices and do not partially overlap",
https://perfetto.dev/docs/reference/synthetic-track-event.
"""

from typing import Final

from ledger import Interval

OPEN: Final = 999
"""The track of open intervals, to themselves: elsewhere, another interval's end would end them."""


class Spread:
    """Gives the intervals of one process, each after those that enclose it, as few tracks as they need."""

    def __init__(self) -> None:
        self._stops: Final[list[list[int]]] = []
        """By track: when its slices that are still going on stop, the innermost last."""

    def track_of(self, interval: Interval) -> int:
        """Return the number of the first track that the next interval fits on."""
        start_ns, stop_ns = interval.start_ns, interval.stop_ns
        if stop_ns is None:
            return OPEN
        for number, stops in enumerate(self._stops):
            while stops and stops[-1] <= start_ns:
                stops.pop()
            if not stops or stop_ns <= stops[-1]:
                stops.append(stop_ns)
                return number
        self._stops.append([stop_ns])
        return len(self._stops) - 1
