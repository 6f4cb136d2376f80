"""What an engine needs of a lake: the files of each table on the days that are asked for, and its columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from ledger import LedgerError
from ledger.adapters import Days
from ledger_parquet import Lake

if TYPE_CHECKING:
    from sqlglot.expressions import Expr, Query

_TYPES: Final[Mapping[str, str]] = {
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "TEXT",
}
"""SQL's types, as sqlglot has them in every dialect, of Arrow's."""


class LakeTables:
    """The tables of a lake on some days."""

    def __init__(self, url: str, days: Days) -> None:
        """Open the lake. Raises LedgerError where there is none, and MissingExtra."""
        self._lake: Final = Lake.open(url)
        parts = [part for part in self._lake.parts if days.has(part.date)]
        if not parts:
            raise LedgerError(
                f"{url}: no session from {days.since or 'the first day'} to {days.until or 'now'}"
            )
        self._of_days: Final = Lake(url, self._lake.filesystem, self._lake.root, parts)
        self.names: Final = frozenset(self._lake.tables())

    @property
    def filesystem(self) -> Any:
        """The file system that the lake is on: fsspec's."""
        return self._lake.filesystem

    @property
    def is_local(self) -> bool:
        """Whether the lake is on this machine's own disk."""
        protocol = self.filesystem.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def files(self, table: str) -> list[str]:
        """Return a table's files: paths of a local lake, else full URLs. Raises LedgerError."""
        return self._of_days.files(table)

    @property
    def are_alike(self) -> bool:
        """Whether one version wrote all files, so that those of a table have the same columns."""
        return len({(part.schema_version, part.written_by) for part in self._of_days.parts}) == 1

    def types(self, table: str) -> dict[str, str]:
        """Return the SQL type of each column of a table."""
        return {name: _TYPES[of_type] for name, of_type in self._lake.column_types(table).items()}

    def select(self, table: str, source: Expr | None, there: Collection[str]) -> Query:
        """Return the query that selects all columns of a table from where its files are read.

        Columns that are not `there`, in files of an older version, are NULL. No source is no row.
        """
        from sqlglot import exp

        columns = [
            exp.column(name)
            if source is not None and name in there
            else exp.cast(exp.null(), of_type).as_(name)
            for name, of_type in self.types(table).items()
        ]
        query = exp.select(*columns)
        return query.where(exp.false()) if source is None else query.from_(source)
