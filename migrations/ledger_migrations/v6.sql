-- Schema 6: what a reader can act upon, why a start's caches had nothing, and what processes are called.

-- What to call a process where rows of several stand beside each other.
CREATE VIEW process_names AS
SELECT
    session,
    process,
    coalesce(
        name || CASE
            WHEN count(*) OVER (PARTITION BY session, name) = 1 THEN ''
            WHEN count(*) OVER (PARTITION BY session, name, pid) = 1 THEN ' pid ' || pid
            ELSE ' [' || process || ']'
        END,
        process
    ) AS name
FROM processes;

-- The stages around each piece of a start, so that pieces add up to any of them.
ALTER TABLE startup_breakdown ADD COLUMN path TEXT;

-- What each session's own events give. Which of several starts differ in their caches' keys is in the view.
CREATE TABLE projected_findings (
    session TEXT NOT NULL,
    number INTEGER NOT NULL,
    finding TEXT NOT NULL,
    stake_ns INTEGER NOT NULL,
    process TEXT,
    role TEXT,
    component TEXT,
    summary TEXT NOT NULL,
    advice TEXT NOT NULL,
    intervals TEXT NOT NULL,
    claims TEXT NOT NULL
) STRICT;

CREATE INDEX projected_findings_by_session ON projected_findings (session);

-- The parts of compile caches' keys that are not what they were in the start before. Those of the environment,
-- without a component, are part of every component's key.
CREATE VIEW cache_key_changes AS
WITH made AS MATERIALIZED (
    SELECT session, component, data
    FROM intervals
    WHERE stage = 'backend_compile' AND source = 'backend'
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
SELECT DISTINCT session, component, part, session_before, is_new
FROM (
    SELECT session, component, part, session_before, is_new
    FROM parts
    GROUP BY session, component, part, value
    HAVING count(*) = 1 -- at one of the two times alone
);

CREATE VIEW findings AS
WITH changes AS MATERIALIZED (
    SELECT * FROM cache_key_changes
),
named AS ( -- of keys that no earlier start had: the cache may have had something for others
    SELECT session, component, part FROM changes
    WHERE component IS NOT NULL AND part <> 'env' AND is_new
    UNION
    SELECT c.session, c.component, coalesce(v.part, c.part)
    FROM changes c
    LEFT JOIN changes v ON v.session = c.session AND v.component IS NULL AND v.session_before = c.session_before
    WHERE c.component IS NOT NULL AND c.part = 'env' AND c.is_new
),
counted AS (
    SELECT session, component, part,
        row_number() OVER (PARTITION BY session, component ORDER BY part) AS nth,
        count(*) OVER (PARTITION BY session, component) AS number
    FROM named
),
reasons AS MATERIALIZED (
    SELECT session, component,
        group_concat(part, ', ') || iif(max(number) > 2, ' and ' || (max(number) - 2) || ' more', '') AS parts
    FROM counted
    WHERE nth <= 2
    GROUP BY session, component
)
SELECT
    f.session,
    iif(r.parts IS NULL, f.finding, 'cache_key_changed') AS finding,
    f.stake_ns,
    f.process,
    f.role,
    f.component,
    iif(r.parts IS NULL, f.summary, replace(
        f.summary, ': the cache had nothing for it', ' (key changed: ' || r.parts || ')'
    )) AS summary,
    iif(r.parts IS NULL, f.advice, 'Undo that change, or keep both caches; see the query `why_cold`') AS advice,
    f.intervals,
    f.claims,
    f.stake_ns / 1e9 AS stake_s,
    f.number
FROM projected_findings f
LEFT JOIN reasons r ON f.finding = 'cache_empty' AND r.session = f.session AND r.component = f.component;
