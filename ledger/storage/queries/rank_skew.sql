-- How far apart are the ranks, and does any rank take the sum of the roles' maxima?
WITH ranks AS (
    SELECT
        session,
        role,
        max(total_ns) AS slowest_ns,
        min(total_ns) AS fastest_ns,
        count(*) AS ranks,
        sum(1.0 * max(total_ns)) OVER (PARTITION BY session) AS sum_of_maxima_ns
    FROM role_totals
    WHERE activity = 'compile' AND total_ns > 0
    GROUP BY session, role
),
of_rank AS (
    SELECT session, CAST(sum(1.0 * total_ns) AS INTEGER) AS ns
    FROM role_totals
    WHERE activity = 'compile'
    GROUP BY session, process
),
most AS (
    SELECT session, max(ns) AS of_a_rank_ns
    FROM of_rank
    GROUP BY session
)
SELECT
    coalesce(s.label, s.session) AS label,
    r.role,
    r.ranks,
    p.name AS slowest,
    r.slowest_ns / 1e9 AS slowest_seconds,
    (r.slowest_ns - r.fastest_ns) / 1e9 AS spread,
    r.sum_of_maxima_ns / 1e9 AS sum_of_maxima,
    most.of_a_rank_ns / 1e9 AS most_of_a_rank
FROM ranks r
JOIN most USING (session)
JOIN sessions s USING (session)
LEFT JOIN session_totals m ON m.session = r.session AND m.role IS r.role AND m.activity = 'compile'
LEFT JOIN process_names p ON p.session = r.session AND p.process = m.slowest_process
ORDER BY s.started_at, r.session, r.role
