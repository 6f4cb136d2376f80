"""Amounts as budgets and reports write them: "20 s", "1 min 30 s", "150 ms", "10 %"."""

import re
from fractions import Fraction
from typing import Final, NamedTuple

from ledger.durations import ns_of

_RATIO: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_MAX_LENGTH: Final = 60
_MAX_NS: Final = (1 << 63) - 1
"""The largest integer in SQLite: 292 years."""
_UNITS_IF_WHOLE: Final = (("h", 3_600_000_000_000), ("min", 60_000_000_000))
_UNITS: Final = (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000))


class Ratio(NamedTuple):
    """A fraction of something: 10 % is `Fraction(1, 10)`."""

    fraction: Fraction

    def of(self, amount: int) -> int:
        """Return that fraction of an amount, rounded down."""
        return int(self.fraction * amount)

    def __str__(self) -> str:
        percent = self.fraction * 100
        return f"{_decimal(percent.numerator, percent.denominator)} %"


def parse_duration(text: object) -> int:
    """Return a duration in nanoseconds. Raises ValueError with a message that shows the syntax."""
    if isinstance(text, str) and len(text) <= _MAX_LENGTH and (duration_ns := ns_of(text)) is not None:
        if duration_ns > _MAX_NS:
            raise ValueError(f"{text!r} is longer than any program runs")
        return duration_ns
    raise ValueError(f'{shortened(text)} is not a duration; write it with its unit, as "20 s" or "150 ms"')


def parse_ratio(text: object) -> Ratio:
    """Return a ratio. Raises ValueError with a message that shows the syntax."""
    if isinstance(text, str) and len(text) <= _MAX_LENGTH and (found := _RATIO.fullmatch(text)):
        return Ratio(Fraction(found[1]) / 100)
    raise ValueError(f'{shortened(text)} is not a ratio; write it as "10 %"')


def duration_text(ns: int) -> str:
    """Return a duration exactly, as a budget could have written it."""
    for unit, unit_ns in _UNITS_IF_WHOLE:
        if ns and ns % unit_ns == 0:
            return f"{ns // unit_ns} {unit}"
    for unit, unit_ns in _UNITS:
        if abs(ns) >= unit_ns:
            return f"{_decimal(ns, unit_ns)} {unit}"
    return f"{ns} ns" if ns else "0 s"


def rounded_text(ns: int) -> str:
    """Return a duration for a person to read: three digits after the point."""
    for unit, unit_ns in _UNITS:
        if abs(ns) >= unit_ns:
            return f"{ns / unit_ns:.3f} {unit}"
    return duration_text(ns)


def shortened(value: object) -> str:
    """Return a value from a budget, short enough for a one-line message."""
    try:
        text = repr(value)
    except ValueError:
        return "a very long number"  # more digits than Python converts
    return text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + "…"


def _decimal(number: int, unit: int) -> str:
    """Return number / unit as an exact decimal; `unit` must divide a power of ten."""
    whole, rest = divmod(abs(number), unit)
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, unit)
        digits += str(digit)
    sign = "-" if number < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
