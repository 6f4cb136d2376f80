"""The command `migrate`: upgrades a ledger to this version's schema."""

from pathlib import Path
from typing import Annotated

import typer

from ledger.storage.store import Store


def migrate(file: Annotated[Path, typer.Argument(help="The ledger.")]) -> None:
    """Upgrade a ledger to this version's schema. Every command that opens a ledger does this by itself.

    Example: compile-ledger migrate startup.db
    """
    store = Store.open_existing(file)
    try:
        typer.echo(f"{file}: schema {store.schema_version}")
    finally:
        store.close()
