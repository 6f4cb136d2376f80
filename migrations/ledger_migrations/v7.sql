-- Schema 7: a journal that was cut after it was read, and has grown again, is read anew.

ALTER TABLE journal_progress ADD COLUMN tail TEXT;

-- Which parts of a compile cache's key changed is told of logs too, with what they were and are.

DROP VIEW cache_key_changes;
CREATE VIEW cache_key_changes AS
WITH made AS MATERIALIZED (
    SELECT session, component, data
    FROM intervals
    WHERE (stage = 'backend_compile' AND source = 'backend')
        OR (stage = 'torch_compile' AND source = 'log') -- it names the cache's directory, and perhaps the parts
),
noted AS ( -- The ranks of a session have the same keys, mostly.
    SELECT session, component, json_extract(data, '$.cache_key') AS key FROM made
    UNION
    SELECT session, NULL, json_extract(data, '$.cache_key_env') FROM made -- noted once for a whole process
),
of_session AS (
    SELECT DISTINCT session, component, '[' || group_concat(key) OVER (
        PARTITION BY session, component ORDER BY key
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) || ']' AS keys
    FROM noted
    WHERE key IS NOT NULL
),
paired AS MATERIALIZED (
    SELECT
        k.session,
        k.component,
        k.keys,
        lag(k.session) OVER before AS session_before,
        lag(k.keys) OVER before AS keys_before,
        row_number() OVER (PARTITION BY k.component, k.keys ORDER BY s.started_at, k.session) = 1 AS is_new
    FROM of_session k
    JOIN sessions s USING (session)
    WINDOW before AS (PARTITION BY k.component ORDER BY s.started_at, k.session)
),
changed AS MATERIALIZED (
    SELECT * FROM paired WHERE keys <> keys_before
),
parts AS (
    SELECT c.session, c.component, c.session_before, c.is_new, part.key AS part, part.value, 'now' AS at
    FROM changed c
    JOIN json_each(c.keys) AS of_rank
    JOIN json_each(of_rank.value) AS part
    UNION
    SELECT c.session, c.component, c.session_before, c.is_new, part.key, part.value, 'before'
    FROM changed c
    JOIN json_each(c.keys_before) AS of_rank
    JOIN json_each(of_rank.value) AS part
)
SELECT
    session, component, part, session_before, is_new,
    group_concat(value, ', ') FILTER (WHERE at = 'before') AS value_before,
    group_concat(value, ', ') FILTER (WHERE at = 'now') AS value_now
FROM (
    SELECT session, component, part, session_before, is_new, value, min(at) AS at
    FROM parts
    GROUP BY session, component, part, value
    HAVING count(*) = 1 -- at one of the two times alone
)
GROUP BY session, component, part;
