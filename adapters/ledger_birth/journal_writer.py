"""Appends lines to the journal of a process: one file of JSON lines, appended to by that process alone."""

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SUFFIX: "Final" = ".jsonl"
UNNAMED_SUFFIX: "Final" = ".new"
"""Of a journal whose first line is not written yet: nothing in it was acknowledged."""
FOLDER_SUFFIX: "Final" = ".journal"
"""Of the folder of the journals, which lies beside their ledger."""
_ATTEMPTS: "Final" = 5
_LAST_STANDARD: "Final" = 2
"""The file descriptor of the standard error output."""


class JournalWriter:
    """Appends lines to one journal. The file appears with its first lines in it, never empty.

    Raises OSError where a line could not be written whole; the line then does not count as written.
    """

    __slots__ = ("_fd", "_torn", "path")

    def __init__(self, path: "str | os.PathLike[str]", first_lines: bytes) -> None:
        self.path = os.fspath(path)
        self._torn = False
        self._fd = -1
        for attempt in range(_ATTEMPTS):
            try:
                self._begin(self.path.removesuffix(SUFFIX) + UNNAMED_SUFFIX, first_lines)
            except FileNotFoundError:
                # A collector tidied the folder up just then.
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _begin(self, unnamed: str, first_lines: bytes) -> None:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        try:
            if self._fd <= _LAST_STANDARD:
                # The host has closed its own, and what it prints later must not land here.
                self._fd = _moved_up(self._fd)
            self.append(first_lines)
            os.rename(unnamed, self.path)
        except BaseException:
            os.close(self._fd)
            if os.path.exists(unnamed):
                os.unlink(unnamed)
            raise

    def append(self, lines: bytes) -> None:
        """Write one line, or several, each with its newline, in one system call."""
        if self._torn:
            # The piece that a full disk left behind ends here, so that it spoils no line but its own.
            lines = b"\n" + lines
        written = os.write(self._fd, lines)
        if written != len(lines):
            self._torn = self._torn or written > 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        self._torn = False

    def close(self) -> None:
        """Close the file; the journal stays for the collector."""
        os.close(self._fd)


def _moved_up(descriptor: int) -> int:
    """Move a file descriptor out of the standard ones' range."""
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LAST_STANDARD + 1)
    os.close(descriptor)
    return moved
