"""The command `export`: sessions in other forms, as text above all, to be shown to others."""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.cli.report import tell_note
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.reading import Ledger

_STANDARD_OUTPUT: Final = Path("-")


class Form(str, Enum):
    """The forms that a session can be written in."""

    JSONL = "jsonl"


def _as_lines(ledger: Ledger, sessions: Sequence[str], redact: bool) -> Iterator[bytes]:
    return ledger.export(*sessions, redact=redact)


_WRITTEN_AS: Final[dict[Form, Callable[[Ledger, Sequence[str], bool], Iterator[bytes]]]] = {
    Form.JSONL: _as_lines,
}
"""What yields the bytes of each form, about a piece for each event. The next form is one more of these."""


def export(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="A session's id, its beginning, or a label.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="All sessions, not only the newest.")] = False,
    form: Annotated[Form, typer.Option("--format", "-f", help="The form to write.")] = Form.JSONL,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write; - is standard output.")
    ] = _STANDARD_OUTPUT,
    redact: Annotated[bool, typer.Option("--redact", help="Blot out hosts, user names and paths.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a session to a file: as lines of text, which `import` takes back without a loss.

    Example: compile-ledger export startup.db --redact -o startup.jsonl
    """
    if every and session is not None:
        raise LedgerError("--session and --all were both given; give one of them")
    with Ledger.open(file) as ledger:
        tell_note(ledger)
        sessions = ledger.sessions() if every else []
        sessions = sessions or [ledger.session(session)]
        with _opened(output, file, force) as opened, _events_progress(ledger, sessions) as tell:
            for piece in tell(_WRITTEN_AS[form](ledger, sessions, redact)):
                opened.write(piece)
    if redact:
        note = "hosts, user names and paths are blotted out; read it all the same before you show it"
        typer.echo(note, err=True)


@contextmanager
def _opened(output: Path, ledger: Path, force: bool) -> Generator[BinaryIO]:
    """Yield what to write to. A file appears under its name when all of it is there, or not at all."""
    if output == _STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if output.exists() and not output.is_file() and not output.is_dir():
            with output.open("wb") as device:  # a pipe, a terminal: it is no file that could be replaced
                yield device
            return
        # What is replaced is what a link points to, not the link.
        final = Path(os.path.realpath(output))
        if os.path.realpath(ledger) == str(final):
            raise LedgerError(f"{output}: the ledger itself; name another file")
        _refuse(output, final, force)
        unfinished = final.with_name(f".{final.name}.{os.getpid()}")
        try:
            with unfinished.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _refuse(output, final, force)
            unfinished.replace(final)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LedgerNotWritable(f"{output}: can't be written ({error.strerror or error})") from error


def _refuse(output: Path, final: Path, force: bool) -> None:
    if final.is_dir():
        raise LedgerError(f"{output}: a folder; name a file")
    if final.exists() and not force:
        raise LedgerError(f"{output}: is there already; name another file, or write over it with --force")


@contextmanager
def _events_progress(
    ledger: Ledger, sessions: Sequence[str]
) -> Generator[Callable[[Iterable[bytes]], Iterable[bytes]]]:
    rows = ledger.sql("SELECT session, event_count FROM sessions")
    total = sum(int(str(row["event_count"])) for row in rows if row["session"] in sessions)
    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # To a file it would write an empty line.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield lambda pieces: progress.track(pieces, total=total)
