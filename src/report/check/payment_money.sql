-- Where a payment's money stands is where its lines put it.
WITH moved AS (
    SELECT line.payment_id,
        -sum(line.amount) FILTER (WHERE account.code = 2100) AS held,
        -sum(line.amount) FILTER (WHERE account.code = 2200) AS refundable,
        -sum(line.amount) FILTER (WHERE account.code = 2900) AS unallocated,
        sum(line.amount) FILTER (WHERE account.code = 1500) AS fee_deferred
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code IN (1500, 2100, 2200, 2900)
        AND line.payment_id IS NOT NULL
    GROUP BY line.payment_id
)
SELECT 'payments/' || payment.payment_id || ' ' || part.name, part.stored, part.expected
FROM payment
LEFT JOIN moved ON moved.payment_id = payment.payment_id
CROSS JOIN LATERAL (VALUES
    ('held', payment.held, coalesce(moved.held, 0)),
    ('refundable', payment.refundable, coalesce(moved.refundable, 0)),
    ('unallocated', payment.unallocated, coalesce(moved.unallocated, 0)),
    ('fee_deferred', payment.fee_deferred, coalesce(moved.fee_deferred, 0))
) AS part (name, stored, expected)
WHERE payment.campaign_id = $1 AND part.stored <> part.expected
