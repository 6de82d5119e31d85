-- The lots after certificate $3 that were allotted up to entry $2. A lot's row says what
-- is cancelled of it now; what was as of $2 stands in the history of the changes that
-- cancelled shares of its member and class, and only lots of which some are cancelled
-- look there.
SELECT lot.certificate, lot.member_id, lot.share_class_id, lot.entry_no,
    share_class.nominal, person.display_name AS "display_name?",
    first_lot.certificate AS "member_number!", first_lot.value_date AS "admitted_on!",
    CASE WHEN held.units = 0 THEN held.moved_on END AS "left_on?",
    lot.units - coalesce(gone.cancelled, 0) AS "units!", coalesce(gone.cancelled, 0) AS "cancelled!"
FROM lot
JOIN share_class ON share_class.campaign_id = $1
    AND share_class.share_class_id = lot.share_class_id
LEFT JOIN person ON person.campaign_id = $1 AND person.subject_id = lot.member_id
CROSS JOIN LATERAL (
    SELECT earliest.certificate, entry.value_date
    FROM lot AS earliest
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = earliest.entry_no
    WHERE earliest.campaign_id = $1 AND earliest.member_id = lot.member_id
    ORDER BY earliest.certificate LIMIT 1
) AS first_lot
CROSS JOIN LATERAL (
    SELECT -sum(stood.balance) AS units,
        (array_agg(stood.value_date ORDER BY stood.entry_no DESC))[1] AS moved_on
    FROM account
    CROSS JOIN LATERAL (
        SELECT line.balance, line.entry_no, entry.value_date
        FROM line
        JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
        WHERE line.campaign_id = $1 AND line.account_no = account.account_no
            AND line.entry_no <= $2
        ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
    ) AS stood
    WHERE account.campaign_id = $1 AND account.owner = lot.member_id AND account.code = 8000
) AS held
LEFT JOIN LATERAL (
    SELECT (history.snapshot ->> 'cancelled')::bigint AS cancelled
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
        AND line.entry_no <= $2 AND line.amount > 0
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    JOIN history ON history.campaign_id = $1 AND history.change_no = entry.change_no
        AND history.snapshot ->> 'noun' = 'lot'
        AND (history.snapshot ->> 'certificate')::bigint = lot.certificate
    WHERE lot.cancelled > 0 AND account.campaign_id = $1 AND account.owner = lot.member_id
        AND account.code = 8000 AND account.commodity = lot.share_class_id::text
    ORDER BY history.change_no DESC, history.ordinal DESC LIMIT 1
) AS gone ON true
WHERE lot.campaign_id = $1 AND lot.certificate > $3 AND lot.entry_no <= $2
ORDER BY lot.certificate
LIMIT $4
