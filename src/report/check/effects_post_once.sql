-- Each capture, late failure and fee in the journal has exactly one claimed
-- effect, of its change, for its amount, and each effect its entry (invariant 7).
-- A corrected capture, and the failure of one, are told apart by the capture before.
WITH entry_line AS (
    SELECT entry.change_no, entry.entry_no, line.payment_id, account.owner, abs(line.amount) AS amount,
        CASE entry.event
            WHEN 'payment_fee' THEN 'fee'
            WHEN 'payment_late_failure' THEN 'late_failure'
            ELSE 'capture'
        END AS effect
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE account.campaign_id = $1 AND account.code IN (1000, 1100)
        AND entry.event IN ('payment_succeeded', 'payment_unallocated', 'receipt_matched',
            'receipt_unallocated', 'payment_late_failure', 'payment_fee')
), booked AS (
    SELECT entry_line.*,
        CASE WHEN effect = 'fee' THEN '' ELSE coalesce((max(entry_no) FILTER (WHERE effect = 'capture')
            OVER (PARTITION BY payment_id ORDER BY entry_no
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))::text, '') END AS seq
    FROM entry_line
), expected AS (
    SELECT booked.change_no, booked.payment_id, booked.effect, string_agg(
        concat_ws(' ', booked.amount, booked.owner, 'after entry "' || booked.seq || '"',
            CASE WHEN booked.effect <> 'fee' THEN payment.object_id END),
        ', ' ORDER BY booked.entry_no) AS claims
    FROM booked
    LEFT JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = booked.payment_id
    GROUP BY booked.change_no, booked.payment_id, booked.effect
), stored AS (
    SELECT change_no, payment_id, effect, string_agg(
        concat_ws(' ', amount, money_account_id, 'after entry "' || seq || '"',
            CASE WHEN effect <> 'fee' THEN object_id END),
        ', ' ORDER BY object_id, seq) AS claims
    FROM effect WHERE campaign_id = $1 AND effect IN ('capture', 'fee', 'late_failure')
    GROUP BY change_no, payment_id, effect
)
SELECT concat_ws(' ', effect, 'of payments/' || payment_id, 'in changes/' || change_no),
    stored.claims, expected.claims
FROM stored FULL JOIN expected USING (change_no, payment_id, effect)
WHERE stored.claims IS DISTINCT FROM expected.claims
