-- What are the largest claims, vLLM's before torch's, and which text states them?
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
LEFT JOIN process_names p USING (session, process)
ORDER BY c.source = 'torch', c.claimed_ns DESC, c.text, c.session, c.process, c.claim
LIMIT 8
