"""Puts the stamps of a log, which have no year, on one line of time that does not run backwards."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

_NS: Final = 1_000_000_000
_DAY_S: Final = 86_400
_BEFORE_MONTH: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_HALF_A_YEAR: Final = 183
_STAMP: Final = re.compile(r"(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)")
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\d*(?: ?(Z|[+-]\d\d:?\d\d))?(?![\d:])"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Calendar:
    """Turns stamps into nanoseconds since the beginning of the year before the first stamp's.

    (That year leaves room for what began before New Year's Eve.) A stamp that lies more than half a year
    before the last one is of the next year; one that lies more than half a year after it, of the year before.
    """

    def __init__(self) -> None:
        self._year_begins = 365
        self._is_leap = False
        self._last: int | None = None
        self._latest: tuple[str, int | None] = ("", None)
        """The stamp that was asked for last, and its time: lines often have that of the one before."""

    def at_ns(self, stamp: str) -> int | None:
        """Return the time of a stamp such as `11-22 09:18:02`; None where there is no such time."""
        if stamp != self._latest[0]:
            self._latest = (stamp, self._at_ns(stamp))
        return self._latest[1]

    def _at_ns(self, stamp: str) -> int | None:
        found = _STAMP.fullmatch(stamp)
        if found is None:
            return None
        month, day, hour, minute, second = map(int, found.groups())
        if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] and hour < 24 and minute < 60):
            return None
        if second > 60:  # there are leap seconds
            return None
        return (self._day(month, day) * _DAY_S + hour * 3_600 + minute * 60 + second) * _NS

    def _day(self, month: int, day: int) -> int:
        if (month, day) == (2, 29):
            self._is_leap = True  # else the first of March is taken to follow the 28th of February
        in_year = _BEFORE_MONTH[month - 1] + day - 1 + (self._is_leap and month > 2)
        if self._last is not None and in_year - self._last > _HALF_A_YEAR:
            return self._year_begins - 365 + in_year
        if self._last is not None and self._last - in_year > _HALF_A_YEAR:
            self._year_begins += 365 + self._is_leap
            self._is_leap = False
        self._last = in_year
        return self._year_begins + in_year


def iso_wall_ns(text: str) -> int | None:
    """Return the last ISO 8601 time in a text, in ns since the epoch; None where it has none with a zone."""
    times = list(_ISO.finditer(text))
    if not times or times[-1][4] is None:
        return None
    found = times[-1]
    zone = found[4].replace(":", "").replace("Z", "+0000")
    try:
        at = datetime.strptime(f"{found[1]} {found[2]} {zone}", "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    return max(0, seconds * _NS + int((found[3] or "0").ljust(9, "0")))
