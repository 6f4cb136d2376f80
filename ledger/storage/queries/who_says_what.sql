-- How long did each role compile according to monitor, backend and engine, and how far are they apart?
WITH monitor AS (
    SELECT session, process, role, sum(claimed_ns) AS ns
    FROM claims
    WHERE stage = 'torch_compile' AND source = 'monitor' AND counts = 'addition'
    GROUP BY session, process, role
),
engine AS ( -- It reports for all ranks, from a process of its own.
    SELECT session, role, max(claimed_ns) AS ns
    FROM claims
    WHERE stage = 'torch_compile' AND source = 'engine' AND counts = 'ranks' AND text LIKE 'init engine%'
    GROUP BY session, role
)
SELECT
    coalesce(s.label, s.session) AS label,
    coalesce(p.name, t.process) AS process,
    t.role,
    t.total_s AS measured,
    monitor.ns / 1e9 AS monitor,
    b.total_s AS backend,
    b.naive_sum_s AS backend_added_up,
    engine.ns / 1e9 AS engine,
    (monitor.ns - t.total_ns) / 1e9 AS monitor_less_measured,
    (engine.ns - t.total_ns) / 1e9 AS engine_less_measured
FROM role_totals t
JOIN sessions s USING (session)
LEFT JOIN processes p USING (session, process)
LEFT JOIN source_totals b
    ON b.session = t.session AND b.process = t.process AND b.role IS t.role
    AND b.activity = t.activity AND b.source = 'backend'
LEFT JOIN monitor ON monitor.session = t.session AND monitor.process = t.process AND monitor.role IS t.role
LEFT JOIN engine ON engine.session = t.session AND engine.role IS t.role
WHERE t.activity = 'compile'
ORDER BY s.started_at, process, t.role
