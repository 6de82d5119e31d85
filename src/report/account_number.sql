-- The account of owner $2, code $3 and commodity $4.
SELECT account_no FROM account
WHERE campaign_id = $1 AND owner = $2 AND code = $3 AND commodity = $4
