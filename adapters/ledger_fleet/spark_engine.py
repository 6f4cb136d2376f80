"""Spark, through pyspark: in this process, or a cluster's master."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ledger import InvalidQuery, LedgerError, MissingExtra
from ledger.adapters import Days
from ledger_fleet.lake_tables import LakeTables

if TYPE_CHECKING:
    from sqlglot.expressions import Query

_SETTINGS: Final[Mapping[str, str]] = {
    "spark.app.name": "compile-ledger",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # What Spark takes a name for in other settings depends on its case.
    "spark.sql.caseSensitive": "true",
}
_IN_PROCESS: Final[Mapping[str, str]] = {
    # As many as there are processors, and not 200 tasks for each step.
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


def open_engine(lake: str, days: Days, server: str | None) -> SparkEngine:
    """Open a lake with the master at an address like spark://host:7077, or in this process.

    Raises LedgerError where Spark does not start, and MissingExtra.
    """
    try:
        sql: Any = import_module("pyspark.sql")
        errors: Any = import_module("pyspark.errors")
    except ImportError as error:
        raise MissingExtra.of("Spark", "pyspark", "spark") from error
    tables = LakeTables(lake, days)
    session = _started(
        sql, {"spark.master": server or "local[*]", **_SETTINGS, **({} if server else _IN_PROCESS)}
    )
    return SparkEngine(tables, session, errors.PySparkException)


def _started(sql: Any, settings: Mapping[str, str]) -> Any:
    """Return a session of Spark's, whose Java program is started without a word on this one's stderr."""
    core: Any = import_module("pyspark")
    gateways: Any = import_module("pyspark.java_gateway")
    # It logs each error that it raises.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    configuration = core.SparkConf().setAll(list(settings.items()))
    with tempfile.TemporaryFile() as said:
        try:
            gateway = gateways.launch_gateway(configuration, {"stderr": said})
            context = core.SparkContext(conf=configuration, gateway=gateway)
        except (
            Exception
        ) as error:  # py4j's, Java's and the operating system's: they have no base of their own
            said.seek(0)
            reason = said.read().decode("utf-8", "replace").strip() or str(error)
            raise LedgerError(
                f"Spark does not start; it needs Java 17 or later: {_line(reason.splitlines()[-1])}"
            ) from error
    context.setLogLevel("OFF")
    return sql.SparkSession(context)


class SparkEngine:
    """A session of Spark's, whose temporary views are a lake's tables."""

    def __init__(self, tables: LakeTables, session: Any, errors: type[Exception]) -> None:
        self._tables: Final = tables
        self._session: Final = session
        self._errors: Final = errors
        self._views: Final = set[str]()

    def rows(self, query: Query, tables: Collection[str]) -> Iterator[Mapping[str, object]]:
        """Yield a query's rows. Raises InvalidQuery, or LedgerError where a file can't be read."""
        for table in sorted((self._tables.names & set(tables)) - self._views):
            self._define(table)
        try:
            frame = self._session.sql(query.sql("spark", identify=True))
            columns = list(frame.columns)
            for row in frame.toLocalIterator():
                yield dict(zip(columns, row, strict=True))
        except self._errors as error:
            raise InvalidQuery(f"the query is refused: {_line(error)}") from error

    def _define(self, table: str) -> None:
        """Make a view of a table's files: none is read before a query asks for it."""
        from sqlglot import exp

        files = self._tables.files(table)
        source, there = None, set[str]()
        try:
            if files:
                raw = f"lake_{table}"
                frame = self._session.read.option("mergeSchema", "true").parquet(*map(_address, files))
                frame.createOrReplaceTempView(raw)
                source, there = exp.to_table(raw), set(frame.columns)
            view = self._tables.select(table, source, there).sql("spark", identify=True)
            self._session.sql(view).createOrReplaceTempView(table)
        except self._errors as error:
            raise LedgerError(f"the lake's table {table} can't be read: {_line(error)}") from error
        self._views.add(table)

    def close(self) -> None:
        """Stop Spark."""
        self._session.stop()


def _address(file: str) -> str:
    """Return how Spark names a file: Hadoop calls S3 s3a, and a path is one of this machine."""
    if "://" not in file:
        return f"file://{file}"
    return file.replace("s3://", "s3a://", 1)


def _line(error: Exception | str) -> str:
    return next(
        (line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), "no reason given"
    )
