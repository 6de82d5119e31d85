-- The posting path, once more: what a posting writes beside its own rows, and what
-- its triggers ask for row by row.

-- An account's newest day stands open in its balance row, which every posting
-- writes anyway; account_day gets it when a later one begins. A hot account's day is
-- then written once, not once a batch.
ALTER TABLE balance
    -- The newest value date posted to so far; none before it is open. An account opens
    -- on the day on which it is made.
    ADD COLUMN day date NOT NULL DEFAULT current_date,
    -- What the account stood at without the movements of that day.
    ADD COLUMN balance_before_day bigint NOT NULL DEFAULT 0,
    ADD COLUMN debits_before_day bigint NOT NULL DEFAULT 0;

ALTER TABLE account_day DISABLE TRIGGER stays_written;
WITH newest AS (
    DELETE FROM account_day USING (
        SELECT campaign_id, account_no, max(value_date) AS value_date
        FROM account_day GROUP BY campaign_id, account_no
    ) AS last_one
    WHERE account_day.campaign_id = last_one.campaign_id
        AND account_day.account_no = last_one.account_no
        AND account_day.value_date = last_one.value_date
    RETURNING account_day.*
)
UPDATE balance SET day = newest.value_date,
    balance_before_day = balance.balance - (newest.debits - newest.credits),
    debits_before_day = balance.debits - newest.debits
FROM newest
WHERE balance.campaign_id = newest.campaign_id AND balance.account_no = newest.account_no;
ALTER TABLE account_day ENABLE ALWAYS TRIGGER stays_written;

-- Movements by value date, whether the day is open or not. A day without any has no row.
CREATE VIEW movement AS
SELECT campaign_id, account_no, value_date, debits, credits FROM account_day
UNION ALL
SELECT campaign_id, account_no, day, debits - debits_before_day,
    (debits - balance) - (debits_before_day - balance_before_day)
FROM balance
WHERE (debits, balance) <> (debits_before_day, balance_before_day);
GRANT SELECT ON movement TO pledgebook_app, pledgebook_report;

-- Nobody asks for the history of one subject; what a change made is found by the change.
DROP INDEX history_of_a_subject;

-- An effect is claimed on an account of money of its campaign; one look says both, as
-- it does for payments.
ALTER TABLE effect DROP CONSTRAINT effect_campaign_id_fkey;
CREATE TRIGGER effects_arrive AFTER INSERT ON effect
REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION payments_arrive();
ALTER TABLE effect ENABLE ALWAYS TRIGGER effects_arrive;

-- Headers take the campaign's next entry numbers, and each is of the change that
-- names it: numbers and changes stand side by side in the order of the entries, and
-- so do those that the changes name.
CREATE OR REPLACE FUNCTION announce_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    the_campaign uuid;
    the_head campaign_head;
    given record;
    named record;
BEGIN
    FOR the_campaign IN SELECT DISTINCT campaign_id FROM announced LOOP
        SELECT * INTO the_head FROM campaign_head WHERE campaign_id = the_campaign;
        SELECT array_agg(entry_no) AS entries, array_agg(change_no) AS changes,
            max(entry_no) AS last_no, min(recorded_at) AS first_at, max(recorded_at) AS last_at
        INTO given
        FROM (
            SELECT entry_no, change_no, recorded_at FROM announced
            WHERE campaign_id = the_campaign ORDER BY entry_no
        ) AS in_order;
        UPDATE campaign_head SET announced_entry_no = given.last_no,
            digest = (SELECT announced.digest FROM announced
                WHERE announced.campaign_id = the_campaign AND announced.entry_no = given.last_no)
        WHERE campaign_id = the_campaign
            AND announced_entry_no + 1 = given.entries[1]
            AND announced_entry_no + cardinality(given.entries) = given.last_no
            AND recorded_at = given.first_at AND recorded_at = given.last_at;
        IF NOT FOUND THEN
            PERFORM refuse('entry_numbers_are_dense_and_of_this_moment', the_campaign::text);
        END IF;

        SELECT array_agg(entry_no) AS entries, array_agg(change_no) AS changes INTO named
        FROM (
            SELECT change_no, generate_series(first_entry_no, last_entry_no) AS entry_no
            FROM change
            WHERE campaign_id = the_campaign
                AND change_no BETWEEN given.changes[1] AND the_head.change_no
            ORDER BY change_no
        ) AS in_order
        WHERE entry_no BETWEEN given.entries[1] AND given.last_no;
        IF (given.entries, given.changes) IS DISTINCT FROM (named.entries, named.changes) THEN
            PERFORM refuse('an_entry_is_of_the_change_that_names_it', TG_TABLE_NAME);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Posts the lines of one statement: checks that they complete the next entries of
-- one campaign and balance, and moves the balances.
--
-- What is compared is gathered into arrays, and no line is joined row by row with what
-- lies in a table. Nested loops are off, since a plan that was made for a batch of one
-- serves the batches of a thousand too: = ANY finds the balances by their key, and the
-- rest is hashed.
CREATE OR REPLACE FUNCTION post_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    the_campaign uuid;
    the_head campaign_head;
    given record;
    named record;
    due record;
    part record;
    numbers integer[] := '{}';
    units text[] := '{}';
    guards smallint[] := '{}';
    days_are_turned boolean := false;
    checked record;
BEGIN
    SELECT campaign_id INTO the_campaign FROM posted LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO the_head FROM campaign_head WHERE campaign_id = the_campaign FOR NO KEY UPDATE;

    SELECT array_agg(entry_no) AS entries, array_agg(line_no::integer) AS lines,
        array_agg(account_no) AS accounts, max(entry_no) AS last_no,
        bool_and(campaign_id = the_campaign) AS are_of_one
    INTO given
    FROM (SELECT * FROM posted ORDER BY entry_no, line_no) AS in_order;
    IF NOT given.are_of_one THEN
        PERFORM refuse('a_statement_posts_to_one_campaign', the_campaign::text);
    END IF;

    -- The headers whose lines are still to come, up to the last one that has lines here:
    -- no entry is left out, and an older one cannot be opened again.
    SELECT array_agg(entry_no) AS entries, array_agg(line_no) AS lines,
        array_agg(account_no) AS accounts,
        min(value_date) AS first_day, max(value_date) AS last_day
    INTO named
    FROM (
        SELECT entry_no, value_date, unnest(accounts) AS account_no,
            generate_subscripts(accounts, 1) AS line_no
        FROM journal_entry
        WHERE campaign_id = the_campaign AND entry_no > the_head.entry_no
            AND entry_no <= given.last_no
        ORDER BY entry_no
    ) AS in_order;
    IF (given.entries, given.lines, given.accounts)
        IS DISTINCT FROM (named.entries, named.lines, named.accounts) THEN
        PERFORM refuse('lines_complete_their_entry', the_campaign::text);
    END IF;

    -- Each running balance is the one before it on that account and the line's amount;
    -- the first ones begin at the stored balance, or its row is not found below.
    SELECT bool_and(
            is_first OR (balance - amount, debits - debit) = (balance_before, debits_before)
        ) AS follow,
        array_agg(account_no) FILTER (WHERE is_first) AS numbers,
        array_agg(balance - amount) FILTER (WHERE is_first) AS balances_before,
        array_agg(debits - debit) FILTER (WHERE is_first) AS debits_before,
        array_agg(balance) FILTER (WHERE is_last) AS balances,
        array_agg(debits) FILTER (WHERE is_last) AS debits
    INTO due
    FROM (
        SELECT account_no, amount, balance, debits, greatest(amount, 0) AS debit,
            lag(account_no) OVER in_order IS DISTINCT FROM account_no AS is_first,
            lead(account_no) OVER in_order IS DISTINCT FROM account_no AS is_last,
            lag(balance) OVER in_order AS balance_before,
            lag(debits) OVER in_order AS debits_before
        FROM posted
        WINDOW in_order AS (ORDER BY account_no, entry_no, line_no)
        ORDER BY account_no, entry_no, line_no
    ) AS running;
    IF NOT due.follow THEN
        PERFORM refuse('running_balances_follow_the_balance', the_campaign::text);
    END IF;

    -- At first the accounts whose open day is the batch's only one. If there are others,
    -- their days are turned, and then they are moved too: who was moved already does not
    -- stand any more where it stood before.
    LOOP
        WITH moved AS (
            UPDATE balance SET balance = line.balance, debits = line.debits
            FROM (
                SELECT unnest(due.numbers) AS account_no, unnest(due.balances) AS balance,
                    unnest(due.debits) AS debits, unnest(due.balances_before) AS balance_before,
                    unnest(due.debits_before) AS debits_before
            ) AS line
            WHERE balance.campaign_id = the_campaign AND balance.account_no = ANY (due.numbers)
                AND balance.account_no = line.account_no
                AND balance.balance = line.balance_before AND balance.debits = line.debits_before
                AND (days_are_turned
                    OR (balance.day = named.first_day AND balance.day = named.last_day))
            RETURNING balance.account_no, balance.unit, balance.guard
        )
        SELECT array_agg(account_no) AS numbers, array_agg(unit) AS units,
            array_agg(guard) AS guards
        INTO part FROM moved;
        numbers := numbers || part.numbers;
        units := units || part.units;
        guards := guards || part.guards;
        EXIT WHEN days_are_turned OR cardinality(numbers) = cardinality(due.numbers);

        days_are_turned := true;
        WITH waiting AS (
            SELECT balance.* FROM balance
            JOIN (
                SELECT unnest(due.numbers) AS account_no,
                    unnest(due.balances_before) AS balance, unnest(due.debits_before) AS debits
            ) AS line USING (account_no, balance, debits)
            WHERE campaign_id = the_campaign AND account_no = ANY (due.numbers)
        ), by_day AS (
            SELECT posted.account_no, header.value_date, waiting.day,
                sum(greatest(posted.amount, 0)) AS debits,
                sum(greatest(-posted.amount, 0)) AS credits
            FROM posted
            JOIN waiting ON waiting.account_no = posted.account_no
            JOIN journal_entry AS header ON header.campaign_id = the_campaign
                AND header.entry_no > the_head.entry_no AND header.entry_no <= given.last_no
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
        UPDATE balance SET day = turned.day,
            balance_before_day = balance_before_day + turned.debits - turned.credits,
            debits_before_day = debits_before_day + turned.debits
        FROM (
            SELECT account_no, newest.day, coalesce(sum(debits), 0) AS debits,
                coalesce(sum(credits), 0) AS credits
            FROM newest LEFT JOIN ended USING (account_no)
            GROUP BY account_no, newest.day
        ) AS turned
        WHERE balance.campaign_id = the_campaign AND balance.account_no = ANY (due.numbers)
            AND balance.account_no = turned.account_no;
    END LOOP;
    IF cardinality(numbers) < cardinality(due.numbers) THEN
        IF cardinality(due.numbers) > (
            SELECT count(*) FROM balance
            WHERE campaign_id = the_campaign AND account_no = ANY (due.numbers)
        ) THEN
            PERFORM refuse('a_line_has_an_account_of_its_campaign', the_campaign::text);
        END IF;
        PERFORM refuse('running_balances_follow_the_balance', the_campaign::text);
    END IF;

    SELECT min(entry_no) FILTER (WHERE amount <> 0) AS unbalanced,
        bool_and(keep_floors) AS keep_floors
    INTO checked
    FROM (
        SELECT entry_no, sum(amount) AS amount, bool_and(guard * balance >= 0) AS keep_floors
        FROM posted
        JOIN (
            SELECT unnest(numbers) AS account_no, unnest(units) AS unit, unnest(guards) AS guard
        ) AS moved USING (account_no)
        GROUP BY entry_no, unit
    ) AS in_unit;
    IF checked.unbalanced IS NOT NULL THEN
        PERFORM refuse('an_entry_balances', the_campaign || ' ' || checked.unbalanced);
    END IF;
    IF NOT checked.keep_floors THEN
        PERFORM refuse('no_running_balance_is_under_its_floor', the_campaign::text);
    END IF;

    UPDATE campaign_head SET entry_no = given.last_no WHERE campaign_id = the_campaign;
    RETURN NULL;
END
$$;
