"""Opens a log to be read from its beginning: hashed, and with the clock of its file."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ledger_log_lines.file_hash import hashed
from ledger_log_lines.wall_clock import FileClock


class LogFile(NamedTuple):
    """A log at its beginning."""

    file: BinaryIO
    name: str
    """From a hash of its content, so that sessions can be called by it."""
    size: int
    """Its bytes when it was hashed: what is written to it meanwhile is not read."""
    clock: FileClock


@contextmanager
def opened_log(
    path: Path, last_stamp: Callable[[BinaryIO, int], str | None], progress: Callable[[int], None]
) -> Generator[LogFile]:
    """Open a log; `last_stamp` finds the last stamp of a file of a size. Raises OSError."""
    with path.open("rb") as file:
        digest, size = hashed(file, progress)
        clock = FileClock(os.fstat(file.fileno()).st_mtime_ns, last_stamp(file, size))
        file.seek(0)
        yield LogFile(file, digest[:16], size, clock)
