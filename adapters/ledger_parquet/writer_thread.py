"""Does work in a thread beside the one that reads, in order, and never far behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

_AHEAD: Final = 1
"""Batches that wait, some 5 MB each at most."""


class WriterThread:
    """One thread. What a call raises is raised by one of those that follow, at the latest by `finish`."""

    def __init__(self) -> None:
        self._pool: Final = ThreadPoolExecutor(max_workers=1)
        self._pending: Final[deque[Future[Any]]] = deque()

    def do(self, call: Callable[..., object], *arguments: object) -> None:
        """Have a call done after all before it; wait where too many are to be done."""
        self._pending.append(self._pool.submit(call, *arguments))
        while len(self._pending) > _AHEAD:
            self._pending.popleft().result()

    def finish(self) -> None:
        """Wait until all is done."""
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        """Stop the thread; what is not begun is not done."""
        self._pool.shutdown(cancel_futures=True)
