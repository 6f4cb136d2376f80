"""Writes the metadata file with which Datasette shows a ledger."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Final

from ledger import Ledger, LedgerError
from ledger.adapters import Exporter
from ledger_datasette.metadata import metadata

_NOT_OPENED: Final = re.compile(r"[?#]|%[0-9A-Fa-f]{2}|_internal(\.[^.]*)?$")
"""In these names Datasette sees the end of the name, another name, or a database of its own."""


class MetadataExporter:
    """Writes metadata for Datasette. It is about the ledger's file, whichever sessions are asked for.

    Datasette shows the file itself, and all that is in it.
    """

    is_text = True
    can_redact = False

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the command that shows the ledger."""
        return f"datasette {quote(str(ledger))} --metadata {quote(str(written))}"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the file, in one piece. Raises LedgerError where Datasette can't open the ledger."""
        if _NOT_OPENED.search(ledger.path.name):
            raise LedgerError(f"{ledger.path}: Datasette opens no file of such a name; give it another name")
        # The part of a name before its last suffix is what Datasette calls a database.
        yield json.dumps(metadata(ledger.path.stem), indent=2).encode() + b"\n"


def exporter() -> Exporter:
    """Return the exporter: what the entry point names."""
    return MetadataExporter()
