-- The nouns that a batch made or changed, each in its last state, in one round trip.
-- The parts do not read each other's tables, so the order among them says nothing.
WITH members AS (
    INSERT INTO member (campaign_id, member_id, email_hash, created_at, live_pledges)
    SELECT $1, unnest($2::uuid[]), unnest($3::bytea[]), unnest($4::timestamptz[]),
        unnest($5::int[])
    ON CONFLICT (campaign_id, member_id) DO UPDATE SET live_pledges = excluded.live_pledges
), signatures AS (
    INSERT INTO signature (campaign_id, signature_id, email_hash, state, created_at)
    SELECT $1, unnest($6::uuid[]), unnest($7::bytea[]), unnest($8::text[]),
        unnest($9::timestamptz[])
    ON CONFLICT (campaign_id, signature_id) DO UPDATE SET state = excluded.state
), persons AS (
    INSERT INTO person (campaign_id, subject_id, display_name, email)
    SELECT $1, unnest($10::uuid[]), unnest($11::text[]), unnest($12::text[])
), pledges AS (
    INSERT INTO pledge (campaign_id, pledge_id, member_id, state, amount, paid, share_class_id,
        units, created_at, expires_at, errored_at, terms_version)
    SELECT $1, unnest($13::uuid[]), unnest($14::uuid[]), unnest($15::text[]),
        unnest($16::bigint[]), unnest($17::bigint[]), unnest($18::uuid[]),
        unnest($19::bigint[]), unnest($20::timestamptz[]), unnest($21::timestamptz[]),
        unnest($22::timestamptz[]), unnest($23::int[])
    ON CONFLICT (campaign_id, pledge_id) DO UPDATE SET state = excluded.state,
        amount = excluded.amount, paid = excluded.paid, units = excluded.units,
        errored_at = excluded.errored_at
), payments AS (
    INSERT INTO payment (campaign_id, payment_id, money_account_id, object_id, state, method,
        gross, held, refundable, unallocated, fee, fee_known, fee_deferred, allotted, refunded,
        returned, charged, lost, reserved, flagged, member_id, pledge_id,
        occurred_at, value_date, available_on, failure_code, entry_no)
    SELECT $1, unnest($24::uuid[]), unnest($25::uuid[]), unnest($26::text[]),
        unnest($27::text[]), unnest($28::text[]), unnest($29::bigint[]), unnest($30::bigint[]),
        unnest($31::bigint[]), unnest($32::bigint[]), unnest($33::bigint[]),
        unnest($34::bool[]), unnest($35::bigint[]), unnest($36::bigint[]), unnest($37::bigint[]),
        unnest($38::bigint[]), unnest($39::bigint[]), unnest($40::bigint[]),
        unnest($41::bigint[]), unnest($42::bool[]), unnest($43::uuid[]), unnest($44::uuid[]),
        unnest($45::timestamptz[]), unnest($46::date[]), unnest($47::date[]),
        unnest($48::text[]), unnest($49::bigint[])
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
)
INSERT INTO effect (campaign_id, money_account_id, object_id, effect, seq, amount, payment_id,
    change_no)
SELECT $1, unnest($50::uuid[]), unnest($51::text[]), unnest($52::text[]), unnest($53::text[]),
    unnest($54::bigint[]), unnest($55::uuid[]), unnest($56::bigint[])
