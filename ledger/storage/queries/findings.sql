-- What can be acted upon in each start, and how much time is at stake?
SELECT
    coalesce(s.label, s.session) AS label,
    f.stake_s AS seconds,
    f.finding,
    p.name AS process,
    f.summary,
    f.advice
FROM findings f
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
ORDER BY s.started_at, f.session, f.stake_ns DESC, f.number
LIMIT 40
