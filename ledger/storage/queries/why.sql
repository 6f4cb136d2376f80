-- Which claims disagree with the measurement, vLLM's before torch's, by how much, and why?
SELECT
    coalesce(start.label, start.session) AS label,
    p.name AS process,
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
JOIN sessions start USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE k.cause <> 'rounding'
ORDER BY
    start.started_at, c.session, c.source = 'torch', abs(1.0 * k.ns) DESC, c.process, c.claim, k.cause, k.stage
LIMIT 10
