-- The ledger: accounts, entries, lines, balances, and what holds them together.
--
-- The application inserts journal rows. Everything that follows from them (the
-- campaign's numbers, every balance, the totals by value date) is written by the
-- statement triggers below and by nobody else, so a mistaken or hostile
-- application cannot make the books disagree with the journal.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO pledgebook_owner, pledgebook_app, pledgebook_report;

-- The chart of accounts, the same for every campaign.
CREATE TABLE chart_account (
    code smallint PRIMARY KEY,
    -- What a treasurer calls it.
    name text NOT NULL,
    -- F money, M promises, U share units.
    book text NOT NULL CONSTRAINT book_is_known CHECK (book IN ('F', 'M', 'U')),
    -- asset, liability, equity, income, expense, memo or units.
    kind text NOT NULL CONSTRAINT kind_is_known
        CHECK (kind IN ('asset', 'liability', 'equity', 'income', 'expense', 'memo', 'units')),
    -- 1 debit, -1 credit.
    normal_side smallint NOT NULL CONSTRAINT side_is_known CHECK (normal_side IN (1, -1)),
    -- 1 never a credit balance, -1 never a debit balance, 0 either.
    guard smallint NOT NULL CONSTRAINT guard_is_known CHECK (guard IN (1, -1, 0)),
    -- Whose sub-accounts it has: nobody, member, provider, bank, payment, dispute, pair.
    owner_kind text NOT NULL CONSTRAINT owner_kind_is_known CHECK (
        owner_kind IN ('nobody', 'member', 'provider', 'bank', 'payment', 'dispute', 'pair')
    )
);

INSERT INTO chart_account (code, name, book, kind, normal_side, guard, owner_kind) VALUES
    (1000, 'Provider balance', 'F', 'asset', 1, 0, 'provider'),
    (1010, 'Provider reserve', 'F', 'asset', 1, 0, 'provider'),
    (1050, 'Payouts in transit', 'F', 'asset', 1, 0, 'provider'),
    (1100, 'Escrow bank account', 'F', 'asset', 1, 0, 'bank'),
    (1110, 'Operating bank account', 'F', 'asset', 1, 0, 'bank'),
    (1120, 'Escrow on the seller''s side', 'F', 'asset', 1, 0, 'nobody'),
    (1150, 'Outgoing payments clearing', 'F', 'asset', 1, 0, 'nobody'),
    (1200, 'Funds under dispute', 'F', 'asset', 1, 1, 'dispute'),
    (1300, 'Receivable from members', 'F', 'asset', 1, 1, 'member'),
    (1400, 'Deposit paid to the seller', 'F', 'asset', 1, 1, 'nobody'),
    (1450, 'Investment in the thing bought', 'F', 'asset', 1, 0, 'nobody'),
    (1500, 'Deferred issue costs', 'F', 'asset', 1, 1, 'nobody'),
    (1600, 'Currency clearing', 'F', 'asset', 1, 0, 'pair'),
    (2100, 'Share application money', 'F', 'liability', -1, -1, 'member'),
    (2110, 'Conditional donations', 'F', 'liability', -1, -1, 'member'),
    (2150, 'Tips owed to a platform', 'F', 'liability', -1, -1, 'member'),
    (2200, 'Refunds payable', 'F', 'liability', -1, -1, 'member'),
    (2210, 'Refunds returned', 'F', 'liability', -1, -1, 'member'),
    (2300, 'Shares classed as a liability', 'F', 'liability', -1, -1, 'member'),
    (2310, 'Capital payable', 'F', 'liability', -1, -1, 'member'),
    (2400, 'Owed to the seller', 'F', 'liability', -1, 0, 'nobody'),
    (2500, 'Other creditors', 'F', 'liability', -1, 0, 'nobody'),
    (2510, 'Underwriter''s advance', 'F', 'liability', -1, 0, 'nobody'),
    (2700, 'Assurance bonus pool', 'F', 'liability', -1, -1, 'nobody'),
    (2800, 'Share interest payable', 'F', 'liability', -1, -1, 'member'),
    (2900, 'Unallocated receipts', 'F', 'liability', -1, -1, 'payment'),
    (3000, 'Share capital', 'F', 'equity', -1, -1, 'member'),
    (3010, 'Share premium', 'F', 'equity', -1, -1, 'nobody'),
    (3100, 'Share issue costs', 'F', 'equity', 1, 0, 'nobody'),
    (3200, 'Reserve', 'F', 'equity', -1, 0, 'nobody'),
    (4000, 'Donations and cover by an underwriter', 'F', 'income', -1, 0, 'nobody'),
    (4100, 'Interest received', 'F', 'income', -1, 0, 'nobody'),
    (4200, 'Currency gain', 'F', 'income', -1, 0, 'nobody'),
    (4300, 'Administration charge', 'F', 'income', -1, 0, 'nobody'),
    (4400, 'Unclaimed refunds written back', 'F', 'income', -1, 0, 'nobody'),
    (5000, 'Provider fees and bank charges', 'F', 'expense', 1, 0, 'nobody'),
    (5100, 'Dispute and charge-back fees', 'F', 'expense', 1, 0, 'nobody'),
    (5200, 'Losses from reversals', 'F', 'expense', 1, 0, 'nobody'),
    (5300, 'Currency loss', 'F', 'expense', 1, 0, 'nobody'),
    (5400, 'Issue costs of an abandoned offer', 'F', 'expense', 1, 0, 'nobody'),
    (5500, 'Costs of a failed acquisition', 'F', 'expense', 1, 0, 'nobody'),
    (5800, 'Share interest', 'F', 'expense', 1, 0, 'nobody'),
    (8000, 'Shares held', 'U', 'units', -1, -1, 'member'),
    (8010, 'Unissued shares', 'U', 'units', -1, -1, 'nobody'),
    (8020, 'Authorised shares', 'U', 'units', 1, 0, 'nobody'),
    (8030, 'Cancelled shares', 'U', 'units', -1, 0, 'nobody'),
    (9000, 'Commitments', 'M', 'memo', 1, 1, 'member'),
    (9001, 'Commitments, contra', 'M', 'memo', -1, 0, 'nobody'),
    (9100, 'Card holds', 'M', 'memo', 1, 1, 'member'),
    (9101, 'Card holds, contra', 'M', 'memo', -1, 0, 'nobody');

-- One row a campaign: its numbers. Whoever changes a campaign locks this row
-- first, so all of a campaign's changes stand in one line, whatever process
-- they come from. Only triggers move the numbers; the application may write
-- the fence alone.
CREATE TABLE campaign_head (
    campaign_id uuid PRIMARY KEY,
    -- The last change: every recorded outcome, refusals too.
    change_no bigint NOT NULL DEFAULT 0,
    -- The last entry that a change names as its own; equals entry_no at every commit.
    claimed_entry_no bigint NOT NULL DEFAULT 0,
    -- The last entry whose lines are all there.
    entry_no bigint NOT NULL DEFAULT 0,
    -- The last entry whose header is there; equals entry_no at every commit.
    announced_entry_no bigint NOT NULL DEFAULT 0,
    -- The last account.
    account_no integer NOT NULL DEFAULT 0,
    -- When the last change was recorded; time does not run backwards in a campaign.
    recorded_at timestamptz NOT NULL DEFAULT '-infinity',
    -- The last database transaction that recorded changes, and the first change of
    -- it: what came before stands, and takes no more history.
    written_in xid8 NOT NULL DEFAULT '0',
    written_from bigint NOT NULL DEFAULT 0,
    -- The digest after the last entry: 32 zero bytes before the first.
    digest bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
        CONSTRAINT digest_is_sha256 CHECK (length(digest) = 32),
    -- For a writer that keeps the balances in memory: it owns the campaign while its fence stands.
    fence bigint NOT NULL DEFAULT 0
);

-- An account of a campaign: a code of the chart, a commodity, and whose it is.
CREATE TABLE account (
    campaign_id uuid NOT NULL REFERENCES campaign_head,
    -- Dense, in the order of creation. Small, since every line repeats it.
    account_no integer NOT NULL,
    code smallint NOT NULL REFERENCES chart_account,
    -- ISO 4217 in the books F and M, the share class's id in the book U.
    commodity text NOT NULL CONSTRAINT commodity_is_short CHECK (length(commodity) BETWEEN 3 AND 36),
    -- The member, provider account, bank account or payment; all zero for nobody's.
    owner uuid NOT NULL,
    PRIMARY KEY (campaign_id, account_no),
    CONSTRAINT one_account_a_code_commodity_and_owner UNIQUE (campaign_id, owner, code, commodity)
);

-- The balance of every account, written by post_lines() alone.
CREATE TABLE balance (
    campaign_id uuid NOT NULL,
    account_no integer NOT NULL,
    -- Debits less credits.
    balance bigint NOT NULL DEFAULT 0,
    -- All debits so far; all credits are debits less balance.
    debits bigint NOT NULL DEFAULT 0,
    -- From the chart, beside the balance so that posting reads one row an account.
    guard smallint NOT NULL,
    -- Book and commodity: what an entry must balance in.
    unit text NOT NULL,
    PRIMARY KEY (campaign_id, account_no),
    CONSTRAINT balance_belongs_to_an_account FOREIGN KEY (campaign_id, account_no) REFERENCES account,
    CONSTRAINT balance_keeps_its_floor CHECK (guard * balance >= 0)
) WITH (fillfactor = 60);

-- Movements by value date: what answers "as of value date" without summing lines.
CREATE TABLE account_day (
    campaign_id uuid NOT NULL,
    account_no integer NOT NULL,
    value_date date NOT NULL,
    debits bigint NOT NULL,
    credits bigint NOT NULL,
    PRIMARY KEY (campaign_id, account_no, value_date)
) WITH (fillfactor = 80);

-- Every recorded outcome, in commit order: what a request id is answered with again.
CREATE TABLE change (
    campaign_id uuid NOT NULL REFERENCES campaign_head,
    change_no bigint NOT NULL CONSTRAINT change_no_is_positive CHECK (change_no > 0),
    request_id uuid NOT NULL,
    -- The command's name, as the API has it.
    method text NOT NULL,
    -- Who asked: an API key, a webhook endpoint, the command line.
    principal text NOT NULL,
    -- One keyed hash a field of the request: says later which field a reused request id changed.
    fields bytea NOT NULL,
    recorded_at timestamptz NOT NULL CONSTRAINT a_moment_is_finite CHECK (isfinite(recorded_at)),
    -- The entries it posted: none, or first to last.
    first_entry_no bigint,
    last_entry_no bigint,
    -- The change whose answer this one repeats, when the movement was known already.
    same_as_change_no bigint,
    -- Why it was refused, when it was.
    refusal json,
    PRIMARY KEY (campaign_id, change_no),
    CONSTRAINT one_outcome_a_request_id UNIQUE (campaign_id, request_id),
    CONSTRAINT entries_from_first_to_last CHECK (
        (first_entry_no IS NULL) = (last_entry_no IS NULL) AND first_entry_no <= last_entry_no
    ),
    CONSTRAINT a_refusal_posts_nothing CHECK (refusal IS NULL OR first_entry_no IS NULL)
);

-- What a change made of a campaign, pledge, payment, signature or account of
-- money: its state after the change. The audit trail, and the answer to a
-- replayed request. Never a name or an e-mail address.
CREATE TABLE history (
    campaign_id uuid NOT NULL,
    change_no bigint NOT NULL,
    -- 1, 2, … within the change.
    ordinal smallint NOT NULL,
    subject_id uuid NOT NULL,
    -- The subject after the change; its tag says what it is.
    snapshot json NOT NULL,
    -- Why, in the words of whoever asked.
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (campaign_id, change_no, ordinal)
);
CREATE INDEX history_of_a_subject ON history (campaign_id, subject_id, change_no);

-- The head of a journal entry.
CREATE TABLE journal_entry (
    campaign_id uuid NOT NULL REFERENCES campaign_head,
    entry_no bigint NOT NULL CONSTRAINT entry_no_is_positive CHECK (entry_no > 0),
    change_no bigint NOT NULL,
    -- Why: payment_succeeded, pledge_created …
    event text NOT NULL,
    -- When it happened, by the provider's or the user's clock.
    occurred_at timestamptz NOT NULL,
    -- The day on which the money counts.
    value_date date NOT NULL,
    -- When we recorded it.
    recorded_at timestamptz NOT NULL,
    -- The entry that this one takes back.
    reverses bigint,
    -- The account of each line, in order. It fixes how many lines there are, and
    -- finds them by their primary key without an index of their own.
    accounts integer[] NOT NULL,
    -- SHA-256 over the digest before and this entry's columns; see ledger/digest.rs.
    digest bytea NOT NULL CONSTRAINT digest_is_sha256 CHECK (length(digest) = 32),
    PRIMARY KEY (campaign_id, entry_no),
    CONSTRAINT an_entry_is_reversed_once UNIQUE (campaign_id, reverses),
    CONSTRAINT dates_are_finite CHECK (isfinite(occurred_at) AND isfinite(value_date)),
    CONSTRAINT an_entry_has_two_lines CHECK (cardinality(accounts) >= 2),
    -- An array may begin anywhere; readers number the lines from 1.
    CONSTRAINT lines_are_numbered_from_one
        CHECK (array_ndims(accounts) = 1 AND array_lower(accounts, 1) = 1),
    CONSTRAINT a_reversal_follows_its_original CHECK (reverses > 0 AND reverses < entry_no)
);

-- The lines. No foreign keys: post_lines() joins the header and the balance row
-- of every line anyway, set-wise, and refuses what does not fit; row-wise keys
-- for the same promise took two fifths of the posting rate when measured.
CREATE TABLE line (
    campaign_id uuid NOT NULL,
    account_no integer NOT NULL,
    entry_no bigint NOT NULL,
    line_no smallint NOT NULL,
    -- Debit positive, credit negative.
    amount bigint NOT NULL CONSTRAINT amount_is_bounded
        CHECK (amount <> 0 AND amount BETWEEN -1000000000000000 AND 1000000000000000),
    -- The account's balance after this line.
    balance bigint NOT NULL,
    -- All debits of the account up to and including this line.
    debits bigint NOT NULL,
    -- The payment whose money this is.
    payment_id uuid,
    -- The pledge it belongs to.
    pledge_id uuid,
    PRIMARY KEY (campaign_id, account_no, entry_no, line_no)
);

-- Refuses with a named constraint, as a CHECK would.
CREATE FUNCTION refuse(broken text, detail text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%: %', broken, detail USING ERRCODE = 'check_violation', CONSTRAINT = broken;
END
$$;

-- An account begins with a zero balance, and takes the campaign's next number.
CREATE FUNCTION open_accounts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(account_no) AS first_no, max(account_no) AS last_no
        FROM opened GROUP BY campaign_id
    LOOP
        UPDATE campaign_head SET account_no = of_campaign.last_no
        WHERE campaign_id = of_campaign.campaign_id
            AND account_no + 1 = of_campaign.first_no
            AND account_no + of_campaign.how_many = of_campaign.last_no;
        IF NOT FOUND THEN
            PERFORM refuse('account_numbers_are_dense', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    INSERT INTO balance (campaign_id, account_no, guard, unit)
    SELECT opened.campaign_id, opened.account_no, chart_account.guard,
        chart_account.book || opened.commodity
    FROM opened JOIN chart_account USING (code);
    RETURN NULL;
END
$$;
CREATE TRIGGER open_accounts AFTER INSERT ON account
REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION open_accounts();

-- Changes take the campaign's next numbers, time does not run backwards, and the
-- entries that they name are the next ones, each named once.
CREATE FUNCTION number_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries
        FROM recorded GROUP BY campaign_id
    LOOP
        IF EXISTS (
            SELECT FROM campaign_head
            WHERE campaign_id = of_campaign.campaign_id
                AND (claimed_entry_no + 1 <> of_campaign.first_entry_no
                    OR claimed_entry_no + of_campaign.entries <> of_campaign.last_entry_no)
        ) THEN
            PERFORM refuse('a_change_names_the_next_entries', of_campaign.campaign_id::text);
        END IF;
        UPDATE campaign_head SET change_no = of_campaign.last_no, recorded_at = of_campaign.last_at,
            claimed_entry_no = coalesce(of_campaign.last_entry_no, claimed_entry_no),
            written_in = pg_current_xact_id(),
            written_from = CASE written_in WHEN pg_current_xact_id() THEN written_from
                ELSE of_campaign.first_no END
        WHERE campaign_id = of_campaign.campaign_id
            AND change_no + 1 = of_campaign.first_no
            AND change_no + of_campaign.how_many = of_campaign.last_no
            AND recorded_at <= of_campaign.first_at;
        IF NOT FOUND THEN
            PERFORM refuse('change_numbers_are_dense_and_time_goes_on', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER number_changes AFTER INSERT ON change
REFERENCING NEW TABLE AS recorded FOR EACH STATEMENT EXECUTE FUNCTION number_changes();

-- History is written with its change and never added to: a request id would be
-- answered differently the next time.
CREATE FUNCTION keep_history() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (
            SELECT campaign_id, min(change_no) AS first_no, max(change_no) AS last_no
            FROM remembered GROUP BY campaign_id
        ) AS of_campaign
        LEFT JOIN campaign_head ON campaign_head.campaign_id = of_campaign.campaign_id
            AND written_in = pg_current_xact_id()
            AND first_no >= written_from AND last_no <= change_no
        WHERE campaign_head.campaign_id IS NULL
    ) THEN
        PERFORM refuse('history_is_written_with_its_change', TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_history AFTER INSERT ON history
REFERENCING NEW TABLE AS remembered FOR EACH STATEMENT EXECUTE FUNCTION keep_history();

-- Headers take the campaign's next entry numbers, and each is of the change that
-- names it. Their lines must follow in the same database transaction:
-- lines_follow() looks at commit.
CREATE FUNCTION announce_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(entry_no) AS first_no, max(entry_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at
        FROM announced GROUP BY campaign_id
    LOOP
        UPDATE campaign_head SET announced_entry_no = of_campaign.last_no,
            digest = (SELECT announced.digest FROM announced
                WHERE announced.campaign_id = of_campaign.campaign_id
                    AND announced.entry_no = of_campaign.last_no)
        WHERE campaign_id = of_campaign.campaign_id
            AND announced_entry_no + 1 = of_campaign.first_no
            AND announced_entry_no + of_campaign.how_many = of_campaign.last_no
            AND recorded_at = of_campaign.first_at AND recorded_at = of_campaign.last_at;
        IF NOT FOUND THEN
            PERFORM refuse('entry_numbers_are_dense_and_of_this_moment', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    IF EXISTS (
        SELECT FROM announced
        LEFT JOIN change ON change.campaign_id = announced.campaign_id
            AND change.change_no = announced.change_no
            AND announced.entry_no BETWEEN change.first_entry_no AND change.last_entry_no
        WHERE change.change_no IS NULL
    ) THEN
        PERFORM refuse('an_entry_is_of_the_change_that_names_it', TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_entries AFTER INSERT ON journal_entry
REFERENCING NEW TABLE AS announced FOR EACH STATEMENT EXECUTE FUNCTION announce_entries();

-- At commit no header stands without its lines, and no change without its entries.
CREATE FUNCTION lines_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM campaign_head
        WHERE campaign_id = NEW.campaign_id
            AND (announced_entry_no <> entry_no OR claimed_entry_no <> entry_no)
    ) THEN
        PERFORM refuse('an_entry_has_its_lines', NEW.campaign_id::text);
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER lines_follow AFTER UPDATE ON campaign_head
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.announced_entry_no <> NEW.entry_no OR NEW.claimed_entry_no <> NEW.entry_no)
EXECUTE FUNCTION lines_follow();

-- Posts the lines of one statement: checks that they complete the next entries
-- of one campaign and balance, and moves the balances by their sums.
CREATE FUNCTION post_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    the_campaign uuid;
    the_head campaign_head;
    entries record;
    moved record;
    unbalanced bigint;
BEGIN
    SELECT campaign_id INTO the_campaign FROM posted LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM posted WHERE campaign_id <> the_campaign) THEN
        PERFORM refuse('a_statement_posts_to_one_campaign', the_campaign::text);
    END IF;
    SELECT * INTO the_head FROM campaign_head WHERE campaign_id = the_campaign FOR NO KEY UPDATE;

    -- Lines 1 to n of each header, all in this statement: an older entry cannot
    -- be opened again, since its number is behind the head.
    SELECT count(*) AS how_many, min(entry_no) AS first_no, max(entry_no) AS last_no,
        bool_and(complete) AS complete
    INTO entries
    FROM (
        SELECT posted.entry_no,
            count(*) = coalesce(min(cardinality(journal_entry.accounts)), 0)
            AND bool_and(coalesce(journal_entry.accounts[posted.line_no] = posted.account_no, false))
                AS complete
        FROM posted
        LEFT JOIN journal_entry ON journal_entry.campaign_id = the_campaign
            AND journal_entry.entry_no = posted.entry_no
        GROUP BY posted.entry_no
    ) AS entry;
    IF NOT entries.complete THEN
        PERFORM refuse('lines_complete_their_entry', the_campaign::text);
    END IF;
    IF entries.first_no <> the_head.entry_no + 1
        OR entries.last_no <> the_head.entry_no + entries.how_many THEN
        PERFORM refuse('entry_numbers_are_dense', the_campaign::text);
    END IF;

    SELECT posted.entry_no INTO unbalanced
    FROM posted
    JOIN balance ON balance.campaign_id = the_campaign AND balance.account_no = posted.account_no
    GROUP BY posted.entry_no, balance.unit
    HAVING sum(posted.amount) <> 0
    LIMIT 1;
    IF FOUND THEN
        PERFORM refuse('an_entry_balances', the_campaign || ' ' || unbalanced);
    END IF;

    -- What an account stood at before each line, by that line's own running balance:
    -- the same for all of its lines, and what it does stand at. The last line alone
    -- would not do, since floors are kept in between too.
    WITH running AS (
        SELECT account_no, amount, greatest(amount, 0) AS debit, balance,
            balance - sum(amount) OVER so_far AS balance_before,
            debits - sum(greatest(amount, 0)) OVER so_far AS debits_before
        FROM posted
        WINDOW so_far AS (PARTITION BY account_no ORDER BY entry_no, line_no
            ROWS UNBOUNDED PRECEDING)
    ), movement AS (
        SELECT account_no, sum(amount) AS amount, sum(debit) AS debits,
            min(balance) AS lowest, max(balance) AS highest,
            min(balance_before) AS balance_before, min(debits_before) AS debits_before,
            min(balance_before) = max(balance_before) AND min(debits_before) = max(debits_before)
                AS runs
        FROM running GROUP BY account_no ORDER BY account_no
    ), updated AS (
        UPDATE balance SET balance = balance.balance + movement.amount,
            debits = balance.debits + movement.debits
        FROM movement
        WHERE balance.campaign_id = the_campaign AND balance.account_no = movement.account_no
        RETURNING runs AND balance.balance - movement.amount = balance_before
                AND balance.debits - movement.debits = debits_before AS agrees,
            CASE guard WHEN 1 THEN lowest >= 0 WHEN -1 THEN highest <= 0 ELSE true END AS above_floor
    )
    SELECT count(*) AS accounts, bool_and(agrees) AS agrees, bool_and(above_floor) AS above_floor
    INTO moved FROM updated;
    -- A line on an account that is not this campaign's finds no balance row.
    IF moved.accounts <> (SELECT count(DISTINCT account_no) FROM posted) THEN
        PERFORM refuse('a_line_has_an_account_of_its_campaign', the_campaign::text);
    END IF;
    IF NOT moved.agrees THEN
        PERFORM refuse('running_balances_follow_the_balance', the_campaign::text);
    END IF;
    IF NOT moved.above_floor THEN
        PERFORM refuse('no_running_balance_is_under_its_floor', the_campaign::text);
    END IF;

    INSERT INTO account_day (campaign_id, account_no, value_date, debits, credits)
    SELECT the_campaign, posted.account_no, journal_entry.value_date,
        sum(greatest(posted.amount, 0)), sum(greatest(-posted.amount, 0))
    FROM posted
    JOIN journal_entry ON journal_entry.campaign_id = the_campaign
        AND journal_entry.entry_no = posted.entry_no
    GROUP BY posted.account_no, journal_entry.value_date
    ORDER BY posted.account_no, journal_entry.value_date
    ON CONFLICT (campaign_id, account_no, value_date) DO UPDATE
    SET debits = account_day.debits + excluded.debits,
        credits = account_day.credits + excluded.credits;

    UPDATE campaign_head SET entry_no = entries.last_no WHERE campaign_id = the_campaign;
    RETURN NULL;
END
$$;
CREATE TRIGGER post_lines AFTER INSERT ON line
REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION post_lines();

-- What is written stays written, whoever asks. SECURITY DEFINER, so that a role
-- that was once granted too much is told the reason too.
CREATE FUNCTION stays_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM refuse('what_is_written_stays_written', TG_TABLE_NAME || ' ' || TG_OP);
    RETURN NULL;
END
$$;

CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_entry
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON line
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON change
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON history
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON account
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON chart_account
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();

-- Balances, days and heads change, but are never taken away.
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON balance
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON account_day
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON campaign_head
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();

-- ALWAYS: session_replication_role does not turn them off.
ALTER TABLE journal_entry ENABLE ALWAYS TRIGGER announce_entries, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE line ENABLE ALWAYS TRIGGER post_lines, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE change ENABLE ALWAYS TRIGGER number_changes, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE history ENABLE ALWAYS TRIGGER keep_history, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE account ENABLE ALWAYS TRIGGER open_accounts, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE chart_account ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE balance ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE account_day ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE campaign_head ENABLE ALWAYS TRIGGER lines_follow, ENABLE ALWAYS TRIGGER stays_written;

REVOKE ALL ON FUNCTION refuse(text, text), open_accounts(), number_changes(), keep_history(),
    announce_entries(), lines_follow(), post_lines(), stays_written() FROM PUBLIC;

GRANT SELECT ON chart_account, campaign_head, account, balance, account_day, change, history,
    journal_entry, line TO pledgebook_app, pledgebook_report;
-- A new head begins at the defaults: only its id can be given.
GRANT INSERT (campaign_id), UPDATE (fence) ON campaign_head TO pledgebook_app;
GRANT INSERT ON account, change, history, journal_entry, line TO pledgebook_app;
