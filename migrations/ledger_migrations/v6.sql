-- Schema 6: what a reader can act upon, why a start's caches had nothing, and what processes are called.

-- What to call a process where rows of several stand beside each other.
CREATE VIEW process_names AS
SELECT
    session,
    process,
    coalesce(
        iif(count(*) OVER (PARTITION BY session, name) > 1, name || ' [' || process || ']', name),
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

-- The parts of compile caches' keys that are not what they were in the start before.
CREATE VIEW cache_key_changes AS
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
        k.session,
        k.component,
        k.part,
        k.value,
        lag(k.value) OVER before AS value_before,
        lag(k.session) OVER before AS session_before
    FROM of_session k
    JOIN sessions s USING (session)
    WINDOW before AS (PARTITION BY k.component, k.part ORDER BY s.started_at, s.session)
)
SELECT session, component, part, session_before
FROM paired
WHERE value_before <> value;

CREATE VIEW findings AS
WITH changes AS (
    SELECT
        c.session,
        c.component,
        group_concat(DISTINCT c.part) AS parts,
        count(DISTINCT c.part) AS number,
        coalesce(max(s.label), max(c.session_before)) AS before
    FROM cache_key_changes c
    JOIN sessions s ON s.session = c.session_before
    GROUP BY c.session, c.component
)
SELECT
    f.session,
    iif(c.parts IS NULL, f.finding, 'cache_key_changed') AS finding,
    f.stake_ns,
    f.process,
    f.role,
    f.component,
    iif(c.parts IS NULL, f.summary, coalesce(f.component || ' was compiled', 'Compiled') || ', since '
        || iif(c.number > 3, c.number || ' parts', replace(c.parts, ',', ', ')) || ' of the cache key changed')
        AS summary,
    iif(c.parts IS NULL, f.advice, 'Compare with the start before: compile-ledger diff FILE ' || c.before) AS advice,
    f.intervals,
    f.claims,
    f.stake_ns / 1e9 AS stake_s,
    f.number
FROM projected_findings f
LEFT JOIN changes c ON f.finding = 'cache_empty' AND c.session = f.session AND c.component IS f.component;
