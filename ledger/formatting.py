"""Formats names and counts, alike on a terminal and on a page."""

from collections.abc import Iterable
from typing import Final

NO_ROLE: Final = "(whole process)"
"""Shown instead of a role if there is none."""

NO_STAGE: Final = "(unattributed)"
"""Shown instead of a stage for time that is in none."""

_CUT: Final = "…"
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"
_HARMLESS: Final = "\n\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"
_LINE_ENDS: Final = dict.fromkeys(map(ord, "\n\r\t\v\f\x85"), _UNPRINTABLE)
_LABEL_SHOWN: Final = 40
_OWN_NAME: Final = "compile_ledger"


def printable(text: str) -> str:
    """Return a text of any origin so that a terminal shows it and does nothing else.

    Control characters (but line ends and tabs), those that turn the direction of writing, and halves of
    characters are replaced by one that is seen.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _HARMLESS else _UNPRINTABLE for one in text)


def one_line(text: str) -> str:
    """Return a text as `printable` does, with its line ends and tabs replaced as well."""
    return printable(text.translate(_LINE_ENDS))


def cut(text: str, length: int) -> str:
    """Return a text on one line, cut to at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + _CUT


def with_label(session: str, label: object) -> str:
    """Return a session's id, with its label if it has one."""
    return f"{session} “{cut(str(label), _LABEL_SHOWN)}”" if label else session


def in_shown_order(names: Iterable[str]) -> list[str]:
    """Sort the names of what a session has versions of, compile-ledger's own last."""
    return sorted(names, key=lambda name: (name == _OWN_NAME, name))


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with what it counts: "1 interval", "2,000 intervals"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
