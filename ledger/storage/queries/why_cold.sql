-- Why was a start cold: which parts of the compile cache's key changed since the previous start?
SELECT
    coalesce(s.label, s.session) AS label,
    coalesce(b.label, b.session) AS before,
    c.component,
    c.part,
    c.value_before,
    c.value_now
FROM cache_key_changes c
JOIN sessions s USING (session)
JOIN sessions b ON b.session = c.session_before
ORDER BY s.started_at, c.session, c.component, c.part
