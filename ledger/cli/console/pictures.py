"""Writes a session's HTML page (`report --html`) and its flame graphs (`report --flame`)."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from ledger.cli.console.output_files import refuse_at_once, refuse_existing, replacing
from ledger.cli.console.progress import working
from ledger.errors import LedgerError
from ledger.formatting import counted, cut
from ledger.reports.flame_graphs import flame_graphs
from ledger.reports.html import page, subject_of
from ledger.reports.speedscope import speedscope
from ledger.storage.ledger import Ledger
from ledger.storage.ledger_files import SQLITE_HEADER

_BYTES_PER_MB: Final = 1e6
_NAME: Final = 80
"""Characters of a session's name to show in a sentence."""


def refuse_pictures(files: Iterable[Path | None], *, force: bool) -> None:
    """Raise LedgerError if one of these files can't be written: before a ledger is read for any of them."""
    for file in files:
        if file is not None:
            refuse_at_once(file, partial(_refuse, file, force))


def write_page(ledger: Ledger, sessions: Sequence[str], file: Path, *, force: bool) -> str:
    """Write the page of one session, or of two side by side; return a sentence about the file.

    The file appears only once it is complete. Raises LedgerError.
    """
    if len(set(sessions)) < len(sessions):
        raise LedgerError(f"{sessions[0]} is on both sides; name two sessions")
    with replacing(file, partial(_refuse, file, force)) as opened:
        with working("reading the session") as now:
            subjects = [subject_of(ledger, session) for session in sessions]
            number = sum(subject.interval_count for subject in subjects)
            now(f"drawing {counted(number, 'interval')}")
            text = page(subjects).encode("utf-8", "replace")
        opened.write(text)
    names = " against ".join(subject.name for subject in subjects)
    return f"{file}: {names}, one page of {len(text) / _BYTES_PER_MB:.1f} MB that opens in any browser"


def write_flame_graphs(ledger: Ledger, session: str, file: Path, *, force: bool) -> str:
    """Write a session's flame graphs; return a sentence about the file and how to open it.

    The file appears only once it is complete. Raises LedgerError.
    """
    record = ledger.timeline_tables(session, "sessions", "processes")
    name = (record.session.label if record.session else None) or session
    with replacing(file, partial(_refuse, file, force)) as opened:
        with working("reading the session") as now:
            intervals = ledger.intervals(session, has_data=False)
            now("drawing the flame graphs")
            graphs = flame_graphs(intervals, record.processes)
        if not graphs.profiles:
            raise LedgerError(
                f"{cut(name, _NAME)}: no stage of this session has ended yet; name another session"
            )
        opened.writelines(speedscope(name, graphs))
    number = counted(len(graphs.profiles), "flame graph")
    summed_up = " (too long for an order of time: summed up by stack)" if graphs.is_summed_up else ""
    open_command = "open it at https://www.speedscope.app, where it stays on your machine"
    return f"{file}: {cut(name, _NAME)}, {number}{summed_up}; {open_command}"


def _refuse(file: Path, force: bool, final: Path) -> None:
    refuse_database(file, final)
    if not force:
        refuse_existing(file, final)


def refuse_database(file: Path, final: Path) -> None:
    """Raise LedgerError if the file to be replaced is a database."""
    try:
        if not final.is_file():
            return
        with final.open("rb") as existing:
            is_database = existing.read(len(SQLITE_HEADER)) == SQLITE_HEADER
    except OSError:
        return  # an unreadable file may still be writable
    if is_database:
        raise LedgerError(f"{file}: is a ledger or another database; name another file")
