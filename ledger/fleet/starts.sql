-- One row for each session: when and where it started, of what, and how long it took to be ready.
WITH readiness AS ( -- the windows that ended with being ready, the first one first
    SELECT
        session,
        window,
        ended_by,
        duration_ns,
        unattributed_ns,
        row_number() OVER (PARTITION BY session ORDER BY window) AS nth
    FROM startup_windows
    WHERE ended_by IN ('server_ready', 'engine_ready')
),
hosts AS (
    SELECT session, host, row_number() OVER (PARTITION BY session ORDER BY started_at, process) AS nth
    FROM processes
    WHERE host IS NOT NULL
),
answers AS (
    SELECT
        session,
        max(CASE WHEN fx_graph_cache = 'miss' OR aot_cache = 'miss' THEN 1 ELSE 0 END) AS has_missed,
        max(CASE WHEN fx_graph_cache = 'hit' OR aot_cache = 'hit' THEN 1 ELSE 0 END) AS has_hit
    FROM compilations
    GROUP BY session
),
commands AS ( -- from where the model is named on
    SELECT
        session,
        label,
        started_at,
        outcome,
        vllm_version,
        torch_version,
        CASE
            WHEN instr(command, '"--model", "') > 0 THEN substr(command, instr(command, '"--model", "') + 12)
            WHEN instr(command, '"--model=') > 0 THEN substr(command, instr(command, '"--model=') + 9)
            WHEN instr(command, '"--model-path", "') > 0
                THEN substr(command, instr(command, '"--model-path", "') + 17)
            WHEN instr(command, '"serve", "') > 0 THEN substr(command, instr(command, '"serve", "') + 10)
        END AS rest
    FROM sessions
)
SELECT
    s.session,
    s.label,
    substr(s.started_at, 1, 10) AS day,
    s.started_at,
    s.outcome,
    h.host,
    CASE WHEN s.rest NOT LIKE '-%' THEN substr(s.rest, 1, instr(s.rest, '"') - 1) END AS model,
    s.vllm_version,
    s.torch_version,
    coalesce(
        'vllm ' || s.vllm_version || ', torch ' || s.torch_version,
        'vllm ' || s.vllm_version,
        'torch ' || s.torch_version
    ) AS versions,
    CASE WHEN a.has_missed = 1 THEN 'cold' WHEN a.has_hit = 1 THEN 'warm' END AS cache,
    w.window,
    w.ended_by AS ready_by,
    w.duration_ns AS ready_ns,
    w.unattributed_ns
FROM commands s
LEFT JOIN hosts h ON h.session = s.session AND h.nth = 1
LEFT JOIN answers a ON a.session = s.session
LEFT JOIN readiness w ON w.session = s.session AND w.nth = 1
