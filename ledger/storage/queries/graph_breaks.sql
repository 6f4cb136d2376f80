-- Where could Dynamo not go on, and why?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    replace(b.file, rtrim(b.file, replace(b.file, '/', '')), '') || ':' || b.line AS place,
    sum(b.count) AS times,
    max(CASE WHEN c.has_code THEN 0 WHEN NOT c.has_code THEN 1 END) AS eager,
    substr(b.reason, 1, instr(b.reason || char(10), char(10)) - 1) AS reason
FROM graph_breaks b
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
JOIN compilations c ON c.session = b.session AND c.process = b.process
    AND c.compile_id IS b.compile_id AND c.ordinal = b.ordinal
GROUP BY s.started_at, s.label, s.session, b.session, b.process, p.name, b.file, b.line, b.reason
ORDER BY s.started_at, b.session, p.name, b.process, sum(b.count) DESC, b.file, b.line, b.reason
LIMIT 20
