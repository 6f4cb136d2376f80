-- Where did the time from the command to ready go, stage by stage?
SELECT
    coalesce(s.label, s.session) AS label,
    b.window,
    coalesce(p.name, b.process) AS process,
    coalesce(b.stage, '(unattributed)') AS stage,
    b.component,
    sum(b.duration_s) AS seconds,
    round(100.0 * sum(1.0 * b.duration_ns) / w.duration_ns, 1) AS percent
FROM startup_breakdown b
JOIN startup_windows w USING (session, window)
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
GROUP BY b.session, b.window, b.process, b.stage, b.component
ORDER BY s.started_at, b.session, b.window, sum(1.0 * b.duration_ns) DESC, b.process, b.stage, b.component
LIMIT 20
