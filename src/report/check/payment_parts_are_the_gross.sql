-- All of a payment that stands is somewhere, and nothing of one that does not
-- (invariant 3, as far as money moves today).
SELECT 'payments/' || payment_id, held::numeric + refundable + unallocated,
    CASE state WHEN 'succeeded' THEN gross ELSE 0 END
FROM payment
WHERE campaign_id = $1
    AND held::numeric + refundable + unallocated <> CASE state WHEN 'succeeded' THEN gross ELSE 0 END
