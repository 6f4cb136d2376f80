-- How far apart are two sources on the same role's compile time?
SELECT
    s.label,
    a.role,
    a.source AS one,
    a.total_s AS one_s,
    b.source AS other,
    b.total_s AS other_s,
    (a.total_ns - b.total_ns) / 1e9 AS difference_s
FROM source_totals a
JOIN source_totals b
    ON b.session = a.session AND b.process = a.process
    AND b.role IS a.role AND b.activity = a.activity AND b.source > a.source
JOIN sessions s ON s.session = a.session
WHERE a.activity = 'compile'
ORDER BY s.started_at, a.role
