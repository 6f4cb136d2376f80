"""Tells by a file, without opening it as a database, that it is no ledger."""

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger.errors import NotALedger
from ledger.storage.sqlite_errors import NOT_SQLITE

SQLITE_HEADER: Final = b"SQLite format 3\0"
"""What each SQLite file begins with."""
EMPTY: Final = "{path}: an empty file, not a ledger; name another file"
_SMALLEST: Final = 100
"""Bytes of the head of each SQLite file."""
_BEING_MADE_S: Final = 1.0
"""An empty file that is younger than this may be a ledger that another process is making."""
_LOOK_AGAIN_S: Final = 0.02


def refuse_no_file(path: Path) -> None:
    """Raise NotALedger for what is there and is no file: SQLite would read a pipe or a device for ever."""
    try:
        found = os.stat(path)
        kind, size = found.st_mode, found.st_size
    except (OSError, ValueError):
        return  # whoever opens it says why
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "not a regular file"
        raise NotALedger(f"{path}: {what}, so not a ledger; name another file")
    if 0 < size < _SMALLEST:  # which SQLite takes for a file that it may begin anew
        raise NotALedger(NOT_SQLITE.format(path=path))


def refuse_empty(path: Path) -> None:
    """Raise NotALedger for an empty file, of which whoever only reads must not make a ledger.

    One that was made a moment ago is given the time to become a ledger.
    """
    with suppress(OSError, ValueError):
        while not (found := os.stat(path)).st_size:
            if not 0 <= time.time() - found.st_mtime <= _BEING_MADE_S:
                raise NotALedger(EMPTY.format(path=path))
            time.sleep(_LOOK_AGAIN_S)


def is_to_come(path: str | os.PathLike[str]) -> bool:
    """Return whether a ledger is still to be made at a path: nothing is there yet, or nothing in it."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and not found.st_size
