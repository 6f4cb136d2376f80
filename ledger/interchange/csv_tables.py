"""Exports sessions as CSV: a zip archive of a file for each table and view that SQL sees."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from ledger.interchange.csv_cells import cell
from ledger.storage.ledger import Ledger
from ledger.storage.schema_docs import Relation, schema

_ROWS_A_CHUNK: Final = 500
_OF_A_SESSION: Final = "session"
"""The column by which rows are chosen: what has none is of the ledger, and not of its sessions."""


class CsvExporter:
    """Writes sessions as tables. Texts that a spreadsheet would run as formulas begin with an apostrophe."""

    is_text = False
    can_redact = True

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the command that unpacks the files."""
        return f"unzip {quote(str(written))} -d {quote(str(written.with_suffix('')))}"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the archive. Of no table more than some hundred rows are in memory. Raises UnknownSession."""
        ids = [ledger.session(session) for session in sessions]
        packed = _Packed()
        with ZipFile(packed, "w") as archive:
            for name, relation in sorted(schema().items()):
                if _OF_A_SESSION not in relation.columns:
                    continue
                # The same sessions give the same bytes: a member has no time of its own.
                member = ZipInfo(f"{name}.csv")
                member.compress_type = ZIP_DEFLATED
                with archive.open(member, "w", force_zip64=True) as file:
                    for text in _texts(ledger, ids, name, relation):
                        file.write(text.encode())
                        yield packed.taken()
        yield packed.taken()


class _Packed(io.RawIOBase):
    """Where the archive is written to: it can't go back, and keeps what is not yet taken."""

    def __init__(self) -> None:
        self._content: Final = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = memoryview(data)  # pyright: ignore[reportArgumentType]
        self._content.extend(content)
        return content.nbytes

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        content = bytes(self._content)
        self._content.clear()
        return content


def _texts(ledger: Ledger, sessions: Sequence[str], name: str, relation: Relation) -> Iterator[str]:
    """Yield a table's lines, some hundred at once, the head first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(relation.columns)
    columns = ", ".join(f'"{column}"' for column in relation.columns)
    number = 0
    for session in sessions:
        for row in ledger.rows(f'SELECT {columns} FROM "{name}" WHERE session = ?', [session]):
            writer.writerow(map(cell, row.values()))
            number += 1
            if number % _ROWS_A_CHUNK == 0:
                yield text.getvalue()
                text.seek(0)
                text.truncate()
    yield text.getvalue()
