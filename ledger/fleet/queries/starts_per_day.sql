-- How many starts did each label have on each day, how many became ready, and after how long?
WITH ranked AS (
    SELECT
        day,
        label,
        ready_ns,
        count(ready_ns) OVER (PARTITION BY day, label) AS number,
        row_number() OVER (PARTITION BY day, label, ready_ns IS NULL ORDER BY ready_ns, session) AS place
    FROM starts
)
SELECT
    day,
    label,
    count(*) AS starts,
    count(ready_ns) AS ready,
    min(CASE WHEN 100 * place >= 50 * number THEN ready_ns END) / 1e9 AS p50,
    min(CASE WHEN 100 * place >= 90 * number THEN ready_ns END) / 1e9 AS p90,
    min(CASE WHEN 100 * place >= 99 * number THEN ready_ns END) / 1e9 AS p99
FROM ranked
GROUP BY day, label
ORDER BY day, label
