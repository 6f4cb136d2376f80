"""The command `watch`: shows the live view of a session that another program records."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ledger.cli.console.final_screen import print_final_screen
from ledger.cli.console.live_view import LiveView
from ledger.cli.console.options import SessionName
from ledger.cli.console.printing import print_warning, printer
from ledger.cli.console.terminal import TerminalConsole
from ledger.errors import LedgerError, LedgerMissing, LedgerNotWritable, UnknownSession
from ledger.events.rows import EventRow
from ledger.recording.journal import journal_folder, journals
from ledger.storage.collector import collect
from ledger.storage.ledger import Ledger
from ledger.storage.ledger_files import is_to_come
from ledger.storage.projections import bring_up_to_date
from ledger.storage.refreshing import in_memory
from ledger.storage.store import Store

_REFRESH_EVERY_S: Final = 0.25
_COPY_REST: Final = 4
"""Pause between copies, in multiples of the time a copy took: copies take a fifth of one core at most."""
_PRINT_EVERY_S: Final = 5.0
"""If stdout is not a terminal, and so can't be redrawn."""
_LINES_PRINTED: Final = 20
_ENDS: Final = frozenset({"session_ended", "process_left", "process_lost"})


def watch(
    file: Annotated[Path, typer.Argument(help="The ledger that is being recorded into, or will be.")],
    session: SessionName = None,
) -> None:
    """Show what each process is doing now, and at the end the report.

    Another program records the session meanwhile.

    Example: compile-ledger watch startup.db

    It can be started before the program: it waits for the ledger, and for its first session.
    """
    console = TerminalConsole()
    view = LiveView()
    try:
        chosen = _awaited_session(file, session, console)
        if console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=True) as live:
                for _ in _refreshes(file, chosen, view):
                    live.update(view.render(console.size.height - 1), refresh=True)
        else:
            printed_s = float("-inf")
            for _ in _refreshes(file, chosen, view):
                if time.monotonic() - printed_s >= _PRINT_EVERY_S:
                    printed_s = time.monotonic()
                    console.print(view.render(_LINES_PRINTED))
    except KeyboardInterrupt:
        return
    print_final_screen(file, chosen, printer())


def _awaited_session(file: Path, name: str | None, console: Console) -> str:
    """Return the session's id; wait where there is no ledger yet, or one without a session.

    Raises LedgerError, and UnknownSession where the ledger had sessions already, but none of that name.
    """
    if not file.absolute().parent.is_dir():
        raise LedgerMissing(f"{file}: no such folder: {file.parent}")
    is_waiting = False
    while (chosen := _session_in(file, name, may_come=is_waiting)) is None:
        if not is_waiting:
            is_waiting = True
            subject = f"session {name!r} in {file}" if name else str(file)
            hint = f"start the program with `compile-ledger record -o {file} -- COMMAND`"
            console.print(Text(f"Waiting for {subject}; {hint}"), soft_wrap=True)
        time.sleep(_REFRESH_EVERY_S)
    return chosen


def _session_in(file: Path, name: str | None, *, may_come: bool) -> str | None:
    if is_to_come(file) and not journals(journal_folder(file)):
        return None
    with Ledger.open(file) as ledger:
        if not ledger.sessions():
            return None
        try:
            chosen = ledger.session(name)
        except UnknownSession:
            if may_come:
                return None
            raise
        print_warning(ledger)
        return chosen


def _refreshes(file: Path, session: str, view: LiveView) -> Iterator[None]:
    """Add a session's new events to the view, again and again, until the session is over."""
    with closing(_Watched(file, session)) as watched:
        while True:
            began_s = time.monotonic()
            view.add(watched.new_events())
            view.show_warning(watched.trouble)
            rest_s = _COPY_REST * (time.monotonic() - began_s) if watched.is_copied else 0.0
            yield
            if watched.is_over:
                return
            time.sleep(max(_REFRESH_EVERY_S, rest_s))


class _Watched:
    """A session that another program records. Its ledger stays open between refreshes.

    If the ledger can't be written, each refresh reads a new copy in memory and leaves the journals alone.
    """

    def __init__(self, file: Path, session: str) -> None:
        self._file: Final = file
        self._session: Final = session
        self._store: Store | None = None
        self._opened_inode: tuple[int, int] | None = None
        self._last_id = 0
        """The last event id seen in the ledger itself: those still in journals get new ids in each copy."""
        self._last_seq: dict[str, int] = {}
        self.is_over = False
        self.is_copied = False
        self.trouble = ""
        """Why the journals can't be collected; empty if they can."""

    def new_events(self) -> list[EventRow]:
        """Return the events since the last call. Raises LedgerError."""
        try:
            store = self._opened()
            self.trouble = _collected(store, self._file)
            self.is_copied = False
            return self._new_in(store)
        except LedgerNotWritable as error:
            self.trouble = str(error)
            self.is_copied = True
            with closing(in_memory(self._file)) as copy:
                return self._new_in(copy)

    def close(self) -> None:
        """Close the ledger."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _opened(self) -> Store:
        """Return the ledger, reopened if its file was replaced or removed."""
        if self._store is None or self._opened_inode != _inode(self._file):
            self.close()
            self._store = Store.open(self._file)
            self._opened_inode = _inode(self._file)
            self._last_id = 0
        return self._store

    def _new_in(self, store: Store) -> list[EventRow]:
        newest_id = store.last_id()
        rows = list(store.newer_rows(self._session, self._last_id))
        new = [row for _, row in rows if row.seq > self._last_seq.get(row.process, -1)]
        if any(row.kind in _ENDS for row in new):
            bring_up_to_date(store)
            query = "SELECT 1 FROM sessions WHERE session = ? AND outcome <> 'running'"
            self.is_over = bool(store.select(query, [self._session]))
        for row in new:
            self._last_seq[row.process] = max(row.seq, self._last_seq.get(row.process, -1))
        if not self.is_copied:
            self._last_id = max(newest_id, rows[-1][0] if rows else 0)
        return new


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _collected(store: Store, file: Path) -> str:
    """Collect the journals; return what was passed over, or why that failed. Raises LedgerNotWritable."""
    try:
        return next(iter(collect(store, journal_folder(file), wait_s=0).passed_over), "")
    except LedgerNotWritable:
        raise
    except LedgerError as error:
        return str(error)
