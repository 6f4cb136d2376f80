"""Appends lines to the journal of a process: one file of JSON lines, appended to by that process alone."""

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

SUFFIX: "Final" = ".jsonl"
UNNAMED_SUFFIX: "Final" = ".new"
"""Of a journal whose first line is not written yet: nothing in it was acknowledged."""
FOLDER_SUFFIX: "Final" = ".journal"
"""Of the folder of the journals, which lies beside their ledger."""
TRUST_VARIABLE: "Final" = "COMPILE_LEDGER_TRUST_FOLDERS"
"""Where it is 1, journals are written to folders that belong to other users, and read from there."""
_ROOT: "Final" = 0
_MODE: "Final" = 0o600
"""What a program says of itself is its user's alone."""
_ATTEMPTS: "Final" = 5
_LAST_STANDARD: "Final" = 2
"""The file descriptor of the standard error output."""
_CHUNK_BYTES: "Final" = 1 << 20


class JournalWriter:
    """Appends lines to one journal. The file appears with its first lines in it, never empty.

    Raises OSError where a line could not be written whole; the line then does not count as written.
    """

    __slots__ = ("_identity", "descriptor", "path", "size", "torn")

    def __init__(self, path: "str | os.PathLike[str]", first_lines: bytes) -> None:
        self.path = os.fspath(path)
        self.torn = b""
        """What ends the piece of a line that a full disk has left."""
        self.descriptor = -1
        self._identity = (0, 0)
        self.size = 0
        """How many bytes of it are written: a file that has fewer was cut by somebody else."""
        for attempt in range(_ATTEMPTS):
            try:
                self._begin_in(os.path.dirname(self.path), first_lines)
            except FileNotFoundError:
                # A collector tidied the folder up just then.
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _begin_in(self, folder: str, first_lines: bytes) -> None:
        os.makedirs(folder, exist_ok=True)
        if (owner := foreign_owner(folder)) is not None:
            # Where nothing is read, nothing is to be written.
            reason = f"belongs to another user (uid {owner}); set {TRUST_VARIABLE}=1 if you trust them"
            raise PermissionError(errno.EACCES, reason, folder)
        self._begin(first_lines)

    def _begin(self, first_lines: bytes, former: "int | None" = None) -> None:
        """Make the file, with what a former one holds, or with its first lines."""
        unnamed = self.path.removesuffix(SUFFIX) + UNNAMED_SUFFIX
        # Whoever else may write here: no file of his is opened, and no link followed.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(unnamed, flags, _MODE)
        except FileExistsError:
            os.unlink(unnamed)  # of an attempt that a signal handler ended
            descriptor = os.open(unnamed, flags, _MODE)
        try:
            if descriptor <= _LAST_STANDARD:
                # The host has closed its own, and what it prints later must not land here.
                descriptor = _moved_up(descriptor)
            if former is None:
                _write_whole(descriptor, first_lines)
            else:
                _copy(former, descriptor)
            made = os.fstat(descriptor)
            os.rename(unnamed, self.path)
        except BaseException:
            os.close(descriptor)
            if os.path.lexists(unnamed):
                os.unlink(unnamed)
            raise
        self.descriptor, self._identity, self.size = descriptor, (made.st_dev, made.st_ino), made.st_size

    def append(self, lines: bytes) -> None:
        """Write one line, or several, each with its newline, in one system call."""
        if self.torn:
            # The piece that a full disk left behind ends here, so that it spoils no line but its own.
            lines = self.torn + lines
        length, descriptor = len(lines), self.descriptor
        written = os.write(descriptor, lines)
        if written != length:
            self.cut_short(written, length)
        if descriptor == self.descriptor:  # else a signal handler had it put back, with these
            self.size += written
        self.torn = b""

    def cut_short(self, written: int, length: int) -> "NoReturn":
        """Keep that a disk took no more than the beginning of what was written. Raises OSError."""
        self.size += written
        if written:
            # A line that lacks nothing but its newline would be taken for one that was acknowledged.
            self.torn = b"~\n" if written == length - 1 else b"\n"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def is_in_place(self) -> bool:
        """Return whether the file is still the one of its name, with all that was written to it."""
        size = self.size  # before it is looked at: a signal handler may write in between
        try:
            found = os.lstat(self.path)
        except OSError as error:
            # Of another fault, such as a folder that may not be looked into, nothing follows.
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return (found.st_dev, found.st_ino) == self._identity and found.st_size >= size

    def lines_left(self) -> "int | None":
        """Return how many lines are left of a file that somebody cut; None where it was not cut."""
        size = self.size
        if os.fstat(self.descriptor).st_size >= size:
            return None
        number = offset = 0
        while chunk := os.pread(self.descriptor, _CHUNK_BYTES, offset):
            number += chunk.count(b"\n")
            offset += len(chunk)
        return number

    def put_back(self) -> None:
        """Make the file anew where it was removed, renamed or replaced, with all that was written to it.

        That is read from the file which is still open. Raises OSError where it can't be made; the journal is
        then what it was.
        """
        if self.is_in_place():
            return
        former, path, folder = self.descriptor, self.path, os.path.dirname(self.path)
        if not os.path.isdir(folder):
            # But nothing around it: who has removed the ledger's own folder wants none of it.
            os.mkdir(folder)
        elif os.path.lexists(path):
            self.path = path.removesuffix(SUFFIX) + "+" + SUFFIX  # the other file is somebody else's
        try:
            self._begin(b"", former)
        except BaseException:
            self.path = path
            raise
        os.close(former)

    def close(self) -> None:
        """Close the file; the journal stays for the collector."""
        # Its number may be another file's from here on.
        former, self.descriptor = self.descriptor, -1
        if former >= 0:
            os.close(former)


def foreign_owner(folder: "str | os.PathLike[str]") -> "int | None":
    """Return which other user decides what is in a folder; None where that is nobody, or is trusted.

    A link belongs to who made it, whatever it leads to. Raises OSError where there is no such folder.
    """
    if os.environ.get(TRUST_VARIABLE) != "1":
        for owner in (os.lstat(folder).st_uid, os.stat(folder).st_uid):
            if owner not in (os.geteuid(), _ROOT):
                return owner
    return None


def _write_whole(descriptor: int, lines: bytes) -> None:
    if os.write(descriptor, lines) != len(lines):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy(source: int, target: int) -> None:
    offset = 0
    while chunk := os.pread(source, _CHUNK_BYTES, offset):
        _write_whole(target, chunk)
        offset += len(chunk)


def _moved_up(descriptor: int) -> int:
    """Move a file descriptor out of the standard ones' range."""
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LAST_STANDARD + 1)
    os.close(descriptor)
    return moved
