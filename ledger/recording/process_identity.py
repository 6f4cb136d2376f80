"""Which process this is, so that others can tell later whether it still lives."""

import os
import socket
from contextlib import suppress
from typing import NamedTuple

from ledger_birth.kernel import (
    boot_id,
    created_ns,
    identity,
    namespace,
    start_ticks,
    stat_fields,
    tick_ns,
)


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


class ProcessCreated(NamedTuple):
    """When the kernel created a process, on the recorder's clock, and how exactly that is known."""

    at_ns: int
    resolution_ns: int


def process_created() -> ProcessCreated | None:
    """Return when the calling process was created; None where the kernel does not say."""
    at_ns = created_ns()
    return None if at_ns is None else ProcessCreated(at_ns, tick_ns())


def this_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    return ProcessIdentity(**identity())  # pyright: ignore[reportArgumentType]


def is_gone(
    *, pid: int | None, started: int | None, host: str | None, boot: str | None, pid_ns: str | None
) -> bool:
    """Return whether a process has certainly ended, seen from here.

    Only a process of this host, boot and pid namespace can be judged; of any other the answer is False.
    """
    if pid is None or not _is_judged_here(host, boot, pid_ns):
        return False
    try:
        # Under another user it lives as well: its start time tells whether it is still the same.
        with suppress(PermissionError):
            os.kill(pid, 0)
    except ProcessLookupError:
        return True
    fields = stat_fields(pid)
    if fields is None:
        return False  # it may have ended just now; the next to ask will see
    return _is_zombie(pid, fields) or (started is not None and start_ticks(fields) != started)


def runs_here(
    *, pid: int | None, started: int | None, host: str | None, boot: str | None, pid_ns: str | None
) -> bool:
    """Return whether a process is one of this host, boot and pid namespace, and has not ended."""
    is_here = _is_judged_here(host, boot, pid_ns)
    return is_here and not is_gone(pid=pid, started=started, host=host, boot=boot, pid_ns=pid_ns)


def _is_judged_here(host: str | None, boot: str | None, pid_ns: str | None) -> bool:
    return (host, boot, pid_ns) == (socket.gethostname(), boot_id(), namespace("pid"))


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
