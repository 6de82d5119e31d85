-- The tally and the terms, and what the payments and pledges make of them on day $2.
WITH in_force AS (
    SELECT terms.* FROM campaign
    JOIN terms ON terms.campaign_id = $1 AND terms.version = campaign.terms_version
    WHERE campaign.campaign_id = $1
), paid AS (
    -- By member first, so that members are counted without sorting payments.
    SELECT payment.member_id,
        coalesce(sum(payment.allotted) FILTER (WHERE payment.state = 'succeeded'), 0) AS allotted,
        sum(stands.amount) AS captured,
        coalesce(sum(stands.amount) FILTER (WHERE payment.available_on <= $2), 0) AS available,
        coalesce(sum(stands.amount) FILTER (WHERE payment.available_on + CASE payment.method
            WHEN 'card' THEN in_force.card_clearing_days
            WHEN 'direct_debit' THEN in_force.direct_debit_clearing_days
            ELSE in_force.bank_transfer_clearing_days
        END <= $2), 0) AS cleared,
        sum(payment.fee) AS fees,
        coalesce(sum(payment.gross) FILTER (WHERE payment.state = 'succeeded'), 0) AS standing,
        coalesce(sum(payment.gross) FILTER (WHERE payment.state = 'late_failed'), 0) AS late_failed
    FROM payment CROSS JOIN in_force
    -- Held, or shares by now. What a lost payment's shares cost is no money any more.
    CROSS JOIN LATERAL (
        SELECT payment.held
            + CASE payment.state WHEN 'succeeded' THEN payment.allotted ELSE 0 END AS amount
    ) AS stands
    WHERE payment.campaign_id = $1
    GROUP BY payment.member_id
), ladder AS (
    SELECT count(*) FILTER (WHERE captured > 0) AS captured_members, sum(captured) AS captured,
        count(*) FILTER (WHERE available > 0) AS available_members, sum(available) AS available,
        count(*) FILTER (WHERE cleared > 0) AS cleared_members, sum(cleared) AS cleared,
        sum(allotted) AS allotted, sum(fees) AS fees, sum(standing) AS standing,
        sum(late_failed) AS late_failed
    FROM paid
), promised AS (
    SELECT sum(amount) AS ever_promised,
        sum(amount - paid) FILTER (WHERE state IN ('cancelled', 'expired', 'dropped')) AS closed_unpaid
    FROM pledge WHERE campaign_id = $1
), stood AS (
    SELECT -sum(balance.balance) FILTER (WHERE account.code = 2900) AS unallocated,
        -sum(balance.balance) FILTER (WHERE account.code = 2200) AS refundable,
        sum(balance.balance) FILTER (WHERE account.code = 9100) AS authorised,
        count(DISTINCT account.owner)
            FILTER (WHERE account.code = 9100 AND balance.balance <> 0) AS authorised_members,
        count(DISTINCT account.owner)
            FILTER (WHERE account.code = 8000 AND balance.balance <> 0) AS allotted_members
    FROM account
    JOIN balance ON balance.campaign_id = $1 AND balance.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code IN (2200, 2900, 8000, 9100)
)
SELECT in_force.target, in_force.minimum, in_force.maximum, in_force.minimum_members,
    tally.signed + tally.converted AS "signatures!", tally.pledging_members AS "pledging_members!",
    tally.pledged AS "pledged!",
    stood.authorised_members AS "authorised_members!",
    coalesce(stood.authorised, 0)::bigint AS "authorised!",
    ladder.captured_members AS "captured_members!",
    coalesce(ladder.captured, 0)::bigint AS "captured!",
    ladder.available_members AS "available_members!",
    coalesce(ladder.available, 0)::bigint AS "available!",
    ladder.cleared_members AS "cleared_members!",
    coalesce(ladder.cleared, 0)::bigint AS "cleared!",
    stood.allotted_members AS "allotted_members!",
    coalesce(ladder.allotted, 0)::bigint AS "allotted!",
    coalesce(ladder.fees, 0)::bigint AS "fees!",
    coalesce(ladder.late_failed, 0)::bigint AS "late_failed!",
    coalesce(ladder.late_failed + ladder.standing, 0)::bigint AS "late_failed_or_standing!",
    coalesce(promised.ever_promised, 0)::bigint AS "ever_promised!",
    coalesce(promised.closed_unpaid, 0)::bigint AS "closed_unpaid!",
    coalesce(stood.unallocated, 0)::bigint AS "unallocated!",
    coalesce(stood.refundable, 0)::bigint AS "refundable!"
FROM in_force
JOIN tally ON tally.campaign_id = $1
CROSS JOIN ladder CROSS JOIN promised CROSS JOIN stood
