"""Formats numbers and names, alike on a terminal and on a page."""

from collections.abc import Iterable
from typing import Final

NS_PER_S: Final = 1e9

NO_ROLE: Final = "(whole process)"
"""Shown instead of a role if there is none."""

_CUT: Final = "…"
_OWN_NAME: Final = "compile_ledger"


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


def cut(text: str, length: int) -> str:
    """Return a text on one line, cut to at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + _CUT


def in_shown_order(names: Iterable[str]) -> list[str]:
    """Sort the names of what a session has versions of, compile-ledger's own last."""
    return sorted(names, key=lambda name: (name == _OWN_NAME, name))


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with what it counts: "1 interval", "2,000 intervals"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
