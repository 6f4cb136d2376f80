"""The command `export`: writes sessions in formats that other programs read."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.console import completion
from ledger.cli.console.options import Force, SessionName
from ledger.cli.console.output_files import STANDARD_OUTPUT, refuse_existing, replacing
from ledger.cli.console.printing import open_ledger
from ledger.cli.console.progress import sending, writing
from ledger.cli.console.terminal import echo
from ledger.errors import LedgerError
from ledger.formatting import counted
from ledger.interchange import exporters
from ledger.storage.ledger import Ledger


def export(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    session: SessionName = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Export all sessions, not only the newest.")
    ] = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="jsonl: text that `import` reads back. otlp: spans, for OpenTelemetry's collector. "
            "perfetto, chrome: a trace for ui.perfetto.dev. "
            "datasette: metadata for browsing the ledger with Datasette. "
            "prometheus: metrics for node_exporter's textfile collector. "
            "And pytorch-benchmark: records for PyTorch's benchmark database.",
            autocompletion=completion.export_formats,
        ),
    ] = "jsonl",
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write; - means standard output. Or, for otlp, an address to send to.",
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

    Example: compile-ledger export startup.db --all --format pytorch-benchmark -o results/startup.json
    """
    if every and session is not None:
        raise LedgerError("--session and --all were both given; give one of them")
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


def _send(
    ledger: Ledger, sessions: Sequence[str], exporter: exporters.Exporter, endpoint: str, *, redact: bool
) -> None:
    """Send sessions to an endpoint."""
    with sending(_event_count(ledger, sessions)) as progress:
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

    with replacing(output, refuse) as opened, writing(_event_count(ledger, sessions)) as track:
        for piece in track(exporters.export(ledger, sessions, exporter, redact=redact)):
            opened.write(piece)
    if redact:
        note = "hosts, user names, paths and secrets were replaced; review the file before you share it"
        echo(note, err=True)
    if output != STANDARD_OUTPUT:
        echo(f"{output}: open it with {exporter.open_command(ledger.path, output)}", err=True)


def _event_count(ledger: Ledger, sessions: Sequence[str]) -> int:
    rows = ledger.sql("SELECT session, event_count FROM sessions")
    return sum(int(str(row["event_count"])) for row in rows if row["session"] in sessions)
