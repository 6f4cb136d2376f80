"""Who writes a journal, and whether that process has ended."""

from pathlib import Path
from typing import Final

from ledger.clock import monotonic_ns
from ledger.errors import InvalidEvent
from ledger.events.models import ProcessJoined, parse_event
from ledger.recording.journal import open_journal
from ledger.recording.process_identity import is_gone, runs_here
from ledger_birth.kernel import namespace

JOINS_WITHIN: Final = 2
"""A process joins in the first lines of its journal."""
_LONGEST_FIRST_LINE: Final = 1 << 23
"""Bytes: more than a command and its environment can have."""
_HIGHEST_PID: Final = 2**31 - 1
"""The kernel's pids are signed integers of 32 bits."""

_seen_alive: Final[dict[Path, int]] = {}
"""When the writer of each journal was last found alive by this process, on the clock of its events."""


def writer_is_gone(journal: Path) -> bool:
    """Return whether the process that writes a journal has certainly ended. Raises OSError."""
    return has_gone(joined_in(first_lines(journal)))


def first_lines(journal: Path) -> list[bytes]:
    """Return the lines of a journal in which its process joins; empty ones where there are none yet."""
    with open_journal(journal) as file:
        return [file.readline(_LONGEST_FIRST_LINE) for _ in range(JOINS_WITHIN)]


def joined_in(first_lines: list[bytes]) -> ProcessJoined | None:
    """Return the `process_joined` in a journal's first lines; None where there is none."""
    for text in first_lines:
        try:
            event = parse_event(text)
        except InvalidEvent:
            continue
        if isinstance(event, ProcessJoined):
            return event
    return None


def has_gone(joined: ProcessJoined | None) -> bool:
    """Return whether a process that joined so has certainly ended."""
    return joined is not None and is_gone(
        pid=_pid(joined), started=joined.pid_start, host=joined.host, boot=joined.boot_id,
        pid_ns=joined.pid_namespace,
    )  # fmt: skip


def _pid(joined: ProcessJoined) -> int | None:
    """Return the pid by which a process can be looked for; None where it is none that the kernel gives."""
    return joined.pid if joined.pid is not None and 0 < joined.pid <= _HIGHEST_PID else None


def see_alive(journal: Path, joined: ProcessJoined) -> None:
    """Keep when a writer was found alive, where its events go by a clock that can be read here."""
    before_ns = monotonic_ns()
    if (pid := _pid(joined)) is None:
        return
    if joined.time_namespace == namespace("time") and runs_here(
        pid=pid, started=joined.pid_start, host=joined.host, boot=joined.boot_id,
        pid_ns=joined.pid_namespace,
    ):  # fmt: skip
        _seen_alive[journal] = before_ns


def last_seen_alive_ns(journal: Path) -> int:
    """Return when a journal's writer was last found alive from here, and forget it; 0 if it never was."""
    return _seen_alive.pop(journal, 0)
