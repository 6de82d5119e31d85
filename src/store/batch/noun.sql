-- The nouns that a batch made or changed, each in its last state, in one round trip.
-- The parts do not read each other's tables, so the order among them says nothing.
WITH members AS (
    INSERT INTO member (campaign_id, member_id, email_hash, created_at, live_pledges)
    SELECT $1, * FROM unnest($2::uuid[], $3::bytea[], $4::timestamptz[], $5::int[])
    ON CONFLICT (campaign_id, member_id) DO UPDATE SET live_pledges = excluded.live_pledges
), signatures AS (
    INSERT INTO signature (campaign_id, signature_id, email_hash, state, created_at)
    SELECT $1, * FROM unnest($6::uuid[], $7::bytea[], $8::text[], $9::timestamptz[])
    ON CONFLICT (campaign_id, signature_id) DO UPDATE SET state = excluded.state
), persons AS (
    INSERT INTO person (campaign_id, subject_id, display_name, email)
    SELECT $1, * FROM unnest($10::uuid[], $11::text[], $12::text[])
), pledges AS (
    INSERT INTO pledge (campaign_id, pledge_id, member_id, state, amount, paid, share_class_id,
        units, created_at, expires_at, errored_at, terms_version)
    SELECT $1, * FROM unnest($13::uuid[], $14::uuid[], $15::text[], $16::bigint[], $17::bigint[],
        $18::uuid[], $19::bigint[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
        $23::int[])
    ON CONFLICT (campaign_id, pledge_id) DO UPDATE SET state = excluded.state,
        amount = excluded.amount, paid = excluded.paid, units = excluded.units,
        errored_at = excluded.errored_at
), payments AS (
    INSERT INTO payment (campaign_id, payment_id, money_account_id, object_id, state, method,
        gross, held, refundable, unallocated, fee, fee_known, fee_deferred, member_id, pledge_id,
        occurred_at, value_date, available_on, failure_code, entry_no)
    SELECT $1, * FROM unnest($24::uuid[], $25::uuid[], $26::text[], $27::text[], $28::text[],
        $29::bigint[], $30::bigint[], $31::bigint[], $32::bigint[], $33::bigint[], $34::bool[],
        $35::bigint[], $36::uuid[], $37::uuid[], $38::timestamptz[], $39::date[], $40::date[],
        $41::text[], $42::bigint[])
    ON CONFLICT (campaign_id, payment_id) DO UPDATE SET state = excluded.state,
        method = excluded.method, gross = excluded.gross, held = excluded.held,
        refundable = excluded.refundable, unallocated = excluded.unallocated,
        fee = excluded.fee, fee_known = excluded.fee_known,
        fee_deferred = excluded.fee_deferred, member_id = excluded.member_id,
        pledge_id = excluded.pledge_id, occurred_at = excluded.occurred_at,
        value_date = excluded.value_date, available_on = excluded.available_on,
        failure_code = excluded.failure_code, entry_no = excluded.entry_no
)
INSERT INTO effect (campaign_id, money_account_id, object_id, effect, seq, amount, payment_id,
    change_no)
SELECT $1, * FROM unnest($43::uuid[], $44::text[], $45::text[], $46::text[], $47::bigint[],
    $48::uuid[], $49::bigint[])
