"""Turns errors of SQLite into lines that say what is wrong with a file, and lets signals end its queries."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.errors import LedgerDamaged, LedgerError, LedgerLocked, LedgerNotWritable, NotALedger

NOT_SQLITE: Final = "{path}: not a SQLite file, so not a ledger; name another file"
_MISSES: Final = ("no such table", "no such column", "no such view", "table ", "no such function")
"""How SQLite begins to speak of a query of ours that does not fit the file's schema."""
_INSTRUCTIONS_BETWEEN_SIGNALS: Final = 1_000_000
"""Of SQLite's, some milliseconds."""


def notice_signals(connection: sqlite3.Connection) -> None:
    """Have Python look at its signals while SQLite works: Ctrl-C ends a query that would run for ever."""
    connection.set_progress_handler(_nothing_to_stop_for, _INSTRUCTIONS_BETWEEN_SIGNALS)


def _nothing_to_stop_for() -> int:
    return 0


def raise_if_interrupted(error: sqlite3.Error) -> None:
    """Raise KeyboardInterrupt where an error of SQLite is one, which it swallowed during a query."""
    if str(error) == "interrupted":
        raise KeyboardInterrupt from error


@contextmanager
def sqlite_errors_translated(path: Path | None) -> Generator[None]:
    """Turn an error of SQLite into one line that says what is wrong with the file and what to do next."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise_if_interrupted(error)
        fault = translate_sqlite_error(path, error)
        if type(fault) is LedgerError and str(error).startswith(_MISSES):
            fault = _damaged(path, str(error))
        raise fault from error
    except UnicodeDecodeError as error:  # in the middle of a message of SQLite's
        raise _damaged(path, "what should be text is none") from error


def translate_sqlite_error(path: Path | None, error: sqlite3.DatabaseError) -> LedgerError:
    """Return an error of SQLite as ours; a plain LedgerError where it says nothing of the file itself."""
    text = str(error)
    if "not a database" in text or "file is encrypted" in text:
        return NotALedger(NOT_SQLITE.format(path=path))
    # From Python 3.11 on there is a name: a file that was cut off is damaged, a disk that fails is not.
    name: str = getattr(error, "sqlite_errorname", "")
    if "malformed" in text or name == "SQLITE_IOERR_SHORT_READ":
        return _damaged(path, text)
    if "Could not decode" in text:
        return _damaged(path, "it has text that is not UTF-8")
    if "disk I/O" in text:
        return LedgerError(
            f"{path}: the system could not read or write it ({(name or text).lower()}); look at the disk, or "
            "at the network that it is on, and try again"
        )
    if "locked" in text:
        return LedgerLocked(f"{path}: another process is writing to it; try again when it has finished")
    if "unable to open" in text and (reason := _why_not_opened(path)) is not None:
        return LedgerError(f"{path}: {reason}")
    if "readonly" in text or "unable to open" in text:
        return LedgerNotWritable(f"{path}: can't be opened or written here ({text}); choose another place")
    if "full" in text:
        return LedgerNotWritable(f"{path}: the disk is full; nothing was lost: make room and collect again")
    return LedgerError(f"{path}: {text}")


def _damaged(path: Path | None, reason: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"{path}: damaged ({reason}); `compile-ledger verify` says where, and "
        f"`sqlite3 {path} .recover` saves what can be read"
    )


def _why_not_opened(path: Path | None) -> str | None:
    """Return what the system has against opening a file, of which SQLite does not speak; None if nothing.

    Never by opening it: closing it would drop the locks that this process has on it.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return f"can't be opened ({str(error.strerror).lower()}): allow for more with `ulimit -n`"
    try:
        os.stat(path or "")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"can't be opened ({str(getattr(error, 'strerror', None) or error).lower()})"
    return None
