"""Notices that this process was forked, also where Python did not see it, without a call of the kernel."""

import os
from contextlib import suppress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from typing import Final, Protocol

_MADV_WIPEONFORK: Final = 18
"""madvise(2), from Linux 4.14 on; Python has no name for it before 3.13."""


class ForkMark(Protocol):
    """`mark[0]` is true in the process that made it, and false in those forked from it."""

    def __getitem__(self, index: int, /) -> int:
        """Return whether this is the process that made the mark."""
        ...


class _ByNumber:
    """A mark that asks for the process's number."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int) -> int:
        return os.getpid() == self._pid


def fork_mark() -> ForkMark:
    """Return a mark of this process: memory that the kernel clears in a child, where it can."""
    with suppress(OSError, ValueError):
        mark = mmap(-1, PAGESIZE, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        mark.madvise(_MADV_WIPEONFORK)
        mark[0] = 1
        return mark
    return _ByNumber()
