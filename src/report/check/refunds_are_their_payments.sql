-- What was sent of a payment and has not come back is what its refunds say, and what came
-- back and is owed is too; each refund is of its payment's member.
WITH told AS (
    SELECT payment_id,
        sum(amount) FILTER (WHERE state IN ('submitted', 'settled')) AS refunded,
        sum(amount) FILTER (WHERE member_id IS NOT NULL
            AND (state IN ('failed', 'unclaimed') OR (state = 'approved' AND attempt > 1))) AS returned,
        bool_and(member_id IS NOT DISTINCT FROM (
            SELECT payment.member_id FROM payment
            WHERE payment.campaign_id = $1 AND payment.payment_id = refund.payment_id
        )) AS is_its_members
    FROM refund WHERE campaign_id = $1 GROUP BY payment_id
)
SELECT 'payments/' || payment.payment_id,
    concat_ws(', ', 'refunded ' || payment.refunded, 'returned ' || payment.returned),
    concat_ws(', ', 'refunded ' || coalesce(told.refunded, 0), 'returned ' || coalesce(told.returned, 0),
        CASE WHEN NOT told.is_its_members THEN 'of its member' END)
FROM payment
LEFT JOIN told ON told.payment_id = payment.payment_id
WHERE payment.campaign_id = $1
    AND (payment.refunded <> coalesce(told.refunded, 0) OR payment.returned <> coalesce(told.returned, 0)
        OR NOT coalesce(told.is_its_members, true))
