"""Amounts as a budget writes them and a check tells them: "20 s", "1 min 30 s", "150 ms", "10 %"."""

import re
from fractions import Fraction
from typing import Final, NamedTuple

from ledger.durations import ns_of

_RATIO: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_MAX_LENGTH: Final = 60
_MAX_NS: Final = (1 << 63) - 1
"""What SQLite holds: 292 years."""
_TOLD_WHOLE_IN: Final = (("h", 3_600_000_000_000), ("min", 60_000_000_000))
_TOLD_IN: Final = (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000))


class Ratio(NamedTuple):
    """A part of something: 10 % is `Fraction(1, 10)`."""

    fraction: Fraction

    def of(self, amount: int) -> int:
        """Return that part of an amount, rounded down."""
        return int(self.fraction * amount)

    def __str__(self) -> str:
        percent = self.fraction * 100
        return f"{_decimal(percent.numerator, percent.denominator)} %"


def parse_duration(text: object) -> int:
    """Return a duration in nanoseconds. Raises ValueError, which says how one is written."""
    if isinstance(text, str) and len(text) <= _MAX_LENGTH and (duration_ns := ns_of(text)) is not None:
        if duration_ns > _MAX_NS:
            raise ValueError(f"{text!r} is longer than any program runs")
        return duration_ns
    raise ValueError(f'{shortened(text)} is not a duration; write it with its unit, as "20 s" or "150 ms"')


def parse_ratio(text: object) -> Ratio:
    """Return a ratio. Raises ValueError, which says how one is written."""
    if isinstance(text, str) and len(text) <= _MAX_LENGTH and (found := _RATIO.fullmatch(text)):
        return Ratio(Fraction(found[1]) / 100)
    raise ValueError(f'{shortened(text)} is not a ratio; write it as "10 %"')


def duration_text(ns: int) -> str:
    """Return a duration exactly, as it could have been written."""
    for unit, unit_ns in _TOLD_WHOLE_IN:
        if ns and ns % unit_ns == 0:
            return f"{ns // unit_ns} {unit}"
    for unit, unit_ns in _TOLD_IN:
        if abs(ns) >= unit_ns:
            return f"{_decimal(ns, unit_ns)} {unit}"
    return f"{ns} ns" if ns else "0 s"


def rounded_text(ns: int) -> str:
    """Return a duration for a person to read: three digits after the point."""
    for unit, unit_ns in _TOLD_IN:
        if abs(ns) >= unit_ns:
            return f"{ns / unit_ns:.3f} {unit}"
    return duration_text(ns)


def shortened(value: object) -> str:
    """Return what somebody wrote, for a message of one line."""
    try:
        text = repr(value)
    except ValueError:
        return "a number without end"  # of more digits than Python prints
    return text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + "…"


def _decimal(number: int, unit: int) -> str:
    """Return number / unit as decimal digits, of a unit that divides a power of ten."""
    whole, rest = divmod(abs(number), unit)
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, unit)
        digits += str(digit)
    sign = "-" if number < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
