"""Relates a log's stamps, which have no zone and often no year, to the wall clock.

Exact is an ISO time with a zone, which a container's log or a CI's has in front of a line. Where there is
none, it follows from when the file was last changed:

- The year is the latest in which the first stamp is not after that change.
- The zone is the one in which the file was changed right after its last stamp, as it is by its writer. Where
  there is none, the file is a copy, or others have written into it, and stamps are taken for UTC.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

ASSUMED: Final = (
    "stamps have neither year nor zone: the year is that of the file's last change, and the zone the one in "
    "which that change came right after the last stamp, or else UTC"
)
_S: Final = 1_000_000_000
_QUARTER_S: Final = 900
"""Zones differ by multiples of this."""
_EARLIEST_ZONE_S, _LATEST_ZONE_S = -12 * 3_600, 14 * 3_600
_WRITTEN_WITHIN_S: Final = 2
"""A line is written within the second of its stamp or, on a busy machine, the next."""
_YEARS: Final = 9
"""As many years lie between two leap days at most."""
_STAMP: Final = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d).*")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class FileClock:
    """When a log's file was last changed, and what follows for its stamps."""

    def __init__(self, changed_ns: int, last_stamp: str | None) -> None:
        self._changed_s: Final = changed_ns // _S
        self._zone_s: Final = 0 if last_stamp is None else self._zone_of(last_stamp)

    def wall_ns(self, stamp: str) -> int | None:
        """Return the wall clock at the beginning of a stamp's second; None where no year has such a day."""
        times = self._times(stamp)
        latest_s = self._changed_s + _LATEST_ZONE_S
        found = next((at_s for at_s in times if at_s - self._zone_s <= latest_s), None)
        return None if found is None else max(0, found - self._zone_s) * _S

    def _zone_of(self, stamp: str) -> int:
        """Return by how many seconds the zone is ahead of UTC in which the file was changed at a stamp."""
        for at_s in self._times(stamp):
            quarters, late_s = divmod(self._changed_s - at_s, _QUARTER_S)
            zone_s = -quarters * _QUARTER_S
            if _EARLIEST_ZONE_S <= zone_s <= _LATEST_ZONE_S and late_s <= _WRITTEN_WITHIN_S:
                return zone_s
        return 0

    def _times(self, stamp: str) -> list[int]:
        """Return a stamp's seconds since the epoch, were it UTC, in each possible year, the latest first."""
        found = _STAMP.fullmatch(stamp)
        if found is None:
            return []
        latest = (_EPOCH + timedelta(seconds=self._changed_s)).year + 1
        years = [int(found[1])] if found[1] else range(latest, latest - _YEARS, -1)
        month, day, hour, minute, second = (int(found[group]) for group in range(2, 7))
        times: list[int] = []
        for year in years:
            try:
                at = datetime(year, month, day, hour, minute, tzinfo=timezone.utc)
            except ValueError:
                continue  # 29 February
            times.append((at - _EPOCH) // timedelta(seconds=1) + second)
        return times


@dataclass(slots=True)
class WallClock:
    """By how much the wall clock is ahead of a start-up's stamps."""

    file: FileClock
    offset_ns: int | None = None
    is_stated: bool = False
    """Whether a line says it; else it is the file's."""
    _is_own: bool = False

    def take(self, stamp: str, at_ns: int, stated_ns: int | None) -> None:
        """Take a record's stamp and, if a line says it, its wall clock.

        The first record with a stated wall clock counts, until there is one the file's.
        """
        if stated_ns is not None and not self._is_own:
            self.offset_ns, self.is_stated, self._is_own = stated_ns - at_ns, True, True
        elif self.offset_ns is None and (wall_ns := self.file.wall_ns(stamp)) is not None:
            self.offset_ns = wall_ns - at_ns // _S * _S

    def for_next(self) -> "WallClock":
        """Return the clock of the next start-up, which goes by this one until it has a line that says it."""
        return WallClock(self.file, self.offset_ns, self.is_stated)

    def wall_ns(self, at_ns: int) -> int | None:
        """Return the wall clock at a stamp's time."""
        return None if self.offset_ns is None else max(0, at_ns + self.offset_ns)
