-- By how much does the sum of a source's intervals exceed the time on the clock?
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    t.role,
    t.source,
    t.total_s AS seconds,
    t.naive_sum_s AS added_up,
    t.double_counted_s AS counted_twice
FROM source_totals t
JOIN sessions s USING (session)
LEFT JOIN process_names p USING (session, process)
WHERE t.activity = 'compile'
ORDER BY s.started_at, t.session, p.name, t.process, t.role, t.source
