-- Which time before ready is in no stage, between which stages does it lie, and in how many starts?
WITH of_start AS (
    SELECT st.session, b.after_stage, b.before_stage, sum(CAST(b.duration_ns AS DECIMAL(38, 0))) AS ns
    FROM startup_breakdown b
    JOIN starts st ON st.session = b.session AND st.window = b.window
    WHERE b.interval IS NULL
    GROUP BY st.session, b.after_stage, b.before_stage
),
ranked AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY after_stage, before_stage) AS number,
        row_number() OVER (PARTITION BY after_stage, before_stage ORDER BY ns, session) AS place
    FROM of_start
),
fleet AS (
    SELECT sum(CAST(ready_ns AS DECIMAL(38, 0))) AS ns FROM starts
)
SELECT
    r.after_stage,
    r.before_stage,
    count(*) AS starts,
    min(CASE WHEN 100 * r.place >= 50 * r.number THEN r.ns END) / 1e9 AS p50,
    min(CASE WHEN 100 * r.place >= 90 * r.number THEN r.ns END) / 1e9 AS p90,
    sum(r.ns) / 1e9 AS seconds,
    1e2 * (sum(r.ns) / 1e9) / (f.ns / 1e9) AS percent
FROM ranked r
CROSS JOIN fleet f
GROUP BY r.after_stage, r.before_stage, f.ns
ORDER BY sum(r.ns) DESC, r.after_stage, r.before_stage
LIMIT 30
