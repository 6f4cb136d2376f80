-- How long did the slowest process of each session take, by role and activity?
WITH named AS (
    SELECT session, process, coalesce(iif(
        count(*) OVER (PARTITION BY session, name) > 1, name || ' [' || process || ']', name
    ), process) AS name
    FROM processes
)
SELECT
    coalesce(s.label, s.session) AS label,
    t.role,
    t.activity,
    t.max_s AS seconds,
    p.name AS slowest,
    t.process_count AS processes
FROM session_totals t
JOIN sessions s USING (session)
LEFT JOIN named p ON p.session = t.session AND p.process = t.slowest_process
ORDER BY s.started_at, t.max_ns DESC
