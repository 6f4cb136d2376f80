-- Which processes took part, how did each end, and are any of its events missing?
SELECT
    coalesce(s.label, s.session) AS label,
    n.name,
    p.rank,
    p.outcome,
    p.event_count AS events,
    p.lost_events AS lost,
    p.missing_hooks
FROM processes p
JOIN process_names n USING (session, process)
JOIN sessions s USING (session)
ORDER BY s.started_at, p.started_at, p.process
