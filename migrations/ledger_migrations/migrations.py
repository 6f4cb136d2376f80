"""The schema, one function a version. sqlite-utils runs this file alone, so it imports nothing of ours.

The next version is one more function at the end, which sets `user_version` to its number. A `transform()`
drops a table's triggers: a migration that transforms `events` creates those of `protect_events` again.
`python -m tests.take.golden_ledger` then keeps a ledger of the new schema; all later versions must open it.
"""

import json
from collections import defaultdict

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
    _create_projections(db)
    db.conn.execute("PRAGMA user_version = 1")


def _create_projections(db: Database) -> None:
    db.conn.execute("""
        CREATE TABLE projected_sessions (
            session TEXT PRIMARY KEY,
            last_event_id INTEGER NOT NULL,
            event_count INTEGER NOT NULL,
            reducer_version INTEGER NOT NULL
        ) STRICT
    """)
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
            python_version TEXT,
            vllm_version TEXT,
            torch_version TEXT
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE processes (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            name TEXT,
            rank INTEGER,
            pid INTEGER,
            parent_pid INTEGER,
            host TEXT,
            started_at TEXT,
            outcome TEXT NOT NULL,
            event_count INTEGER NOT NULL,
            lost_events INTEGER NOT NULL,
            hooks TEXT NOT NULL,
            missing_hooks TEXT NOT NULL,
            PRIMARY KEY (session, process)
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE projected_intervals (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            interval INTEGER NOT NULL,
            enclosing INTEGER,
            parent INTEGER,
            depth INTEGER NOT NULL,
            is_top_level INTEGER NOT NULL,
            activity TEXT NOT NULL,
            stage TEXT NOT NULL,
            role TEXT,
            component TEXT,
            source TEXT NOT NULL,
            thread TEXT,
            start_ns INTEGER NOT NULL,
            stop_ns INTEGER,
            duration_ns INTEGER,
            self_ns INTEGER,
            unattributed_ns INTEGER,
            open_ns INTEGER,
            outcome TEXT NOT NULL,
            start_seq INTEGER NOT NULL,
            stop_seq INTEGER
        ) STRICT
    """)
    # An interval with its seconds, and with what its two events say beyond that.
    db.conn.execute("""
        CREATE VIEW intervals AS
        SELECT
            i.*,
            i.duration_ns / 1e9 AS duration_s,
            i.self_ns / 1e9 AS self_s,
            i.unattributed_ns / 1e9 AS unattributed_s,
            i.open_ns / 1e9 AS open_s,
            (
                SELECT e.error FROM events e
                WHERE e.session = i.session AND e.process = i.process AND e.seq = i.stop_seq
            ) AS error,
            json_patch(
                coalesce((
                    SELECT e.data FROM events e
                    WHERE e.session = i.session AND e.process = i.process AND e.seq = i.start_seq
                ), '{}'),
                coalesce((
                    SELECT e.data FROM events e
                    WHERE e.session = i.session AND e.process = i.process AND e.seq = i.stop_seq
                ), '{}')
            ) AS data
        FROM projected_intervals i
    """)
    db.conn.execute("""
        CREATE TABLE role_totals (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            role TEXT,
            activity TEXT NOT NULL,
            total_ns INTEGER NOT NULL,
            crossing_ns INTEGER NOT NULL,
            open_ns INTEGER NOT NULL,
            top_level_count INTEGER NOT NULL,
            interval_count INTEGER NOT NULL,
            open_count INTEGER NOT NULL,
            total_s REAL GENERATED ALWAYS AS (total_ns / 1e9) VIRTUAL,
            crossing_s REAL GENERATED ALWAYS AS (crossing_ns / 1e9) VIRTUAL,
            open_s REAL GENERATED ALWAYS AS (open_ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE source_totals (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            role TEXT,
            activity TEXT NOT NULL,
            source TEXT NOT NULL,
            total_ns INTEGER NOT NULL,
            naive_sum_ns INTEGER NOT NULL,
            double_counted_ns INTEGER NOT NULL,
            total_s REAL GENERATED ALWAYS AS (total_ns / 1e9) VIRTUAL,
            naive_sum_s REAL GENERATED ALWAYS AS (naive_sum_ns / 1e9) VIRTUAL,
            double_counted_s REAL GENERATED ALWAYS AS (double_counted_ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE session_totals (
            session TEXT NOT NULL,
            role TEXT,
            activity TEXT NOT NULL,
            max_ns INTEGER NOT NULL,
            union_ns INTEGER,
            sum_ns INTEGER NOT NULL,
            slowest_process TEXT NOT NULL,
            process_count INTEGER NOT NULL,
            max_s REAL GENERATED ALWAYS AS (max_ns / 1e9) VIRTUAL,
            union_s REAL GENERATED ALWAYS AS (union_ns / 1e9) VIRTUAL,
            sum_s REAL GENERATED ALWAYS AS (sum_ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE claims (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            claim INTEGER NOT NULL,
            counts TEXT NOT NULL,
            source TEXT NOT NULL,
            role TEXT,
            component TEXT,
            stage TEXT,
            claimed_ns INTEGER NOT NULL,
            resolution_ns INTEGER,
            text TEXT,
            at_ns INTEGER NOT NULL,
            interval INTEGER,
            claimed_s REAL GENERATED ALWAYS AS (claimed_ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE reconciliation (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            claim INTEGER NOT NULL,
            source TEXT NOT NULL,
            role TEXT,
            component TEXT,
            stage TEXT,
            claimed_ns INTEGER NOT NULL,
            measured_ns INTEGER,
            measured_uncertainty_ns INTEGER,
            difference_ns INTEGER,
            main_cause TEXT,
            claimed_s REAL GENERATED ALWAYS AS (claimed_ns / 1e9) VIRTUAL,
            measured_s REAL GENERATED ALWAYS AS (measured_ns / 1e9) VIRTUAL,
            difference_s REAL GENERATED ALWAYS AS (difference_ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE causes (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            claim INTEGER NOT NULL,
            cause TEXT NOT NULL,
            stage TEXT,
            ns INTEGER NOT NULL,
            intervals TEXT NOT NULL,
            s REAL GENERATED ALWAYS AS (ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE anomalies (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            what TEXT NOT NULL,
            interval INTEGER,
            claim INTEGER,
            ns INTEGER,
            detail TEXT,
            s REAL GENERATED ALWAYS AS (ns / 1e9) VIRTUAL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE milestones (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            at_ns INTEGER NOT NULL,
            name TEXT NOT NULL
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE gaps (
            session TEXT NOT NULL,
            process TEXT NOT NULL,
            at_ns INTEGER NOT NULL,
            what TEXT NOT NULL,
            count INTEGER NOT NULL,
            detail TEXT
        ) STRICT
    """)
    db.conn.execute("""
        CREATE TABLE versions (
            event_format INTEGER NOT NULL,
            reducer_version INTEGER NOT NULL
        ) STRICT
    """)
    db.conn.execute("INSERT INTO versions VALUES (1, 1)")
    db.conn.execute("""
        CREATE VIEW ledger_info AS
        SELECT
            (SELECT user_version FROM pragma_user_version) AS schema_version,
            v.event_format,
            v.reducer_version,
            (SELECT count(*) FROM events) - coalesce((
                SELECT sum(p.event_count)
                FROM projected_sessions p
                WHERE p.reducer_version = v.reducer_version
            ), 0) AS events_not_projected
        FROM versions v
    """)
    tables = "role_totals source_totals session_totals claims reconciliation causes anomalies milestones gaps"
    for table in tables.split():
        db.conn.execute(f"CREATE INDEX {table}_by_session ON {table} (session)")


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
