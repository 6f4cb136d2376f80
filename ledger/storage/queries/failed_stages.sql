-- Which stages failed, and with which exception?
SELECT coalesce(s.label, s.session) AS label, i.role, i.stage, i.source, i.error, i.duration_s AS seconds
FROM intervals i
JOIN sessions s USING (session)
WHERE i.outcome = 'failed'
ORDER BY s.started_at, i.start_ns, i.depth
