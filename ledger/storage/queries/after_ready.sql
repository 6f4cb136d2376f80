-- What was compiled after the engine was ready, and for how long?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    i.role,
    i.component,
    i.stage,
    i.duration_s AS seconds,
    (i.start_ns - m.at_ns) / 1e9 AS seconds_after
FROM milestones m
CROSS JOIN intervals i ON i.session = m.session -- in this order: SQLite would go through all intervals first
JOIN sessions s ON s.session = i.session
LEFT JOIN process_names p ON p.session = i.session AND p.process = i.process
WHERE m.name = 'engine_ready' AND i.activity = 'compile' AND i.is_top_level AND i.start_ns >= m.at_ns
ORDER BY s.started_at, i.session, i.start_ns, i.process, i.interval, m.at_ns
