-- How long did each graph and range take, compared with the log lines about its range?
WITH graphs AS (
    SELECT
        i.*,
        json_extract(i.data, '$.range') AS range,
        CAST(json_extract(i.data, '$.graph_index') AS INTEGER) AS graph,
        json_extract(i.data, '$.cache') AS cache
    FROM intervals i
    WHERE i.stage IN ('graph_compile', 'graph_load') AND i.source = 'backend'
),
lines AS (
    SELECT session, process, component, json_extract(data, '$.range') AS range, sum(1.0 * claimed_ns) / 1e9 AS seconds
    FROM claims
    WHERE stage IN ('graph_compile', 'graph_load') AND counts = 'interval'
    GROUP BY session, process, component, json_extract(data, '$.range')
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    g.component,
    g.range,
    g.graph,
    g.cache,
    g.duration_s AS seconds,
    sum(1.0 * g.duration_ns) OVER (PARTITION BY g.session, g.process, g.component, g.range) / 1e9 AS of_range,
    l.seconds AS line_says
FROM graphs g
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
LEFT JOIN lines l
    ON l.session = g.session AND l.process = g.process AND l.component IS g.component AND l.range IS g.range
WHERE g.graph IS NOT NULL
ORDER BY s.started_at, g.session, p.name, g.start_ns, g.process, g.interval
