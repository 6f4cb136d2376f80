"""Options that several commands have, in the same words."""

from typing import Annotated, TypeAlias

import typer

from ledger.cli.console import completion

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]

SessionName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--session",
        "-s",
        help="A session id or a prefix of one, or a label.",
        autocompletion=completion.sessions,
    ),
]

NoPager: TypeAlias = Annotated[
    bool, typer.Option("--no-pager", help="Print everything at once, even if it is longer than the terminal.")
]
