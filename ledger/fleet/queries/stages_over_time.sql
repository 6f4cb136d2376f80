-- Which share of the time to ready did each stage have on each day?
WITH of_window AS ( -- before it is joined: there are thousands of pieces in each
    SELECT session, window, activity, coalesce(stage, '(unattributed)') AS stage, sum(duration_ns) AS ns
    FROM startup_breakdown
    GROUP BY session, window, activity, coalesce(stage, '(unattributed)')
),
of_start AS (
    SELECT st.day, o.activity, o.stage, CAST(o.ns AS DECIMAL(38, 0)) AS ns
    FROM of_window o
    JOIN starts st ON st.session = o.session AND st.window = o.window
),
of_day AS (
    SELECT day, count(*) AS starts, sum(CAST(ready_ns AS DECIMAL(38, 0))) AS ns
    FROM starts
    WHERE ready_ns IS NOT NULL
    GROUP BY day
)
SELECT
    o.day,
    o.activity,
    o.stage,
    count(*) AS starts,
    sum(o.ns) / 1e9 / d.starts AS seconds_per_start,
    1e2 * (sum(o.ns) / 1e9) / (d.ns / 1e9) AS percent
FROM of_start o
JOIN of_day d ON d.day IS o.day
GROUP BY o.day, o.activity, o.stage, d.starts, d.ns
ORDER BY o.day, sum(o.ns) DESC, o.stage, o.activity
