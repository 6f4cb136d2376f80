"""The command `export`: writes sessions in formats that other programs read."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.cli.console import completion
from ledger.cli.console.folder_export import event_count, export_showing
from ledger.cli.console.options import Force, SessionName
from ledger.cli.console.output_files import STANDARD_OUTPUT, refuse_existing, replacing
from ledger.cli.console.printing import open_ledger
from ledger.cli.console.progress import sending, writing
from ledger.cli.console.terminal import echo
from ledger.errors import LedgerError, UnknownSession
from ledger.formatting import counted
from ledger.interchange import exporters, folder_exporters
from ledger.storage.ledger import Ledger

_SOME_REFUSED: Final = 1
_REVIEW: Final = "hosts, user names, paths and secrets were replaced; review the {what} before you share it"


def export(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    session: SessionName = None,
    every: Annotated[
        bool,
        typer.Option("--all", "-a", help="All sessions, not only the newest; into a folder always all."),
    ] = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="jsonl: text that `import` reads back. csv: a zip archive of tables. "
            "otlp: spans, for OpenTelemetry's collector. "
            "parquet: a folder of files for DuckDB, Spark and others, with the sessions of many ledgers. "
            "perfetto, chrome: a trace for ui.perfetto.dev. "
            "datasette: metadata for browsing the ledger with Datasette. "
            "prometheus: metrics for node_exporter's textfile collector. "
            "pytorch-benchmark: records for PyTorch's benchmark database.",
            autocompletion=completion.export_formats,
        ),
    ] = "jsonl",
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write; - means standard output. Of otlp also an address to send to; of parquet "
            "the folder to add to: a path, or a URL as s3://bucket/lake.",
        ),
    ] = str(STANDARD_OUTPUT),
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace hosts, user names, paths and secrets by placeholders.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a session in a format that other programs read.

    Example: compile-ledger export startup.db --redact -o startup.jsonl

    Example: compile-ledger export startup.db --format perfetto -o startup.pftrace

    Example: compile-ledger export startup.db --format prometheus --force -o metrics/startup.prom

    Example: compile-ledger export startup.db --format otlp -o http://127.0.0.1:4318

    Example: compile-ledger export startup.db --format parquet -o lake/

    Example: compile-ledger export startup.db --all --format pytorch-benchmark -o results/startup.json
    """
    if every and session is not None:
        raise LedgerError("--session and --all were both given; give one of them")
    if (folder_exporter := folder_exporters.folder_exporter_of(output_format)) is not None:
        _add_to_folder(file, session, folder_exporter, output, redact=redact)
        return
    exporter = exporters.exporter_of(output_format)
    is_shown = Path(output) == STANDARD_OUTPUT and sys.stdout and sys.stdout.isatty()
    if is_shown and not exporter.is_text:
        raise LedgerError(f"{output_format} is a binary format; name a file with -o")
    with open_ledger(file) as ledger:
        sessions = ledger.sessions() if every else []
        sessions = sessions or [ledger.session(session)]
        if exporters.is_endpoint(output):
            _send(ledger, sessions, exporter, output, redact=redact)
        else:
            _write(ledger, sessions, exporter, Path(output), redact=redact, force=force)


def _add_to_folder(
    file: Path,
    session: str | None,
    exporter: folder_exporters.FolderExporter,
    folder: str,
    *,
    redact: bool,
) -> None:
    """Add sessions to a folder that has those of many ledgers."""
    if folder == str(STANDARD_OUTPUT):
        raise LedgerError("this format is a folder of files; name a folder with -o")
    with open_ledger(file) as ledger:
        sessions = ledger.sessions() if session is None else [ledger.session(session)]
        if not sessions:
            raise UnknownSession(f"{file}: no session yet")
        done = export_showing(ledger, sessions, exporter, folder, redact=redact)
    if redact:
        echo(_REVIEW.format(what="folder"), err=True)
    if done.refused:
        raise typer.Exit(_SOME_REFUSED)


def _send(
    ledger: Ledger, sessions: Sequence[str], exporter: exporters.Exporter, endpoint: str, *, redact: bool
) -> None:
    """Send sessions to an endpoint."""
    with sending(event_count(ledger, sessions)) as progress:
        for number in exporters.send(ledger, sessions, exporter, endpoint, redact=redact):
            progress(number)
    echo(f"sent {counted(len(sessions), 'session')}", err=True)


def _write(
    ledger: Ledger,
    sessions: Sequence[str],
    exporter: exporters.Exporter,
    output: Path,
    *,
    redact: bool,
    force: bool,
) -> None:
    """Write sessions to a file."""

    def refuse(final: Path) -> None:
        if os.path.realpath(ledger.path) == str(final):
            raise LedgerError(f"{output}: is the ledger itself; name another file")
        if not force:
            refuse_existing(output, final)

    with replacing(output, refuse) as opened, writing(event_count(ledger, sessions)) as track:
        for piece in track(exporters.export(ledger, sessions, exporter, redact=redact)):
            opened.write(piece)
    if redact:
        echo(_REVIEW.format(what="file"), err=True)
    if output != STANDARD_OUTPUT:
        echo(f"{output}: open it with {exporter.open_command(ledger.path, output)}", err=True)
