-- Schema 5: the time from command to ready, and what torch compiled.

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

CREATE TABLE compilations (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    compile_id TEXT,
    ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT,
    role TEXT,
    function TEXT,
    file TEXT,
    line INTEGER,
    outcome TEXT NOT NULL,
    error TEXT,
    start_ns INTEGER NOT NULL,
    duration_ns INTEGER,
    dynamo_ns INTEGER,
    aot_ns INTEGER,
    inductor_ns INTEGER,
    codegen_ns INTEGER,
    triton_ns INTEGER,
    fx_graph_cache TEXT,
    aot_cache TEXT,
    autotune_cache TEXT,
    remote_cache TEXT,
    cache_bypass_reason TEXT,
    graph_breaks INTEGER,
    guards INTEGER,
    interval INTEGER NOT NULL,
    component TEXT,
    error_text TEXT,
    has_code INTEGER,
    duration_s REAL GENERATED ALWAYS AS (duration_ns / 1e9) VIRTUAL
) STRICT;

CREATE TABLE graph_breaks (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    compile_id TEXT,
    reason TEXT NOT NULL,
    file TEXT,
    line INTEGER,
    count INTEGER NOT NULL,
    ordinal INTEGER NOT NULL
) STRICT;

CREATE INDEX compilations_by_session ON compilations (session);

CREATE INDEX graph_breaks_by_session ON graph_breaks (session);
