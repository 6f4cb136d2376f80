-- Which labels became slower or faster to be ready with other versions, and could that be chance?
WITH numbered AS (
    SELECT
        label,
        model,
        cache,
        versions,
        started_at,
        session,
        ready_ns,
        min(started_at) OVER (PARTITION BY label, model, cache, versions) AS first_at,
        row_number() OVER (
            PARTITION BY label, model, cache, versions ORDER BY started_at DESC, session DESC
        ) AS nth
    FROM starts
    WHERE ready_ns IS NOT NULL AND versions IS NOT NULL AND started_at IS NOT NULL
)
SELECT label, model, cache, versions, first_at, session, ready_ns
FROM numbered
WHERE nth <= 20 -- the newest are enough for the test, which takes the longer the more there are
ORDER BY label, model, cache, first_at, versions, started_at, session
