"""Formats names and counts, alike on a terminal and on a page."""

from collections.abc import Iterable
from typing import Final

NO_ROLE: Final = "(whole process)"
"""Shown instead of a role if there is none."""

NO_STAGE: Final = "(unattributed)"
"""Shown instead of a stage for time that is in none."""

_CUT: Final = "…"
_LABEL_SHOWN: Final = 40
_OWN_NAME: Final = "compile_ledger"


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
