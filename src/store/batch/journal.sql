-- The outcomes of a batch and what they posted, in one round trip.
--
-- The order matters to the triggers: changes before what belongs to them, headers
-- before lines. PostgreSQL fires those of the main insert first, then those of the
-- parts from the last to the first; did it otherwise, they would refuse the batch.
WITH lines AS (
    INSERT INTO line (campaign_id, account_no, entry_no, line_no, amount, balance, debits,
        payment_id, pledge_id)
    SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::bigint[],
        $6::bigint[], $7::bigint[], $8::uuid[], $9::uuid[])
), entries AS (
    INSERT INTO journal_entry (campaign_id, entry_no, change_no, event, occurred_at, value_date,
        recorded_at, reverses, accounts, digest)
    SELECT $1, entry_no, change_no, event, occurred_at, value_date, recorded_at, reverses,
        -- An array of arrays of different lengths is none in SQL: each comes as its text.
        accounts::int[], digest
    FROM unnest($10::bigint[], $11::bigint[], $12::text[], $13::timestamptz[], $14::date[],
        $15::timestamptz[], $16::bigint[], $17::text[], $18::bytea[])
        AS of (entry_no, change_no, event, occurred_at, value_date, recorded_at, reverses,
            accounts, digest)
), remembered AS (
    INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot)
    SELECT $1, change_no, ordinal, subject_id, snapshot::json
    FROM unnest($19::bigint[], $20::smallint[], $21::uuid[], $22::text[])
        AS of (change_no, ordinal, subject_id, snapshot)
)
INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields, recorded_at,
    first_entry_no, last_entry_no, same_as_change_no, refusal, reason)
SELECT $1, change_no, request_id, method, principal, fields, recorded_at,
    first_entry_no, last_entry_no, same_as_change_no, refusal::json, reason
FROM unnest($23::bigint[], $24::uuid[], $25::text[], $26::text[], $27::bytea[],
    $28::timestamptz[], $29::bigint[], $30::bigint[], $31::bigint[], $32::text[], $33::text[])
    AS of (change_no, request_id, method, principal, fields, recorded_at,
        first_entry_no, last_entry_no, same_as_change_no, refusal, reason)
