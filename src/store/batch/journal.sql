-- The outcomes of a batch and what they posted, in one round trip.
--
-- Arrays are unnested side by side in the select list: in FROM each would be kept as a
-- table of its own first, which takes twice as long.
--
-- The order matters to the triggers: changes before what belongs to them, headers
-- before lines. PostgreSQL fires those of the main insert first, then those of the
-- parts from the last to the first; did it otherwise, they would refuse the batch.
WITH lines AS (
    INSERT INTO line (campaign_id, account_no, entry_no, line_no, amount, balance, debits,
        payment_id, pledge_id)
    SELECT $1, unnest($2::int[]), unnest($3::bigint[]), unnest($4::smallint[]),
        unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::uuid[]),
        unnest($9::uuid[])
), entries AS (
    INSERT INTO journal_entry (campaign_id, entry_no, change_no, event, occurred_at, value_date,
        recorded_at, reverses, accounts, digest)
    SELECT $1, unnest($10::bigint[]), unnest($11::bigint[]), unnest($12::text[]),
        unnest($13::timestamptz[]), unnest($14::date[]), unnest($15::timestamptz[]),
        unnest($16::bigint[]),
        -- An array of arrays of different lengths is none in SQL: each comes as its text.
        unnest($17::text[])::int[], unnest($18::bytea[])
), remembered AS (
    INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot)
    SELECT $1, unnest($19::bigint[]), unnest($20::smallint[]), unnest($21::uuid[]),
        unnest($22::text[])::json
)
INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields, recorded_at,
    first_entry_no, last_entry_no, same_as_change_no, refusal, reason)
SELECT $1, unnest($23::bigint[]), unnest($24::uuid[]), unnest($25::text[]), unnest($26::text[]),
    unnest($27::bytea[]), unnest($28::timestamptz[]), unnest($29::bigint[]), unnest($30::bigint[]),
    unnest($31::bigint[]), unnest($32::text[])::json, unnest($33::text[])
