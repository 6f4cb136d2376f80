-- What was compiled again, how often, and why?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    c.function || ' (' || replace(c.file, rtrim(c.file, replace(c.file, '/', '')), '') || ':' || c.line || ')'
        AS function,
    count(*) AS times,
    sum(1.0 * c.duration_ns) / 1e9 AS seconds,
    -- Without the version whose guard failed ("2/0: "), the source of the guard, and where it was asked for.
    rtrim(substr(
        substr(c.reason, 1, instr(c.reason || char(10), char(10)) - 1),
        iif(instr(c.reason, ': ') BETWEEN 1 AND 12, instr(c.reason, ': ') + 2, 1),
        iif(instr(c.reason, '  #') > 0, instr(c.reason, '  #') - instr(c.reason, ': ') - 2, 500)
    )) AS why
FROM compilations c
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE c.kind = 'recompile'
GROUP BY s.started_at, s.label, s.session, c.session, c.process, p.name, c.function, c.file, c.line, why
ORDER BY
    s.started_at, c.session, p.name, c.process, sum(1.0 * c.duration_ns) DESC, c.function, c.file, c.line, why
LIMIT 20
