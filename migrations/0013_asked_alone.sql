-- A batch that is written beside the one before it asks first what it can answer by itself, and
-- waits only then. It used to wait before its first question, so of two batches beside each other
-- only the inserts overlapped, and the rules of the second stood still while those of the first
-- were asked.

-- Waits until the batch before is committed or has failed, if it is under way: its lock is in the
-- setting. A courtesy, not a protection: without it a batch is refused by its numbers.
CREATE FUNCTION wait_for_the_batch_before() RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        nullif(current_setting('pledgebook.behind', true), '')::bigint
    );
END
$$;
REVOKE ALL ON FUNCTION wait_for_the_batch_before() FROM PUBLIC;

-- The campaign's progress, kept by every batch and recomputed by `check`.
CREATE TYPE tally_numbers AS (
    -- Signatures by state.
    signed bigint,
    withdrawn bigint,
    converted bigint,
    -- Members with a pledge that is not closed unpaid.
    pledging_members bigint,
    -- What is promised on pledges that are not closed, and paid on those that are.
    pledged bigint,
    -- Members with money in 2100.
    paying_members bigint,
    -- All of 2100.
    held bigint,
    -- Payments that succeeded and stand.
    payments bigint,
    -- Charges that failed, before or after success.
    failures bigint,
    -- All of 2200, 2210 and 2900.
    refundable bigint,
    returned bigint,
    unallocated bigint,
    -- What payments became shares, and what of them went back.
    allotted bigint,
    refunded bigint,
    -- Lots, which are numbered by it: each has a certificate.
    certificates bigint
);

-- The tally's row was the one that every batch of payments changed before its first question. It
-- stands in the head now, and comes with the batch's first change: so it is moved with a batch
-- only, and each batch's is kept.
ALTER TABLE change
    ADD COLUMN tally tally_numbers,
    ADD CONSTRAINT a_tally_is_a_batchs CHECK (tally IS NULL OR batch IS NOT NULL);
ALTER TABLE campaign_head SET (fillfactor = 50);
ALTER TABLE campaign_head
    ADD COLUMN tally tally_numbers NOT NULL DEFAULT ROW(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    -- Of a composite, IS NOT NULL says that none of its fields is null.
    ADD CONSTRAINT the_tally_is_whole CHECK (tally IS NOT NULL);
UPDATE campaign_head SET tally = ROW(tally.signed, tally.withdrawn, tally.converted,
    tally.pledging_members, tally.pledged, tally.paying_members, tally.held, tally.payments,
    tally.failures, tally.refundable, tally.returned, tally.unallocated, tally.allotted,
    tally.refunded, tally.certificates)::tally_numbers
FROM tally WHERE tally.campaign_id = campaign_head.campaign_id;
DROP TABLE tally;
CREATE VIEW tally AS SELECT campaign_id, (tally).* FROM campaign_head;
GRANT SELECT ON tally TO pledgebook_app, pledgebook_report;

-- As before, waits, and takes the tally over.
CREATE OR REPLACE FUNCTION number_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    PERFORM wait_for_the_batch_before();
    UPDATE campaign_head SET change_no = given.last_no, recorded_at = given.last_at,
        batch = given.batch, tally = coalesce(given.tally, campaign_head.tally),
        claimed_entry_no = coalesce(given.last_entry_no, claimed_entry_no)
    FROM (
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries, count(*) OVER () AS campaigns,
            max(batch) AS batch, max(follows) AS follows,
            (array_agg(tally) FILTER (WHERE batch IS NOT NULL))[1] AS tally,
            count(batch) = 1 AND count(follows) = 1 AND min(change_no) = min(change_no)
                FILTER (WHERE batch IS NOT NULL AND follows IS NOT NULL) AS are_a_batch
        FROM recorded GROUP BY campaign_id
    ) AS given
    WHERE campaign_head.campaign_id = given.campaign_id AND given.campaigns = 1
        AND change_no + 1 = given.first_no AND change_no + given.how_many = given.last_no
        AND campaign_head.recorded_at <= given.first_at AND given.first_at = given.last_at
        AND (given.entries IS NULL OR (claimed_entry_no + 1 = given.first_entry_no
            AND claimed_entry_no + given.entries = given.last_entry_no))
        AND campaign_head.batch = given.follows AND given.are_a_batch;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries, count(*) OVER () AS campaigns
        FROM recorded GROUP BY campaign_id
    LOOP
        IF of_campaign.campaigns > 1 THEN
            PERFORM refuse('a_statement_posts_to_one_campaign', of_campaign.campaign_id::text);
        ELSIF EXISTS (
            SELECT FROM campaign_head
            WHERE campaign_id = of_campaign.campaign_id
                AND (claimed_entry_no + 1 <> of_campaign.first_entry_no
                    OR claimed_entry_no + of_campaign.entries <> of_campaign.last_entry_no)
        ) THEN
            PERFORM refuse('a_change_names_the_next_entries', of_campaign.campaign_id::text);
        ELSIF EXISTS (
            SELECT FROM campaign_head
            WHERE campaign_id = of_campaign.campaign_id
                AND change_no + 1 = of_campaign.first_no
                AND change_no + of_campaign.how_many = of_campaign.last_no
                AND recorded_at <= of_campaign.first_at
                AND of_campaign.first_at = of_campaign.last_at
        ) THEN
            PERFORM refuse('a_batch_follows_what_it_was_decided_on', of_campaign.campaign_id::text);
        ELSE
            PERFORM refuse('change_numbers_are_dense_and_time_goes_on', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- As before, and waits; the balances are there by then.
CREATE OR REPLACE FUNCTION open_accounts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    how_many bigint;
    with_a_balance bigint;
BEGIN
    INSERT INTO balance (campaign_id, account_no, guard, unit)
    SELECT opened.campaign_id, opened.account_no, chart_account.guard,
        chart_account.book || opened.commodity
    FROM opened JOIN chart_account USING (code);
    GET DIAGNOSTICS with_a_balance = ROW_COUNT;
    PERFORM wait_for_the_batch_before();
    UPDATE campaign_head SET account_no = given.last_no
    FROM (
        SELECT campaign_id, count(*) AS how_many, min(account_no) AS first_no,
            max(account_no) AS last_no, count(*) OVER () AS campaigns
        FROM opened GROUP BY campaign_id
    ) AS given
    WHERE campaign_head.campaign_id = given.campaign_id AND given.campaigns = 1
        AND account_no + 1 = given.first_no AND account_no + given.how_many = given.last_no
    RETURNING given.how_many INTO how_many;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM opened) THEN
            RETURN NULL;
        END IF;
        PERFORM refuse('account_numbers_are_dense', campaign_id::text) FROM opened LIMIT 1;
    END IF;
    IF with_a_balance < how_many THEN
        PERFORM refuse('an_account_has_a_code_of_the_chart', TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END
$$;

-- Posts the lines of one statement: checks that they complete the next entries of
-- one campaign and balance, and moves the balances. What the lines and the headers say of each
-- other comes first, then what stands.
--
-- What is compared is gathered into arrays, and no line is joined row by row with what
-- lies in a table. Nested loops are off, since a plan that was made for a batch of one
-- serves the batches of a thousand too: = ANY finds the balances by their key, and the
-- rest is hashed.
CREATE OR REPLACE FUNCTION post_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    the_campaign uuid;
    given record;
    named record;
    checked record;
    turned bigint;
BEGIN
    SELECT campaign_id INTO the_campaign FROM posted LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    -- In the order of an account's lines, each running balance is the one before it and the
    -- line's amount; the first ones begin at the stored balance, or its row is not found below.
    SELECT bool_and(campaign_id = the_campaign) AS are_of_one,
        min(entry_no) AS first_no, max(entry_no) AS last_no, array_agg(entry_no) AS entries,
        array_agg(line_no::integer) AS lines, array_agg(account_no) AS accounts,
        bool_and(
            is_first OR (balance - amount, debits - debit) = (balance_before, debits_before)
        ) AS follow,
        array_agg(account_no) FILTER (WHERE is_first) AS numbers,
        array_agg(balance - amount) FILTER (WHERE is_first) AS balances_before,
        array_agg(debits - debit) FILTER (WHERE is_first) AS debits_before,
        array_agg(balance) FILTER (WHERE is_last) AS balances,
        array_agg(debits) FILTER (WHERE is_last) AS debits
    INTO given
    FROM (
        SELECT campaign_id, entry_no, line_no, account_no, amount, balance, debits,
            greatest(amount, 0) AS debit,
            lag(account_no) OVER in_order IS DISTINCT FROM account_no AS is_first,
            lead(account_no) OVER in_order IS DISTINCT FROM account_no AS is_last,
            lag(balance) OVER in_order AS balance_before,
            lag(debits) OVER in_order AS debits_before
        FROM posted
        WINDOW in_order AS (ORDER BY account_no, entry_no, line_no)
        ORDER BY account_no, entry_no, line_no
    ) AS running;
    IF NOT given.are_of_one THEN
        PERFORM refuse('a_statement_posts_to_one_campaign', the_campaign::text);
    END IF;

    -- Each header from the first one that has lines here to the last, with all of its lines.
    SELECT array_agg(entry_no) AS entries, array_agg(line_no) AS lines,
        array_agg(account_no) AS accounts, count(*) FILTER (WHERE line_no = 1) AS headers,
        min(value_date) AS first_day, max(value_date) AS last_day
    INTO named
    FROM (
        SELECT entry_no, value_date, unnest(accounts) AS account_no,
            generate_subscripts(accounts, 1) AS line_no
        FROM journal_entry
        WHERE campaign_id = the_campaign AND entry_no BETWEEN given.first_no AND given.last_no
        ORDER BY account_no, entry_no, line_no
    ) AS in_order;
    IF (given.entries, given.lines, given.accounts, given.last_no - given.first_no + 1)
        IS DISTINCT FROM (named.entries, named.lines, named.accounts, named.headers) THEN
        PERFORM refuse('lines_complete_their_entry', the_campaign::text);
    END IF;
    IF NOT given.follow THEN
        PERFORM refuse('running_balances_follow_the_balance', the_campaign::text);
    END IF;

    -- From here on it is asked what stands, one batch after the other. The entries are the next
    -- ones: none is left out, and an older one cannot be opened again.
    PERFORM wait_for_the_batch_before();
    UPDATE campaign_head SET entry_no = given.last_no,
        digest = (SELECT digest FROM journal_entry
            WHERE campaign_id = the_campaign AND entry_no = given.last_no)
    WHERE campaign_id = the_campaign AND entry_no + 1 = given.first_no;
    IF NOT FOUND THEN
        PERFORM refuse('lines_are_of_the_next_entries', the_campaign::text);
    END IF;

    -- The accounts whose open day is the batch's only one.
    WITH moved AS (
        UPDATE balance SET balance = line.balance, debits = line.debits
        FROM (
            SELECT unnest(given.numbers) AS account_no, unnest(given.balances) AS balance,
                unnest(given.debits) AS debits, unnest(given.balances_before) AS balance_before,
                unnest(given.debits_before) AS debits_before
        ) AS line
        WHERE balance.campaign_id = the_campaign AND balance.account_no = ANY (given.numbers)
            AND balance.account_no = line.account_no
            AND balance.balance = line.balance_before AND balance.debits = line.debits_before
            AND balance.day = named.first_day AND balance.day = named.last_day
        RETURNING balance.account_no, balance.unit, balance.guard
    )
    SELECT (SELECT count(*) FROM moved) AS accounts,
        min(entry_no) FILTER (WHERE amount <> 0) AS unbalanced, bool_and(keep_floors) AS keep_floors
    INTO checked
    FROM (
        SELECT entry_no, sum(amount) AS amount, bool_and(guard * balance >= 0) AS keep_floors
        FROM posted JOIN moved USING (account_no)
        GROUP BY entry_no, unit
    ) AS in_unit;

    -- The days of the others are turned, and then they are moved too: who was moved already
    -- does not stand any more where it stood before.
    IF checked.accounts < cardinality(given.numbers) THEN
        WITH waiting AS (
            SELECT balance.* FROM balance
            JOIN (
                SELECT unnest(given.numbers) AS account_no,
                    unnest(given.balances_before) AS balance, unnest(given.debits_before) AS debits
            ) AS line USING (account_no, balance, debits)
            WHERE campaign_id = the_campaign AND account_no = ANY (given.numbers)
        ), by_day AS (
            SELECT posted.account_no, header.value_date, waiting.day,
                sum(greatest(posted.amount, 0)) AS debits,
                sum(greatest(-posted.amount, 0)) AS credits
            FROM posted
            JOIN waiting ON waiting.account_no = posted.account_no
            JOIN journal_entry AS header ON header.campaign_id = the_campaign
                AND header.entry_no BETWEEN given.first_no AND given.last_no
                AND header.entry_no = posted.entry_no
            GROUP BY posted.account_no, header.value_date, waiting.day
        ), newest AS (
            SELECT account_no, greatest(day, max(value_date)) AS day
            FROM by_day GROUP BY account_no, by_day.day
        ), ended AS (
            SELECT account_no, value_date, sum(debits) AS debits, sum(credits) AS credits
            FROM (
                SELECT account_no, value_date, debits, credits FROM by_day
                UNION ALL
                SELECT account_no, day, debits - debits_before_day,
                    (debits - balance) - (debits_before_day - balance_before_day)
                FROM waiting
            ) AS moved
            JOIN newest USING (account_no)
            WHERE value_date < newest.day AND (debits, credits) <> (0, 0)
            GROUP BY account_no, value_date
        ), written AS (
            INSERT INTO account_day (campaign_id, account_no, value_date, debits, credits)
            SELECT the_campaign, account_no, value_date, debits, credits FROM ended
            ORDER BY account_no, value_date
            ON CONFLICT (campaign_id, account_no, value_date) DO UPDATE
            SET debits = account_day.debits + excluded.debits,
                credits = account_day.credits + excluded.credits
        )
        UPDATE balance SET balance = turned.balance, debits = turned.debits, day = turned.day,
            balance_before_day = balance_before_day + turned.ended_debits - turned.ended_credits,
            debits_before_day = debits_before_day + turned.ended_debits
        FROM (
            SELECT account_no, newest.day, line.balance, line.debits,
                coalesce(sum(ended.debits), 0) AS ended_debits,
                coalesce(sum(ended.credits), 0) AS ended_credits
            FROM newest
            JOIN (
                SELECT unnest(given.numbers) AS account_no, unnest(given.balances) AS balance,
                    unnest(given.debits) AS debits
            ) AS line USING (account_no)
            LEFT JOIN ended USING (account_no)
            GROUP BY account_no, newest.day, line.balance, line.debits
        ) AS turned
        WHERE balance.campaign_id = the_campaign AND balance.account_no = ANY (given.numbers)
            AND balance.account_no = turned.account_no;
        GET DIAGNOSTICS turned = ROW_COUNT;

        IF checked.accounts + turned < cardinality(given.numbers) THEN
            IF cardinality(given.numbers) > (
                SELECT count(*) FROM balance
                WHERE campaign_id = the_campaign AND account_no = ANY (given.numbers)
            ) THEN
                PERFORM refuse('a_line_has_an_account_of_its_campaign', the_campaign::text);
            END IF;
            PERFORM refuse('running_balances_follow_the_balance', the_campaign::text);
        END IF;
        SELECT min(entry_no) FILTER (WHERE amount <> 0) AS unbalanced,
            bool_and(keep_floors) AS keep_floors
        INTO checked
        FROM (
            SELECT entry_no, sum(amount) AS amount, bool_and(guard * posted.balance >= 0) AS keep_floors
            FROM posted
            JOIN balance ON balance.campaign_id = the_campaign
                AND balance.account_no = ANY (given.numbers)
                AND balance.account_no = posted.account_no
            GROUP BY entry_no, unit
        ) AS in_unit;
    END IF;
    IF checked.unbalanced IS NOT NULL THEN
        PERFORM refuse('an_entry_balances', the_campaign || ' ' || checked.unbalanced);
    END IF;
    IF NOT checked.keep_floors THEN
        PERFORM refuse('no_running_balance_is_under_its_floor', the_campaign::text);
    END IF;
    RETURN NULL;
END
$$;
