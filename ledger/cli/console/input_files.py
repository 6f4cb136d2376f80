"""Reads what a command is given besides a ledger: files, and pipes as `<(…)` makes them."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import LedgerError
from ledger.interchange.pipes import FOR_SOMEBODY_S, opened_to_read

_LOOK_EVERY_S: Final = 0.02


@contextmanager
def readable(file: Path) -> Generator[Path]:
    """Yield a path at which a file can be read: its own, or that of a copy of what a pipe gives.

    Raises LedgerError for what can't be read to an end: a device, a socket, a pipe that nobody writes to.
    Errors that leave the block name the file and not its copy.
    """
    try:
        kind = os.stat(file).st_mode
    except (OSError, ValueError):
        kind = stat.S_IFREG  # whoever opens it says why
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        yield file
        return
    if not stat.S_ISFIFO(kind):
        raise LedgerError(f"{file}: not a regular file; name a file")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "input"
        _copy_pipe(file, copy)
        try:
            yield copy
        except LedgerError as error:
            raise type(error)(str(error).replace(str(copy), str(file))) from None


def opened_pipe(file: Path) -> BinaryIO:
    """Open a pipe to write to, once somebody reads it. Raises LedgerError where nobody does."""
    end_s = time.monotonic() + FOR_SOMEBODY_S
    while True:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            if time.monotonic() > end_s:
                raise LedgerError(f"{file}: a pipe that nobody reads") from None
            time.sleep(_LOOK_EVERY_S)
        else:
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb")


def _copy_pipe(file: Path, copy: Path) -> None:
    with opened_to_read(file) as pipe, copy.open("wb") as opened:
        shutil.copyfileobj(pipe, opened)
