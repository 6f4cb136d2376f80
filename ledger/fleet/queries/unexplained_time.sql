-- Which time before ready is in no stage, between which stages does it lie, and in how many starts?
WITH of_window AS ( -- before it is joined: there are many holes in each
    SELECT session, window, after_stage, before_stage, sum(duration_ns) AS ns
    FROM startup_breakdown
    WHERE interval IS NULL
    GROUP BY session, window, after_stage, before_stage
),
of_start AS (
    SELECT st.session, o.after_stage, o.before_stage, CAST(o.ns AS DECIMAL(38, 0)) AS ns
    FROM of_window o
    JOIN starts st ON st.session = o.session AND st.window = o.window
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
