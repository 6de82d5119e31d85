-- The numbers of the entries that touch account $2.
SELECT DISTINCT entry_no FROM line
WHERE campaign_id = $1 AND account_no = $2 AND entry_no > $3 AND entry_no <= $4
ORDER BY entry_no
LIMIT $5
