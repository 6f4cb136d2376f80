"""ClickHouse: a server over HTTP, or its own engine in this process where `chdb` is installed.

Where the lake's files are decides how ClickHouse gets them:

    object storage (s3://…)     it reads them itself, with rights of its own: none of ours are sent
    http(s)://…                 likewise
    this machine, in process    it reads them itself
    this machine, to a server   the tables that a query names are sent, into temporary tables of this session
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ledger import InvalidQuery, LedgerError, MissingExtra
from ledger.adapters import Days, add_first
from ledger_fleet.clickhouse_sql import in_clickhouse_sql
from ledger_fleet.lake_tables import LakeTables

if TYPE_CHECKING:
    from sqlglot.expressions import Expr, Query

_SETTINGS: Final[Mapping[str, int | str]] = {
    # What SQL has everywhere else: a row without a partner has NULLs, and names are columns before aliases.
    "join_use_nulls": 1,
    "prefer_column_name_to_alias": 1,
    "cast_keep_nullable": 1,
    # Files of an older version may lack columns.
    "schema_inference_mode": "union",
    "use_hive_partitioning": 0,
}
_OBJECT_STORES: Final = ("s3://", "s3a://")
_WEB: Final = ("http://", "https://")
_FROM_HTTP: Final = re.compile(
    r"^HTTP driver received HTTP status \d+, server response: | \(for url [^)]*\)$"
)


def open_engine(lake: str, days: Days, server: str | None) -> ClickHouseEngine:
    """Open a lake with the server at an address like http://user:password@host:8123, or in this process.

    Raises LedgerError where no server answers, and MissingExtra.
    """
    try:
        connect: Any = import_module("clickhouse_connect")
    except ImportError as error:
        raise MissingExtra.of("ClickHouse", "clickhouse-connect", "clickhouse") from error
    tables = LakeTables(lake, days)
    if server is None:
        return ClickHouseEngine(tables, _in_process(connect), connect, is_server=False)
    if not server.startswith(_WEB):
        raise LedgerError(f"{server}: write ClickHouse's HTTP address, as http://localhost:8123")
    try:
        client = connect.get_client(dsn=server, settings=dict(_SETTINGS))
    except connect.driver.exceptions.Error as error:
        raise LedgerError(f"no answer from ClickHouse: {_line(error)}") from error
    return ClickHouseEngine(tables, client, connect, is_server=True)


def _in_process(connect: Any) -> Any:
    try:
        import_module("chdb")
    except ImportError as error:
        raise LedgerError(
            "name ClickHouse's HTTP address with --server, as http://localhost:8123; or install its engine "
            "for this process: pip install chdb"
        ) from error
    return connect.get_client(interface="chdb", settings=dict(_SETTINGS))


class ClickHouseEngine:
    """A client of ClickHouse's. A query defines itself what tables it names: nothing is left on a server."""

    def __init__(self, tables: LakeTables, client: Any, connect: Any, *, is_server: bool) -> None:
        self._tables: Final = tables
        self._client: Final = client
        self._errors: Final = connect.driver.exceptions.Error
        self._is_server: Final = is_server
        self._defined: Final[dict[str, Query]] = {}

    def rows(self, query: Query, tables: Collection[str]) -> Iterator[Mapping[str, object]]:
        """Yield a query's rows. Raises InvalidQuery, or LedgerError where a file can't be read."""
        named = sorted(self._tables.names & set(tables))
        for table in named:
            if table not in self._defined:
                self._defined[table] = self._definition(table)
        add_first(query, {table: self._defined[table].copy() for table in named})
        try:
            with self._client.query_rows_stream(in_clickhouse_sql(query)) as stream:
                columns = list(stream.source.column_names)
                for row in stream:
                    yield dict(zip(columns, row, strict=True))
        except self._errors as error:
            raise InvalidQuery(f"the query is refused: {_line(error)}") from error

    def _definition(self, table: str) -> Query:
        """Return the query that selects a table's rows from where ClickHouse finds its files."""
        files = self._tables.files(table)
        if not files:
            return self._tables.select(table, None, ())
        try:
            source = self._source(table, files)
            described = self._client.query(f"DESCRIBE TABLE {source.sql('clickhouse')}").result_rows
        except self._errors as error:
            raise LedgerError(f"the lake's table {table} can't be read: {_line(error)}") from error
        return self._tables.select(table, source, {str(row[0]) for row in described})

    def _source(self, table: str, files: list[str]) -> Expr:
        if self._tables.is_local:
            return self._sent(table, files) if self._is_server else _function("file", _one_pattern(files))
        urls = [self._address(file) for file in files]
        if files[0].startswith(_OBJECT_STORES):
            return _function("s3", _one_pattern(urls))
        if files[0].startswith(_WEB):
            return _function("url", _one_pattern(urls))
        raise LedgerError(
            f"{files[0]}: ClickHouse reads files, s3:// and http://; copy the lake to one of them"
        )

    def _address(self, file: str) -> str:
        """Return how ClickHouse names a file: a store that is not Amazon's has an address of its own."""
        if not file.startswith(_OBJECT_STORES):
            return file
        client: Any = getattr(self._tables.filesystem, "client_kwargs", None) or {}
        endpoint = getattr(self._tables.filesystem, "endpoint_url", None) or client.get("endpoint_url")
        path = file.partition("://")[2]
        return f"{str(endpoint).rstrip('/')}/{path}" if endpoint else f"s3://{path}"

    def _sent(self, table: str, files: list[str]) -> Expr:
        """Send a table's files into a temporary table, which goes when this session ends; return its name."""
        from sqlglot import exp

        types = self._tables.types(table)
        columns = ", ".join(
            f"{exp.to_identifier(name, quoted=True).sql('clickhouse')} "
            f"{exp.DataType.build(of_type, nullable=True).sql('clickhouse')}"
            for name, of_type in types.items()
        )
        name = exp.to_identifier(f"lake_{table}", quoted=True)
        self._client.command(f"CREATE TEMPORARY TABLE {name.sql('clickhouse')} ({columns})")
        for file in files:
            with open(file, "rb") as opened:
                self._client.raw_insert(name.name, insert_block=opened, fmt="Parquet")
        return exp.Table(this=name)

    def close(self) -> None:
        """Close the connection; a server then drops what was sent."""
        self._client.close()


def _function(name: str, files: str) -> Expr:
    from sqlglot import exp

    return exp.func(name, exp.Literal.string(files), exp.Literal.string("Parquet"))


def _one_pattern(files: list[str]) -> str:
    """Return one pattern that matches these files of a table and no other: ClickHouse takes no list.

    A file's name is its part's id, which no other date has.
    """
    if len(files) == 1:
        return files[0]
    split = [file.rsplit("/", 2) for file in files]
    folders, names = (sorted({each[place] for each in split}) for place in (1, 2))
    return f"{split[0][0]}/{_one_of(folders)}/{_one_of(names)}"


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


def _line(error: Exception) -> str:
    """Return ClickHouse's own words, without those of the client about the way that they took."""
    said = _FROM_HTTP.sub("", str(error).strip().splitlines()[0])
    return said.removesuffix(".")
