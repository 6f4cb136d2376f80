-- Which stages spend the most time themselves, excluding stages inside them?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    i.role,
    i.stage,
    count(*) AS times,
    sum(1.0 * i.self_ns) / 1e9 AS self_seconds,
    sum(1.0 * i.duration_ns) / 1e9 AS with_what_they_call
FROM intervals i
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE i.activity = 'compile'
GROUP BY s.label, s.session, i.session, i.process, p.name, i.role, i.stage
ORDER BY sum(1.0 * i.self_ns) DESC, i.session, i.process, i.role, i.stage
LIMIT 8
