-- Whether run $2 is one of refunds.
SELECT kind = 'refund' AS "is_of_refunds!" FROM run WHERE campaign_id = $1 AND run_id = $2
