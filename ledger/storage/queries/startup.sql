-- Where did the time from the command to ready go, stage by stage?
WITH shown AS ( -- each of them has a row at least: so of a fleet's millions no other is looked at
    SELECT session, window
    FROM startup_windows w
    JOIN sessions s USING (session)
    WHERE EXISTS (SELECT 1 FROM startup_breakdown b WHERE b.session = w.session AND b.window = w.window)
    ORDER BY s.started_at, session, window
    LIMIT 20
)
SELECT
    coalesce(s.label, s.session) AS label,
    b.window,
    coalesce(p.name, b.process) AS process,
    coalesce(b.stage, '(unattributed)') AS stage,
    b.component,
    sum(1.0 * b.duration_ns) / 1e9 AS seconds,
    1e2 * sum(1.0 * b.duration_ns) / w.duration_ns AS percent
FROM shown
JOIN startup_breakdown b USING (session, window)
JOIN startup_windows w USING (session, window)
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
GROUP BY
    s.started_at, s.label, s.session, b.session, b.window, w.duration_ns, b.process, p.name, b.stage, b.component
ORDER BY s.started_at, b.session, b.window, sum(1.0 * b.duration_ns) DESC, b.process, b.stage, b.component
LIMIT 20
