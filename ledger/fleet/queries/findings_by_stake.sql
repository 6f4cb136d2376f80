-- What can be acted upon, in how many starts, and how much time is at stake in each?
WITH ordered AS (
    SELECT
        f.session,
        f.finding,
        f.stake_ns,
        f.summary,
        row_number() OVER (PARTITION BY f.session, f.finding ORDER BY f.stake_ns DESC, f.number) AS nth
    FROM findings f
),
ranked AS ( -- of each start the one with most at stake: they may overlap
    SELECT
        *,
        count(*) OVER (PARTITION BY finding) AS number,
        row_number() OVER (PARTITION BY finding ORDER BY stake_ns, session) AS place
    FROM ordered
    WHERE nth = 1
)
SELECT
    finding,
    count(*) AS starts,
    min(CASE WHEN 100 * place >= 50 * number THEN stake_ns END) / 1e9 AS p50,
    min(CASE WHEN 100 * place >= 90 * number THEN stake_ns END) / 1e9 AS p90,
    sum(CAST(stake_ns AS DECIMAL(38, 0))) / 1e9 AS seconds,
    max(CASE WHEN place = number THEN session END) AS most_in,
    max(CASE WHEN place = number THEN summary END) AS summary
FROM ranked
GROUP BY finding
ORDER BY sum(CAST(stake_ns AS DECIMAL(38, 0))) DESC, finding
