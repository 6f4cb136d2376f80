-- Which components were compiled or loaded, and which attempts to load missed or failed?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    i.role,
    i.component,
    coalesce(json_extract(i.data, '$.cache'), i.outcome) AS cache,
    count(*) AS times,
    sum(coalesce(i.duration_s, i.open_s)) AS seconds
FROM intervals i
JOIN sessions s USING (session)
JOIN processes p USING (session, process)
WHERE (i.stage = 'torch_compile' AND i.source = 'monitor')
    -- A log counts only for sessions without a recording; it has no line for a cache miss.
    OR (
        i.source = 'log'
        AND (i.stage = 'torch_compile' OR (i.stage = 'aot_load' AND i.outcome = 'failed'))
        AND i.session NOT IN (
            SELECT session FROM intervals WHERE stage = 'torch_compile' AND source = 'monitor'
        )
    )
GROUP BY i.session, i.process, i.role, i.component, cache
ORDER BY s.started_at, p.name, min(i.start_ns)
