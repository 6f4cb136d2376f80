"""Writes the Parquet files of one part: one a table, in row groups of one size."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from ledger_parquet.lake_files import imported
from ledger_parquet.manifest import LAKE_FORMAT, PartFile, PartSession
from ledger_parquet.tables import arrow_schema, table_names
from ledger_parquet.writer_thread import WriterThread

_ROWS_A_GROUP: Final = 32_768
"""Some 8 MB of events, before they are compressed."""
_COMPRESSION: Final = "zstd"
_LEVEL: Final = 1
_OF_INTEGERS: Final = "DELTA_BINARY_PACKED"
"""The encoding of integers: most are times and numbers that grow. Texts have dictionaries."""
_READ_BYTES: Final = 1 << 20
METADATA: Final = "compile_ledger."
"""The prefix of the keys in a file's metadata."""


class TableWriter:
    """One file. Rows may come in batches of any size: the file is the same."""

    def __init__(self, table: str, path: Path, metadata: Mapping[str, str]) -> None:
        self._arrow: Final = imported("pyarrow")
        self.path: Final = path
        self.rows = 0
        of_table = arrow_schema(table)
        self._writer: Final = imported("pyarrow.parquet").ParquetWriter(
            path,
            of_table.with_metadata({f"{METADATA}{name}": text for name, text in metadata.items()}),
            compression=_COMPRESSION,
            compression_level=_LEVEL,
            use_dictionary=[field.name for field in of_table if str(field.type) == "string"],
            column_encoding={field.name: _OF_INTEGERS for field in of_table if str(field.type) == "int64"},
        )
        self._schema: Final = of_table
        self._waiting: list[Any] = []
        self._waiting_rows = 0

    def add(self, batch: Any) -> None:
        """Add a pyarrow.RecordBatch."""
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self.rows += batch.num_rows
        while self._waiting_rows >= _ROWS_A_GROUP:
            self._write(_ROWS_A_GROUP)

    def close(self) -> PartFile:
        """Write what is left, and return what the file is."""
        if self._waiting_rows:
            self._write(self._waiting_rows)
        self._writer.close()
        return PartFile(rows=self.rows, bytes=self.path.stat().st_size, sha256=sha256_of(self.path))

    def abandon(self) -> None:
        """Close the file as it is."""
        self._writer.close()

    def _write(self, rows: int) -> None:
        table = self._arrow.Table.from_batches(self._waiting, self._schema)
        self._writer.write_table(table.slice(0, rows), row_group_size=rows)
        rest = table.slice(rows)
        self._waiting, self._waiting_rows = rest.to_batches(), rest.num_rows


class PartContents(NamedTuple):
    """A part whose files are written, and not in the lake yet."""

    date: str | None
    versions: Mapping[str, int]
    sessions: tuple[PartSession, ...]
    files: dict[str, PartFile]
    """By table."""
    folder: str
    """Where the files are, as `<table>.parquet`."""

    def path(self, table: str) -> Path:
        """Return where the file of a table is."""
        return _file(Path(self.folder), table)


class PartWriter:
    """The files of a part that is being written into a folder: thrown away where its block raises."""

    def __init__(self, folder: Path, date: str | None, versions: Mapping[str, int]) -> None:
        self._folder: Final = folder
        self._date: Final = date
        self._versions: Final = dict(versions)
        self._sessions: list[PartSession] = []
        self._thread: Final = WriterThread()
        metadata = {name: str(version) for name, version in versions.items()}
        metadata |= {"lake_format": str(LAKE_FORMAT), "date": date or ""}
        self._tables: Final = {
            table: TableWriter(table, _file(folder, table), metadata) for table in table_names()
        }

    def add(self, table: str, batch: Any) -> None:
        """Add rows of a table; each table's come by session."""
        self._thread.do(self._tables[table].add, batch)

    def do(self, call: Callable[..., object], *arguments: object) -> None:
        """Have something done in the thread that writes, after all that was added."""
        self._thread.do(call, *arguments)

    def add_session(self, session: PartSession) -> None:
        """Note that a session is in this part, whole."""
        self._sessions.append(session)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        self._thread.close()
        for table in self._tables.values():
            table.abandon()
            table.path.unlink(missing_ok=True)

    def finish(self) -> PartContents:
        """Close the files."""
        self._thread.finish()
        self._thread.close()
        files = {table: writer.close() for table, writer in self._tables.items()}
        sessions = tuple(sorted(self._sessions, key=lambda each: each.session))
        return PartContents(self._date, self._versions, sessions, files, str(self._folder))


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}.parquet"


def sha256_of(path: str | os.PathLike[str], system: Any = None) -> str:
    """Return the SHA-256 of a file, here or on a file system of fsspec's."""
    hasher = hashlib.sha256()
    with (system or _HERE).open(path, "rb") as opened:
        while piece := opened.read(_READ_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()


class _Here:
    def open(self, path: str | os.PathLike[str], mode: str) -> Any:
        """Open a file of this machine."""
        return open(path, mode)


_HERE: Final = _Here()
