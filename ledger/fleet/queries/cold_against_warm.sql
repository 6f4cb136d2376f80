-- How much longer do starts take that compile than starts that load from their caches?
WITH ranked AS (
    SELECT
        label,
        cache,
        ready_ns,
        count(*) OVER (PARTITION BY label, cache) AS number,
        row_number() OVER (PARTITION BY label, cache ORDER BY ready_ns, session) AS place
    FROM starts
    WHERE ready_ns IS NOT NULL
),
medians AS (
    SELECT
        label,
        count(CASE WHEN cache = 'cold' THEN 1 END) AS cold,
        count(CASE WHEN cache = 'warm' THEN 1 END) AS warm,
        count(CASE WHEN cache IS NULL THEN 1 END) AS unknown,
        min(CASE WHEN cache = 'cold' AND 100 * place >= 50 * number THEN ready_ns END) AS cold_ns,
        min(CASE WHEN cache = 'warm' AND 100 * place >= 50 * number THEN ready_ns END) AS warm_ns
    FROM ranked
    GROUP BY label
)
SELECT
    label,
    cold,
    warm,
    unknown,
    cold_ns / 1e9 AS p50_cold,
    warm_ns / 1e9 AS p50_warm,
    (cold_ns - warm_ns) / 1e9 AS difference
FROM medians
ORDER BY cold_ns - warm_ns DESC, label
