"""Closes the recorders of a process when it exits, and gives those of a forked child a new start."""

import atexit
import os
import sys
from _thread import RLock

from ledger_birth.secrets_hidden import hide_secrets, values_of_secret_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Protocol

    class Closing(Protocol):
        """What a recorder does here."""

        def before_exit(self) -> None:
            """Record what is known only at the end, while the program is still whole."""
            ...

        def close_at_exit(self, outcome: Literal["completed", "failed"]) -> None:
            """Say that the process left, and how."""
            ...

        def after_fork(self) -> None:
            """Become the recorder of a child that was just forked."""
            ...


_MAX_LINE = 300
_MAX_MESSAGE = 1_000

_WAIT_S = 1.0

_live: "dict[Closing, None]" = {}
_finding_out = RLock()
_pid = os.getpid()
_is_forking = False
"""Whether Python forks: in another pid namespace a child may have its parent's number."""


def watch(recorder: "Closing") -> None:
    """Have a recorder closed when the process exits, and asked before all that is to be done then already."""
    _live[recorder] = None
    atexit.unregister(_prepare_all)
    atexit.register(_prepare_all)


def forget(recorder: "Closing") -> None:
    """Leave a recorder alone: it is closed already."""
    _live.pop(recorder, None)


def _prepare_all() -> None:
    after_fork()
    for recorder in list(_live):
        recorder.before_exit()


def _close_all() -> None:
    after_fork()
    outcome = "failed" if _has_failed() else "completed"
    for recorder in list(_live):
        recorder.before_exit()
        recorder.close_at_exit(outcome)


def _has_failed() -> bool:
    """Tell whether an exception ended this process: Python keeps it where no handler can have it any more."""
    # A child of multiprocessing gets here while the exception is still on its way.
    on_its_way = sys.exc_info()[1]
    if isinstance(on_its_way, SystemExit):
        return on_its_way.code not in (None, 0)
    is_interactive = hasattr(sys, "ps1")
    return on_its_way is not None or (getattr(sys, "last_value", None) is not None and not is_interactive)


class Failure:
    """The exception that ended this process: its class, and what a `stage_stopped` event says of it."""

    __slots__ = ("data", "error")

    def __init__(self, error: BaseException) -> None:
        self.error = type(error).__name__
        try:
            text = hide_secrets(str(error), values_of_secret_variables())
        except Exception:
            text = ""
        message = text if isinstance(error, SystemExit) else f"{self.error}: {text}" if text else self.error
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        self.data: dict[str, int | str] = {}
        if isinstance(error, SystemExit):
            # `sys.exit` with a text prints it.
            self.data["exit_code"] = error.code if isinstance(error.code, int) else 1
            lines = [] if isinstance(error.code, int) else lines
        elif not isinstance(error, KeyboardInterrupt):  # which ends Python by its signal
            self.data["exit_code"] = 1
        if lines:
            # The end of what Python prints of an exception that nobody caught.
            self.data["last_line"] = lines[-1][:_MAX_LINE]
        if len(lines) > 1:
            self.data["message"] = "\n".join(lines)[:_MAX_MESSAGE]


def failure() -> "Failure | None":
    """Return what ended this process; None where no exception did, or where Python does not show it."""
    error = sys.exc_info()[1]
    if error is None and not hasattr(sys, "ps1"):
        error = getattr(sys, "last_value", None)
    return Failure(error) if isinstance(error, BaseException) else None


def after_fork() -> None:
    """Give the recorders of a forked child a new start. Who forks below Python has us find it out later."""
    global _pid, _is_forking
    # Where two threads find it out, one waits for the other; for a thread that was left behind, not long.
    is_first = _finding_out.acquire(timeout=_WAIT_S)
    try:
        if os.getpid() == _pid and not _is_forking:
            return
        for recorder in list(_live):
            recorder.after_fork()
        _pid, _is_forking = os.getpid(), False
        # multiprocessing ends its forked children without exit handlers, but with its own finalizers. It
        # forgets those made before its child runs, so ours is made when it tells the child about the fork.
        if (util := sys.modules.get("multiprocessing.util")) is not None:
            util.register_after_fork(_close_all, _close_with_multiprocessing)
    finally:
        if is_first:
            _finding_out.release()


def _before_fork() -> None:
    global _is_forking
    _is_forking = True


def _after_fork_in_parent() -> None:
    global _is_forking
    _is_forking = False


def _close_with_multiprocessing(_: object = None) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, _close_all, exitpriority=-1000)


def follow_multiprocessing() -> bool:
    """Have the recorders of a child of multiprocessing closed as it ends; return whether it is there already.

    A process that records from its birth asks until multiprocessing is there. It is a spawned child by its
    command line; where its main module imports this, it has no parent yet but is about to inherit. Versions
    of Python that clear the finalizers when they make it a child tell us that they did.
    """
    if "multiprocessing.spawn" in sys.modules:
        __import__("multiprocessing.util")
    util = sys.modules.get("multiprocessing.util")
    if util is None or not hasattr(util, "register_after_fork"):
        return False
    util.register_after_fork(_close_all, _close_with_multiprocessing)
    process = sys.modules["multiprocessing.process"]
    is_spawned = "--multiprocessing-fork" in sys.orig_argv
    is_inheriting = getattr(process.current_process(), "_inheriting", False)
    if is_spawned or is_inheriting or process.parent_process() is not None:
        _close_with_multiprocessing()
    return True


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=after_fork)
# As early as can be, so that nearly all other exit handlers, which may record as well, come before.
atexit.register(_close_all)
follow_multiprocessing()
