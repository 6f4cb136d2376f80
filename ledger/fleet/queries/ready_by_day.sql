-- How long did starts take to be ready on each day, all labels together?
WITH ranked AS (
    SELECT
        day,
        ready_ns,
        count(ready_ns) OVER (PARTITION BY day) AS number,
        row_number() OVER (PARTITION BY day, ready_ns IS NULL ORDER BY ready_ns, session) AS place
    FROM starts
)
SELECT
    day,
    count(*) AS starts,
    count(ready_ns) AS ready,
    min(CASE WHEN 100 * place >= 50 * number THEN ready_ns END) / 1e9 AS p50,
    min(CASE WHEN 100 * place >= 90 * number THEN ready_ns END) / 1e9 AS p90,
    min(CASE WHEN 100 * place >= 99 * number THEN ready_ns END) / 1e9 AS p99,
    max(ready_ns) / 1e9 AS slowest
FROM ranked
GROUP BY day
ORDER BY day
