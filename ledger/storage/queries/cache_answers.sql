-- What did torch's compile caches answer, and how long did those compiles take?
WITH every AS (
    SELECT session, process, 'FX graph' AS cache, fx_graph_cache AS answer, duration_ns, cache_bypass_reason
    FROM compilations
    UNION ALL
    SELECT session, process, 'AOTAutograd', aot_cache, duration_ns, cache_bypass_reason FROM compilations
    UNION ALL
    SELECT session, process, 'autotune', autotune_cache, duration_ns, NULL FROM compilations
    UNION ALL
    SELECT session, process, 'remote', remote_cache, duration_ns, NULL FROM compilations
),
answers AS (
    SELECT *, CASE WHEN answer IN ('bypass', 'disabled') THEN cache_bypass_reason END AS reason
    FROM every
    WHERE answer IS NOT NULL
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    a.cache,
    a.answer,
    count(*) AS compiles,
    sum(1.0 * a.duration_ns) / 1e9 AS seconds,
    min(a.reason)
        || iif(
            count(DISTINCT a.reason) > 1, ' and ' || CAST(count(DISTINCT a.reason) - 1 AS TEXT) || ' more', ''
        ) AS reason
FROM answers a
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
GROUP BY s.started_at, s.label, s.session, a.session, a.process, p.name, a.cache, a.answer
ORDER BY s.started_at, a.session, p.name, a.process, a.cache, a.answer
LIMIT 30
