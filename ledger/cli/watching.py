"""The command `watch`: the live view over a ledger that somebody else fills."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ledger.cli.live import LiveView
from ledger.cli.report import tell_note
from ledger.collector import collect
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.journal import journal_folder
from ledger.projections import bring_up_to_date
from ledger.reading import Ledger, in_memory
from ledger.store import Store

_LOOK_EVERY_S: Final = 0.25
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
        tell_note(ledger)
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
    seen_id, is_over = 0, False
    while True:
        with _opened(file) as store:
            trouble = _collected(store, file)
            new = list(store.numbered_rows(session, after_id=seen_id))
            if any(row.kind in _ENDS for _, row in new):
                bring_up_to_date(store)
                query = "SELECT 1 FROM sessions WHERE session = ? AND outcome <> 'running'"
                is_over = bool(store.select(query, [session]))
        seen_id = new[-1][0] if new else seen_id
        view.see([row for _, row in new])
        view.tell(trouble)
        yield
        if is_over:
            return
        time.sleep(_LOOK_EVERY_S)


@contextmanager
def _opened(file: Path) -> Generator[Store]:
    """Open the ledger; where it can't be written, a copy in memory."""
    try:
        store = Store.open(file)
    except LedgerNotWritable:
        store = in_memory(file)
    try:
        yield store
    finally:
        store.close()


def _collected(store: Store, file: Path) -> str:
    """Take what waits in journals, and return what keeps it from that."""
    try:
        collect(store, journal_folder(file), wait_s=0)
    except LedgerError as error:
        return str(error)
    return ""
