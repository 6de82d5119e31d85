-- What refunds and payments say of members' money that goes back. Refunds that were not
-- sent yet lay claim to what is refundable of their payment first; one that is to be sent
-- again came back before.
WITH waiting AS (
    SELECT payment_id, member_id, amount, attempt > 1 OR state IN ('failed', 'unclaimed') AS came_back
    FROM refund
    WHERE campaign_id = $1 AND member_id IS NOT NULL
        AND state IN ('requested', 'approved', 'failed', 'unclaimed')
), claimed AS (
    SELECT payment_id, sum(amount) AS amount FROM waiting WHERE NOT came_back GROUP BY payment_id
), unsent AS (
    SELECT sum(least(claimed.amount, payment.refundable)) AS amount
    FROM claimed
    JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = claimed.payment_id
), unrequested AS (
    SELECT sum(greatest(payment.refundable - payment.reserved, 0)) AS amount
    FROM payment WHERE payment.campaign_id = $1 AND payment.member_id IS NOT NULL
)
SELECT coalesce(unsent.amount, 0)::bigint AS "unsent!",
    coalesce((SELECT sum(amount) FROM waiting WHERE came_back), 0)::bigint AS "returned!",
    coalesce(unrequested.amount, 0)::bigint AS "unrequested!"
FROM unsent CROSS JOIN unrequested
