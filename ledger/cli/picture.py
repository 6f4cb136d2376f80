"""Writes a session's page to a file: `report --html`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError, LedgerNotWritable
from ledger.page import page, subject_of
from ledger.reading import Ledger

_SQLITE: Final = b"SQLite format 3\0"
_BYTES_PER_MB: Final = 1e6


def write_page(ledger: Ledger, sessions: Sequence[str], file: Path) -> str:
    """Write the page of one session, or of two side by side; return in a sentence what was written.

    The file appears under its name when all of it is there, or not at all. Raises LedgerError.
    """
    _refuse(file)
    if len(set(sessions)) < len(sessions):
        raise LedgerError(f"{sessions[0]} is on both sides; name two sessions")
    subjects = [subject_of(ledger, session) for session in sessions]
    text = page(subjects).encode("utf-8", "replace")
    try:
        _replace(file, text)
    except OSError as error:
        raise LedgerNotWritable(f"{file}: can't be written ({error.strerror or error})") from error
    names = " against ".join(subject.name for subject in subjects)
    return f"{file}: {names}, one page of {len(text) / _BYTES_PER_MB:.1f} MB that opens in any browser"


def _refuse(file: Path) -> None:
    """Raise LedgerError where a page would take the place of something else."""
    if file.is_dir():
        raise LedgerError(f"{file}: a folder; name the file that is to be written")
    if not file.parent.is_dir():
        raise LedgerError(f"{file}: there is no folder {file.parent}")
    try:
        if not file.is_file():
            return
        with file.open("rb") as there:
            is_database = there.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return  # what can't be read may yet be written
    if is_database:
        raise LedgerError(f"{file}: a ledger, or another database; name another file")


def _replace(file: Path, text: bytes) -> None:
    if file.exists() and not file.is_file():
        file.write_bytes(text)  # a pipe or a terminal: it is no file that could be replaced
        return
    # What is replaced is what a link points to, not the link.
    final = Path(os.path.realpath(file))
    unfinished = final.with_name(f".page.{os.getpid()}")
    try:
        with unfinished.open("xb") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(final)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
