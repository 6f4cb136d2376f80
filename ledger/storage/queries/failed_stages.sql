-- Which stages failed, with which exception, and in which one did a process end without saying so?
WITH unended AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY session, process ORDER BY start_ns + duration_ns DESC, start_ns DESC, start_seq DESC
        ) AS nth
    FROM intervals
    WHERE outcome = 'abandoned'
),
failed AS (
    SELECT
        session, process, interval, role, stage, source, error, duration_s, start_ns + duration_ns AS stop_ns,
        depth, data
    FROM intervals i
    WHERE outcome = 'failed'
        -- An import's exception is caught by whoever imports, unless the process ended by it.
        AND (
            stage <> 'import'
            OR source <> 'python'
            OR EXISTS (
                SELECT 1
                FROM intervals e
                WHERE e.session = i.session AND e.process = i.process AND e.stage = 'process_exit'
                    AND e.outcome = 'failed' AND e.error = i.error
            )
        )
    UNION ALL
    SELECT
        u.session, u.process, u.interval, u.role, u.stage, u.source, 'lost', u.duration_s,
        u.start_ns + u.duration_ns, u.depth, u.data
    FROM unended u
    JOIN processes p USING (session, process)
    WHERE u.nth = 1 AND p.outcome = 'lost'
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    f.role,
    f.stage,
    f.source,
    coalesce(f.error, 'exit code ' || json_extract(f.data, '$.exit_code')) AS error,
    json_extract(f.data, '$.last_line') AS last_line,
    f.duration_s AS seconds
FROM failed f
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
ORDER BY s.started_at, f.session, f.stop_ns, f.depth DESC, f.process, f.interval
