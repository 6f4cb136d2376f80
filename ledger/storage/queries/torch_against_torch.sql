-- What does each of torch's own reports add up to, compared with the clock, and why do they differ?
WITH reported AS (
    SELECT
        c.session,
        c.process,
        coalesce(json_extract(c.data, '$.report'), c.text) AS report,
        r.claimed_ns AS says_ns,
        r.measured_ns,
        k.cause,
        CAST(sum(1.0 * k.ns) AS INTEGER) AS ns
    FROM claims c
    JOIN reconciliation r USING (session, process, claim)
    LEFT JOIN causes k
        ON k.session = c.session AND k.process = c.process AND k.claim = c.claim AND k.cause <> 'rounding'
    WHERE c.source = 'torch' AND c.counts = 'total'
    GROUP BY c.session, c.process, c.claim, c.data, c.text, r.claimed_ns, r.measured_ns, k.cause
),
measured AS MATERIALIZED ( -- so that SQLite finds a claim's row in it by an index that it makes
    SELECT session, process, claim, measured_ns
    FROM reconciliation
    WHERE source = 'torch' AND measured_ns IS NOT NULL
),
fields AS (
    -- The claims that are made of one record of torch's come one right after the other.
    SELECT
        c.session,
        c.process,
        c.claimed_ns,
        'fields of a '
            || CASE
                WHEN CAST(json_extract(c.data, '$.is_runtime') AS BOOLEAN) THEN 'runtime'
                WHEN CAST(json_extract(c.data, '$.is_forward') AS BOOLEAN) THEN 'forward'
                ELSE 'backward'
            END
            || ' record' || coalesce(', ' || json_extract(c.data, '$.compile_id'), '') AS report,
        m.measured_ns,
        json_extract(c.data, '$.field') = 'duration_us' AS is_whole,
        c.claim - row_number() OVER (PARTITION BY c.session, c.process ORDER BY c.claim) AS record
    FROM claims c
    JOIN measured m USING (session, process, claim)
    WHERE c.source = 'torch' AND c.counts = 'interval'
),
records AS (
    SELECT
        session,
        process,
        max(report) FILTER (WHERE is_whole) AS report,
        CAST(sum(1.0 * claimed_ns) FILTER (WHERE NOT is_whole) AS INTEGER) AS says_ns,
        max(measured_ns) FILTER (WHERE is_whole) AS measured_ns
    FROM fields
    GROUP BY session, process, record
),
ended AS (
    SELECT
        session,
        process,
        stage,
        start_ns,
        stop_ns,
        max(stop_ns) OVER (
            PARTITION BY session, process, stage ORDER BY start_ns, stop_ns
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reached_ns
    FROM intervals
    WHERE source = 'torch' AND stop_ns IS NOT NULL
),
stages AS (
    SELECT
        session,
        process,
        count(*) || ' x ' || stage AS report,
        CAST(sum(1.0 * (stop_ns - start_ns)) AS INTEGER) AS says_ns,
        CAST(sum(1.0 * max(0, stop_ns - max(start_ns, coalesce(reached_ns, start_ns)))) AS INTEGER) AS measured_ns
    FROM ended
    GROUP BY session, process, stage
),
added_up AS (
    SELECT * FROM reported
    UNION ALL
    SELECT *, 'double_counted', says_ns - measured_ns FROM records WHERE says_ns > measured_ns
    UNION ALL
    SELECT *, 'double_counted', says_ns - measured_ns FROM stages WHERE says_ns > measured_ns
)
SELECT
    coalesce(s.label, s.session) AS label,
    p.name AS process,
    a.report,
    a.says_ns / 1e9 AS says,
    a.measured_ns / 1e9 AS measured,
    a.cause,
    a.ns / 1e9 AS seconds
FROM added_up a
JOIN sessions s USING (session)
JOIN process_names p USING (session, process)
ORDER BY
    s.started_at, a.session, p.name, a.process, a.says_ns DESC, abs(1.0 * a.ns) DESC, a.report, a.cause
LIMIT 20
