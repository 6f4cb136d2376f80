-- Schema 5: the time from command to ready.

CREATE TABLE startup_windows (
    session TEXT NOT NULL,
    window INTEGER NOT NULL,
    began_by TEXT NOT NULL,
    ended_by TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    stop_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    uncertainty_ns INTEGER NOT NULL,
    unattributed_ns INTEGER NOT NULL,
    duration_s REAL GENERATED ALWAYS AS (duration_ns / 1e9) VIRTUAL,
    unattributed_s REAL GENERATED ALWAYS AS (unattributed_ns / 1e9) VIRTUAL
) STRICT;

CREATE TABLE startup_breakdown (
    session TEXT NOT NULL,
    window INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    stop_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    process TEXT,
    interval INTEGER,
    activity TEXT,
    stage TEXT,
    role TEXT,
    component TEXT,
    source TEXT,
    after_stage TEXT,
    before_stage TEXT,
    duration_s REAL GENERATED ALWAYS AS (duration_ns / 1e9) VIRTUAL
) STRICT;

CREATE INDEX startup_windows_by_session ON startup_windows (session);

CREATE INDEX startup_breakdown_by_session ON startup_breakdown (session);
