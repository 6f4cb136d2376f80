"""The command `export`: sessions in other forms, for other programs and other people."""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.cli.console.output_files import STANDARD_OUTPUT, replacing
from ledger.cli.console.printing import print_warning
from ledger.errors import LedgerError
from ledger.interchange import exporters
from ledger.storage.ledger import Ledger


def export(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="A session's id, its beginning, or a label.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="All sessions, not only the newest.")] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORM",
            help="jsonl: lines that `import` takes back. perfetto, chrome: a trace for ui.perfetto.dev. "
            "datasette: what makes `datasette FILE` speak.",
        ),
    ] = "jsonl",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write; - is standard output.")
    ] = STANDARD_OUTPUT,
    redact: Annotated[bool, typer.Option("--redact", help="Blot out hosts, user names and paths.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a session to a file in a form that other programs read.

    Example: compile-ledger export startup.db --redact -o startup.jsonl

    Example: compile-ledger export startup.db --format perfetto -o startup.pftrace
    """
    if every and session is not None:
        raise LedgerError("--session and --all were both given; give one of them")
    exporter = exporters.exporter_of(form)
    if output == STANDARD_OUTPUT and not exporter.is_text and sys.stdout and sys.stdout.isatty():
        raise LedgerError(f"{form} is nothing that a terminal could show; name a file with -o")

    def refuse(final: Path) -> None:
        if os.path.realpath(file) == str(final):
            raise LedgerError(f"{output}: the ledger itself; name another file")
        if final.exists() and not force:
            raise LedgerError(f"{output}: is there already; name another file, or write over it with --force")

    with Ledger.open(file) as ledger:
        print_warning(ledger)
        sessions = ledger.sessions() if every else []
        sessions = sessions or [ledger.session(session)]
        with replacing(output, refuse) as opened, _events_progress(ledger, sessions) as tell:
            for piece in tell(exporters.export(ledger, sessions, exporter, redact=redact)):
                opened.write(piece)
    if redact:
        note = "hosts, user names and paths are blotted out; read it all the same before you show it"
        typer.echo(note, err=True)
    if output != STANDARD_OUTPUT:
        typer.echo(f"{output}: open it with {exporter.open_command(file, output)}", err=True)


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
