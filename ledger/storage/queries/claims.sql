-- What are the largest claims, vLLM's before torch's, and which text states them?
WITH named AS (
    SELECT session, process, coalesce(iif(
        count(*) OVER (PARTITION BY session, name) > 1, name || ' [' || process || ']', name
    ), process) AS name
    FROM processes
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    c.source,
    c.role,
    c.stage,
    c.counts,
    c.claimed_s AS seconds,
    c.text
FROM claims c
JOIN sessions s USING (session)
LEFT JOIN named p USING (session, process)
ORDER BY c.source = 'torch', c.claimed_ns DESC, c.text
LIMIT 8
