-- A payment is as its last row of history left it. Days stand there as year and
-- day of the year.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot::jsonb AS snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'payment'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(payment.payment_id, last_one.subject_id) AS payment_id,
        concat_ws(', ', money_account_id, object_id, state, method, gross, 'held ' || held,
            'refundable ' || refundable, 'unallocated ' || unallocated, 'fee ' || fee,
            CASE WHEN fee_known THEN 'known' END, 'deferred ' || fee_deferred,
            'member ' || member_id, 'pledge ' || pledge_id, occurred_at,
            to_char(value_date, 'YYYY-FMDDD'), 'available ' || to_char(available_on, 'YYYY-FMDDD'),
            failure_code, 'entry ' || entry_no, allotted, refunded, returned, charged, lost, reserved,
            CASE WHEN flagged THEN 'flagged' END) AS stored,
        concat_ws(', ', snapshot ->> 'account', snapshot ->> 'object_id', snapshot ->> 'state',
            snapshot ->> 'method', snapshot ->> 'gross', 'held ' || (snapshot ->> 'held'),
            -- What is nothing is left out.
            'refundable ' || coalesce(snapshot ->> 'refundable', '0'),
            'unallocated ' || coalesce(snapshot ->> 'unallocated', '0'),
            'fee ' || coalesce(snapshot ->> 'fee', '0'),
            CASE snapshot ->> 'fee_known' WHEN 'true' THEN 'known' END,
            'deferred ' || coalesce(snapshot ->> 'fee_deferred', '0'), 'member ' || (snapshot ->> 'member'),
            'pledge ' || (snapshot ->> 'pledge'), (snapshot ->> 'occurred_at')::timestamptz,
            concat_ws('-', snapshot #>> '{value_date,0}', snapshot #>> '{value_date,1}'),
            'available '
                || concat_ws('-', snapshot #>> '{available_on,0}', snapshot #>> '{available_on,1}'),
            coalesce(snapshot ->> 'failure_code', ''), 'entry ' || (snapshot ->> 'entry'),
            coalesce(snapshot ->> 'allotted', '0'), coalesce(snapshot ->> 'refunded', '0'),
            coalesce(snapshot ->> 'returned', '0'), coalesce(snapshot ->> 'charged', '0'),
            coalesce(snapshot ->> 'lost', '0'), coalesce(snapshot ->> 'reserved', '0'),
            CASE snapshot ->> 'flagged' WHEN 'true' THEN 'flagged' END) AS expected
    FROM (SELECT * FROM payment WHERE campaign_id = $1) AS payment
    FULL JOIN last_one ON last_one.subject_id = payment.payment_id
)
SELECT 'payments/' || payment_id, stored, expected FROM compared WHERE stored <> expected
