"""Between which stages of a log a piece lies that is charged to the interval around them.

A log has no more than its stamps. Time between two of them that only a larger stage covers, such as that of
vLLM's "init engine" line, is charged to that one as its remainder. Where it was is told by the parts before
and after it, of whatever process.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.timeline.records import Interval

LOG: Final = "log"
"""The source of what was read from a log."""


class Placed(NamedTuple):
    """An interval of a log that has ended, on the session's one clock."""

    start_ns: int
    stop_ns: int
    distance: int
    """How far its process is from the session's first one."""
    process: str
    interval: Interval

    def is_within(self, other: "Placed") -> bool:
        """Whether it is a part of another one: of its process, or of one that that one's started."""
        return (
            other.start_ns <= self.start_ns
            and self.stop_ns <= other.stop_ns
            and (self.process == other.process or self.distance > other.distance)
            and self.interval is not other.interval
        )


class LogNeighbours:
    """The intervals of a session that were read from a log, over all its processes."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        self._by_start: Final = sorted(placed, key=itemgetter(0, 1))
        self._by_stop: Final = sorted(self._by_start, key=itemgetter(1, 0))
        data = (one.interval.data or {} for one in self._by_start)
        stamps = (stamp for one in data if isinstance(stamp := one.get("uncertainty_ns"), int))
        self.uncertainty_ns: Final = max(stamps, default=0)
        """How exact the log's stamps are, at both ends of a window too; 0 where there is no log."""
        self._of: Final = {(one.process, one.interval.interval): one for one in self._by_start}

    def of_piece(
        self, process: str, interval: Interval, start_ns: int, stop_ns: int
    ) -> tuple[str | None, str | None]:
        """Return the stage after which a piece of an interval lies, and the one before which.

        The last piece lies before the interval's own stamp. An interval without parts has no such pieces.
        """
        around = self._of.get((process, interval.interval))
        if around is None:
            return None, None
        after = before = None
        for at in range(bisect_right(self._by_stop, start_ns, key=itemgetter(1)) - 1, -1, -1):
            one = self._by_stop[at]
            if one.stop_ns < around.start_ns:
                break
            if one.is_within(around):
                after = one.interval.stage
                break
        for at in range(bisect_left(self._by_start, stop_ns, key=itemgetter(0)), len(self._by_start)):
            one = self._by_start[at]
            if one.start_ns > around.stop_ns:
                break
            if one.is_within(around):
                before = one.interval.stage
                break
        if after is not None and before is None:
            before = interval.stage
        return after, before
