-- A row for each day from $2 to $3 after $4, by the days on which things were recorded. The
-- lines of a few accounts say what happened on a day; the days before it, what had come of it.
WITH bounds AS (
    SELECT (first_one.recorded_at AT TIME ZONE 'UTC')::date AS first_day,
        least($3, (campaign_head.recorded_at AT TIME ZONE 'UTC')::date) AS last_day
    FROM campaign_head
    JOIN change AS first_one ON first_one.campaign_id = $1 AND first_one.change_no = 1
    WHERE campaign_head.campaign_id = $1
), told AS (
    SELECT (entry.recorded_at AT TIME ZONE 'UTC')::date AS day,
        coalesce(original.event, entry.event) AS event, account.code,
        sum(line.amount) AS amount, sum(CASE WHEN entry.reverses IS NULL THEN 1 ELSE -1 END) AS entries
    FROM bounds
    JOIN account ON account.campaign_id = $1 AND account.commodity = $5
        AND account.code IN (1000, 1100, 1150, 2100, 9001)
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    LEFT JOIN journal_entry AS original ON original.campaign_id = $1
        AND original.entry_no = entry.reverses
    WHERE entry.recorded_at < (bounds.last_day + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2, 3
), moved AS (
    SELECT day,
        sum(entries) FILTER (WHERE code = 9001 AND event = 'pledge_created') AS pledges,
        -sum(amount) FILTER (WHERE code = 9001 AND event = 'pledge_created') AS pledged,
        sum(entries) FILTER (WHERE code IN (1000, 1100) AND event IN ('payment_succeeded',
            'payment_unallocated', 'receipt_matched', 'receipt_unallocated')) AS payments,
        sum(amount) FILTER (WHERE code IN (1000, 1100) AND event IN ('payment_succeeded',
            'payment_unallocated', 'receipt_matched', 'receipt_unallocated')) AS paid,
        sum(entries) FILTER (WHERE code = 9001
            AND event IN ('pledge_cancelled', 'pledge_expired', 'pledge_lapsed')) AS pledges_ended,
        sum(entries) FILTER (WHERE code IN (1000, 1150) AND event = 'refund_sent') AS refunds,
        -sum(amount) FILTER (WHERE code IN (1000, 1150) AND event = 'refund_sent') AS refunded,
        -sum(amount) FILTER (WHERE code = 9001 AND event IN ('pledge_created', 'pledge_amended',
            'pledge_cancelled', 'pledge_expired', 'pledge_lapsed')) AS promised,
        -sum(amount) FILTER (WHERE code = 2100) AS held
    FROM told GROUP BY day
), signed AS (
    SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day, count(*) AS signatures
    FROM change
    WHERE campaign_id = $1 AND method = 'SignCampaign' AND refusal IS NULL
        AND same_as_change_no IS NULL
    GROUP BY 1
), calendar AS (
    SELECT calendar.day::date AS day FROM bounds
    CROSS JOIN generate_series(bounds.first_day::timestamp, bounds.last_day::timestamp,
        interval '1 day') AS calendar (day)
), series AS (
    SELECT calendar.day AS calendar_day, signed.signatures, moved.*,
        sum(moved.promised) OVER so_far AS cumulative_pledged,
        sum(moved.held) OVER so_far AS cumulative_held
    FROM calendar
    LEFT JOIN moved ON moved.day = calendar.day
    LEFT JOIN signed ON signed.day = calendar.day
    WINDOW so_far AS (ORDER BY calendar.day)
)
SELECT series.calendar_day AS "day!", coalesce(signatures, 0) AS "signatures!",
    coalesce(pledges, 0)::bigint AS "pledges!", coalesce(pledged, 0)::bigint AS "pledged!",
    coalesce(payments, 0)::bigint AS "payments!", coalesce(paid, 0)::bigint AS "paid!",
    coalesce(pledges_ended, 0)::bigint AS "pledges_ended!",
    coalesce(refunds, 0)::bigint AS "refunds!", coalesce(refunded, 0)::bigint AS "refunded!",
    coalesce(cumulative_pledged, 0)::bigint AS "cumulative_pledged!",
    coalesce(cumulative_held, 0)::bigint AS "cumulative_held!"
FROM series
WHERE ($2::date IS NULL OR series.calendar_day >= $2)
    AND ($4::date IS NULL OR series.calendar_day > $4)
ORDER BY 1
LIMIT $6
