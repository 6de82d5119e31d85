-- Where a payment's money stands is where its lines put it.
WITH moved AS (
    SELECT line.payment_id,
        -sum(line.amount) FILTER (WHERE account.code = 2100) AS held,
        -sum(line.amount) FILTER (WHERE account.code = 2200) AS refundable,
        -sum(line.amount) FILTER (WHERE account.code = 2900) AS unallocated,
        -sum(line.amount) FILTER (WHERE account.code = 2210) AS returned,
        -sum(line.amount) FILTER (WHERE account.code IN (2300, 3000, 3010)) AS allotted,
        -sum(line.amount) FILTER (WHERE account.code IN (1000, 1100, 1150)
            AND entry.event IN ('refund_sent', 'refund_failed')) AS refunded,
        -sum(line.amount) FILTER (WHERE account.code IN (1500, 5400) AND entry.event = 'fee_charged')
            AS charged,
        sum(line.amount) FILTER (WHERE account.code = 5200) AS lost,
        sum(line.amount) FILTER (WHERE account.code = 1500) AS fee_deferred
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE account.campaign_id = $1 AND line.payment_id IS NOT NULL
        AND account.code IN (1000, 1100, 1150, 1500, 2100, 2200, 2210, 2300, 2900, 3000, 3010, 5200, 5400)
    GROUP BY line.payment_id
)
SELECT 'payments/' || payment.payment_id || ' ' || part.name, part.stored, part.expected
FROM payment
LEFT JOIN moved ON moved.payment_id = payment.payment_id
CROSS JOIN LATERAL (VALUES
    ('held', payment.held, coalesce(moved.held, 0)),
    ('refundable', payment.refundable, coalesce(moved.refundable, 0)),
    ('unallocated', payment.unallocated, coalesce(moved.unallocated, 0)),
    ('returned', payment.returned, coalesce(moved.returned, 0)),
    ('allotted', payment.allotted, coalesce(moved.allotted, 0)),
    ('refunded', payment.refunded, coalesce(moved.refunded, 0)),
    ('charged', payment.charged, coalesce(moved.charged, 0)),
    ('lost', payment.lost, coalesce(moved.lost, 0)),
    ('fee_deferred', payment.fee_deferred, coalesce(moved.fee_deferred, 0))
) AS part (name, stored, expected)
WHERE payment.campaign_id = $1 AND part.stored <> part.expected
