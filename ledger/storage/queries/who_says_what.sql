-- How long did each role compile according to monitor, backend and engine, and how far are they apart?
WITH monitor AS (
    SELECT session, process, role, CAST(sum(1.0 * claimed_ns) AS INTEGER) AS ns
    FROM claims
    WHERE stage = 'torch_compile' AND source = 'monitor' AND counts = 'addition'
    GROUP BY session, process, role
),
engine AS (
    -- It reports for all its ranks, from a process of its own as a rule, in a line and from what it added up.
    -- The line names the roles where there are several.
    SELECT
        session,
        process,
        role,
        max(claimed_ns) FILTER (WHERE text LIKE 'init engine%') AS line_ns,
        max(claimed_ns) FILTER (WHERE text LIKE 'engine core:%') AS added_up_ns
    FROM claims
    WHERE stage = 'torch_compile' AND source = 'engine' AND counts = 'ranks'
    GROUP BY session, process, role
    HAVING line_ns IS NOT NULL OR added_up_ns IS NOT NULL
),
engines AS (
    SELECT e.session, e.process, p.pid, p.host, count(*) OVER (PARTITION BY e.session) AS number
    FROM (SELECT DISTINCT session, process FROM engine) e
    JOIN processes p USING (session, process)
),
engine_of AS ( -- With data parallelism there are several, each with workers of its own.
    SELECT w.session, w.process, e.process AS engine
    FROM processes w
    CROSS JOIN engines e ON e.session = w.session -- in this order: SQLite then looks its rows up by an index
    WHERE e.number = 1 OR e.process = w.process OR (e.pid = w.parent_pid AND e.host IS w.host)
),
roles AS (
    SELECT session, count(DISTINCT role) AS number
    FROM role_totals
    WHERE activity = 'compile'
    GROUP BY session
),
compared AS (
    SELECT
        t.session,
        t.process,
        t.role,
        t.activity,
        t.total_ns,
        t.total_s,
        coalesce(r.line_ns, iif(n.number = 1, a.line_ns, NULL), r.added_up_ns) AS engine_ns
    FROM role_totals t
    JOIN roles n ON n.session = t.session
    LEFT JOIN engine_of o ON o.session = t.session AND o.process = t.process AND t.role IS NOT NULL
    LEFT JOIN engine r ON r.session = o.session AND r.process = o.engine AND r.role = t.role
    LEFT JOIN engine a ON a.session = o.session AND a.process = o.engine AND a.role IS NULL
    WHERE t.activity = 'compile'
)
SELECT
    coalesce(s.label, s.session) AS label,
    coalesce(p.name, t.process) AS process,
    t.role,
    t.total_s AS measured,
    monitor.ns / 1e9 AS monitor,
    b.total_s AS backend,
    b.naive_sum_s AS backend_added_up,
    t.engine_ns / 1e9 AS engine,
    (monitor.ns - t.total_ns) / 1e9 AS monitor_less_measured,
    (t.engine_ns - t.total_ns) / 1e9 AS engine_less_measured
FROM compared t
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
LEFT JOIN source_totals b
    ON b.session = t.session AND b.process = t.process AND b.role IS t.role
    AND b.activity = t.activity AND b.source = 'backend'
LEFT JOIN monitor ON monitor.session = t.session AND monitor.process = t.process AND monitor.role IS t.role
ORDER BY s.started_at, t.session, process, t.process, t.role
