-- Which processes took part, how did each end, and are any of its events missing?
WITH named AS (
    SELECT session, process, coalesce(iif(
        count(*) OVER (PARTITION BY session, name) > 1, name || ' [' || process || ']', name
    ), process) AS name
    FROM processes
)
SELECT
    coalesce(s.label, s.session) AS label,
    n.name,
    p.rank,
    p.outcome,
    p.event_count AS events,
    p.lost_events AS lost,
    p.missing_hooks
FROM processes p
JOIN named n USING (session, process)
JOIN sessions s USING (session)
ORDER BY s.started_at, p.started_at, p.process
