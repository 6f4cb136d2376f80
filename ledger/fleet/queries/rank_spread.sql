-- How far apart are the ranks of a start, and is it always the same rank that is slowest?
WITH ranks AS (
    SELECT
        t.session,
        t.role,
        t.activity,
        p.rank,
        t.total_ns,
        count(*) OVER (PARTITION BY t.session, t.role, t.activity) AS ranks,
        min(t.total_ns) OVER (PARTITION BY t.session, t.role, t.activity) AS fastest_ns,
        row_number() OVER (
            PARTITION BY t.session, t.role, t.activity ORDER BY t.total_ns DESC, p.rank, t.process
        ) AS nth
    FROM role_totals t
    JOIN processes p ON p.session = t.session AND p.process = t.process
    WHERE p.rank IS NOT NULL
),
spreads AS (
    SELECT
        st.label,
        r.role,
        r.activity,
        r.session,
        r.ranks,
        r.rank,
        r.total_ns - r.fastest_ns AS spread_ns,
        count(*) OVER (PARTITION BY st.label, r.role, r.activity) AS number,
        row_number() OVER (
            PARTITION BY st.label, r.role, r.activity ORDER BY r.total_ns - r.fastest_ns, r.session
        ) AS place,
        count(*) OVER (PARTITION BY st.label, r.role, r.activity, r.rank) AS times_slowest
    FROM ranks r
    JOIN starts st ON st.session = r.session
    WHERE r.nth = 1 AND r.ranks > 1
),
often AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY label, role, activity ORDER BY times_slowest DESC, rank, session) AS by_times
    FROM spreads
)
SELECT
    label,
    role,
    activity,
    count(*) AS starts,
    max(ranks) AS ranks,
    min(CASE WHEN 100 * place >= 50 * number THEN spread_ns END) / 1e9 AS p50,
    min(CASE WHEN 100 * place >= 90 * number THEN spread_ns END) / 1e9 AS p90,
    max(spread_ns) / 1e9 AS widest,
    max(CASE WHEN place = number THEN session END) AS widest_in,
    max(CASE WHEN by_times = 1 THEN rank END) AS often_slowest,
    max(CASE WHEN by_times = 1 THEN times_slowest END) AS times_slowest
FROM often
GROUP BY label, role, activity
ORDER BY min(CASE WHEN 100 * place >= 90 * number THEN spread_ns END) DESC, label, role, activity
LIMIT 30
