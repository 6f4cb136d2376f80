-- What are the largest claims, by source, and which text states them?
SELECT
    coalesce(s.label, s.session) AS label,
    c.source,
    c.role,
    c.stage,
    c.counts,
    c.claimed_s AS seconds,
    c.text
FROM claims c
JOIN sessions s USING (session)
ORDER BY c.claimed_ns DESC, c.text
LIMIT 8
