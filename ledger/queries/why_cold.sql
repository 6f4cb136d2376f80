-- Why was a start cold: which parts of the compile cache's key are others than in the start before it?
WITH keys AS (
    SELECT
        i.session,
        s.label,
        s.started_at,
        i.component,
        part.fullkey AS part,
        part.value
    FROM intervals i
    JOIN sessions s USING (session)
    JOIN json_tree(i.data) AS part
    WHERE i.stage = 'backend_compile' AND i.source = 'backend'
        AND (part.path = '$.cache_key' OR part.path = '$.cache_key_env')
),
paired AS (
    SELECT
        *,
        lag(value) OVER (PARTITION BY component, part ORDER BY started_at) AS value_before,
        lag(label) OVER (PARTITION BY component, part ORDER BY started_at) AS label_before
    FROM keys
)
SELECT label, label_before AS before, component, part
FROM paired
WHERE value_before IS NOT NULL AND value_before <> value
ORDER BY started_at, component, part
