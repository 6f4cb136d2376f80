-- Which stages was each process in when it died, or is it in now?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    o.outcome AS process_is,
    i.role,
    i.stage,
    i.outcome AS stage_is,
    coalesce(i.duration_s, i.open_s) AS at_least_seconds
FROM intervals i
JOIN sessions s USING (session)
JOIN process_names p USING (session, process)
JOIN processes o USING (session, process)
WHERE i.outcome IN ('abandoned', 'open')
ORDER BY s.started_at, i.session, i.process, i.start_ns, i.interval
