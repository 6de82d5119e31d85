-- A run says how many items it has, what they come to, and how far they are; it is over
-- when none is left.
WITH counted AS (
    SELECT run_id, count(*) AS items, max(position) AS last, sum(units) AS units, sum(amount) AS amount,
        sum(released) AS released, count(*) FILTER (WHERE state = 'done') AS done,
        count(*) FILTER (WHERE state = 'exception') AS exceptions
    FROM run_item WHERE campaign_id = $1 GROUP BY run_id
)
SELECT 'runs/' || run.run_id,
    concat_ws(', ', run.items, run.items, run.units, run.amount, run.released, run.done, run.exceptions, run.state),
    concat_ws(', ', counted.items, counted.last, counted.units, counted.amount, counted.released,
        counted.done, counted.exceptions)
FROM run
LEFT JOIN counted ON counted.run_id = run.run_id
WHERE run.campaign_id = $1 AND (
    (run.items, run.items, run.units, run.amount, run.released, run.done, run.exceptions)
        IS DISTINCT FROM (counted.items, counted.last, counted.units, counted.amount, counted.released,
            counted.done, counted.exceptions)
    OR (run.state IN ('done', 'done_with_exceptions')) <> (run.done + run.exceptions = run.items)
    OR (run.state = 'done' AND run.exceptions > 0)
    OR (run.state = 'done_with_exceptions' AND run.exceptions = 0)
)
