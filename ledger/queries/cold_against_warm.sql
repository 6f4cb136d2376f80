-- What did each role's compile take in the first completed session and in the last?
WITH ends AS (
    SELECT min(session) AS first, max(session) AS last FROM sessions WHERE outcome = 'completed'
)
SELECT
    f.role,
    f.max_s AS first_seconds,
    l.max_s AS last_seconds,
    round(1.0 * f.max_ns / nullif(l.max_ns, 0), 1) AS times_faster
FROM ends
JOIN session_totals f ON f.session = ends.first AND f.activity = 'compile'
LEFT JOIN session_totals l ON l.session = ends.last AND l.activity = 'compile' AND l.role IS f.role
ORDER BY f.role
