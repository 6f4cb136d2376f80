-- Schema 1: the projections, which `rebuild` derives from the events.

CREATE TABLE projected_sessions (
    session TEXT PRIMARY KEY,
    last_event_id INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    reducer_version INTEGER NOT NULL
) STRICT;

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
) STRICT;

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
) STRICT;

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
) STRICT;

-- An interval with its seconds, and with what its two events say beyond that.
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
FROM projected_intervals i;

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
) STRICT;

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
) STRICT;

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
) STRICT;

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
) STRICT;

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
) STRICT;

CREATE TABLE causes (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    claim INTEGER NOT NULL,
    cause TEXT NOT NULL,
    stage TEXT,
    ns INTEGER NOT NULL,
    intervals TEXT NOT NULL,
    s REAL GENERATED ALWAYS AS (ns / 1e9) VIRTUAL
) STRICT;

CREATE TABLE anomalies (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    what TEXT NOT NULL,
    interval INTEGER,
    claim INTEGER,
    ns INTEGER,
    detail TEXT,
    s REAL GENERATED ALWAYS AS (ns / 1e9) VIRTUAL
) STRICT;

CREATE TABLE milestones (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE gaps (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    detail TEXT
) STRICT;

CREATE TABLE versions (
    event_format INTEGER NOT NULL,
    reducer_version INTEGER NOT NULL
) STRICT;

INSERT INTO versions VALUES (1, 1);

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
FROM versions v;

CREATE INDEX role_totals_by_session ON role_totals (session);

CREATE INDEX source_totals_by_session ON source_totals (session);

CREATE INDEX session_totals_by_session ON session_totals (session);

CREATE INDEX claims_by_session ON claims (session);

CREATE INDEX reconciliation_by_session ON reconciliation (session);

CREATE INDEX causes_by_session ON causes (session);

CREATE INDEX anomalies_by_session ON anomalies (session);

CREATE INDEX milestones_by_session ON milestones (session);

CREATE INDEX gaps_by_session ON gaps (session);
