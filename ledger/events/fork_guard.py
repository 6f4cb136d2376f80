"""Keeps forks out of calls of pydantic: a child that is forked in the middle of one may wait for ever.

pydantic fills caches under locks of its own, where a model, or a way through its code, is used for the
first time. Another thread that holds such a lock is not there any more in a forked child, which then hangs at
its own first event. So the fork waits, for the microseconds that a call takes; it gives up after a second,
since the call may itself be waiting for the thread that forks.
"""

import os
from _thread import RLock
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Final, ParamSpec, TypeVar

from ledger_birth.turns import WAIT_S, Busy, Turns

_CALL: Final = methodcaller("__call__")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class ForkGuard:
    """Makes calls during which no other thread forks; one that waits a second for its turn is made anyhow."""

    def __init__(self) -> None:
        lock = RLock()
        self._turns: Final = Turns(lock)
        self._turn = self._turns.waiting
        # All of it is C, as for the turns: in a hook of Python's a signal handler might raise too early.
        is_owned: Callable[[], bool] = getattr(lock, "_is_owned")  # noqa: B009
        make_anew: Callable[[], None] = getattr(lock, "_at_fork_reinit")  # noqa: B009
        owned = iter(is_owned, None)
        in_parent: dict[bool, Callable[[], object]] = {True: lock.release, False: bool}
        in_child = {True: lock.release, False: make_anew}  # whose the lock is, is not there any more
        os.register_at_fork(
            before=partial(lock.acquire, True, WAIT_S),
            after_in_parent=map(_CALL, map(in_parent.__getitem__, owned)).__next__,
            after_in_child=map(_CALL, map(in_child.__getitem__, owned)).__next__,
        )

    def call(
        self, function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Result:
        """Call a function, which itself never raises Busy, and return its result."""
        try:
            with self._turn:
                self._turn = self._turns.waiting
                return function(*arguments, **named)
        except Busy:
            self._turn = self._turns.at_once  # not each call is to take as long
            return function(*arguments, **named)


pydantic_guard: Final = ForkGuard()
"""For whatever may be pydantic's first use of something."""
