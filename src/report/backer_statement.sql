-- A row for every entry after $3 and up to $4 that touches account 9000, 2100,
-- 2200 or 2210 of member $2 in the campaign's currency: what it changed, and what stood
-- after it, each positive on its normal side.
WITH own AS (
    SELECT account.account_no, account.code, CASE account.code WHEN 9000 THEN 1 ELSE -1 END AS sign
    FROM campaign
    JOIN account ON account.campaign_id = $1 AND account.owner = $2
        AND account.code IN (9000, 2100, 2200, 2210) AND account.commodity = campaign.currency
    WHERE campaign.campaign_id = $1
), touched AS (
    SELECT DISTINCT of_account.entry_no
    FROM own
    CROSS JOIN LATERAL (
        SELECT DISTINCT line.entry_no FROM line
        WHERE line.campaign_id = $1 AND line.account_no = own.account_no
            AND line.entry_no > $3 AND line.entry_no <= $4
        ORDER BY line.entry_no LIMIT $5
    ) AS of_account
    ORDER BY of_account.entry_no LIMIT $5
), moved AS (
    SELECT touched.entry_no, change.payment_id, change.pledge_id,
        sum(own.sign * change.amount) FILTER (WHERE own.code = 9000) AS promised,
        sum(own.sign * change.amount) FILTER (WHERE own.code = 2100) AS held,
        sum(own.sign * change.amount) FILTER (WHERE own.code IN (2200, 2210)) AS refundable
    FROM touched CROSS JOIN own
    JOIN line AS change ON change.campaign_id = $1 AND change.account_no = own.account_no
        AND change.entry_no = touched.entry_no
    GROUP BY touched.entry_no, change.payment_id, change.pledge_id
), stood AS (
    SELECT touched.entry_no,
        sum(own.sign * last_line.balance) FILTER (WHERE own.code = 9000) AS outstanding,
        sum(own.sign * last_line.balance) FILTER (WHERE own.code = 2100) AS held,
        sum(own.sign * last_line.balance) FILTER (WHERE own.code IN (2200, 2210)) AS refundable
    FROM touched CROSS JOIN own
    CROSS JOIN LATERAL (
        SELECT line.balance FROM line
        WHERE line.campaign_id = $1 AND line.account_no = own.account_no
            AND line.entry_no <= touched.entry_no
        ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
    ) AS last_line
    GROUP BY touched.entry_no
)
SELECT entry.entry_no, entry.occurred_at, entry.value_date, entry.event,
    (array_agg(moved.payment_id) FILTER (WHERE moved.payment_id IS NOT NULL))[1] AS "payment_id?",
    (array_agg(moved.pledge_id) FILTER (WHERE moved.pledge_id IS NOT NULL))[1] AS "pledge_id?",
    min(payment.object_id) AS "object_id?",
    coalesce(sum(moved.promised), 0)::bigint AS "promised!",
    coalesce(sum(moved.held), 0)::bigint AS "held_change!",
    coalesce(sum(moved.refundable), 0)::bigint AS "refundable_change!",
    coalesce(min(stood.outstanding), 0)::bigint AS "outstanding_after!",
    coalesce(min(stood.held), 0)::bigint AS "held_after!",
    coalesce(min(stood.refundable), 0)::bigint AS "refundable_after!"
FROM moved
JOIN stood ON stood.entry_no = moved.entry_no
JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = moved.entry_no
LEFT JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = moved.payment_id
GROUP BY entry.campaign_id, entry.entry_no
ORDER BY entry.entry_no
