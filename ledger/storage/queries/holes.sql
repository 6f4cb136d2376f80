-- Which time between the command and ready is in no stage, and between which stages does it lie?
SELECT
    coalesce(s.label, s.session) AS label,
    b.window,
    (b.start_ns - w.start_ns) / 1e9 AS after_seconds,
    b.duration_s AS seconds,
    coalesce(p.name, b.process) AS process,
    b.stage AS inside, -- of a log: the stage that is known around it
    b.after_stage,
    b.before_stage
FROM startup_breakdown b
JOIN startup_windows w USING (session, window)
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE b.interval IS NULL OR b.before_stage IS NOT NULL
ORDER BY b.duration_ns DESC, b.session, b.window, b.piece
LIMIT 20
