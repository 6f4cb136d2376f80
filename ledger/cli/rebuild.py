"""The command `rebuild`: derives all projections again."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, telling_of_wait
from ledger.cli.console.terminal import TerminalConsole, echo
from ledger.formatting import counted
from ledger.storage import projections
from ledger.storage.store import Store


def rebuild(file: Annotated[Path, typer.Argument(help="The ledger.")], as_json: AsJson = False) -> None:
    """Rebuild derived tables from events.

    Example: compile-ledger rebuild startup.db
    """
    with telling_of_wait(file):
        store = Store.open_existing(file)
    console = TerminalConsole(stderr=True)
    try:
        with console.status("reducing") as status:
            sessions = projections.rebuild(store, lambda session: status.update(Text(f"reducing {session}")))
    finally:
        store.close()
    if as_json:
        print_json({"ledger": str(file), "sessions": sessions})
    else:
        echo(f"{counted(len(sessions), 'session')} rebuilt")
