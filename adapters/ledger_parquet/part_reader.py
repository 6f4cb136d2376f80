"""Reads the rows of a part's sessions back, one session after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from ledger_parquet.lake import Lake
from ledger_parquet.lake_files import imported
from ledger_parquet.manifest import Manifest
from ledger_parquet.tables import arrow_schema

_ROWS_A_BATCH: Final = 20_000


def session_batches(lake: Lake, part: Manifest, table: str, session: str) -> Iterator[Any]:
    """Yield a session's rows of a table as pyarrow.RecordBatch; only the row groups that have some are read.

    Raises LedgerError where the file is not as it was.
    """
    with closing(TableReader(lake, part, table, [session])) as reader:
        yield from reader.take(session)


class PartReader:
    """Goes once through the files of a part, session by session."""

    def __init__(self, lake: Lake, part: Manifest) -> None:
        self._lake: Final = lake
        self._part: Final = part
        self._tables: Final = {table: TableReader(lake, part, table) for table in part.files}

    def take(self, session: str, add: Callable[[str, Any], None]) -> None:
        """Give all rows of a session, by table; sessions before it are passed over for good."""
        for table, reader in self._tables.items():
            for rows in reader.take(session):
                add(table, rows)

    def close(self) -> None:
        """Close the files."""
        for reader in self._tables.values():
            reader.close()


class TableReader:
    """Goes once through a part's file of one table, session by session.

    Where the sessions that will be asked for are given, only the row groups around them are read.
    """

    def __init__(self, lake: Lake, part: Manifest, table: str, sessions: Sequence[str] = ()) -> None:
        self._table: Final = table
        self._sessions: Final = sessions
        self._opened: Final = _OpenedFile(lake, part, table)
        self._pieces: Final = self._read()
        self._next: tuple[str, Any] | None = None

    def take(self, session: str) -> Iterator[Any]:
        """Yield a session's rows as pyarrow.RecordBatch; sessions before it are passed over for good."""
        while True:
            found, self._next = self._next or next(self._pieces, None), None
            if found is None:
                return
            if found[0] > session:
                self._next = found
                return
            if found[0] == session:
                yield found[1]

    def _read(self) -> Iterator[tuple[str, Any]]:
        with self._opened as file:
            groups = range(file.num_row_groups)
            if self._sessions:
                first, last = min(self._sessions), max(self._sessions)
                groups = [group for group in groups if _may_have(file, group, first, last)]
            if not groups:
                return
            for batch in file.iter_batches(_ROWS_A_BATCH, row_groups=list(groups)):
                yield from by_session(_with_all_columns(batch, self._table))

    def close(self) -> None:
        """Close the file."""
        self._pieces.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        self._opened.close()


class _OpenedFile:
    """A part's file of a table, checked and opened, and closed again."""

    def __init__(self, lake: Lake, part: Manifest, table: str) -> None:
        path = lake.checked_path(part, table)
        self._stream: Final = lake.filesystem.open(path, "rb")
        self._file: Final = imported("pyarrow.parquet").ParquetFile(self._stream, pre_buffer=False)

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._stream.close()


def by_session(batch: Any) -> Iterator[tuple[str, Any]]:
    """Yield the rows of each session of a batch that is sorted by session, with its id."""
    for session, start, end in runs_of_sessions(batch):
        yield session, batch.slice(start, end - start)


def runs_of_sessions(batch: Any) -> Iterator[tuple[str, int, int]]:
    """Yield where the rows of each session of such a batch begin, and where they end."""
    runs = imported("pyarrow.compute").run_end_encode(batch.column("session"))
    start = 0
    for end, session in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
        yield session, start, end
        start = end


def _with_all_columns(batch: Any, table: str) -> Any:
    """Return rows as this version has them: columns that an older one did not write are null."""
    arrow = imported("pyarrow")
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else arrow.nulls(batch.num_rows, field.type)
        for field in arrow_schema(table)
    ]
    return arrow.RecordBatch.from_arrays(columns, schema=arrow_schema(table))


def _may_have(file: Any, group: int, first: str, last: str) -> bool:
    """Tell whether a row group may have sessions from the first to the last one."""
    of_group = file.metadata.row_group(group)
    statistics = of_group.column(file.schema_arrow.get_field_index("session")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return statistics.min <= last and first <= statistics.max
