-- How long did each session take, by role and activity?
SELECT
    coalesce(s.label, s.session) AS label,
    t.role,
    t.activity,
    t.max_s AS seconds,
    t.process_count AS processes
FROM session_totals t
JOIN sessions s USING (session)
ORDER BY s.started_at, t.max_ns DESC
