"""Writes a file that appears under its name when all of it is there, or not at all."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ledger.errors import LedgerError, LedgerNotWritable


@contextmanager
def replacing(file: Path, refuse: Callable[[Path], None]) -> Generator[BinaryIO]:
    """Yield what to write to; at the end it takes the file's place.

    `refuse` is given what is to be replaced, before anything is written and once more before it is replaced,
    and raises where it must not be. Raises LedgerNotWritable.
    """
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            with file.open("wb") as device:  # a pipe, a terminal: it is no file that could be replaced
                yield device
            return
        # What is replaced is what a link points to, not the link.
        final = Path(os.path.realpath(file))
        _refuse_folder(file, final)
        refuse(final)
        unfinished = final.with_name(f".{final.name[:_NAME_BYTES]}.{os.getpid()}")
        try:
            with unfinished.open("xb") as opened:
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


_NAME_BYTES = 50
"""A name as long as the file system allows would leave no room for what makes ours another."""


def _refuse_folder(file: Path, final: Path) -> None:
    if final.is_dir():
        raise LedgerError(f"{file}: a folder; name the file that is to be written")
    if not final.parent.is_dir():
        raise LedgerError(f"{file}: there is no folder {file.parent}")
