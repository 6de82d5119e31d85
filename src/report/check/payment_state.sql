-- A payment's state follows from which of its entries stand: one that succeeded
-- has exactly one unreversed capture and no unreversed late failure (invariant 7).
WITH booked AS (
    SELECT line.payment_id,
        count(*) FILTER (WHERE is_capture) AS ever_captured,
        count(*) FILTER (WHERE is_capture AND reversal.entry_no IS NULL) AS captured,
        count(*) FILTER (WHERE NOT is_capture AND reversal.entry_no IS NULL) AS failed
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    CROSS JOIN LATERAL (SELECT entry.event <> 'payment_late_failure' AS is_capture) AS kind
    LEFT JOIN journal_entry AS reversal ON reversal.campaign_id = $1
        AND reversal.reverses = entry.entry_no
    WHERE account.campaign_id = $1 AND account.code IN (1000, 1100)
        AND entry.event IN ('payment_succeeded', 'payment_unallocated', 'receipt_matched',
            'receipt_unallocated', 'payment_late_failure')
    GROUP BY line.payment_id
), follows AS (
    SELECT payment.payment_id, payment.state, CASE
        WHEN booked.payment_id IS NULL THEN 'failed'
        WHEN (captured, failed) = (1, 0) THEN 'succeeded'
        WHEN (captured, failed) = (1, 1) THEN 'late_failed'
        WHEN (captured, failed) = (0, 0) AND ever_captured > 0 THEN 'reversed'
        ELSE captured || ' captures and ' || failed || ' late failures stand'
    END AS expected
    FROM payment LEFT JOIN booked ON booked.payment_id = payment.payment_id
    WHERE payment.campaign_id = $1
)
SELECT 'payments/' || payment_id, state, expected FROM follows WHERE state <> expected
