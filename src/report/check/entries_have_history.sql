-- A change that moves the money of a payment, or the promise of a pledge, keeps
-- what became of it.
SELECT concat(moved.noun, '/', moved.subject_id, ' in changes/', moved.change_no),
    'no history', 'a row of history'
FROM (
    SELECT DISTINCT 'payments', line.payment_id, entry.change_no
    FROM line
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE line.campaign_id = $1 AND line.payment_id IS NOT NULL
    UNION
    SELECT DISTINCT 'pledges', line.pledge_id, entry.change_no
    FROM line
    JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
        AND account.code = 9000
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE line.campaign_id = $1 AND line.pledge_id IS NOT NULL
) AS moved (noun, subject_id, change_no)
LEFT JOIN history ON history.campaign_id = $1 AND history.subject_id = moved.subject_id
    AND history.change_no = moved.change_no
WHERE history.change_no IS NULL
