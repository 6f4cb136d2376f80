-- What do monitor, backend and engine each say a role's compiles took, and what is left between them?
WITH said AS (
    SELECT
        session,
        role,
        sum(claimed_ns) FILTER (WHERE source = 'monitor' AND counts = 'addition') AS monitor_ns,
        max(claimed_ns) FILTER (WHERE source = 'engine' AND counts = 'ranks' AND text LIKE 'init engine%')
            AS engine_ns
    FROM claims
    WHERE stage = 'torch_compile'
    GROUP BY session, role
)
SELECT
    coalesce(s.label, s.session) AS label,
    coalesce(p.name, t.process) AS process,
    t.role,
    t.total_s AS measured,
    said.monitor_ns / 1e9 AS monitor,
    b.total_s AS backend,
    b.naive_sum_s AS backend_added_up,
    said.engine_ns / 1e9 AS engine,
    (said.monitor_ns - t.total_ns) / 1e9 AS monitor_less_measured,
    (said.engine_ns - t.total_ns) / 1e9 AS engine_less_measured
FROM role_totals t
JOIN sessions s USING (session)
LEFT JOIN processes p USING (session, process)
LEFT JOIN source_totals b
    ON b.session = t.session AND b.process = t.process AND b.role IS t.role
    AND b.activity = t.activity AND b.source = 'backend'
LEFT JOIN said ON said.session = t.session AND said.role IS t.role
WHERE t.activity = 'compile'
ORDER BY s.started_at, process, t.role
