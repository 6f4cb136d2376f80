"""Durations as people write and read them: "1 min 30 s" to nanoseconds, and nanoseconds to "12.345"."""

import re
from decimal import Decimal
from typing import Final

NS_PER_S: Final = 1e9
_S_PER_MINUTE: Final = 60
_NS_PER: Final = {"h": 3_600_000_000_000, "min": 60_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000,
                  "ms": 1_000_000, "us": 1_000, "µs": 1_000, "ns": 1}  # fmt: skip
_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(h|min|ms|us|µs|ns|m|s)(?![a-zµ])")


def ns_of(text: str) -> int | None:
    """Return a duration in nanoseconds; None if the text is not one."""
    position, total = 0, Decimal(0)
    text = text.rstrip()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        total += Decimal(part[1]) * _NS_PER[part[2]]
        position = part.end()
    return round(total) if text else None


def three_places(number: float) -> str:
    """Return a number to three decimal places; never "-0.000"."""
    return f"{_rounded(number):.3f}"


def seconds(ns: object) -> str:
    """Return nanoseconds, possibly from an SQL row, as seconds to the millisecond; empty for None."""
    return "" if ns is None else three_places(float(str(ns)) / NS_PER_S)


def signed(ns: int | None) -> str:
    """Return a difference in nanoseconds as seconds with a sign; empty for None."""
    return "" if ns is None else f"{_rounded(ns / NS_PER_S):+.3f}"


def _rounded(number: float) -> float:
    # Python rounds -0.0004 to -0.0, and would print the sign.
    return round(number, 3) or 0.0


def duration(ns: int) -> str:
    """Return a duration for reading at a glance: "12.3 s", "2 min 05 s"."""
    seconds = ns / NS_PER_S
    if seconds < _S_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), _S_PER_MINUTE)
    return f"{minutes} min {seconds:02} s"
