"""Progress on stderr, where that is a terminal; elsewhere nothing is written."""

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ledger.cli.console.terminal import TerminalConsole

AFTER_S: Final = 0.5
"""What takes less than this is not worth a line that comes and goes."""


@contextmanager
def working(what: str) -> Generator[Callable[[str], None]]:
    """Show what is being done, and for how long, until the block ends; yield what names the next step."""
    progress = _progress(SpinnerColumn(), _description(), TimeElapsedColumn())
    task = progress.add_task(what, total=None)
    timer = threading.Timer(AFTER_S, progress.start)
    if not progress.disable:
        timer.start()
    try:
        yield lambda now: progress.update(task, description=now)
    finally:
        timer.cancel()
        if timer.ident is not None:
            timer.join()
        if progress.live.is_started:
            progress.stop()


@contextmanager
def reading(what: str, total_bytes: int) -> Generator[Callable[[int], None]]:
    """Show a bar named `what` until the block ends; yield a function to report bytes read to."""
    with _progress(_description(), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(what, total=total_bytes)
        yield lambda read_bytes: progress.advance(task, read_bytes)


@contextmanager
def writing(total: int) -> Generator[Callable[[Iterable[bytes]], Iterable[bytes]]]:
    """Show a bar until the block ends; yield a function that counts the pieces which go through it.

    The first piece may take long: until it comes the bar only says that something is being done.
    """
    columns = (_description(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _progress(*columns) as progress:
        task = progress.add_task("preparing", total=None)

        def counted(pieces: Iterable[bytes]) -> Iterable[bytes]:
            for piece in pieces:
                progress.update(task, description="writing", total=total, advance=1)
                yield piece

        yield counted


@contextmanager
def sending(total: int) -> Generator[Callable[[int], None]]:
    """Show a bar until the block ends; yield a function to report numbers of what was sent to."""
    columns = (_description(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _progress(*columns) as progress:
        task = progress.add_task("sending", total=total)
        yield lambda sent: progress.advance(task, sent)


def _description() -> TextColumn:
    return TextColumn("{task.description}", markup=False)


def _progress(*columns: ProgressColumn) -> Progress:
    console = TerminalConsole(stderr=True)
    # If stderr is not a terminal, a progress bar would still write an empty line to it.
    return Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )
