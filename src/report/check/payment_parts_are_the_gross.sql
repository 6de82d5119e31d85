-- All of a payment that stands is somewhere, and of one that was taken back only what was
-- gone already (invariant 3).
SELECT 'payments/' || payment_id, parts.amount, parts.expected
FROM payment
CROSS JOIN LATERAL (
    SELECT held::numeric + refundable + unallocated + returned + allotted + refunded + charged AS amount,
        CASE state WHEN 'succeeded' THEN gross WHEN 'late_failed' THEN lost ELSE 0 END AS expected
) AS parts
WHERE campaign_id = $1 AND parts.amount <> parts.expected
