"""The command `restore`: brings a session back from a folder into a ledger."""

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.archive import FORMAT
from ledger.cli.console.progress import working
from ledger.cli.console.terminal import echo
from ledger.formatting import counted
from ledger.interchange import archiving
from ledger.interchange.folder_exporters import the_folder_exporter


def restore(
    folder: Annotated[
        str, typer.Argument(metavar="LAKE", help="The folder of Parquet files: a path, or a URL as s3://…")
    ],
    session: Annotated[str, typer.Argument(help="The session's id, or how it begins.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The ledger; created if missing.")
    ],
) -> None:
    """Bring a session back from a folder of Parquet files.

    Example: compile-ledger restore lake/ 20261128-142349-82af5b67 -o old.db

    It stays in the folder. What is derived from its events is derived again, by this version's rules.
    """
    exporter = the_folder_exporter(FORMAT)
    name = exporter.find(folder, session)
    with working(f"restoring {name}"):
        new = archiving.restore(exporter, folder, name, output)
    echo(f"{output}: session {name} restored, {counted(new, 'new event')}")
