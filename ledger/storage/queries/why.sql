-- Which claims disagree with the measurement, by how much, and why?
SELECT
    coalesce(s.label, s.session) AS label,
    c.source,
    c.role,
    c.counts,
    r.claimed_s AS claimed,
    r.measured_s AS measured,
    k.cause,
    k.stage,
    k.ns / 1e9 AS seconds,
    substr(c.text, 1, 60) AS text
FROM causes k
JOIN reconciliation r USING (session, process, claim)
JOIN claims c USING (session, process, claim)
JOIN sessions s USING (session)
WHERE k.cause <> 'rounding'
ORDER BY s.started_at, abs(k.ns) DESC
LIMIT 10
