"""How a page says numbers and names: seconds to the millisecond, long texts cut."""

from typing import Final

NS_PER_S: Final = 1e9
NO_ROLE: Final = "(whole process)"
_CUT: Final = "…"


def seconds(ns: int | None) -> str:
    """Return nanoseconds as seconds, to the millisecond; nothing for none."""
    return "" if ns is None else f"{ns / NS_PER_S:.3f}"


def signed(ns: int | None) -> str:
    """Return a difference in nanoseconds as seconds, with its sign."""
    return "" if ns is None else f"{ns / NS_PER_S:+.3f}"


def cut(text: str, length: int) -> str:
    """Return a text on one line, of so many characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + _CUT


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with what it counts: "1 interval", "2,000 intervals"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
