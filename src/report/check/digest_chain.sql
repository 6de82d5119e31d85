-- Each entry's digest is the SHA-256 of the one before it and of the entry as
-- it stands, in the layout of src/ledger/digest.rs. Each is computed from the
-- stored one before, so that one changed entry is named and not all after it.
WITH lines AS (
    SELECT line.entry_no, count(*)::integer AS how_many,
        string_agg(
            int4send(account.code)
            || int4send(octet_length(convert_to(account.commodity, 'UTF8')))
            || convert_to(account.commodity, 'UTF8')
            || uuid_send(account.owner)
            || uuid_send(coalesce(line.payment_id, '00000000-0000-0000-0000-000000000000'))
            || uuid_send(coalesce(line.pledge_id, '00000000-0000-0000-0000-000000000000'))
            || int8send(line.amount) || int8send(line.balance) || int8send(line.debits),
            '' ORDER BY line.line_no
        ) AS bytes
    FROM line
    JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
    WHERE line.campaign_id = $1
    GROUP BY line.entry_no
), entry AS (
    SELECT journal_entry.*,
        lag(digest, 1, decode(repeat('00', 32), 'hex')) OVER (ORDER BY entry_no) AS before
    FROM journal_entry WHERE campaign_id = $1
), hashed AS (
    SELECT entry.entry_no, entry.digest, sha256(
        entry.before
        || uuid_send(entry.campaign_id)
        || int8send(entry.entry_no) || int8send(entry.change_no)
        || int4send(octet_length(convert_to(entry.event, 'UTF8')))
        || convert_to(entry.event, 'UTF8')
        || int8send((extract(epoch FROM entry.occurred_at) * 1000000)::bigint)
        || int4send(entry.value_date - DATE '1970-01-01')
        || int8send((extract(epoch FROM entry.recorded_at) * 1000000)::bigint)
        || int8send(coalesce(entry.reverses, 0))
        || int4send(coalesce(lines.how_many, 0)) || coalesce(lines.bytes, '')
    ) AS expected
    FROM entry LEFT JOIN lines USING (entry_no)
)
SELECT 'entries/' || entry_no, encode(digest, 'hex'), encode(expected, 'hex')
FROM hashed WHERE digest <> expected
