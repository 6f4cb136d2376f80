"""The command `watch`: the live view over a ledger that somebody else fills."""

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

from ledger.cli.console.live_view import LiveView
from ledger.cli.console.printing import print_warning
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.events.rows import EventRow
from ledger.recording.journal import journal_folder
from ledger.storage.collector import collect
from ledger.storage.ledger import Ledger, in_memory
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store

_LOOK_EVERY_S: Final = 0.25
_COPY_REST: Final = 4
"""So many times as long as a copy took, none is made: copies take a fifth of one core at most."""
_TELL_EVERY_S: Final = 5.0
"""Where nothing can be drawn over."""
_LINES_OF_A_LOG: Final = 20
_ENDS: Final = frozenset({"session_ended", "process_left", "process_lost"})


def watch(
    file: Annotated[Path, typer.Argument(help="The ledger that is being written.")],
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="A session's id, its beginning, or a label.")
    ] = None,
) -> None:
    """Show the stages of a session live while another program records it, until it is over.

    Example: compile-ledger watch startup.db
    """
    console = Console()
    with Ledger.open(file) as ledger:
        print_warning(ledger)
        chosen = ledger.session(session)
    view = LiveView()
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                for _ in _looks(file, chosen, view):
                    live.update(view.render(console.size.height - 1), refresh=True)
        else:
            told_s = float("-inf")
            for _ in _looks(file, chosen, view):
                if time.monotonic() - told_s >= _TELL_EVERY_S:
                    told_s = time.monotonic()
                    console.print(view.render(_LINES_OF_A_LOG))
    except KeyboardInterrupt:
        return
    with Ledger.open(file) as ledger:
        [row] = ledger.sql("SELECT outcome FROM sessions WHERE session = ?", [chosen])
    after = f"Session {chosen}: {row['outcome']}; `compile-ledger report {file}` says more"
    console.print(Text(after), soft_wrap=True)


def _looks(file: Path, session: str, view: LiveView) -> Iterator[None]:
    """Look at what is new in a session, again and again, until it is over."""
    with closing(_Watched(file, session)) as watched:
        while True:
            began_s = time.monotonic()
            view.see(watched.look())
            view.tell(watched.trouble)
            rest_s = _COPY_REST * (time.monotonic() - began_s) if watched.is_copied else 0.0
            yield
            if watched.is_over:
                return
            time.sleep(max(_LOOK_EVERY_S, rest_s))


class _Watched:
    """A session that others record. Its ledger stays open from one look to the next.

    Where that can't be written, each look is at a new copy in memory, and leaves the journals as they are.
    """

    def __init__(self, file: Path, session: str) -> None:
        self._file: Final = file
        self._session: Final = session
        self._store: Store | None = None
        self._place: tuple[int, int] | None = None
        self._last_id = 0
        """Of what the ledger itself held: in each copy, what waits in journals has other ids."""
        self._last_seq: dict[str, int] = {}
        self.is_over = False
        self.is_copied = False
        self.trouble = ""
        """What keeps the journals from being collected."""

    def look(self) -> list[EventRow]:
        """Return the events that are new since the last look. Raises LedgerError."""
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
        """Return the ledger, opened again where there is another file in its place, or none."""
        if self._store is None or self._place != _place(self._file):
            self.close()
            self._store = Store.open(self._file)
            self._place = _place(self._file)
            self._last_id = 0
        return self._store

    def _new_in(self, store: Store) -> list[EventRow]:
        rows = list(store.numbered_rows(self._session, after_id=self._last_id))
        new = [row for _, row in rows if row.seq > self._last_seq.get(row.process, -1)]
        if any(row.kind in _ENDS for row in new):
            bring_up_to_date(store)
            query = "SELECT 1 FROM sessions WHERE session = ? AND outcome <> 'running'"
            self.is_over = bool(store.select(query, [self._session]))
        for row in new:
            self._last_seq[row.process] = max(row.seq, self._last_seq.get(row.process, -1))
        if rows and not self.is_copied:
            self._last_id = rows[-1][0]
        return new


def _place(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _collected(store: Store, file: Path) -> str:
    """Take what waits in journals, and return what keeps it from that. Raises LedgerNotWritable."""
    try:
        collect(store, journal_folder(file), wait_s=0)
    except LedgerNotWritable:
        raise
    except LedgerError as error:
        return str(error)
    return ""
