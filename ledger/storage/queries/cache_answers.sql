-- What did torch's compile caches answer, and how long did those compiles take?
WITH answers AS (
    SELECT session, process, 'FX graph' AS cache, fx_graph_cache AS answer, duration_s, cache_bypass_reason FROM compilations
    UNION ALL
    SELECT session, process, 'AOTAutograd', aot_cache, duration_s, cache_bypass_reason FROM compilations
    UNION ALL
    SELECT session, process, 'autotune', autotune_cache, duration_s, NULL FROM compilations
    UNION ALL
    SELECT session, process, 'remote', remote_cache, duration_s, NULL FROM compilations
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    a.cache,
    a.answer,
    count(*) AS compiles,
    round(sum(a.duration_s), 2) AS seconds,
    group_concat(DISTINCT iif(a.answer IN ('bypass', 'disabled'), a.cache_bypass_reason, NULL)) AS reason
FROM answers a
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE a.answer IS NOT NULL
GROUP BY a.session, a.process, a.cache, a.answer
ORDER BY s.started_at, a.session, p.name, a.cache, a.answer
LIMIT 30
