-- Each refund, payout and bank movement in the journal has exactly one claimed effect, of its
-- change and for its amount, and each such effect its entry (invariant 7).
WITH booked AS (
    SELECT entry.change_no, sum(line.amount) AS amount, CASE entry.event
            WHEN 'refund_sent' THEN 'refund'
            WHEN 'payout_sent' THEN 'payout'
            WHEN 'purchase_completed' THEN 'purchase'
            WHEN 'advance_received' THEN 'underwriters_advance'
            WHEN 'outgoing_debited' THEN 'outgoing_payment'
            WHEN 'interest_received' THEN 'interest'
            ELSE entry.event
        END AS effect
    FROM journal_entry AS entry
    CROSS JOIN LATERAL unnest(entry.accounts) WITH ORDINALITY AS named (account_no, line_no)
    JOIN line ON line.campaign_id = $1 AND line.entry_no = entry.entry_no
        AND line.account_no = named.account_no AND line.line_no = named.line_no
    JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
    WHERE entry.campaign_id = $1 AND entry.event IN ('refund_sent', 'refund_debited', 'refund_failed',
            'payout_sent', 'payout_arrived', 'payout_failed', 'purchase_completed', 'seller_deposit',
            'seller_deposit_returned', 'advance_received', 'outgoing_debited', 'bank_charge',
            'interest_received')
        AND CASE
            -- What was paid at the purchase is the bank's line; it need not have one.
            WHEN entry.event = 'purchase_completed' THEN account.code = 1100
            -- What had arrived goes through the account twice.
            WHEN entry.event = 'payout_failed' THEN account.code <> 1050 AND line.amount > 0
            ELSE line.amount > 0
        END
    GROUP BY entry.change_no, entry.event
), claimed AS (
    SELECT change_no, effect, sum(amount) AS amount FROM effect
    WHERE campaign_id = $1 AND effect NOT IN ('capture', 'fee', 'failure', 'late_failure')
    GROUP BY change_no, effect
)
SELECT concat_ws(' ', effect, 'in changes/' || change_no), claimed.amount, abs(booked.amount)
FROM claimed FULL JOIN booked USING (change_no, effect)
WHERE claimed.amount IS DISTINCT FROM abs(booked.amount)
