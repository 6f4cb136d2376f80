"""Which process this is, so that others can tell later whether it still lives."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ledger.clock import boot_id, namespace


class ProcessIdentity(NamedTuple):
    """What names one process among all hosts, boots and pid namespaces."""

    pid: int
    pid_start: int | None
    """Clock ticks after boot at which the kernel started it: tells a pid from its next user."""
    parent_pid: int
    host: str
    boot_id: str | None
    time_namespace: str | None
    pid_namespace: str | None


def _stat(pid: int) -> list[bytes] | None:
    """Return the fields of /proc/PID/stat from the third on; None where there is no such process or file."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field, the command in parentheses, may hold spaces and parentheses itself.
    return stat.rpartition(b")")[2].split()


def pid_start(pid: int) -> int | None:
    """Return a process's start time in clock ticks after boot; None where the kernel does not say."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def this_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(
        pid=pid,
        pid_start=pid_start(pid),
        parent_pid=os.getppid(),
        host=socket.gethostname(),
        boot_id=boot_id(),
        time_namespace=namespace("time"),
        pid_namespace=namespace("pid"),
    )


def is_gone(
    *, pid: int | None, started: int | None, host: str | None, boot: str | None, pid_ns: str | None
) -> bool:
    """Return whether a process has certainly ended, seen from here.

    Only a process of this host, boot and pid namespace can be judged; of any other the answer is False.
    """
    if pid is None or (host, boot, pid_ns) != (socket.gethostname(), boot_id(), namespace("pid")):
        return False
    try:
        # Under another user it lives as well: its start time tells whether it is still the same.
        with suppress(PermissionError):
            os.kill(pid, 0)
    except ProcessLookupError:
        return True
    fields = _stat(pid)
    if fields is None:
        return False  # it may have ended just now; the next to ask will see
    return _is_zombie(pid, fields) or (started is not None and int(fields[19]) != started)


def _is_zombie(pid: int, fields: list[bytes]) -> bool:
    """Return whether a process has ended and only waits for its parent to ask how.

    A process whose main thread alone has ended looks the same, but still has other tasks.
    """
    if fields[0] != b"Z":
        return False
    try:
        return len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True
