"""How the command line ends: by the word of a signal, or of an error of the system, in one line."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALLED: Final = 128
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """A signal that ends processes has come: what is unfinished is removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number: Final = number


@contextmanager
def ending_signals_raise() -> Generator[None]:
    """Let signals that would end this process at once raise Ended instead, where nobody else has them."""
    replaced = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, _raise_ended)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def end_by(number: int) -> int:
    """End this process by a signal, so that whoever started it sees which; return an exit code otherwise."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return SIGNALLED + number


def system_error_line(error: OSError) -> str:
    """Return what the system refused, and about which file."""
    name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{name}{(error.strerror or str(error) or type(error).__name__).lower()}"


def _raise_ended(number: int, _: FrameType | None) -> None:
    raise Ended(number)
