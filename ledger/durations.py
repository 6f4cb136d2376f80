"""Parses durations: "20 s", "150 ms", "1 min 30 s"."""

import re
from decimal import Decimal
from typing import Final

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
