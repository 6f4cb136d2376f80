-- Which components were compiled or loaded, and which attempts to load missed or failed?
WITH compiles AS (
    SELECT
        i.session,
        i.process,
        i.interval,
        i.role,
        i.component,
        i.start_ns,
        i.stop_ns,
        coalesce(i.duration_ns, i.open_ns) AS ns,
        coalesce(json_extract(i.data, '$.cache'), i.outcome) AS cache
    FROM intervals i
    WHERE (i.stage = 'torch_compile' AND i.source = 'monitor')
        -- A log counts only for sessions without a recording; it has no line for a cache miss.
        OR (
            i.source = 'log'
            AND (i.stage = 'torch_compile' OR (i.stage = 'aot_load' AND i.outcome = 'failed'))
            AND i.session NOT IN (
                SELECT session FROM intervals WHERE stage = 'torch_compile' AND source = 'monitor'
            )
        )
),
graphs AS (
    SELECT
        session,
        process,
        role,
        start_ns,
        stop_ns,
        json_extract(data, '$.cache') AS cache
    FROM intervals
    WHERE stage IN ('graph_compile', 'graph_load') AND source = 'backend'
        AND json_extract(data, '$.graph_index') IS NOT NULL
),
loaded AS ( -- vLLM calls it a compile, and had each graph from its cache, or from a graph before it.
    SELECT c.session, c.process, c.interval
    FROM compiles c
    JOIN graphs g
        ON g.session = c.session AND g.process = c.process AND g.role IS c.role
        AND g.start_ns >= c.start_ns AND g.stop_ns <= c.stop_ns
    WHERE c.cache = 'compiled'
    GROUP BY c.session, c.process, c.interval
    HAVING count(*) FILTER (WHERE g.cache = 'hit') > 0
        AND count(*) FILTER (WHERE g.cache NOT IN ('hit', 'reused')) = 0
),
named AS (
    SELECT c.*, iif(l.interval IS NULL, c.cache, 'graphs loaded') AS came_from
    FROM compiles c
    LEFT JOIN loaded l USING (session, process, interval)
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    c.role,
    c.component,
    c.came_from AS cache,
    count(*) AS times,
    sum(1.0 * c.ns) / 1e9 AS seconds
FROM named c
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
GROUP BY s.started_at, s.label, s.session, c.process, p.name, c.role, c.component, c.came_from
ORDER BY s.started_at, s.session, p.name, c.process, min(c.start_ns), c.role, c.component, c.came_from
