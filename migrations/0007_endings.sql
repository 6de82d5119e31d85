-- How a campaign ends: shares for everybody, or every cent back. Its later stages,
-- where a payment's money goes once it leaves 2100, refunds, payouts, runs and the
-- register's lots.

ALTER TABLE campaign
    -- The stage to which a suspended campaign goes back.
    ADD COLUMN suspended_from text,
    DROP CONSTRAINT stage_is_known,
    ADD CONSTRAINT stage_is_known CHECK (stage IN (
        'draft', 'gathering', 'pledging', 'open', 'closing', 'succeeded', 'completing', 'acquired',
        'allotted', 'failed', 'cancelled', 'acquisition_failed', 'refunding', 'refunded', 'closed',
        'suspended'
    )),
    ADD CONSTRAINT a_suspended_campaign_goes_back CHECK (
        (stage = 'suspended') = (suspended_from IS NOT NULL)
        AND suspended_from IN ('gathering', 'pledging', 'open', 'closing', 'succeeded', 'completing',
            'acquired', 'refunding')
    );

ALTER TABLE tally
    -- All of 2200, 2210 and 2900.
    ADD COLUMN refundable bigint NOT NULL DEFAULT 0,
    ADD COLUMN returned bigint NOT NULL DEFAULT 0,
    ADD COLUMN unallocated bigint NOT NULL DEFAULT 0,
    -- What payments became shares, and what of them went back.
    ADD COLUMN allotted bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
    -- Lots, which are numbered by it: each has a certificate.
    ADD COLUMN certificates bigint NOT NULL DEFAULT 0;
UPDATE tally SET refundable = money.refundable, unallocated = money.unallocated
FROM (
    SELECT campaign_id,
        coalesce(-sum(balance) FILTER (WHERE code = 2200), 0) AS refundable,
        coalesce(-sum(balance) FILTER (WHERE code = 2900), 0) AS unallocated
    FROM account JOIN balance USING (campaign_id, account_no)
    WHERE code IN (2200, 2900) GROUP BY campaign_id
) AS money
WHERE tally.campaign_id = money.campaign_id;

-- withdrawn: its member took the money back. lapsed: the offer ended. allotted: what
-- was promised became shares; part_allotted: some of it.
ALTER TABLE pledge
    DROP CONSTRAINT pledge_state_is_known,
    ADD CONSTRAINT pledge_state_is_known CHECK (state IN (
        'committed', 'part_paid', 'paid', 'cancelled', 'expired', 'errored', 'dropped', 'withdrawn',
        'lapsed', 'part_allotted', 'allotted'
    ));

ALTER TABLE payment
    -- What became shares: 3000 or 2300, and 3010.
    ADD COLUMN allotted bigint NOT NULL DEFAULT 0,
    -- What was sent back and has not come back again.
    ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
    -- What came back from a refund: 2210, or 2900 of a payer who is not known.
    ADD COLUMN returned bigint NOT NULL DEFAULT 0,
    -- What its member bore of a failure's fees.
    ADD COLUMN charged bigint NOT NULL DEFAULT 0,
    -- What was gone from the ledger when the payer's bank took it back: 5200.
    ADD COLUMN lost bigint NOT NULL DEFAULT 0,
    -- What refunds that have not been sent yet lay claim to.
    ADD COLUMN reserved bigint NOT NULL DEFAULT 0,
    -- A dispute is announced: its money stays where it is.
    ADD COLUMN flagged boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT parts_of_a_payment_are_the_whole,
    ADD CONSTRAINT parts_of_a_payment_are_the_whole CHECK (
        held >= 0 AND refundable >= 0 AND unallocated >= 0 AND fee >= 0 AND fee_deferred >= 0
        AND allotted >= 0 AND refunded >= 0 AND returned >= 0 AND charged >= 0 AND lost >= 0
        AND held + refundable + unallocated + returned + allotted + refunded + charged
            = CASE state WHEN 'succeeded' THEN gross ELSE lost END
        AND (state = 'late_failed' OR lost = 0)
        AND (state = 'succeeded' OR held + refundable + unallocated + returned = 0)
    ),
    ADD CONSTRAINT no_more_is_reserved_than_stands
        CHECK (reserved >= 0 AND reserved <= held + refundable + unallocated);

-- A movement need not be a payment's: payouts, and what the bank tells.
ALTER TABLE effect ALTER COLUMN payment_id DROP NOT NULL;

-- Money on its way between a provider and a bank.
CREATE TABLE payout (
    campaign_id uuid NOT NULL REFERENCES campaign,
    payout_id uuid NOT NULL,
    -- The provider's account.
    money_account_id uuid NOT NULL,
    -- The provider's id of the payout.
    object_id text NOT NULL,
    bank_account_id uuid NOT NULL,
    -- True when the bank tops the provider up.
    is_top_up boolean NOT NULL,
    -- in_transit, arrived, failed.
    state text NOT NULL CONSTRAINT payout_state_is_known
        CHECK (state IN ('in_transit', 'arrived', 'failed')),
    amount bigint NOT NULL CONSTRAINT payout_is_positive CHECK (amount > 0),
    failure_code text NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, payout_id),
    CONSTRAINT a_movement_is_one_payout UNIQUE (campaign_id, money_account_id, object_id),
    CONSTRAINT a_payout_leaves_an_account_of_its_campaign
        FOREIGN KEY (campaign_id, money_account_id) REFERENCES money_account,
    CONSTRAINT a_payout_reaches_an_account_of_its_campaign
        FOREIGN KEY (campaign_id, bank_account_id) REFERENCES money_account
);

-- Work on every member: a frozen list, worked item by item.
CREATE TABLE run (
    campaign_id uuid NOT NULL REFERENCES campaign,
    run_id uuid NOT NULL,
    -- allotment, refund.
    kind text NOT NULL CONSTRAINT run_kind_is_known CHECK (kind IN ('allotment', 'refund')),
    -- water_filling, pro_rata; of an allotment.
    method text CONSTRAINT run_method_is_known CHECK (method IN ('water_filling', 'pro_rata')),
    -- planned, approved, running, paused, done, done_with_exceptions, cancelled.
    state text NOT NULL CONSTRAINT run_state_is_known CHECK (state IN (
        'planned', 'approved', 'running', 'paused', 'done', 'done_with_exceptions', 'cancelled'
    )),
    -- The list: how many items, their sums, and the hash of the last one.
    items bigint NOT NULL CONSTRAINT a_run_has_items CHECK (items > 0),
    units bigint NOT NULL,
    amount bigint NOT NULL,
    released bigint NOT NULL,
    hash bytea NOT NULL CONSTRAINT hash_is_sha256 CHECK (length(hash) = 32),
    -- The change as of which the list was made.
    as_of_change bigint NOT NULL,
    -- Who has approved it: two people.
    approved_by text[] NOT NULL,
    -- How often it was started; part of its items' request ids.
    starts integer NOT NULL,
    -- What is done, and what could not be.
    done bigint NOT NULL,
    exceptions bigint NOT NULL,
    planned_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, run_id),
    CONSTRAINT a_run_works_its_items_once CHECK (done >= 0 AND exceptions >= 0 AND done + exceptions <= items)
) WITH (fillfactor = 50);
CREATE INDEX runs_to_work ON run (campaign_id, run_id) WHERE state = 'running';
CREATE UNIQUE INDEX one_allotment_at_a_time ON run (campaign_id)
WHERE kind = 'allotment' AND state IN ('planned', 'approved', 'running', 'paused');

-- One item of a run. The list is written before its run, and frozen by it.
CREATE TABLE run_item (
    campaign_id uuid NOT NULL,
    run_id uuid NOT NULL,
    -- From 1, dense.
    position bigint NOT NULL CONSTRAINT position_is_positive CHECK (position > 0),
    -- Whose money it is; nobody's for a refund of an unknown payer's.
    member_id uuid,
    -- The payment that is refunded.
    payment_id uuid,
    -- The class that is allotted; nothing where the money names none.
    share_class_id uuid,
    units bigint NOT NULL,
    -- What becomes shares, or is sent back.
    amount bigint NOT NULL,
    -- What is left over and becomes refundable; of a refund, what its member bears of the fees.
    released bigint NOT NULL,
    -- SHA-256 over the hash before and these columns; see domain/run.rs.
    hash bytea NOT NULL,
    -- pending, done, exception.
    state text NOT NULL DEFAULT 'pending' CONSTRAINT run_item_state_is_known
        CHECK (state IN ('pending', 'done', 'exception')),
    -- Why it is an exception.
    problem text NOT NULL DEFAULT '',
    -- The change that worked it.
    change_no bigint,
    PRIMARY KEY (campaign_id, run_id, position),
    CONSTRAINT an_item_is_worked_by_a_change CHECK ((state = 'pending') = (change_no IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX items_to_work ON run_item (campaign_id, run_id, position) WHERE state = 'pending';
CREATE INDEX items_with_exceptions ON run_item (campaign_id, run_id, position) WHERE state = 'exception';

-- Whoever works a run has it for a while.
CREATE TABLE run_lease (
    campaign_id uuid NOT NULL,
    run_id uuid NOT NULL,
    holder uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, run_id),
    CONSTRAINT a_lease_is_a_runs FOREIGN KEY (campaign_id, run_id) REFERENCES run
);

-- Money that goes back.
CREATE TABLE refund (
    campaign_id uuid NOT NULL REFERENCES campaign,
    refund_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    member_id uuid,
    amount bigint NOT NULL CONSTRAINT refund_is_positive CHECK (amount > 0),
    -- requested, approved, submitted, settled, failed, unclaimed, rejected.
    state text NOT NULL CONSTRAINT refund_state_is_known CHECK (
        state IN ('requested', 'approved', 'submitted', 'settled', 'failed', 'unclaimed', 'rejected')
    ),
    -- Where it is sent from: the account that the payment came in on, or a bank's.
    money_account_id uuid NOT NULL,
    -- From 1: how often it was to be sent. With the refund's id it makes the instruction's key.
    attempt integer NOT NULL CONSTRAINT attempt_is_positive CHECK (attempt > 0),
    -- The provider's or bank's id of the movement, once it is sent.
    object_id text NOT NULL,
    failure_code text NOT NULL,
    run_id uuid,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, refund_id),
    CONSTRAINT a_refund_is_a_payments FOREIGN KEY (campaign_id, payment_id) REFERENCES payment,
    CONSTRAINT a_refund_leaves_an_account_of_its_campaign
        FOREIGN KEY (campaign_id, money_account_id) REFERENCES money_account
) WITH (fillfactor = 80);
CREATE INDEX refunds_of_a_payment ON refund (campaign_id, payment_id);
CREATE INDEX refunds_to_send ON refund (campaign_id, refund_id) WHERE state = 'approved';
CREATE INDEX refunds_by_state ON refund (campaign_id, state, refund_id);

-- Shares that a member was allotted at once: one certificate.
CREATE TABLE lot (
    campaign_id uuid NOT NULL REFERENCES campaign,
    certificate bigint NOT NULL CONSTRAINT certificate_is_positive CHECK (certificate > 0),
    member_id uuid NOT NULL,
    share_class_id uuid NOT NULL,
    units bigint NOT NULL CONSTRAINT a_lot_has_shares CHECK (units > 0),
    -- Taken back with money that the payer's bank took back.
    cancelled bigint NOT NULL CONSTRAINT no_more_is_cancelled_than_there_is
        CHECK (cancelled BETWEEN 0 AND units),
    -- The entry that allotted them.
    entry_no bigint NOT NULL,
    allotted_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, certificate),
    CONSTRAINT a_lot_is_a_members FOREIGN KEY (campaign_id, member_id) REFERENCES member,
    CONSTRAINT a_lot_is_of_a_class FOREIGN KEY (campaign_id, share_class_id) REFERENCES share_class
) WITH (fillfactor = 90);
CREATE INDEX lots_of_a_member ON lot (campaign_id, member_id, certificate);

-- A run's list is complete when the run is made, and stays as it was.
CREATE FUNCTION runs_are_complete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM planned
        LEFT JOIN LATERAL (
            SELECT position, hash FROM run_item
            WHERE run_item.campaign_id = planned.campaign_id AND run_item.run_id = planned.run_id
            ORDER BY position DESC LIMIT 1
        ) AS last ON true
        WHERE (last.position, last.hash) IS DISTINCT FROM (planned.items, planned.hash)
    ) THEN
        PERFORM refuse('a_run_is_made_of_its_items', TG_OP);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER runs_are_complete AFTER INSERT ON run
REFERENCING NEW TABLE AS planned FOR EACH STATEMENT EXECUTE FUNCTION runs_are_complete();
CREATE FUNCTION a_runs_list_is_frozen() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT campaign_id, run_id FROM changed) AS changed
        JOIN run USING (campaign_id, run_id)
    ) THEN
        PERFORM refuse('a_runs_list_is_frozen', TG_OP);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER frozen_for_inserts AFTER INSERT ON run_item
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION a_runs_list_is_frozen();
CREATE TRIGGER frozen_for_deletes AFTER DELETE ON run_item
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION a_runs_list_is_frozen();
CREATE TRIGGER stays_written BEFORE TRUNCATE ON run_item
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON run
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON refund
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON payout
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE DELETE OR TRUNCATE ON lot
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
ALTER TABLE run ENABLE ALWAYS TRIGGER runs_are_complete, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE run_item ENABLE ALWAYS TRIGGER frozen_for_inserts,
    ENABLE ALWAYS TRIGGER frozen_for_deletes, ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE refund ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE payout ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE lot ENABLE ALWAYS TRIGGER stays_written;
REVOKE ALL ON FUNCTION runs_are_complete(), a_runs_list_is_frozen() FROM PUBLIC;

GRANT SELECT ON payout, run, run_item, run_lease, refund, lot TO pledgebook_app, pledgebook_report;
GRANT INSERT ON payout, run, run_item, run_lease, refund, lot TO pledgebook_app;
GRANT DELETE ON run_item TO pledgebook_app;
GRANT UPDATE (state, failure_code) ON payout TO pledgebook_app;
GRANT UPDATE (state, approved_by, starts, done, exceptions) ON run TO pledgebook_app;
GRANT UPDATE (state, problem, change_no) ON run_item TO pledgebook_app;
GRANT UPDATE (holder, leased_until) ON run_lease TO pledgebook_app;
GRANT UPDATE (state, money_account_id, attempt, object_id, failure_code) ON refund TO pledgebook_app;
GRANT UPDATE (cancelled) ON lot TO pledgebook_app;
