-- A payment's fee is what its provider took for it, less what was reversed; and
-- it is known when there is one.
WITH charged AS (
    SELECT line.payment_id, -sum(line.amount) AS fee
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    JOIN journal_entry AS about ON about.campaign_id = $1
        AND about.entry_no = coalesce(entry.reverses, entry.entry_no)
        AND about.event = 'payment_fee'
    WHERE account.campaign_id = $1 AND account.code = 1000
    GROUP BY line.payment_id
), told AS (
    SELECT DISTINCT payment_id FROM effect WHERE campaign_id = $1 AND effect = 'fee'
)
SELECT 'payments/' || payment.payment_id,
    concat(payment.fee, CASE WHEN payment.fee_known THEN ', known' END,
        CASE WHEN payment.fee_known AND told.payment_id IS NULL THEN ', of no effect' END),
    concat(coalesce(charged.fee, 0), CASE WHEN charged.fee <> 0 THEN ', known' END)
FROM payment
LEFT JOIN charged ON charged.payment_id = payment.payment_id
LEFT JOIN told ON told.payment_id = payment.payment_id
WHERE payment.campaign_id = $1
    AND (payment.fee <> coalesce(charged.fee, 0)
        OR (payment.fee <> 0 AND NOT payment.fee_known)
        OR (payment.fee_known AND told.payment_id IS NULL))
