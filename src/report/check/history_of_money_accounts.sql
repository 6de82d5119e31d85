-- A provider or bank account is as it was registered.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'money_account'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(registered.money_account_id, last_one.subject_id) AS money_account_id,
        concat_ws(', ', kind, institution, external_id, currency, livemode::text) AS stored,
        concat_ws(', ', snapshot ->> 'channel', snapshot ->> 'institution',
            snapshot ->> 'external_id', snapshot ->> 'currency', snapshot ->> 'livemode') AS expected
    FROM (SELECT * FROM money_account WHERE campaign_id = $1) AS registered
    FULL JOIN last_one ON last_one.subject_id = registered.money_account_id
)
SELECT 'moneyAccounts/' || money_account_id, stored, expected FROM compared WHERE stored <> expected
