-- How much time in each top-level interval does no inner interval account for?
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
WHERE i.unattributed_ns IS NOT NULL AND i.is_top_level
ORDER BY i.unattributed_ns DESC
LIMIT 10
