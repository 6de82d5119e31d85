-- What a batch posted and what it made or changed, each noun in its last state, in one
-- round trip. A part that has no rows is left out of the text, since PostgreSQL would
-- open its table and fire its triggers for nothing; statement.rs cuts the text at its
-- parts' names. Where no payment was there before, it also cuts off what is to become of
-- those, or PostgreSQL would look for each of them first, and moves the part behind the
-- persons', which is to say before the wait.
--
-- A batch is recorded at one moment. Arrays are unnested side by side in the select list: in FROM
-- each would be kept as a table of its own first, which takes twice as long.
--
-- The order matters. PostgreSQL carries out the main query first, then the parts from the last
-- to the first, and then fires their triggers in that order: headers and accounts before lines,
-- and changes before what refers to other rows. What the rows say of each other is asked while
-- the batch before is not committed yet; the first trigger that asks what stands waits for it,
-- which is the accounts' where some were opened.
--
-- The campaign's lock is taken first, for whoever works under the head's lock, and this
-- batch's own, for the batch that comes behind it; the one of the batch before is left to the
-- triggers in a setting. Where both change the same row, this one waits before it comes to those:
-- otherwise a small batch would pass a large one and be refused for it, or each would wait for the
-- other. Such rows come last, and the persons before them carry the wait, also when they have no
-- rows.
WITH pledges AS (
    INSERT INTO pledge (campaign_id, pledge_id, member_id, state, amount, paid, share_class_id,
        units, created_at, expires_at, errored_at, terms_version)
    SELECT $1, unnest($78::uuid[]), unnest($79::uuid[]), unnest($80::text[]),
        unnest($81::bigint[]), unnest($82::bigint[]), unnest($83::uuid[]),
        unnest($84::bigint[]), unnest($85::timestamptz[]), unnest($86::timestamptz[]),
        unnest($87::timestamptz[]), unnest($88::int[])
    ON CONFLICT (campaign_id, pledge_id) DO UPDATE SET state = excluded.state,
        amount = excluded.amount, paid = excluded.paid, units = excluded.units,
        errored_at = excluded.errored_at
), members AS (
    INSERT INTO member (campaign_id, member_id, email_hash, created_at, live_pledges)
    SELECT $1, unnest($74::uuid[]), unnest($75::bytea[]), unnest($76::timestamptz[]),
        unnest($77::int[])
    ON CONFLICT (campaign_id, member_id) DO UPDATE SET live_pledges = excluded.live_pledges
), signatures AS (
    INSERT INTO signature (campaign_id, signature_id, email_hash, state, created_at)
    SELECT $1, unnest($70::uuid[]), unnest($71::bytea[]), unnest($72::text[]),
        unnest($73::timestamptz[])
    ON CONFLICT (campaign_id, signature_id) DO UPDATE SET state = excluded.state
), payments AS (
    INSERT INTO payment (campaign_id, payment_id, money_account_id, object_id, state, method,
        gross, held, refundable, unallocated, fee, fee_known, fee_deferred, allotted, refunded,
        returned, charged, lost, reserved, flagged, member_id, pledge_id,
        occurred_at, value_date, available_on, failure_code, entry_no)
    SELECT $1, unnest($41::uuid[]), unnest($42::uuid[]), unnest($43::text[]),
        unnest($44::text[]), unnest($45::text[]), unnest($46::bigint[]), unnest($47::bigint[]),
        unnest($48::bigint[]), unnest($49::bigint[]), unnest($50::bigint[]),
        unnest($51::bool[]), unnest($52::bigint[]), unnest($53::bigint[]), unnest($54::bigint[]),
        unnest($55::bigint[]), unnest($56::bigint[]), unnest($57::bigint[]),
        unnest($58::bigint[]), unnest($59::bool[]), unnest($60::uuid[]), unnest($61::uuid[]),
        unnest($62::timestamptz[]), unnest($63::date[]), unnest($64::date[]),
        unnest($65::text[]), unnest($66::bigint[])
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
    SELECT $1, unnest($67::uuid[]), unnest($68::text[]), unnest($69::text[])
    FROM (SELECT pg_advisory_xact_lock_shared($107)) AS behind_the_one_before
), effects AS (
    INSERT INTO effect (campaign_id, money_account_id, object_id, effect, seq, amount, payment_id,
        change_no)
    SELECT $1, unnest($34::uuid[]), unnest($35::text[]), unnest($36::text[]), unnest($37::text[]),
        unnest($38::bigint[]), unnest($39::uuid[]), unnest($40::bigint[])
), changes AS (
    INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields, recorded_at,
        first_entry_no, last_entry_no, same_as_change_no, refusal, reason, history, batch, follows,
        tally)
    SELECT $1, unnest($2::bigint[]), unnest($3::uuid[]), unnest($4::text[]), unnest($5::text[]),
        unnest($6::bytea[]), $7::timestamptz, unnest($8::bigint[]), unnest($9::bigint[]),
        unnest($10::bigint[]), unnest($11::text[])::json, unnest($12::text[]),
        unnest($13::text[])::json,
        -- Of the first one. Side by side, the shorter ones end in NULL.
        unnest(ARRAY[$108::bigint]), unnest(ARRAY[$109::bigint]),
        unnest(ARRAY[CASE WHEN $89 THEN ROW($90, $91, $92, $93, $94, $95, $96, $97, $98, $99, $100,
            $101, $102, $103, $104)::tally_numbers END])
), lines AS (
    INSERT INTO line (campaign_id, account_no, entry_no, line_no, amount, balance, debits,
        payment_id, pledge_id)
    SELECT $1, unnest($26::int[]), unnest($27::bigint[]), unnest($28::smallint[]),
        unnest($29::bigint[]), unnest($30::bigint[]), unnest($31::bigint[]), unnest($32::uuid[]),
        unnest($33::uuid[])
), accounts AS (
    INSERT INTO account (campaign_id, account_no, code, commodity, owner)
    SELECT $1, unnest($14::int[]), unnest($15::smallint[]), unnest($16::text[]), unnest($17::uuid[])
), entries AS (
    INSERT INTO journal_entry (campaign_id, entry_no, change_no, event, occurred_at, value_date,
        recorded_at, reverses, accounts, digest)
    SELECT $1, unnest($18::bigint[]), unnest($19::bigint[]), unnest($20::text[]),
        unnest($21::timestamptz[]), unnest($22::date[]), $7::timestamptz, unnest($23::bigint[]),
        -- An array of arrays of different lengths is none in SQL: each comes as its text.
        unnest($24::text[])::int[], unnest($25::bytea[])
)
SELECT pg_advisory_xact_lock_shared($105), pg_advisory_xact_lock($106),
    set_config('pledgebook.behind', $110, true)
