"""Says what is waited for, once, where somebody listens: a command line does, a recorded program does not."""

from collections.abc import Callable
from typing import Final

SAID_AFTER_S: Final = 2.0
"""Others write for a fraction of a second as a rule."""

_said: Final[set[str]] = set()
_listener: Callable[[str], object] | None = None


def tell_waits(listener: Callable[[str], object] | None) -> None:
    """Have a line about each wait given to a function, or to nobody."""
    global _listener
    _listener = listener
    _said.clear()


def is_heard() -> bool:
    """Return whether somebody listens."""
    return _listener is not None


def say_wait(line: str) -> None:
    """Give a line about a wait to who listens, unless it was given already."""
    if _listener is not None and line not in _said:
        _said.add(line)
        _listener(line)
