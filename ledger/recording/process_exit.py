"""Closes the recorders of a process when it exits, and gives those of a forked child a new start."""

import atexit
import os
import sys
from importlib import import_module
from typing import Final, Protocol

from ledger.vocabulary import Outcome


class Closing(Protocol):
    """What a recorder does here."""

    def close_at_exit(self, outcome: Outcome) -> None:
        """Say that the process left, and how."""
        ...

    def after_fork(self) -> None:
        """Become the recorder of a child that was just forked."""
        ...


_live: Final[set[Closing]] = set()


def watch(recorder: Closing) -> None:
    """Have a recorder closed when the process exits."""
    _live.add(recorder)


def forget(recorder: Closing) -> None:
    """Leave a recorder alone: it is closed already."""
    _live.discard(recorder)


def _close_all() -> None:
    outcome: Outcome = "failed" if _has_failed() else "completed"
    for recorder in list(_live):
        recorder.close_at_exit(outcome)


def _has_failed() -> bool:
    """Tell whether an exception ended this process: Python keeps it where no handler can have it any more."""
    # A child of multiprocessing gets here while the exception is still on its way.
    on_its_way = sys.exc_info()[1]
    if isinstance(on_its_way, SystemExit):
        return on_its_way.code not in (None, 0)
    is_interactive = hasattr(sys, "ps1")
    return on_its_way is not None or (getattr(sys, "last_value", None) is not None and not is_interactive)


def _after_fork_in_child() -> None:
    for recorder in list(_live):
        recorder.after_fork()
    # multiprocessing ends its forked children without exit handlers, but with its own finalizers. It
    # forgets those made before its child runs, so ours is made when it tells the child about the fork.
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.register_after_fork(_close_all, _close_with_multiprocessing)


def _close_with_multiprocessing(_: object = None) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, _close_all, exitpriority=-1000)


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
# In a child that multiprocessing spawns. Where its main module imports this, which is before multiprocessing
# makes it a child, it has neither a parent nor `util` yet; versions that then clear the finalizers tell us.
if "multiprocessing.util" in sys.modules or "multiprocessing.spawn" in sys.modules:
    import_module("multiprocessing.util").register_after_fork(_close_all, _close_with_multiprocessing)
    _process = sys.modules["multiprocessing.process"]
    if _process.parent_process() is not None or getattr(_process.current_process(), "_inheriting", False):
        _close_with_multiprocessing()
