-- The head's numbers are those of the last change, entry, account and batch, and its tally is the
-- last one that came with a batch, if one did.
SELECT number.subject, number.stored, number.expected
FROM (SELECT $1::uuid AS campaign_id) AS asked
LEFT JOIN campaign_head AS head ON head.campaign_id = asked.campaign_id
LEFT JOIN LATERAL (
    SELECT change_no, recorded_at FROM change
    WHERE campaign_id = $1 ORDER BY change_no DESC LIMIT 1
) AS last_change ON true
LEFT JOIN LATERAL (
    SELECT entry_no, digest FROM journal_entry
    WHERE campaign_id = $1 ORDER BY entry_no DESC LIMIT 1
) AS last_entry ON true
LEFT JOIN LATERAL (
    SELECT account_no FROM account
    WHERE campaign_id = $1 ORDER BY account_no DESC LIMIT 1
) AS last_account ON true
LEFT JOIN LATERAL (
    SELECT batch FROM change
    WHERE campaign_id = $1 AND batch IS NOT NULL ORDER BY change_no DESC LIMIT 1
) AS last_batch ON true
LEFT JOIN LATERAL (
    SELECT tally FROM change
    WHERE campaign_id = $1 AND tally IS NOT NULL ORDER BY change_no DESC LIMIT 1
) AS last_tally ON true
CROSS JOIN LATERAL (VALUES
    ('change number', head.change_no::text, coalesce(last_change.change_no, 0)::text),
    ('entry number', head.entry_no::text, coalesce(last_entry.entry_no, 0)::text),
    ('claimed entry number', head.claimed_entry_no::text, coalesce(last_entry.entry_no, 0)::text),
    ('account number', head.account_no::text, coalesce(last_account.account_no, 0)::text),
    ('batch', head.batch::text, coalesce(last_batch.batch, 0)::text),
    ('tally', head.tally::text, coalesce(last_tally.tally, head.tally)::text),
    ('recorded at', head.recorded_at::text, coalesce(last_change.recorded_at, '-infinity')::text),
    ('digest', encode(head.digest, 'hex'), coalesce(encode(last_entry.digest, 'hex'), repeat('00', 32)))
) AS number (subject, stored, expected)
WHERE number.stored IS DISTINCT FROM number.expected
