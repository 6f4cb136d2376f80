"""The ledger's file: append-only, made by many at once, and one clear line for every way it can be wrong."""

import fcntl
import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlite_utils import Database, Migrations

from ledger import (
    Ledger,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LedgerNotWritable,
    NewerLedger,
    NotALedger,
    Recorder,
    SQLiteTooOld,
    parse_event,
)
from ledger.events.rows import EventRow, to_row
from ledger.storage import store as store_module
from ledger.storage.store import SCHEMA_VERSION, Store
from ledger.storage.verification import verify
from ledger_migrations.migrations import APPLICATION_ID, ledger_schema, protect_events
from tests.support.processes import Spawn, as_nobody, exit_code, needs_root


def milestone(seq: int, name: str = "engine_ready", session: str = "s") -> EventRow:
    event = {"kind": "milestone_reached", "session": session, "process": "p", "seq": seq, "at_ns": seq}
    return to_row(parse_event({**event, "name": name}))


def contents(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM events ORDER BY id").fetchall()


@pytest.fixture
def filled(path: Path) -> Path:
    """A ledger of two thousand events in one session, collected and projected."""
    with Recorder.open(path) as recorder:
        for _ in range(1_000):
            recorder.stop(recorder.start("dynamo", data={"padding": "x" * 100}))
    Ledger.open(path).close()
    return path


KEY = "(session, process, seq, kind, at_ns)"
CHANGES = {
    "update": "UPDATE events SET at_ns = 0",
    "update of one": "UPDATE events SET stage = 'other' WHERE seq = 1",
    "update or replace": "UPDATE OR REPLACE events SET seq = 1 WHERE seq = 0",
    "delete": "DELETE FROM events",
    "delete of one": "DELETE FROM events WHERE seq = 1",
    "insert of a key again": f"INSERT INTO events {KEY} VALUES ('s', 'p', 1, 'x', 0)",
    "insert or ignore": "INSERT OR IGNORE INTO events SELECT * FROM events",
    "replace by key": f"INSERT OR REPLACE INTO events {KEY} VALUES ('s', 'p', 1, 'x', 0)",
    "replace by id": "REPLACE INTO events SELECT 1, 's', 'p', 99, 'x', 0" + ", NULL" * 13,
    "replace of all": "REPLACE INTO events SELECT * FROM events",
    "upsert": f"INSERT INTO events {KEY} VALUES ('s', 'p', 1, 'x', 0) "
    "ON CONFLICT (session, process, seq) DO UPDATE SET kind = 'x'",
    "text where a number belongs": f"INSERT INTO events {KEY} VALUES ('s', 'p', 99, 'x', 'soon')",
}


class TestAppendOnly:
    @pytest.fixture
    def three(self, path: Path) -> Path:
        store = Store.open(path)
        with store.transaction():
            store.append([milestone(seq) for seq in range(3)])
        store.close()
        return path

    @pytest.mark.parametrize("recursive_triggers", [False, True])
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_bare_sqlite3_can_not_change_what_is_there(
        self, three: Path, change: str, recursive_triggers: bool
    ) -> None:
        connection = sqlite3.connect(three)
        connection.execute(f"PRAGMA recursive_triggers = {recursive_triggers}")
        before = contents(connection)
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(change)
        connection.rollback()
        assert contents(connection) == before
        connection.close()

    def test_new_events_can_be_appended(self, three: Path) -> None:
        connection = sqlite3.connect(three)
        for key in ("'s', 'p', 3", "'s', 'q', 0"):
            connection.execute(f"INSERT INTO events {KEY} VALUES ({key}, 'x', 0)")
        assert len(contents(connection)) == 5
        connection.close()

    @pytest.mark.parametrize("statement", ["UPDATE events SET seq = 9", "DELETE FROM events"])
    def test_a_store_that_was_opened_to_read_takes_nothing(self, three: Path, statement: str) -> None:
        store = Store.open_to_read(three)
        for sql in (statement, "INSERT INTO versions VALUES (9, 9)", "DROP TABLE versions", "VACUUM"):
            with pytest.raises(LedgerNotWritable):
                store.select(sql)
        store.close()


class TestMigrations:
    def protected(self, connection: sqlite3.Connection) -> bool:
        """Return whether every change to events is refused."""
        for change in CHANGES.values():
            connection.execute("SAVEPOINT before")
            try:
                connection.execute(change)
            except sqlite3.IntegrityError:
                continue
            finally:
                connection.execute("ROLLBACK TO before")
                connection.execute("RELEASE before")
            return False
        return True

    @pytest.fixture
    def db(self) -> Iterator[Database]:
        db = Database(sqlite3.connect(":memory:", isolation_level=None), execute_plugins=False)
        yield db
        db.close()

    def test_events_are_protected_after_every_migration(self, db: Database) -> None:
        names = [migration.name for migration in ledger_schema.pending(db)]
        assert len(names) == SCHEMA_VERSION
        for number, following in enumerate([*names[1:], None], 1):
            ledger_schema.apply(db, stop_before=following)
            assert db.execute("PRAGMA user_version").fetchone() == (number,)
            if number == 1:
                Store(db.conn, None, is_writable=True).append([milestone(seq) for seq in range(3)])
            assert self.protected(db.conn)
            assert len(contents(db.conn)) == 3
        assert ledger_schema.pending(db) == []

    def test_a_transform_drops_the_triggers_and_protect_events_puts_them_back(self, db: Database) -> None:
        later = Migrations("later")

        @later()
        def v2(db: Database) -> None:
            db.table("events").transform(defaults={"source": "user"})

        @later()
        def v3(db: Database) -> None:
            protect_events(db)

        ledger_schema.apply(db)
        Store(db.conn, None, is_writable=True).append([milestone(seq) for seq in range(3)])
        before = contents(db.conn)
        later.apply(db, stop_before="v3")
        assert contents(db.conn) == before
        assert not self.protected(db.conn)
        later.apply(db)
        assert contents(db.conn) == before
        assert self.protected(db.conn)

    def test_a_removed_trigger_is_a_fault(self, path: Path) -> None:
        Store.open(path).close()
        assert verify(path) == []
        connection = sqlite3.connect(path)
        connection.execute("DROP TRIGGER events_no_delete")
        connection.close()
        [finding] = verify(path)
        assert (finding.is_fault, finding.what) == (True, "missing_trigger")

    def test_a_new_ledger_is_one_file_with_the_version_in_its_header(self, path: Path) -> None:
        Store.open(path).close()
        assert [file.name for file in path.parent.iterdir()] == ["startup.db"]
        header = path.read_bytes()[:100]
        assert struct.unpack(">I", header[68:72]) == (APPLICATION_ID,)
        assert struct.unpack(">I", header[60:64]) == (SCHEMA_VERSION,)
        assert header[18:20] == b"\1\1"  # not in WAL mode

    def test_many_processes_that_make_one_ledger_at_once_all_succeed(
        self, tmp_path: Path, spawn: Spawn
    ) -> None:
        def make(path: Path, gate: int, number: int) -> None:
            fcntl.flock(gate, fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
            store = Store.open(path)
            with store.transaction():
                store.append([milestone(seq, session=str(number)) for seq in range(10)])
            store.close()

        for attempt in range(6):
            path = tmp_path / f"{attempt}.db"
            gate = os.open(tmp_path / "gate", os.O_CREAT | os.O_RDWR)
            fcntl.flock(gate, fcntl.LOCK_EX)
            # Each opens the gate's file anew: a lock belongs to what was opened.
            children = [
                spawn(lambda n=n, p=path: make(p, os.open(tmp_path / "gate", os.O_RDWR), n)) for n in range(8)
            ]
            fcntl.flock(gate, fcntl.LOCK_UN)
            os.close(gate)
            assert [exit_code(child) for child in children] == [0] * 8
            store = Store.open(path)
            assert store.select("SELECT count(*) FROM events") == [(80,)]
            store.close()
            assert [finding for finding in verify(path) if finding.is_fault] == []

    def test_a_ledger_that_appears_between_two_looks_is_a_ledger(self, path: Path) -> None:
        def meanwhile(statement: str) -> None:
            if "sqlite_schema" in statement:
                connection.set_trace_callback(None)
                Store.open(path).close()

        connection = sqlite3.connect(path, isolation_level=None)
        connection.set_trace_callback(meanwhile)
        assert Store(connection, path, is_writable=True).check() in (0, SCHEMA_VERSION)
        connection.close()


def not_sqlite(path: Path) -> None:
    path.write_text("engine start-up took 16.77 s\n" * 100)


def a_few_bytes(path: Path) -> None:
    path.write_bytes(b"16.77 s\n")


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (name)")
    connection.close()


def newer(path: Path) -> None:
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


def a_folder(path: Path) -> None:
    path.mkdir()


WRONG: list[tuple[Callable[[Path], object], type[LedgerError], str]] = [
    (not_sqlite, NotALedger, "not a SQLite file, so not a ledger; name another file"),
    (a_few_bytes, NotALedger, "not a SQLite file, so not a ledger; name another file"),
    (another_database, NotALedger, "a SQLite file, but not a ledger; name another file"),
    (newer, NewerLedger, "pip install -U compile-ledger"),
    (lambda path: None, LedgerMissing, "`compile-ledger record` makes one"),
    (a_folder, LedgerError, "name the ledger's file"),
]


def says(error: LedgerError, path: Path, what_to_do: str) -> None:
    """The message must be one line that names the file and ends with what to do next."""
    message = str(error)
    assert message.startswith(f"{path}: ")
    assert what_to_do in message
    assert "\n" not in message


class TestErrors:
    @pytest.mark.parametrize(("make", "kind", "what_to_do"), WRONG)
    def test_what_is_no_ledger_of_ours_is_named_and_left_alone(
        self, path: Path, make: Callable[[Path], object], kind: type[LedgerError], what_to_do: str
    ) -> None:
        make(path)
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(kind) as raised:
            Ledger.open(path)
        says(raised.value, path, what_to_do)
        assert (path.read_bytes() if path.is_file() else None) == before
        if kind is not LedgerError:
            with pytest.raises(kind) as raised:
                Store.open_to_read(path)
            says(raised.value, path, what_to_do)

    def test_an_empty_file_becomes_a_ledger_by_being_written_to_and_not_by_being_read(
        self, path: Path
    ) -> None:
        path.touch()
        with pytest.raises(NotALedger, match="an empty file"):
            Ledger.open(path)
        assert path.read_bytes() == b""
        Store.open(path).close()
        with Ledger.open(path) as ledger:
            assert ledger.sessions() == []

    @pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.75, 0.98])
    def test_a_damaged_page_is_said_to_be_damaged(self, filled: Path, share: float) -> None:
        content = bytearray(filled.read_bytes())
        page = int(len(content) / 4096 * share) * 4096
        content[page : page + 4096] = os.urandom(4096)
        filled.write_bytes(content)
        whole = filled.read_bytes()
        used = 0
        for use in (
            lambda ledger: ledger.timeline(),
            lambda ledger: list(ledger.events()),
            lambda ledger: ledger.sql("SELECT * FROM events"),
            lambda ledger: ledger.sql("SELECT * FROM intervals"),
        ):
            try:
                with Ledger.open(filled) as ledger:
                    use(ledger)
                used += 1
            except LedgerDamaged as error:
                says(error, filled, "`compile-ledger verify`")
        assert filled.read_bytes() == whole
        found = {finding.what for finding in verify(filled)}
        assert found <= {"damaged_page", "damaged_file"}
        # A page of a table that none of them reads is found by `verify` alone.
        assert used < 4 or found

    def test_a_file_that_ends_too_early_is_damaged(self, filled: Path) -> None:
        os.truncate(filled, filled.stat().st_size // 2)
        with pytest.raises(LedgerDamaged) as raised, Ledger.open(filled) as ledger:
            list(ledger.events())
        says(raised.value, filled, "`compile-ledger verify`")

    def test_a_library_without_strict_tables_is_too_old(self, path: Path) -> None:
        with (
            mock.patch.object(store_module.sqlite3, "sqlite_version_info", (3, 36, 0)),
            mock.patch.object(store_module.sqlite3, "sqlite_version", "3.36.0"),
        ):
            for open_it in (Store.open, Store.open_to_read, lambda _: Store.in_memory()):
                with pytest.raises(SQLiteTooOld, match=r"^.* 3\.36\.0; a ledger needs .* 3\.37 or newer.*$"):
                    open_it(path)
        assert not path.exists()

    @pytest.mark.parametrize("open_it", [Store.open, Store.open_to_read])
    def test_a_ledger_that_another_holds_is_locked(self, path: Path, open_it: Callable[..., Any]) -> None:
        Store.open(path).close()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerLocked) as raised:
            open_it(path, wait_s=0.05)
        says(raised.value, path, "try again when it has finished")
        other.close()
        open_it(path, wait_s=0.05).close()

    @needs_root
    @pytest.mark.parametrize("is_there", [False, True])
    def test_a_folder_that_one_may_not_write_to_is_said_to_be_so(
        self, public_folder: Path, spawn: Spawn, is_there: bool
    ) -> None:
        def append() -> None:
            store = Store.open(path)
            with store.transaction():
                store.append([milestone(0)])

        def program() -> None:
            as_nobody()
            with pytest.raises(LedgerNotWritable) as raised:
                append()
            says(raised.value, path, "choose another place")

        path = public_folder / "startup.db"
        if is_there:
            Store.open(path).close()
        assert exit_code(spawn(program)) == 0

    @needs_root
    def test_a_folder_that_one_may_not_look_into_is_said_to_be_so(
        self, public_folder: Path, spawn: Spawn
    ) -> None:
        def program() -> None:
            as_nobody()
            for open_it in (Ledger.open, Store.open, Store.open_to_read, verify):
                with pytest.raises(LedgerError) as raised:
                    open_it(path)
                says(raised.value, path, "")

        path = public_folder / "secret" / "startup.db"
        path.parent.mkdir(mode=0o700)
        Store.open(path).close()
        assert exit_code(spawn(program)) == 0


def test_a_file_that_is_spoilt_while_it_is_open_is_said_in_one_line(path: Path) -> None:
    Store.open(path).close()
    with closing(Store.open_to_read(path)) as store:
        path.write_bytes(b"spoilt" * 10_000)
        with pytest.raises(LedgerError, match=r"startup\.db"):
            _ = store.schema_version


def steps_of_reading_what_is_new(events: int) -> int:
    """How many steps SQLite takes to find one new event of a session, in units of some."""
    store, steps = Store.in_memory(), 0

    def count() -> None:
        nonlocal steps
        steps += 1

    keys = [("other", 0), *(("session", seq) for seq in range(events)), ("other", 1), ("session", events)]
    rows = [milestone(seq, session=session) for session, seq in keys]
    with store.transaction():
        store.append(rows)
    assert [row.seq for _, row in store.newer_rows("session", 0)] == [*range(events + 1)]
    assert [row.seq for _, row in store.newer_rows("nobody", 0)] == []
    store.connection.set_progress_handler(count, 10)
    [(number, row)] = store.newer_rows("session", events + 1)
    store.connection.set_progress_handler(None, 10)
    assert (number, row) == (events + 3, rows[-1])
    store.close()
    return steps


def test_reading_what_is_new_costs_what_it_is_and_not_what_the_session_is() -> None:
    assert steps_of_reading_what_is_new(5_000) == steps_of_reading_what_is_new(500)
