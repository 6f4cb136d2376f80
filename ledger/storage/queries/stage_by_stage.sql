-- Which stages take longer or shorter than in the previous session, by the slowest process, in which versions?
WITH of_process AS (
    SELECT
        i.session,
        i.process,
        p.name AS slowest,
        i.role,
        i.stage,
        i.source,
        CAST(sum(1.0 * i.duration_ns) AS INTEGER) AS ns,
        count(*) AS times
    FROM intervals i
    JOIN process_names p USING (session, process)
    WHERE i.source <> 'torch' AND i.duration_ns IS NOT NULL
    GROUP BY i.session, i.process, p.name, i.role, i.stage, i.source
),
ranked AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY session, role, stage, source) AS processes,
        row_number() OVER (PARTITION BY session, role, stage, source ORDER BY ns DESC, slowest, process) AS place
    FROM of_process
),
paired AS (
    SELECT
        g.*,
        coalesce(s.label, s.session) AS label,
        s.started_at,
        s.vllm_version,
        s.torch_version,
        lag(g.ns) OVER before AS ns_before,
        lag(coalesce(s.label, s.session)) OVER before AS label_before
    FROM ranked g
    JOIN sessions s USING (session)
    WHERE g.place = 1 -- processes run side by side: their times are not to be added up
    WINDOW before AS (PARTITION BY g.role, g.stage, g.source ORDER BY s.started_at, s.session)
)
SELECT
    label,
    label_before AS before,
    vllm_version AS vllm,
    torch_version AS torch,
    role,
    stage,
    slowest,
    processes,
    times,
    ns / 1e9 AS seconds,
    (ns - ns_before) / 1e9 AS more
FROM paired
WHERE ns_before IS NOT NULL
ORDER BY started_at, abs(1.0 * ns - ns_before) DESC, session, role, stage, source
LIMIT 10
