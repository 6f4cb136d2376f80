"""Finds out when a compile began and ended, of which torch before 2.6 wrote nothing but a record of metrics.

Its `start_time` is the wall clock when the compile began, in seconds. It has ended when the record was
logged, by the own stamp of that, which has neither year nor zone, and is cut to milliseconds. Both follow
from `start_time`, since zones differ by quarters of an hour.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple, cast

_START: Final = "start_time"
_WHOLE: Final = "entire_frame_compile_time_s"

_S: Final = 1_000_000_000
_STAMP_NS: Final = 1_000_000
"""Stamps are cut to milliseconds."""
_QUARTER_NS: Final = 900 * _S
_EARLIEST_ZONE_NS, _LATEST_ZONE_NS = -12 * 3_600 * _S, 14 * 3_600 * _S
_CLOCK_SLACK_NS: Final = _S
"""A stamp that is so much too early is taken for one of a clock that was set, not of another zone."""
_LOGGED_WITHIN_NS: Final = 10_000_000
"""So soon after the end of its compile a record is logged: a stated length that fits is the finer one."""
_LATEST_S: Final = 1 << 33
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Compiled(NamedTuple):
    """When a compile began and ended."""

    start_ns: int
    stop_ns: int


def compiled(metrics: Mapping[str, object], stamp: str) -> Compiled | None:
    """Return when the compile of a record began and ended; None where the record has no `start_time`.

    `stamp` is the record's own, `0516 11:47:33.652000`.
    """
    start_s, length_s = _seconds(metrics.get(_START)), _seconds(metrics.get(_WHOLE))
    if start_s is None:
        return None
    start_ns = _ns(start_s)
    claimed_ns = start_ns + (0 if length_s is None else _ns(length_s))
    logged_ns = _wall_ns(stamp, claimed_ns)
    if logged_ns is None:
        return None if length_s is None else Compiled(start_ns, claimed_ns)
    if length_s is not None and logged_ns - _LOGGED_WITHIN_NS <= claimed_ns < logged_ns + _STAMP_NS:
        return Compiled(start_ns, claimed_ns)
    return Compiled(start_ns, max(start_ns, logged_ns))


def _wall_ns(stamp: str, near_ns: int) -> int | None:
    """Return the wall clock at a stamp that follows a time by less than a quarter of an hour."""
    year = (_EPOCH + timedelta(seconds=near_ns // _S)).year
    for each in (year, year + 1, year - 1):
        try:
            at = datetime.strptime(f"{each}{stamp}+0000", "%Y%m%d %H:%M:%S.%f%z")
        except ValueError:
            continue  # 29 February
        at_ns = (at - _EPOCH) // timedelta(microseconds=1) * 1_000
        zone_ns = (at_ns - near_ns + _CLOCK_SLACK_NS) // _QUARTER_NS * _QUARTER_NS
        if _EARLIEST_ZONE_NS <= zone_ns <= _LATEST_ZONE_NS:
            return at_ns - zone_ns
    return None


def _seconds(value: object) -> float | None:
    if type(value) not in (int, float):
        return None
    number = cast("float", value)
    return number if math.isfinite(number) and 0 <= number < _LATEST_S else None


def _ns(seconds: float) -> int:
    """Return seconds as nanoseconds. Integer part apart: a float has too few digits for the whole."""
    whole = int(seconds)
    return whole * _S + round((seconds - whole) * 1e9)
