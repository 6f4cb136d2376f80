"""The command `migrate`: upgrades a ledger to this version's schema."""

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, telling_of_wait
from ledger.cli.console.terminal import echo
from ledger.storage.store import Store


def migrate(file: Annotated[Path, typer.Argument(help="The ledger.")], as_json: AsJson = False) -> None:
    """Upgrade a ledger to this version's schema. Every command that opens a ledger does this by itself.

    Example: compile-ledger migrate startup.db
    """
    with telling_of_wait(file):
        store = Store.open_existing(file)
    try:
        version = store.schema_version
    finally:
        store.close()
    if as_json:
        print_json({"ledger": str(file), "schema_version": version})
    else:
        echo(f"{file}: schema {version}")
