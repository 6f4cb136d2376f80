-- Which models, versions and hosts are the slowest to be ready?
WITH named AS (
    SELECT 'model' AS kind, model AS name, session, ready_ns FROM starts
    UNION ALL
    SELECT 'versions', versions, session, ready_ns FROM starts
    UNION ALL
    SELECT 'host', host, session, ready_ns FROM starts
),
ranked AS (
    SELECT
        kind,
        name,
        ready_ns,
        count(*) OVER (PARTITION BY kind, name) AS number,
        row_number() OVER (PARTITION BY kind, name ORDER BY ready_ns, session) AS place
    FROM named
    WHERE ready_ns IS NOT NULL
),
groups AS (
    SELECT
        kind,
        name,
        count(*) AS ready,
        min(CASE WHEN 100 * place >= 50 * number THEN ready_ns END) AS p50_ns,
        min(CASE WHEN 100 * place >= 90 * number THEN ready_ns END) AS p90_ns,
        max(ready_ns) AS slowest_ns
    FROM ranked
    GROUP BY kind, name
),
ordered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY p50_ns DESC, name) AS nth
    FROM groups
)
SELECT kind, name, ready, p50_ns / 1e9 AS p50, p90_ns / 1e9 AS p90, slowest_ns / 1e9 AS slowest
FROM ordered
WHERE nth <= 10
ORDER BY kind, nth
