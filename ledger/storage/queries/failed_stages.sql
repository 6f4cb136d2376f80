-- Which stages failed, and with which exception?
WITH named AS (
    SELECT session, process, coalesce(iif(
        count(*) OVER (PARTITION BY session, name) > 1, name || ' [' || process || ']', name
    ), process) AS name
    FROM processes
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    i.role,
    i.stage,
    i.source,
    i.error,
    i.duration_s AS seconds
FROM intervals i
JOIN sessions s USING (session)
LEFT JOIN named p USING (session, process)
WHERE i.outcome = 'failed'
ORDER BY s.started_at, i.start_ns, i.depth
