-- Every version of the terms is as the campaign's history has it, and the last
-- one is in force.
WITH last_one AS (
    SELECT DISTINCT ON (snapshot #>> '{terms,version}') snapshot -> 'terms' AS terms
    FROM history
    WHERE campaign_id = $1 AND subject_id = $1 AND snapshot ->> 'noun' = 'campaign'
    ORDER BY snapshot #>> '{terms,version}', change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(kept.version, (terms ->> 'version')::integer) AS version,
        concat_ws(', ', kept.target, kept.minimum, kept.maximum, kept.deadline, kept.minimum_members,
            kept.fee_bearer, kept.fee_bearer_note, kept.card_clearing_days,
            kept.direct_debit_clearing_days, kept.bank_transfer_clearing_days) AS stored,
        concat_ws(', ', terms ->> 'target', terms ->> 'minimum', terms ->> 'maximum',
            (terms ->> 'deadline')::timestamptz, terms ->> 'minimum_members',
            terms ->> 'fee_bearer', terms ->> 'fee_bearer_note', terms ->> 'card_clearing_days',
            terms ->> 'direct_debit_clearing_days', terms ->> 'bank_transfer_clearing_days')
            AS expected
    FROM (SELECT * FROM terms WHERE campaign_id = $1) AS kept
    FULL JOIN last_one ON (terms ->> 'version')::integer = kept.version
)
SELECT 'terms ' || version, stored, expected FROM compared WHERE stored <> expected
UNION ALL
SELECT 'terms in force', campaign.terms_version::text, newest.version::text
FROM campaign
CROSS JOIN (SELECT max(version) AS version FROM terms WHERE campaign_id = $1) AS newest
WHERE campaign.campaign_id = $1 AND campaign.terms_version IS DISTINCT FROM newest.version
