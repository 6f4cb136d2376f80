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
"""File names that Datasette would cut, decode, or take for its own database."""


class MetadataExporter:
    """Writes metadata for Datasette. It describes the ledger's file, whichever sessions are selected.

    Datasette shows that file, with all its sessions.
    """

    is_text = True
    can_redact = False

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the command that shows the ledger."""
        return f"datasette {quote(str(ledger))} --metadata {quote(str(written))}"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the file, in one piece. Raises LedgerError if Datasette can't open the ledger."""
        if _NOT_OPENED.search(ledger.path.name):
            raise LedgerError(f"{ledger.path}: Datasette can't open a file with such a name; rename it")
        # Datasette names a database after its file, without the suffix.
        yield json.dumps(metadata(ledger.path.stem), indent=2).encode() + b"\n"


def exporter() -> Exporter:
    """Return the exporter, for the entry point."""
    return MetadataExporter()
