-- Why did caches have nothing, in how many starts, and how long did these compile for it?
WITH parts AS ( -- of a key; those of the environment belong to every component's
    SELECT f.session, f.stake_ns, f.finding, c.part AS reason
    FROM findings f
    JOIN cache_key_changes c ON c.session = f.session AND c.component = f.component
    WHERE f.finding = 'cache_key_changed' AND c.is_new AND c.part <> 'env'
    UNION ALL
    SELECT f.session, f.stake_ns, f.finding, c.part
    FROM findings f
    JOIN cache_key_changes c ON c.session = f.session
    WHERE f.finding = 'cache_key_changed' AND c.component IS NULL
),
passed_by AS (
    SELECT
        session,
        duration_ns AS stake_ns,
        CASE WHEN fx_graph_cache = 'bypass' OR aot_cache = 'bypass' THEN 'cache_bypassed' ELSE 'cache_disabled' END
            AS finding,
        cache_bypass_reason AS reason
    FROM compilations
    WHERE fx_graph_cache IN ('bypass', 'disabled') OR aot_cache IN ('bypass', 'disabled')
),
missed AS (
    SELECT session, stake_ns, finding, reason FROM parts
    UNION ALL
    SELECT session, stake_ns, finding, reason FROM passed_by
    UNION ALL
    SELECT session, stake_ns, finding, NULL FROM findings WHERE finding IN ('cache_empty', 'cache_load_failed')
),
of_start AS ( -- what several components miss at once is counted once
    SELECT session, finding, reason, count(*) AS times, max(stake_ns) AS ns
    FROM missed
    GROUP BY session, finding, reason
)
SELECT
    finding,
    reason,
    count(*) AS starts,
    sum(times) AS times,
    sum(CAST(ns AS DECIMAL(38, 0))) / 1e9 AS seconds
FROM of_start
GROUP BY finding, reason
ORDER BY sum(CAST(ns AS DECIMAL(38, 0))) DESC, finding, reason
LIMIT 30
