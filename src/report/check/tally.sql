-- The tally counts every row once.
WITH signatures AS (
    SELECT count(*) FILTER (WHERE state = 'signed') AS signed,
        count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
        count(*) FILTER (WHERE state = 'converted') AS converted
    FROM signature WHERE campaign_id = $1
), pledges AS (
    SELECT count(DISTINCT member_id) FILTER (WHERE is_live OR state IN ('part_allotted', 'allotted'))
            AS pledging_members,
        coalesce(sum(CASE WHEN is_live THEN amount ELSE paid END), 0) AS pledged
    FROM (
        SELECT pledge.*, state IN ('committed', 'part_paid', 'paid', 'errored') AS is_live
        FROM pledge WHERE campaign_id = $1
    ) AS pledge
), money AS (
    SELECT count(*) FILTER (WHERE held <> 0) AS paying_members, coalesce(sum(held), 0) AS held
    FROM (
        SELECT -sum(line.amount) AS held FROM account
        JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
        WHERE account.campaign_id = $1 AND account.code = 2100
        GROUP BY account.account_no
    ) AS application_money
), payments AS (
    SELECT count(*) FILTER (WHERE state = 'succeeded') AS payments,
        count(*) FILTER (WHERE state IN ('failed', 'late_failed')) AS failures,
        coalesce(sum(allotted), 0) AS allotted, coalesce(sum(refunded), 0) AS refunded
    FROM payment WHERE campaign_id = $1
), owed AS (
    SELECT coalesce(-sum(line.amount) FILTER (WHERE account.code = 2200), 0) AS refundable,
        coalesce(-sum(line.amount) FILTER (WHERE account.code = 2210), 0) AS returned,
        coalesce(-sum(line.amount) FILTER (WHERE account.code = 2900), 0) AS unallocated
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code IN (2200, 2210, 2900)
), lots AS (
    SELECT count(*) AS certificates FROM lot WHERE campaign_id = $1
)
SELECT number.subject, number.stored, number.expected
FROM signatures CROSS JOIN pledges CROSS JOIN money CROSS JOIN payments CROSS JOIN owed
CROSS JOIN lots
JOIN campaign ON campaign.campaign_id = $1
LEFT JOIN tally ON tally.campaign_id = $1
CROSS JOIN LATERAL (VALUES
    ('signed', tally.signed, signatures.signed),
    ('withdrawn', tally.withdrawn, signatures.withdrawn),
    ('converted', tally.converted, signatures.converted),
    ('pledging_members', tally.pledging_members, pledges.pledging_members),
    ('pledged', tally.pledged, pledges.pledged),
    ('paying_members', tally.paying_members, money.paying_members),
    ('held', tally.held, money.held),
    ('payments', tally.payments, payments.payments),
    ('failures', tally.failures, payments.failures),
    ('allotted', tally.allotted, payments.allotted),
    ('refunded', tally.refunded, payments.refunded),
    ('refundable', tally.refundable, owed.refundable),
    ('returned', tally.returned, owed.returned),
    ('unallocated', tally.unallocated, owed.unallocated),
    ('certificates', tally.certificates, lots.certificates)
) AS number (subject, stored, expected)
WHERE number.stored IS DISTINCT FROM number.expected
