"""Real child processes, and other users."""

import os
from collections.abc import Callable
from typing import TypeAlias

import pytest

from ledger import reduce

NOBODY = 65534
Spawn: TypeAlias = Callable[[Callable[[], object]], int]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody() -> None:
    """Become a user who owns nothing: root may write anywhere."""
    # That user may not read Python's own modules: what is imported at its first use is imported now.
    reduce(())
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def exit_code(pid: int) -> int:
    """Wait for a child and return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def has_ended(pid: int) -> bool:
    """Return whether a child has ended; it can be waited for afterwards all the same."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait_for_end(pid: int) -> None:
    """Wait until a child has ended, and leave it a zombie: its pid is its own until it is waited for."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
