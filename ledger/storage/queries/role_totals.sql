-- How long did the slowest process of each session take, by role and activity?
SELECT
    coalesce(s.label, s.session) AS label,
    t.role,
    t.activity,
    t.max_s AS seconds,
    p.name AS slowest,
    t.process_count AS processes
FROM session_totals t
JOIN sessions s USING (session)
LEFT JOIN process_names p ON p.session = t.session AND p.process = t.slowest_process
ORDER BY s.started_at, t.session, t.max_ns DESC, t.role, t.activity
