"""The way into a ledger: one file of JSON lines per process, appended to by that process alone."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

SUFFIX: Final = ".jsonl"
UNNAMED_SUFFIX: Final = ".new"
"""Of a journal whose first line is not written yet: nothing in it was acknowledged."""
_CHUNK_BYTES: Final = 1 << 20
_ATTEMPTS: Final = 5
_LAST_STANDARD: Final = 2
"""The file descriptor of the standard error output."""


def journal_folder(ledger: Path) -> Path:
    """Return the folder of the journals that belong to a ledger's path, whether they exist or not."""
    return ledger.with_name(ledger.name + ".journal")


def journals(folder: Path) -> list[Path]:
    """Return the journals in a folder, by name; none where there is no folder."""
    # os.path, unlike Path, raises nothing where one may not look.
    return sorted(folder.glob("*" + SUFFIX)) if os.path.isdir(folder) else []


def read_lines(journal: Path, offset: int = 0, limit: int | None = None) -> tuple[list[bytes], int]:
    """Return the finished lines from a byte offset on, `limit` at most, and the offset after them.

    What follows the last newline was never acknowledged and is not a line.
    """
    texts: list[bytes] = []
    with journal.open("rb") as file:
        file.seek(offset)
        pending: list[bytes] = []
        while limit is None or len(texts) < limit:
            if not (chunk := file.read(_CHUNK_BYTES)):
                break
            head, newline, tail = chunk.rpartition(b"\n")
            if not newline:
                pending.append(chunk)
                continue
            texts += b"".join((*pending, head)).split(b"\n")
            pending = [tail]
    if limit is not None:
        del texts[limit:]
    return texts, offset + sum(map(len, texts)) + len(texts)


class JournalWriter:
    """Appends lines to one journal. The file appears with its first line in it, never empty.

    Raises OSError where a line could not be written whole; the line then does not count as written.
    """

    __slots__ = ("_fd", "_torn", "path")

    def __init__(self, path: Path, first_lines: bytes) -> None:
        self.path = path
        self._torn = False
        self._fd = -1
        for attempt in range(_ATTEMPTS):
            try:
                self._begin(path.with_suffix(UNNAMED_SUFFIX), first_lines)
            except FileNotFoundError:
                # A collector tidied the folder up just then.
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _begin(self, unnamed: Path, first_lines: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        try:
            if self._fd <= _LAST_STANDARD:
                # The host has closed its own, and what it prints later must not land here.
                standard = self._fd
                self._fd = fcntl.fcntl(standard, fcntl.F_DUPFD_CLOEXEC, _LAST_STANDARD + 1)
                os.close(standard)
            self.append(first_lines)
            unnamed.rename(self.path)
        except BaseException:
            os.close(self._fd)
            unnamed.unlink(missing_ok=True)
            raise

    def append(self, line: bytes) -> None:
        """Write one line with its newline, in one system call."""
        if self._torn:
            # The piece that a full disk left behind ends here, so that it spoils no line but its own.
            line = b"\n" + line
        written = os.write(self._fd, line)
        if written != len(line):
            self._torn = self._torn or written > 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._torn = False

    def close(self) -> None:
        """Close the file; the journal stays for the collector."""
        os.close(self._fd)
