-- What a batch posted and what it made or changed, each noun in its last state, in one
-- round trip. A part that has no rows is left out of the text, since PostgreSQL would
-- open its table and fire its triggers for nothing; statement.rs cuts the text at its
-- parts' names.
--
-- Arrays are unnested side by side in the select list: in FROM each would be kept as a
-- table of its own first, which takes twice as long.
--
-- The order matters. PostgreSQL carries out the main insert first, then the parts from
-- the last to the first, and then fires their triggers in that order: changes before
-- what belongs to them, accounts and headers before lines. Did it otherwise, they would
-- refuse the batch. Rows that the batch before this one may have changed too come last,
-- from the payments on: while that one is not committed, everything before them is inserted
-- beside it. The persons before them always stay, and wait for that one, also when there
-- are no rows.
--
-- The campaign's lock is taken first, for whoever works under the head's lock, and this
-- batch's own, for the batch that comes behind it. Before the rows that both may change,
-- this one waits for the one before it, which may still be inserting: otherwise a small
-- batch would pass a large one and be refused for it, or each would wait for the other.
WITH tally AS (
    INSERT INTO tally (campaign_id, signed, withdrawn, converted, pledging_members, pledged,
        paying_members, held, payments, failures, refundable, returned, unallocated, allotted,
        refunded, certificates)
    SELECT $1, $94, $95, $96, $97, $98, $99, $100, $101, $102, $103, $104, $105, $106, $107, $108
    WHERE $93
    ON CONFLICT (campaign_id) DO UPDATE SET signed = excluded.signed,
        withdrawn = excluded.withdrawn, converted = excluded.converted,
        pledging_members = excluded.pledging_members, pledged = excluded.pledged,
        paying_members = excluded.paying_members, held = excluded.held,
        payments = excluded.payments, failures = excluded.failures,
        refundable = excluded.refundable, returned = excluded.returned,
        unallocated = excluded.unallocated, allotted = excluded.allotted,
        refunded = excluded.refunded, certificates = excluded.certificates
), pledges AS (
    INSERT INTO pledge (campaign_id, pledge_id, member_id, state, amount, paid, share_class_id,
        units, created_at, expires_at, errored_at, terms_version)
    SELECT $1, unnest($82::uuid[]), unnest($83::uuid[]), unnest($84::text[]),
        unnest($85::bigint[]), unnest($86::bigint[]), unnest($87::uuid[]),
        unnest($88::bigint[]), unnest($89::timestamptz[]), unnest($90::timestamptz[]),
        unnest($91::timestamptz[]), unnest($92::int[])
    ON CONFLICT (campaign_id, pledge_id) DO UPDATE SET state = excluded.state,
        amount = excluded.amount, paid = excluded.paid, units = excluded.units,
        errored_at = excluded.errored_at
), members AS (
    INSERT INTO member (campaign_id, member_id, email_hash, created_at, live_pledges)
    SELECT $1, unnest($78::uuid[]), unnest($79::bytea[]), unnest($80::timestamptz[]),
        unnest($81::int[])
    ON CONFLICT (campaign_id, member_id) DO UPDATE SET live_pledges = excluded.live_pledges
), signatures AS (
    INSERT INTO signature (campaign_id, signature_id, email_hash, state, created_at)
    SELECT $1, unnest($74::uuid[]), unnest($75::bytea[]), unnest($76::text[]),
        unnest($77::timestamptz[])
    ON CONFLICT (campaign_id, signature_id) DO UPDATE SET state = excluded.state
), payments AS (
    INSERT INTO payment (campaign_id, payment_id, money_account_id, object_id, state, method,
        gross, held, refundable, unallocated, fee, fee_known, fee_deferred, allotted, refunded,
        returned, charged, lost, reserved, flagged, member_id, pledge_id,
        occurred_at, value_date, available_on, failure_code, entry_no)
    SELECT $1, unnest($45::uuid[]), unnest($46::uuid[]), unnest($47::text[]),
        unnest($48::text[]), unnest($49::text[]), unnest($50::bigint[]), unnest($51::bigint[]),
        unnest($52::bigint[]), unnest($53::bigint[]), unnest($54::bigint[]),
        unnest($55::bool[]), unnest($56::bigint[]), unnest($57::bigint[]), unnest($58::bigint[]),
        unnest($59::bigint[]), unnest($60::bigint[]), unnest($61::bigint[]),
        unnest($62::bigint[]), unnest($63::bool[]), unnest($64::uuid[]), unnest($65::uuid[]),
        unnest($66::timestamptz[]), unnest($67::date[]), unnest($68::date[]),
        unnest($69::text[]), unnest($70::bigint[])
    ON CONFLICT (campaign_id, payment_id) DO UPDATE SET state = excluded.state,
        method = excluded.method, gross = excluded.gross, held = excluded.held,
        refundable = excluded.refundable, unallocated = excluded.unallocated,
        fee = excluded.fee, fee_known = excluded.fee_known,
        fee_deferred = excluded.fee_deferred, allotted = excluded.allotted,
        refunded = excluded.refunded, returned = excluded.returned, charged = excluded.charged,
        lost = excluded.lost, reserved = excluded.reserved, flagged = excluded.flagged,
        member_id = excluded.member_id,
        pledge_id = excluded.pledge_id, occurred_at = excluded.occurred_at,
        value_date = excluded.value_date, available_on = excluded.available_on,
        failure_code = excluded.failure_code, entry_no = excluded.entry_no
), persons AS (
    INSERT INTO person (campaign_id, subject_id, display_name, email)
    SELECT $1, unnest($71::uuid[]), unnest($72::text[]), unnest($73::text[])
    FROM (SELECT pg_advisory_xact_lock_shared($111)) AS behind_the_one_before
), effects AS (
    INSERT INTO effect (campaign_id, money_account_id, object_id, effect, seq, amount, payment_id,
        change_no)
    SELECT $1, unnest($38::uuid[]), unnest($39::text[]), unnest($40::text[]), unnest($41::text[]),
        unnest($42::bigint[]), unnest($43::uuid[]), unnest($44::bigint[])
), lines AS (
    INSERT INTO line (campaign_id, account_no, entry_no, line_no, amount, balance, debits,
        payment_id, pledge_id)
    SELECT $1, unnest($30::int[]), unnest($31::bigint[]), unnest($32::smallint[]),
        unnest($33::bigint[]), unnest($34::bigint[]), unnest($35::bigint[]), unnest($36::uuid[]),
        unnest($37::uuid[])
), entries AS (
    INSERT INTO journal_entry (campaign_id, entry_no, change_no, event, occurred_at, value_date,
        recorded_at, reverses, accounts, digest)
    SELECT $1, unnest($21::bigint[]), unnest($22::bigint[]), unnest($23::text[]),
        unnest($24::timestamptz[]), unnest($25::date[]), unnest($26::timestamptz[]),
        unnest($27::bigint[]),
        -- An array of arrays of different lengths is none in SQL: each comes as its text.
        unnest($28::text[])::int[], unnest($29::bytea[])
), remembered AS (
    INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot)
    SELECT $1, unnest($17::bigint[]), unnest($18::smallint[]), unnest($19::uuid[]),
        unnest($20::text[])::json
), accounts AS (
    INSERT INTO account (campaign_id, account_no, code, commodity, owner)
    SELECT $1, unnest($13::int[]), unnest($14::smallint[]), unnest($15::text[]), unnest($16::uuid[])
)
INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields, recorded_at,
    first_entry_no, last_entry_no, same_as_change_no, refusal, reason)
SELECT $1, unnest($2::bigint[]), unnest($3::uuid[]), unnest($4::text[]), unnest($5::text[]),
    unnest($6::bytea[]), unnest($7::timestamptz[]), unnest($8::bigint[]), unnest($9::bigint[]),
    unnest($10::bigint[]), unnest($11::text[])::json, unnest($12::text[])
FROM (SELECT pg_advisory_xact_lock_shared($109), pg_advisory_xact_lock($110)) AS beside_others
