-- A payment's amount and dates are those of the last entry that booked it, or
-- the amount of the failure when none did.
WITH captured AS (
    SELECT DISTINCT ON (line.payment_id) line.payment_id, line.entry_no, line.amount,
        entry.occurred_at, entry.value_date
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE account.campaign_id = $1 AND account.code IN (1000, 1100)
        AND entry.event IN ('payment_succeeded', 'payment_unallocated', 'receipt_matched',
            'receipt_unallocated')
    ORDER BY line.payment_id, line.entry_no DESC
), failed AS (
    SELECT payment_id, sum(amount) AS amount FROM effect
    WHERE campaign_id = $1 AND effect = 'failure' GROUP BY payment_id
), compared AS (
    SELECT payment.payment_id,
        concat_ws(', ', payment.gross, 'entry ' || payment.entry_no,
            payment.occurred_at, payment.value_date) AS stored,
        CASE WHEN captured.payment_id IS NULL
            THEN concat_ws(', ', coalesce(failed.amount::text, 'no failure'), 'entry 0',
                payment.occurred_at, payment.value_date)
            ELSE concat_ws(', ', captured.amount, 'entry ' || captured.entry_no,
                captured.occurred_at, captured.value_date)
        END AS expected
    FROM payment
    LEFT JOIN captured ON captured.payment_id = payment.payment_id
    LEFT JOIN failed ON failed.payment_id = payment.payment_id
    WHERE payment.campaign_id = $1
)
SELECT 'payments/' || payment_id, stored, expected FROM compared WHERE stored <> expected
