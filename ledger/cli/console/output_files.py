"""Writes a command's output: to a file, which appears only once it is complete, or to standard output."""

import os
import secrets
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from ledger.cli.console.input_files import opened_pipe
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.formatting import printable

STANDARD_OUTPUT: Final = Path("-")

_NAME_SHOWN: Final = 50
"""Leaves room for the random suffix if the name is as long as the file system allows."""


@contextmanager
def replacing(file: Path, refuse: Callable[[Path], None]) -> Generator[BinaryIO]:
    """Yield a temporary file that replaces `file` at the end. "-" is standard output.

    `refuse` gets the path to be replaced, before anything is written and again before replacing, and raises
    if it must not be replaced. Raises LedgerNotWritable.
    """
    if file == STANDARD_OUTPUT:
        with _standard_output() as opened:
            yield opened
        return
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            # A pipe or a terminal can't be replaced.
            with opened_pipe(file) if file.is_fifo() else file.open("wb") as device:
                yield device
            return
        # Replace the target of a link, not the link.
        final = Path(os.path.realpath(file))
        _refuse_folder(file, final)
        refuse(final)
        unfinished = final.with_name(f".{final.name[:_NAME_SHOWN]}.{secrets.token_hex(4)}")
        with unfinished.open("xb") as opened:
            try:
                if final.exists():
                    _copy_permissions(opened.fileno(), final.stat())
                yield opened
                opened.flush()
                os.fsync(opened.fileno())
                _refuse_folder(file, final)
                refuse(final)
                unfinished.replace(final)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise LedgerNotWritable(f"{file}: can't be written ({error.strerror or error})") from error


def refuse_at_once(file: Path, refuse: Callable[[Path], None]) -> None:
    """Raise what `replacing` raises before anything is written, so that no work was done for nothing."""
    if file == STANDARD_OUTPUT or (file.exists() and not file.is_file() and not file.is_dir()):
        return
    final = Path(os.path.realpath(file))
    _refuse_folder(file, final)
    refuse(final)


def refuse_existing(file: Path, final: Path) -> None:
    """Raise LedgerError if the path to be written to, called `file`, exists."""
    if final.exists():
        raise LedgerError(f"{file}: already exists; choose another name or use --force")


@contextmanager
def _standard_output() -> Generator[BinaryIO]:
    """Yield standard output as a binary stream."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise LedgerNotWritable("standard output is closed; name a file")
    if sys.stdout.isatty():
        yield cast("BinaryIO", _Shown(sys.stdout.buffer))
    else:
        yield sys.stdout.buffer
    sys.stdout.buffer.flush()


class _Shown:
    """Standard output where it is a terminal: bytes go there as text, without what it would act upon."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: Final = stream

    def write(self, data: bytes) -> int:
        """Write whole lines of text."""
        self._stream.write(printable(data.decode("utf-8", "replace")).encode())
        return len(data)


def _copy_permissions(descriptor: int, replaced: os.stat_result) -> None:
    """Copy owner and mode from the file to be replaced, so that nobody gains access."""
    mode = stat.S_IMODE(replaced.st_mode)
    try:
        os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    except PermissionError:
        if os.fstat(descriptor).st_gid != replaced.st_gid:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _refuse_folder(file: Path, final: Path) -> None:
    if final.is_dir():
        raise LedgerError(f"{file}: is a folder; name a file to write")
    if not final.parent.is_dir():
        raise LedgerError(f"{file}: no such folder: {final.parent if file.is_symlink() else file.parent}")
