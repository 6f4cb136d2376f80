"""Turns of threads: one at a time, each may begin again inside of its own, and none waits for long.

A signal handler may run in the middle of a turn and wait for a thread that wants one. So who waits gives up.
"""

from _thread import RLock
from itertools import repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Final, NoReturn

WAIT_S: "Final" = 1.0
"""Longer than a write takes, but on a disk that does not answer."""


class Busy(Exception):
    """Another thread's turn does not end."""


class _Obtained(dict[bool, None]):
    def __missing__(self, _: bool) -> "NoReturn":
        raise Busy("another thread's turn does not end")


_OBTAINED: "Final" = _Obtained({True: None}).__getitem__
"""Takes a lock's answer. Raises Busy where it was not obtained."""


class Turns:
    """Makes the turns of one writer: contexts that raise Busy where they can't be entered."""

    def __init__(self, lock: "RLock | None" = None) -> None:
        lock = RLock() if lock is None else lock
        # Between obtaining the lock and the body there must be nothing of Python's, such as a call that
        # returns: a signal handler could raise there, and nobody would release the lock. So what `__enter__`
        # calls is made of what Python has in C: it asks for the lock, and looks up what was answered.
        had_at_once = map(lock.acquire, repeat(False))
        waited_for = map(_OBTAINED, map(lock.acquire, repeat(True), repeat(WAIT_S)))
        # Asking without a limit of time is cheaper, and nearly always enough.
        self.waiting = _turn(
            lock, map(next, map({True: repeat(None), False: waited_for}.__getitem__, had_at_once))
        )
        """A turn that is waited for."""
        self.at_once = _turn(lock, map(_OBTAINED, had_at_once))
        """A turn for when somebody has waited in vain: not each event is to take as long."""


def _turn(lock: RLock, entries: "Iterator[None]") -> "AbstractContextManager[None]":
    turn = type("Turn", (), {"__slots__": (), "__enter__": entries.__next__, "__exit__": lock.__exit__})
    return turn()  # pyright: ignore[reportReturnType]
