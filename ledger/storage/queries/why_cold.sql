-- Why was a start cold: which parts of the compile cache's key changed since the previous start?
WITH keys AS (
    SELECT i.session, i.component, part.key AS part, part.value
    FROM intervals i
    JOIN json_each(i.data, '$.cache_key') AS part
    WHERE i.stage = 'backend_compile' AND i.source = 'backend'
    UNION -- The ranks of a session have the same keys, mostly.
    SELECT i.session, i.component, part.key, part.value
    FROM intervals i
    JOIN json_each(i.data, '$.cache_key_env') AS part
    WHERE i.stage = 'backend_compile' AND i.source = 'backend'
),
of_session AS (
    SELECT DISTINCT session, component, part, group_concat(value, ' ') OVER (
        PARTITION BY session, component, part ORDER BY value
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS value
    FROM keys
),
paired AS (
    SELECT
        k.*,
        coalesce(s.label, s.session) AS label,
        s.started_at,
        lag(k.value) OVER before AS value_before,
        lag(coalesce(s.label, s.session)) OVER before AS label_before
    FROM of_session k
    JOIN sessions s USING (session)
    WINDOW before AS (PARTITION BY k.component, k.part ORDER BY s.started_at, s.session)
)
SELECT label, label_before AS before, component, part
FROM paired
WHERE value_before <> value
ORDER BY started_at, component, part
