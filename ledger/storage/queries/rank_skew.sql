-- How far apart are the ranks, and is the sum of the roles' maxima the time of any of them?
WITH ranks AS (
    SELECT
        t.session,
        t.role,
        max(t.total_ns) AS slowest_ns,
        min(t.total_ns) AS fastest_ns,
        count(*) AS ranks
    FROM role_totals t
    WHERE t.activity = 'compile' AND t.total_ns > 0
    GROUP BY t.session, t.role
),
whole AS (
    SELECT session, process, sum(total_ns) AS of_rank_ns
    FROM role_totals
    WHERE activity = 'compile'
    GROUP BY session, process
)
SELECT
    coalesce(s.label, s.session) AS label,
    r.role,
    r.ranks,
    p.name AS slowest,
    r.slowest_ns / 1e9 AS slowest_seconds,
    (r.slowest_ns - r.fastest_ns) / 1e9 AS spread,
    (SELECT sum(slowest_ns) FROM ranks WHERE session = r.session) / 1e9 AS sum_of_maxima,
    (SELECT max(of_rank_ns) FROM whole WHERE session = r.session) / 1e9 AS most_of_a_rank
FROM ranks r
JOIN sessions s USING (session)
LEFT JOIN session_totals m ON m.session = r.session AND m.role IS r.role AND m.activity = 'compile'
LEFT JOIN processes p ON p.session = r.session AND p.process = m.slowest_process
ORDER BY s.started_at, r.role
