"""The way into a ledger: one file of JSON lines per process, appended to by that process alone."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from ledger_birth.journal_writer import FOLDER_SUFFIX, SUFFIX

LONGEST_LINE: Final = 1 << 26
"""Bytes of a line. No event comes near."""
KEPT_OF_A_LONG_LINE: Final = 1 << 20
"""Bytes of a longer line that are read: what it was can be told by them."""
_CHUNK_BYTES: Final = 1 << 20


def journal_folder(ledger: Path) -> Path:
    """Return the folder of the journals that belong to a ledger's path, whether they exist or not."""
    return Path(f"{ledger}{FOLDER_SUFFIX}")  # of any path: `.` and `/` have no name to make another of


def shown(path: Path | str) -> str:
    """Return a path as text for one line, with bytes that are no UTF-8 and control characters escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def journals(folder: Path) -> list[Path]:
    """Return the journals in a folder, by name; none where there is no folder, or where one may not look."""
    return look_into(folder)[0]


def look_into(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Return the journals in a folder, by name, and why what has a journal's name and is none is passed over.

    The folder itself is among those where one may not look into it.
    """
    found: list[Path] = []
    passed_over: dict[Path, str] = {}
    try:
        with os.scandir(folder) as entries:
            named = [entry for entry in entries if entry.name.endswith(SUFFIX)]
    except FileNotFoundError:
        named = []  # the folder comes with the first journal and goes with the last
    except OSError as error:
        named = []
        passed_over[folder] = error.strerror or type(error).__name__
    for entry in named:
        path = folder / entry.name
        try:
            if entry.is_file(follow_symlinks=False):
                found.append(path)
            elif entry.is_symlink():
                passed_over[path] = "a link, which is not followed"
            else:
                passed_over[path] = "not a regular file, so not read"
        except OSError as error:  # a file system that has to be asked for each
            passed_over[path] = error.strerror or type(error).__name__
    return sorted(found), passed_over


def open_journal(journal: Path) -> BinaryIO:
    """Open a journal to read it. Raises OSError, also for what is no regular file: it is not waited for.

    A link is not followed: in a folder that others write to, it may lead to what is not theirs to read.
    """
    fd = os.open(journal, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(journal))
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def size_of(journal: Path) -> int:
    """Return the bytes of a journal; 0 where it is gone, or may not be looked at."""
    try:
        return os.lstat(journal).st_size
    except OSError:
        return 0


def read_lines(
    journal: Path, offset: int = 0, limit: int | None = None, enough_bytes: int | None = None
) -> tuple[list[bytes], int]:
    """Return the finished lines from a byte offset on, `limit` at most, and the offset after them.

    What follows the last newline was never acknowledged and is not a line. No more is read once the lines
    have `enough_bytes`. Of a line longer than LONGEST_LINE the beginning is returned, with its length behind
    it, which is no JSON. Raises OSError.
    """
    texts: list[bytes] = []
    end = offset
    pending = _Pending()
    with open_journal(journal) as file:
        file.seek(offset)
        while limit is None or len(texts) < limit:
            if enough_bytes is not None and end - offset >= enough_bytes:
                break
            if not (chunk := file.read(_CHUNK_BYTES)):
                break
            first, newline, rest = chunk.partition(b"\n")
            pending.add(first)
            if not newline:
                continue
            text, size = pending.take()
            lines = rest.split(b"\n")
            pending.add(lines.pop())
            if limit is not None:
                del lines[max(0, limit - len(texts) - 1) :]
            texts += [text, *lines]
            end += size + sum(map(len, lines)) + 1 + len(lines)
    return texts, end


class _Pending:
    """A line of which not all is read yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Add what follows."""
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > LONGEST_LINE:
            self._pieces = [b"".join(self._pieces)[:KEPT_OF_A_LONG_LINE]]

    def take(self) -> tuple[bytes, int]:
        """Return the line, or the beginning of one that is too long, and its size; begin the next."""
        text, size = b"".join(self._pieces), self._size
        self._pieces, self._size = [], 0
        if size > LONGEST_LINE:
            text += b"... (%d bytes)" % size
        return text, size
