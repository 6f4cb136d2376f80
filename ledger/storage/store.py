"""The SQLite file: opens, creates and migrates it, appends events and gives them back."""

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.errors import LedgerMissing, NewerLedger, NotALedger, SQLiteTooOld
from ledger.events.models import EVENT_FORMAT
from ledger.events.rows import EventRow
from ledger.storage.ledger_files import EMPTY, refuse_empty, refuse_no_file
from ledger.storage.sqlite_errors import notice_signals, sqlite_errors_translated
from ledger.storage.waiting import SAID_AFTER_S, is_heard, say_wait
from ledger.storage.whole_rows import WHOLE, is_whole

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION: Final = 8
APPLICATION_ID: Final = 0x434C4547
"""As the first migration writes it: here once more, since importing that imports sqlite-utils.

sqlite-utils imports pandas where that is installed, and a recorded program that exits should not wait for it.
"""
_MISSING: Final = "{path}: there is no ledger here; `compile-ledger record` makes one"
_OLDEST_SQLITE: Final = (3, 37, 0)
_DEFAULT_WAIT_S: Final = 30.0
READER_WAIT_S: Final = 5.0
"""For a process that writes to the ledger. Who reads waits no longer before there is a word of it."""
_MS: Final = 1_000
_COLUMNS: Final = ", ".join(EventRow._fields)
_SELECT: Final = f"SELECT {_COLUMNS} FROM events"
_ROWS_A_PAGE: Final = 5_000
_ROWS_AT_ONCE: Final = 200
"""One statement for so many rows costs two thirds of one statement for each."""


class Appended(NamedTuple):
    """The result of appending rows."""

    new: int
    duplicates: int
    """Rows that the ledger has already, with the same content."""
    conflicting: list[EventRow]
    """Rows under whose key the ledger has another event: not appended."""


class Store:
    """One open ledger. Every error of SQLite becomes a LedgerError with the path and what to do next."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None, *, is_writable: bool) -> None:
        self.connection: Final = connection
        self.path: Final = path
        self.is_writable: Final = is_writable

    @classmethod
    def open(cls, path: Path, *, wait_s: float = _DEFAULT_WAIT_S, page_bytes: int | None = None) -> "Store":
        """Open the ledger at a path to write, and create or migrate it where need be.

        A ledger that is created has pages of `page_bytes`, a power of two; else as SQLite likes. Raises
        NotALedger, NewerLedger, LedgerDamaged, LedgerLocked, LedgerNotWritable or SQLiteTooOld.
        """
        _check_sqlite()
        refuse_no_file(path)
        with sqlite_errors_translated(path):
            store = cls(_connected(path, "rwc", wait_s), path, is_writable=True)
            try:
                if page_bytes is not None:
                    store.connection.execute(f"PRAGMA page_size = {page_bytes}")  # of a new file only
                store._migrate()
            except BaseException:
                store.close()
                raise
        return store

    @classmethod
    def open_existing(cls, path: Path) -> "Store":
        """Open the ledger at a path as `open` does. Raises LedgerMissing where there is none."""
        if not os.path.exists(path):  # which, unlike Path.exists, raises nothing
            raise LedgerMissing(_MISSING.format(path=path))
        refuse_empty(path)
        return cls.open(path)

    @classmethod
    def open_to_read(cls, path: Path, *, wait_s: float = READER_WAIT_S) -> "Store":
        """Open the ledger at a path so that nothing can be written through it, not even by mistake.

        Raises as `open` does, and LedgerMissing.
        """
        _check_sqlite()
        if not os.path.exists(path):  # which, unlike Path.exists, raises nothing
            raise LedgerMissing(_MISSING.format(path=path))
        refuse_no_file(path)
        with sqlite_errors_translated(path):
            store = cls(_connected(path, "ro", wait_s), path, is_writable=False)
            try:
                store.check()
                store.connection.execute("PRAGMA query_only = on")
            except BaseException:
                store.close()
                raise
        return store

    @classmethod
    def open_to_read_migrated(cls, path: Path, *, wait_s: float = READER_WAIT_S) -> "Store":
        """Open a ledger as `open_to_read` does; of an older one return a migrated copy in memory."""
        store = cls.open_to_read(path, wait_s=wait_s)
        if store.schema_version == SCHEMA_VERSION:
            return store
        try:
            return store.copied_to_memory()
        finally:
            store.close()

    @classmethod
    def in_memory(cls) -> "Store":
        """Return a ledger that lives in memory, and as long as this object."""
        _check_sqlite()
        store = cls(sqlite3.connect(":memory:", isolation_level=None), None, is_writable=True)
        store._migrate()
        return store

    def copied_to_memory(self) -> "Store":
        """Return a copy in memory, which can be written to where the file can't."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        with sqlite_errors_translated(self.path):
            self.connection.backup(copy)
        store = Store(copy, None, is_writable=True)
        store._migrate()
        return store

    @cached_property
    def db(self) -> "Database":
        """The same connection as sqlite-utils has it."""
        from sqlite_utils import Database

        return Database(self.connection, recursive_triggers=False, execute_plugins=False)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @property
    def schema_version(self) -> int:
        """The version of the schema that the file has."""
        with sqlite_errors_translated(self.path):
            return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def check(self) -> int:
        """Return the file's schema version, 0 where it holds nothing yet.

        Raises NotALedger or NewerLedger.
        """
        application, version, objects = self._header()
        if application != APPLICATION_ID:
            if objects:
                raise NotALedger(f"{self.path}: a SQLite file, but not a ledger; name another file")
            if not self.is_writable:
                raise NotALedger(EMPTY.format(path=self.path))
            return 0
        if version > SCHEMA_VERSION:
            raise NewerLedger(
                f"{self.path}: written by a newer compile-ledger (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); upgrade with `pip install -U compile-ledger`"
            )
        if version:
            self._check_format()
        return version

    def _check_format(self) -> None:
        """Raise NewerLedger where the events have a later format than this version reads."""
        row = self.connection.execute("SELECT max(event_format) FROM versions").fetchone()
        if row[0] is not None and row[0] > EVENT_FORMAT:
            raise NewerLedger(
                f"{self.path}: its events have the format {row[0]}, and this compile-ledger reads "
                f"{EVENT_FORMAT}; upgrade with `pip install -U compile-ledger`"
            )

    def _header(self) -> tuple[int, int, int]:
        """Return the application's id, the schema's version and the number of objects, at one moment."""
        is_inside = self.connection.in_transaction
        if not is_inside:
            self.connection.execute("BEGIN")
        try:
            # The schema first: reading it takes the lock that keeps others from writing meanwhile.
            objects = self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            application = self.connection.execute("PRAGMA application_id").fetchone()[0]
            return application, self.schema_version, objects
        finally:
            if not is_inside and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def _migrate(self) -> None:
        if self.check() == SCHEMA_VERSION:
            return
        # Several processes may meet at a new file: the first to get the write lock does it.
        with self.transaction():
            if self.check() != SCHEMA_VERSION:
                from ledger_migrations.migrations import ledger_schema

                ledger_schema.apply(self.db)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Hold the ledger's write lock; commit at the end, or roll all of it back if an exception leaves."""
        with sqlite_errors_translated(self.path):
            _begin_to_write(self.connection, self.path)
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Let several queries see the ledger as it is at one moment. Writers wait meanwhile: be short."""
        if self.connection.in_transaction:
            yield
            return
        with sqlite_errors_translated(self.path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def append(self, rows: Sequence[EventRow]) -> Appended:
        """Append rows within a transaction. The same row twice is one event; nothing is ever replaced."""
        new = duplicates = 0
        conflicting: list[EventRow] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[first : first + _ROWS_AT_ONCE]
            try:
                self.insert("events", _COLUMNS, some)
                new += len(some)
            except sqlite3.IntegrityError:
                # Of this statement nothing was inserted; one of its events, or more, is there already.
                for row in some:
                    there = self._same_key(row)
                    if there is None:
                        self.insert("events", _COLUMNS, [row])
                        new += 1
                    # The time on the wall is derived, and only one of the two rows may have it.
                    elif there._replace(wall_ns=row.wall_ns) == row:
                        duplicates += 1
                    else:
                        conflicting.append(row)
        return Appended(new, duplicates, conflicting)

    def insert(self, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Insert rows into a table of ours, within a transaction. Raises sqlite3.IntegrityError."""
        rest = iter(rows)
        while some := list(islice(rest, _ROWS_AT_ONCE)):
            row = f"({', '.join('?' * len(some[0]))})"
            self.connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * len(some))}",
                tuple(chain.from_iterable(some)),
            )

    def _same_key(self, row: EventRow) -> EventRow | None:
        there = self.connection.execute(
            f"{_SELECT} WHERE session = ? AND process = ? AND seq = ?", (row.session, row.process, row.seq)
        ).fetchone()
        return EventRow._make(there) if there else None

    def reject(self, file: str, line: int, reason: str, text: str) -> None:
        """Keep a line that is no event, within a transaction; the same line twice is kept once."""
        self.connection.execute(
            "INSERT OR IGNORE INTO rejected_lines (file, line, reason, text) VALUES (?, ?, ?, ?)",
            (file, line, reason, text),
        )

    def rows(self, session: str, condition: str = "1") -> Iterator[EventRow]:
        """Yield a session's events as rows, as they came in; `condition` is SQL of ours, never a user's."""
        return (row for _, row in self.numbered_rows(session, condition))

    def numbered_rows(self, session: str, condition: str = "1") -> Iterator[tuple[int, EventRow]]:
        """Yield the same, each with its id in the ledger."""
        return self._by_id(session, f"session = ? AND {condition}", 0)

    def newer_rows(self, session: str, after_id: int) -> Iterator[tuple[int, EventRow]]:
        """Yield a session's events whose ids are higher than one: at the cost of what came in since then."""
        if not after_id:
            first = self.select("SELECT coalesce(min(id), 1) FROM events WHERE session = ?", [session])
            after_id = int(str(first[0][0])) - 1
        return self._by_id(session, "+session = ?", after_id)  # without the plus, SQLite sorts the session

    def _by_id(self, session: str, condition: str, last_id: int) -> Iterator[tuple[int, EventRow]]:
        query = f"SELECT id, {_COLUMNS} FROM events WHERE {condition} AND id > ? ORDER BY id LIMIT ?"
        # Page by page: a reader that stops half-way must not keep writers out.
        while page := self.select(query, [session, last_id, _ROWS_A_PAGE]):
            last_id = int(str(page[-1][0]))
            rows = ((int(str(row[0])), EventRow._make(row[1:])) for row in page)
            yield from ((number, row) for number, row in rows if is_whole(row))

    def last_id(self) -> int:
        """Return the id of the newest event; 0 where there is none."""
        return int(str(self.select("SELECT coalesce(max(id), 0) FROM events")[0][0]))

    def rows_by_key(self, session: str, last_id: int) -> Iterator[EventRow]:
        """Yield a session's events up to an id, by process and number: the same, however they came in."""
        query = (
            f"{_SELECT} WHERE session = ? AND (process, seq) > (?, ?) AND id <= ? "
            "ORDER BY process, seq LIMIT ?"
        )
        process, seq = "", -1
        while page := self.select(query, [session, process, seq, last_id, _ROWS_A_PAGE]):
            yield from map(EventRow._make, page)
            process, seq = EventRow._make(page[-1])[1:3]

    def processes(self, session: str) -> list[str]:
        """Return the ids of a session's processes."""
        rows = self.select(
            "SELECT DISTINCT process FROM events WHERE session = ? ORDER BY process", [session]
        )
        return [str(process) for (process,) in rows]

    def columns(
        self,
        session: str,
        process: str,
        kind: str,
        columns: Sequence[str],
        condition: str = "1",
        values: Sequence[int] = (),
    ) -> list[list[object]]:
        """Return a process's events of one kind, by seq, as some columns. Equal texts are one object each.

        `condition` is SQL of ours, with `values` for its question marks.
        """
        found: list[list[object]] = [[] for _ in columns]
        first = dict[object, object]().setdefault
        with sqlite_errors_translated(self.path):
            cursor = self.connection.execute(
                f"""
                SELECT {", ".join(columns)} FROM events
                WHERE session = ? AND process = ? AND kind = ? AND {WHOLE[kind]} AND {condition}
                ORDER BY seq
                """,
                (session, process, kind, *values),
            )
            while page := cursor.fetchmany(_ROWS_A_PAGE):
                for column, values in zip(found, zip(*page, strict=True), strict=True):
                    is_number = isinstance(values[0], int)
                    column.extend(values if is_number else map(first, values, values))
        return found

    def select(self, sql: str, values: Iterable[object] = ()) -> list[tuple[object, ...]]:
        """Return the rows of a query of ours."""
        with sqlite_errors_translated(self.path):
            return self.connection.execute(sql, tuple(values)).fetchall()


def _connected(path: Path, mode: str, wait_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=wait_s,
        check_same_thread=False,
    )
    # A rollback journal, not WAL: one file at rest. EXTRA: what is committed is on the disk, so that the
    # journal it was read from may go.
    connection.execute("PRAGMA synchronous = EXTRA")
    notice_signals(connection)
    return connection


def _begin_to_write(connection: sqlite3.Connection, path: Path | None) -> None:
    """Begin a transaction that writes, as soon as no other process does. Raises sqlite3.OperationalError."""
    [(wait_ms,)] = connection.execute("PRAGMA busy_timeout").fetchall()
    said_after_ms = int(SAID_AFTER_S * _MS)
    if is_heard() and wait_ms > said_after_ms:
        connection.execute(f"PRAGMA busy_timeout = {said_after_ms}")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        else:
            return
        finally:
            connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
        say_wait(f"{path}: another process is writing to it; waiting up to {wait_ms / _MS:.0f} s")
    connection.execute("BEGIN IMMEDIATE")


def _check_sqlite() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise SQLiteTooOld(
            f"Python's SQLite library is {sqlite3.sqlite_version}; a ledger needs STRICT tables, so 3.37 or "
            "newer: take another Python"
        )
