"""The schema, one function a version. sqlite-utils runs this file alone, so it imports nothing of ours.

Tables and views that a version adds stand in a file of SQL beside it.

The next version is one more function at the end, which sets `user_version` to its number. A `transform()`
drops a table's triggers: a migration that transforms `events` creates those of `protect_events` again.
`python -m tests.take.golden_ledger` then keeps a ledger of the new schema; all later versions must open it.
"""

import json
import sqlite3
from collections import defaultdict
from pathlib import Path

from sqlite_utils import Database, Migrations

ledger_schema = Migrations("compile-ledger")

APPLICATION_ID = 0x434C4547
"""Marks a SQLite file as a ledger (the letters CLEG), in the file's header."""


def protect_events(db: Database) -> None:
    """Create the triggers that keep `events` append-only, as it is against accidents.

    INSERT OR REPLACE deletes without firing a DELETE trigger, hence the guard on insert. (New rows come with
    an id of -1 here, unless the statement names one.)
    """
    for change in ("UPDATE", "DELETE"):
        db.conn.execute(f"""
        CREATE TRIGGER events_no_{change.lower()} BEFORE {change} ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only: no {change}'); END
    """)
    db.conn.execute("""
        CREATE TRIGGER events_no_replace BEFORE INSERT ON events
        WHEN EXISTS (
            SELECT 1 FROM events e
            WHERE e.session = NEW.session AND e.process = NEW.process AND e.seq = NEW.seq
        )
        OR EXISTS (SELECT 1 FROM events e WHERE e.id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'events are append-only: this one is there already'); END
    """)


def _run(db: Database, name: str) -> None:
    """Run the statements of a file, one by one: `executescript` would commit the transaction around it."""
    statement = ""
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.conn.execute(statement)
            statement = ""


@ledger_schema()
def v1(db: Database) -> None:
    """Events, the collector's state, and the projections."""
    db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.conn.execute("""
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            seq INTEGER NOT NULL,
            kind TEXT NOT NULL,
            at_ns INTEGER NOT NULL,
            wall_ns INTEGER,
            interval INTEGER,
            stage TEXT,
            activity TEXT,
            role TEXT,
            component TEXT,
            source TEXT,
            thread TEXT,
            parent INTEGER,
            outcome TEXT,
            error TEXT,
            data TEXT,
            body TEXT,
            UNIQUE (session, process, seq)
        ) STRICT
    """)
    protect_events(db)
    db.conn.execute("""
        CREATE TABLE rejected_lines (
            id INTEGER PRIMARY KEY,
            file TEXT NOT NULL,
            line INTEGER NOT NULL,
            reason TEXT NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (file, line, text)
        ) STRICT
    """)
    # How far each journal was read: committed together with the events that were read from it.
    db.conn.execute("""
        CREATE TABLE journal_progress (
            journal TEXT PRIMARY KEY,
            head TEXT NOT NULL,
            read_bytes INTEGER NOT NULL,
            read_lines INTEGER NOT NULL,
            session TEXT,
            process TEXT,
            last_seq INTEGER NOT NULL,
            last_ns INTEGER NOT NULL,
            has_left INTEGER NOT NULL
        ) STRICT
    """)
    _run(db, "v1.sql")
    db.conn.execute("PRAGMA user_version = 1")


@ledger_schema()
def v2(db: Database) -> None:
    """Claims keep their data: which intervals one speaks of, where it is not one alone."""
    db.conn.execute("ALTER TABLE claims ADD COLUMN data TEXT")
    db.conn.execute("PRAGMA user_version = 2")


@ledger_schema()
def v3(db: Database) -> None:
    """A session's intervals are found, and thrown away, without a look at those of all others."""
    db.conn.execute("CREATE INDEX projected_intervals_by_session ON projected_intervals (session)")
    db.conn.execute("PRAGMA user_version = 3")


@ledger_schema()
def v4(db: Database) -> None:
    """A session keeps the versions of everything that it ran with; a claim's rows are found by its key."""
    columns = "session, label, command, started_at, ended_at, outcome, process_count, event_count"
    rows = db.conn.execute(f"SELECT {columns} FROM sessions ORDER BY rowid").fetchall()
    # Not ALTER TABLE: a view that somebody made over the table would forbid it to drop a column.
    db.conn.execute("DROP TABLE sessions")
    db.conn.execute("""
        CREATE TABLE sessions (
            session TEXT PRIMARY KEY,
            label TEXT,
            command TEXT,
            started_at TEXT,
            ended_at TEXT,
            outcome TEXT NOT NULL,
            process_count INTEGER NOT NULL,
            event_count INTEGER NOT NULL,
            python_version TEXT GENERATED ALWAYS AS (json_extract(versions, '$.python')) VIRTUAL,
            vllm_version TEXT GENERATED ALWAYS AS (json_extract(versions, '$.vllm')) VIRTUAL,
            torch_version TEXT GENERATED ALWAYS AS (json_extract(versions, '$.torch')) VIRTUAL,
            versions TEXT NOT NULL
        ) STRICT
    """)
    versions = _versions_of_sessions(db)
    db.conn.executemany(
        f"INSERT INTO sessions ({columns}, versions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((*row, json.dumps(dict(sorted(versions[row[0]].items())))) for row in rows),
    )
    for table in ("claims", "reconciliation", "causes"):
        db.conn.execute(f"DROP INDEX {table}_by_session")
        db.conn.execute(f"CREATE INDEX {table}_by_claim ON {table} (session, process, claim)")
    db.conn.execute("PRAGMA user_version = 4")


def _versions_of_sessions(db: Database) -> defaultdict[str, dict[str, str]]:
    """Return the versions that each session's events give; of one name the earliest process's counts."""
    versions: defaultdict[str, dict[str, str]] = defaultdict(dict)
    started = db.conn.execute("""
        SELECT session, json_extract(body, '$.versions') FROM events
        WHERE kind = 'session_started' AND json_valid(body)
        ORDER BY wall_ns IS NULL, wall_ns, process, seq
    """)
    for session, text in started:
        versions[session] = {**json.loads(text or "{}"), **versions[session]}
    return versions


@ledger_schema()
def v5(db: Database) -> None:
    """The time from command to ready, cut into pieces; what torch compiled."""
    _run(db, "v5.sql")
    db.conn.execute("PRAGMA user_version = 5")


@ledger_schema()
def v6(db: Database) -> None:
    """What a reader can act upon; what processes are called."""
    _run(db, "v6.sql")
    db.conn.execute("PRAGMA user_version = 6")


@ledger_schema()
def v7(db: Database) -> None:
    """A journal that was cut and has grown again is told; so are a log's cache keys that changed."""
    _run(db, "v7.sql")
    db.conn.execute("PRAGMA user_version = 7")


@ledger_schema()
def v8(db: Database) -> None:
    """New events of a session are projected without a look at all the others."""
    _run(db, "v8.sql")
    db.conn.execute("PRAGMA user_version = 8")
