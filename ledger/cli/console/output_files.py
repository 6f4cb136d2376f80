"""Writes what a command was asked for: a file that appears when all of it is there, or standard output."""

import io
import os
import secrets
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import LedgerError, LedgerNotWritable

STANDARD_OUTPUT: Final = Path("-")

_NAME_SHOWN: Final = 50
"""A name as long as the file system allows would leave no room for what makes ours another."""


@contextmanager
def replacing(file: Path, refuse: Callable[[Path], None]) -> Generator[BinaryIO]:
    """Yield what to write to; at the end it takes the file's place. "-" is standard output.

    `refuse` is given what is to be replaced, before anything is written and once more before it is replaced,
    and raises where it must not be. Raises LedgerNotWritable.
    """
    if file == STANDARD_OUTPUT:
        with _standard_output() as opened:
            yield opened
        return
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            with file.open("wb") as device:  # a pipe, a terminal: it is no file that could be replaced
                yield device
            return
        # What is replaced is what a link points to, not the link.
        final = Path(os.path.realpath(file))
        _refuse_folder(file, final)
        refuse(final)
        unfinished = final.with_name(f".{final.name[:_NAME_SHOWN]}.{secrets.token_hex(4)}")
        with unfinished.open("xb") as opened:
            try:
                if final.exists():
                    _make_alike(opened.fileno(), final.stat())
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


@contextmanager
def _standard_output() -> Generator[BinaryIO]:
    """Yield standard output, for bytes. Raises BrokenPipeError where its reader has left."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise LedgerNotWritable("standard output is closed; name a file")
    try:
        if isinstance(sys.stdout.buffer, io.RawIOBase):
            # Unbuffered (PYTHONUNBUFFERED), it may take a part of what is written and say nothing of it.
            with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as opened:
                yield opened
        else:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What it still holds would be written at exit, and fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise LedgerNotWritable(f"standard output: can't be written ({error.strerror or error})") from error


def _make_alike(descriptor: int, replaced: os.stat_result) -> None:
    """Give a file the owner and the mode of the one that it is to replace; nobody more may read it."""
    mode = stat.S_IMODE(replaced.st_mode)
    try:
        os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    except PermissionError:
        if os.fstat(descriptor).st_gid != replaced.st_gid:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _refuse_folder(file: Path, final: Path) -> None:
    if final.is_dir():
        raise LedgerError(f"{file}: a folder; name the file that is to be written")
    if not final.parent.is_dir():
        raise LedgerError(f"{file}: there is no folder {final.parent if file.is_symlink() else file.parent}")
