-- Which intervals have the most time that no inner interval accounts for?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    i.role,
    i.stage,
    i.source,
    i.duration_s AS seconds,
    i.unattributed_s AS unattributed
FROM intervals i
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE i.unattributed_ns IS NOT NULL
ORDER BY i.unattributed_ns DESC, i.session, i.process, i.interval
LIMIT 10
