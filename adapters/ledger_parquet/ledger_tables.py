"""Reads a ledger's tables as Arrow, some sessions at a time, through ADBC's driver for SQLite.

The driver has an SQLite of its own. Two of them in one process share no locks: whoever calls this has no
transaction open on the file, and opens none before it is closed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger import LedgerError, LedgerLocked
from ledger.adapters import schema
from ledger_parquet.lake_files import imported
from ledger_parquet.tables import EVENTS, arrow_schema

_ROWS_A_BATCH: Final = 16_384
_WAIT_MS: Final = 30_000
_TYPED: Final = {"string": "''", "double": "0.0"}
"""A value of each type, as SQL. Of the others it is 0."""
_OF_ALL_SESSIONS: Final = ("cache_key_changes", "findings")
"""Views that look at all sessions, however few are asked for: they are evaluated once, the second from the
first."""
_PROCESS_NAMES: Final = "process_names"
"""A view whose window functions SQLite evaluates for all sessions, however few are joined with it."""
_BY_KEY: Final = ", t.process, t.seq"
"""The order of events within a session. Other rows come in the order of the table's index by session."""
_INTERVALS: Final = "intervals"
_JOINED_INTERVALS: Final = """
    main.projected_intervals t
    LEFT JOIN main.events b ON b.session = t.session AND b.process = t.process AND b.seq = t.start_seq
    LEFT JOIN main.events e ON e.session = t.session AND e.process = t.process AND e.seq = t.stop_seq
"""
"""What the view `intervals` looks up for each column by itself, looked up once a row."""
_OF_JOINED_INTERVALS: Final = {
    "error": "e.error",
    "data": """
        CASE WHEN b.data IS NULL AND e.data IS NULL THEN '{}'
        ELSE json_patch(coalesce(b.data, '{}'), coalesce(e.data, '{}')) END
    """,
}
_NANOSECONDS: Final = 1e9


class LedgerSession(NamedTuple):
    """A session of a ledger."""

    session: str
    started_at: str
    """ISO 8601, UTC; empty where that is not known."""
    event_count: int
    reducer_version: int


class LedgerTables:
    """A ledger's file, opened to read."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        # Not `dbapi`, which imports pandas and polars where they are installed.
        self._adbc: Final = imported("adbc_driver_manager")
        self._arrow: Final = imported("pyarrow")
        with self._errors_translated():
            uri = f"{path.absolute().as_uri()}?mode=ro"
            self._database: Final = imported("adbc_driver_sqlite").connect(uri)
            self._connection: Final = self._adbc.AdbcConnection(self._database)
        self._has_all_sessions = False
        self._has_process_names = False
        self._run(f"PRAGMA busy_timeout = {_WAIT_MS}")
        self._run("CREATE TEMP TABLE wanted (session TEXT PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        self._database.close()

    def versions(self) -> dict[str, int]:
        """Return the versions of the schema, of the events' format and of the reducer."""
        [row] = self._rows("SELECT schema_version, event_format, reducer_version FROM ledger_info")
        return dict(zip(("schema_version", "event_format", "reducer_version"), row, strict=True))

    def sessions(self) -> list[LedgerSession]:
        """Return the sessions that have projections, by id."""
        rows = self._rows(
            """
            SELECT session, coalesce(s.started_at, ''), p.event_count, p.reducer_version
            FROM sessions s JOIN projected_sessions p USING (session) ORDER BY session
            """
        )
        return [LedgerSession(*row) for row in rows]

    @contextmanager
    def at_one_moment(self, sessions: Sequence[str]) -> Generator[None]:
        """Let `batches` give the rows of these sessions as they are at one moment. Writers wait meanwhile."""
        self._run("DELETE FROM temp.wanted")
        self._run("INSERT INTO temp.wanted VALUES (?)", sessions)
        self._run("BEGIN")
        try:
            yield
        finally:
            self._run("COMMIT")

    def batches(self, table: str) -> Iterator[Any]:
        """Yield the wanted sessions' rows of a table as pyarrow.RecordBatch, by session."""
        of_table = arrow_schema(table)
        derived = _derived_seconds(of_table)
        with self._errors_translated(), self._statement(self._query(table)) as statement:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_ROWS_A_BATCH)})
            skipped = 1
            for batch in self._executed(statement):
                found = batch.slice(skipped)
                skipped = 0
                if found.num_rows:
                    yield self._as_in_table(found, of_table, derived)

    def _query(self, table: str) -> str:
        """Return the query for a table's rows, after a first one that says the types of its columns."""
        of_table = arrow_schema(table)
        derived = _derived_seconds(of_table)
        read = [(name, kind) for name, kind in _types(of_table) if name not in derived]
        relation, expressions = self._readable(table)
        columns = ", ".join(expressions.get(name, f"t.{name}") for name, _ in read)
        # The driver takes a column's type from the first rows, where there may be none but NULLs.
        typed = ", ".join(f"{_TYPED.get(str(kind), '0')} AS {name}" for name, kind in read)
        order = _BY_KEY if table == EVENTS else ""
        return f"""
            SELECT {typed} UNION ALL SELECT * FROM (
                SELECT {columns} FROM temp.wanted w CROSS JOIN {relation} WHERE t.session = w.session
                ORDER BY w.session{order} LIMIT -1
            )
        """

    def _as_in_table(self, batch: Any, of_table: Any, derived: Mapping[str, str]) -> Any:
        compute = imported("pyarrow.compute")
        columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
        for seconds, ns in derived.items():
            # As SQLite does: the nearest double, where there is none for a large number.
            doubles = compute.cast(columns[ns], "double", safe=False)
            columns[seconds] = compute.divide(doubles, self._arrow.scalar(_NANOSECONDS))
        typed = [self._compact(columns[name].cast(kind)) for name, kind in _types(of_table)]
        return self._arrow.RecordBatch.from_arrays(typed, schema=of_table)

    def _compact(self, column: Any) -> Any:
        """Return a copy without the room for more rows that the driver makes in each column."""
        return self._arrow.concat_arrays([column, column.slice(0, 0)])

    def _readable(self, table: str) -> tuple[str, Mapping[str, str]]:
        """Return what to read a table from, as `t`, and the columns that are not just read."""
        if table == _INTERVALS:
            return _JOINED_INTERVALS, _OF_JOINED_INTERVALS
        if table == _PROCESS_NAMES:
            if not self._has_process_names:
                self._name_wanted_processes()
                self._has_process_names = True
            return f"temp.{table} t", {}
        if table not in _OF_ALL_SESSIONS:
            return f"main.{table} t", {}
        if not self._has_all_sessions:
            for each in _OF_ALL_SESSIONS:
                self._copy_of_all_sessions(each)
            self._has_all_sessions = True
        return f"temp.{table} t", {}

    def _name_wanted_processes(self) -> None:
        """Make the view of the names once more, over the processes of the wanted sessions alone."""
        self._run(
            """
            CREATE TEMP VIEW processes AS
            SELECT t.* FROM temp.wanted w CROSS JOIN main.processes t WHERE t.session = w.session
            """
        )
        self._run(self._made_by(_PROCESS_NAMES).replace("CREATE VIEW", "CREATE TEMP VIEW", 1))

    def _made_by(self, view: str) -> str:
        [(made_by,)] = self._rows(f"SELECT sql FROM main.sqlite_schema WHERE name = '{view}'")
        return made_by

    def _copy_of_all_sessions(self, view: str) -> None:
        """Keep a view's rows as a table, of the same name: views that are made after it read that."""
        made_by = self._made_by(view)
        self._run(made_by.replace(f"CREATE VIEW {view}", f"CREATE TEMP VIEW {view}_of_all", 1))
        columns = ", ".join(schema()[view].columns)
        self._run(f"CREATE TEMP TABLE {view} AS SELECT {columns} FROM temp.{view}_of_all")
        self._run(f"CREATE INDEX temp.{view}_by_session ON {view} (session)")

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._errors_translated(), self._statement(query) as statement:
            columns = self._executed(statement).read_all().to_pydict().values()
            return list(zip(*columns, strict=True))

    def _run(self, statement: str, values: Sequence[str] | None = None) -> None:
        with self._errors_translated(), self._statement(statement) as prepared:
            if values is not None:
                prepared.prepare()
                texts = self._arrow.array(values, self._arrow.string())
                prepared.bind(self._arrow.record_batch([texts], names=["session"]))
            prepared.execute_update()

    @contextmanager
    def _statement(self, query: str) -> Generator[Any]:
        statement = self._adbc.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(query)
            yield statement
        finally:
            statement.close()

    def _executed(self, statement: Any) -> Any:
        stream, _ = statement.execute_query()
        return self._arrow.RecordBatchReader.from_stream(stream)

    @contextmanager
    def _errors_translated(self) -> Generator[None]:
        try:
            yield
        except (self._adbc.Error, OSError) as error:
            reason = str(error).splitlines()[0]
            if "locked" in reason:
                raise LedgerLocked(f"{self.path}: locked by another process; try again") from error
            raise LedgerError(f"{self.path}: can't be read: {reason}") from error


def _derived_seconds(of_table: Any) -> dict[str, str]:
    """Return the columns that are another one in seconds, each with that in nanoseconds."""
    names = {name: f"{name.removesuffix('s')}ns" for name in of_table.names if f"_{name}".endswith("_s")}
    return {name: ns for name, ns in names.items() if ns in of_table.names}


def _types(of_table: Any) -> Iterator[tuple[str, Any]]:
    return zip(of_table.names, of_table.types, strict=True)
