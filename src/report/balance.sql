-- The last line of account $2 up to entry $3 says where the account stood: one probe.
SELECT balance, debits FROM line
WHERE campaign_id = $1 AND account_no = $2 AND entry_no <= $3
ORDER BY entry_no DESC, line_no DESC
LIMIT 1
