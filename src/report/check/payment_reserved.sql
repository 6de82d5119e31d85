-- What is reserved on a payment is what its refunds are still to send of what never left:
-- all that are under way the first time, and of an unknown payer those that came back too.
WITH claimed AS (
    SELECT payment_id, sum(amount) AS amount FROM refund
    WHERE campaign_id = $1 AND (
        (state IN ('requested', 'approved') AND attempt = 1)
        OR (member_id IS NULL AND (state IN ('failed', 'unclaimed')
            OR (state = 'approved' AND attempt > 1)))
    )
    GROUP BY payment_id
)
SELECT 'payments/' || payment.payment_id, payment.reserved, coalesce(claimed.amount, 0)
FROM payment
LEFT JOIN claimed ON claimed.payment_id = payment.payment_id
WHERE payment.campaign_id = $1 AND payment.reserved <> coalesce(claimed.amount, 0)
