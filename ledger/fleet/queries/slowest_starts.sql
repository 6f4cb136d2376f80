-- Which starts took the longest to be ready, and on what?
WITH slowest AS (
    SELECT *
    FROM starts
    WHERE ready_ns IS NOT NULL
    ORDER BY ready_ns DESC, session
    LIMIT 20
),
stages AS (
    SELECT
        s.session,
        coalesce(b.stage, '(unattributed)') AS stage,
        sum(CAST(b.duration_ns AS DECIMAL(38, 0))) AS ns
    FROM startup_breakdown b
    JOIN slowest s ON s.session = b.session AND s.window = b.window
    GROUP BY s.session, coalesce(b.stage, '(unattributed)')
),
longest AS (
    SELECT *, row_number() OVER (PARTITION BY session ORDER BY ns DESC, stage) AS nth
    FROM stages
)
SELECT
    s.session,
    s.label,
    s.started_at,
    s.host,
    s.model,
    s.versions,
    s.cache,
    s.ready_ns / 1e9 AS seconds,
    l.stage AS longest_stage,
    l.ns / 1e9 AS longest,
    s.unattributed_ns / 1e9 AS unattributed
FROM slowest s
LEFT JOIN longest l ON l.session = s.session AND l.nth = 1
ORDER BY s.ready_ns DESC, s.session
