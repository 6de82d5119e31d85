-- Campaigns, members, signatures, pledges and payments: what the commands decide
-- on. The rows here are the current state; how they came to be stands in
-- history, change by change.

-- One acquisition.
CREATE TABLE campaign (
    campaign_id uuid PRIMARY KEY REFERENCES campaign_head,
    display_name text NOT NULL,
    description text NOT NULL,
    -- The one currency of its pledges and payments, ISO 4217.
    currency text NOT NULL CONSTRAINT currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
    -- draft, gathering, pledging, open, cancelled.
    stage text NOT NULL CONSTRAINT stage_is_known
        CHECK (stage IN ('draft', 'gathering', 'pledging', 'open', 'cancelled')),
    -- The version of the terms in force.
    terms_version integer NOT NULL,
    created_at timestamptz NOT NULL,
    -- When it first took money.
    opened_at timestamptz,
    -- The change that last touched this row; the API's etag.
    changed_by bigint NOT NULL,
    CONSTRAINT an_open_campaign_was_opened CHECK (stage <> 'open' OR opened_at IS NOT NULL)
);

-- The terms of the offer: a change is a new version.
CREATE TABLE terms (
    campaign_id uuid NOT NULL REFERENCES campaign,
    version integer NOT NULL CONSTRAINT version_is_positive CHECK (version > 0),
    target bigint NOT NULL,
    minimum bigint NOT NULL,
    maximum bigint NOT NULL,
    deadline timestamptz NOT NULL,
    -- The least number of paying members; 0 for none.
    minimum_members integer NOT NULL CONSTRAINT headcount_is_not_negative CHECK (minimum_members >= 0),
    -- Who bears the fees of a failure: undecided, underwriter, members_disclosed.
    fee_bearer text NOT NULL CONSTRAINT fee_bearer_is_known
        CHECK (fee_bearer IN ('undecided', 'underwriter', 'members_disclosed')),
    fee_bearer_note text NOT NULL,
    -- Days from available to cleared, by how the payment was made.
    card_clearing_days integer NOT NULL,
    direct_debit_clearing_days integer NOT NULL,
    bank_transfer_clearing_days integer NOT NULL,
    PRIMARY KEY (campaign_id, version),
    CONSTRAINT minimum_target_and_maximum_are_in_order
        CHECK (0 < minimum AND minimum <= target AND target <= maximum),
    CONSTRAINT clearing_days_are_not_negative CHECK (
        least(card_clearing_days, direct_debit_clearing_days, bank_transfer_clearing_days) >= 0
    )
);

-- A class of shares.
CREATE TABLE share_class (
    campaign_id uuid NOT NULL REFERENCES campaign,
    share_class_id uuid NOT NULL,
    display_name text NOT NULL,
    price bigint NOT NULL,
    nominal bigint NOT NULL,
    authorised bigint NOT NULL,
    -- Shares a member; 0 for no bound.
    minimum_per_member bigint NOT NULL,
    maximum_per_member bigint NOT NULL,
    -- Redeemable on demand, so a liability and not equity.
    liability boolean NOT NULL,
    PRIMARY KEY (campaign_id, share_class_id),
    CONSTRAINT nominal_is_at_most_the_price CHECK (0 < nominal AND nominal <= price),
    CONSTRAINT authorised_is_positive CHECK (authorised > 0),
    CONSTRAINT member_bounds_are_in_order CHECK (
        minimum_per_member >= 0
        AND (maximum_per_member = 0 OR maximum_per_member >= greatest(minimum_per_member, 1))
    )
);

-- Progress, kept by every batch and recomputed by `check`.
CREATE TABLE tally (
    campaign_id uuid PRIMARY KEY REFERENCES campaign,
    -- Signatures by state.
    signed bigint NOT NULL,
    withdrawn bigint NOT NULL,
    converted bigint NOT NULL,
    -- Members with a pledge that is not closed unpaid.
    pledging_members bigint NOT NULL,
    -- What is promised on pledges that are not closed, and paid on those that are.
    pledged bigint NOT NULL,
    -- Members with money in 2100.
    paying_members bigint NOT NULL,
    -- All of 2100.
    held bigint NOT NULL,
    -- Payments that succeeded and stand.
    payments bigint NOT NULL,
    -- Charges that failed, before or after success.
    failures bigint NOT NULL
) WITH (fillfactor = 50);

-- One person or organisation inside one campaign, by an opaque id.
CREATE TABLE member (
    campaign_id uuid NOT NULL REFERENCES campaign,
    member_id uuid NOT NULL,
    -- Keyed hash of the normalised e-mail address.
    email_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    -- Pledges that are open or paid; kept by the batch, recomputed by `check`.
    live_pledges integer NOT NULL CONSTRAINT live_pledges_are_not_negative CHECK (live_pledges >= 0),
    PRIMARY KEY (campaign_id, member_id),
    CONSTRAINT one_member_an_email UNIQUE (campaign_id, email_hash)
) WITH (fillfactor = 80);

-- Support without money.
CREATE TABLE signature (
    campaign_id uuid NOT NULL REFERENCES campaign,
    signature_id uuid NOT NULL,
    email_hash bytea NOT NULL,
    -- signed, withdrawn, converted.
    state text NOT NULL CONSTRAINT signature_state_is_known
        CHECK (state IN ('signed', 'withdrawn', 'converted')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, signature_id),
    CONSTRAINT one_signature_an_email UNIQUE (campaign_id, email_hash)
);

-- Names and e-mail addresses, apart from everything that is kept for ever.
CREATE TABLE person (
    campaign_id uuid NOT NULL REFERENCES campaign,
    -- A member's or a signature's id.
    subject_id uuid NOT NULL,
    display_name text NOT NULL,
    email text NOT NULL,
    PRIMARY KEY (campaign_id, subject_id)
);

-- A promise to pay.
CREATE TABLE pledge (
    campaign_id uuid NOT NULL REFERENCES campaign,
    pledge_id uuid NOT NULL,
    member_id uuid NOT NULL,
    -- committed, part_paid, paid, cancelled, expired, errored, dropped.
    state text NOT NULL CONSTRAINT pledge_state_is_known CHECK (
        state IN ('committed', 'part_paid', 'paid', 'cancelled', 'expired', 'errored', 'dropped')
    ),
    amount bigint NOT NULL,
    -- What is paid on it and held.
    paid bigint NOT NULL,
    share_class_id uuid,
    -- Promised shares; 0 when an amount is promised.
    units bigint NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- When a charge last failed, while none has succeeded since.
    errored_at timestamptz,
    terms_version integer NOT NULL,
    PRIMARY KEY (campaign_id, pledge_id),
    CONSTRAINT a_pledge_is_a_members FOREIGN KEY (campaign_id, member_id) REFERENCES member,
    CONSTRAINT a_pledge_is_paid_at_most_in_full CHECK (0 <= paid AND paid <= amount AND amount > 0),
    CONSTRAINT units_have_a_class CHECK (units = 0 OR (units > 0 AND share_class_id IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX pledges_of_a_member ON pledge (campaign_id, member_id, pledge_id);
CREATE INDEX pledges_that_can_run_out ON pledge (campaign_id, expires_at, pledge_id)
WHERE state IN ('committed', 'part_paid', 'errored');

-- Which provider or bank account belongs to which campaign, for ever.
CREATE TABLE money_account (
    campaign_id uuid NOT NULL REFERENCES campaign,
    money_account_id uuid NOT NULL,
    -- provider or bank.
    kind text NOT NULL CONSTRAINT money_account_kind_is_known CHECK (kind IN ('provider', 'bank')),
    -- stripe, gocardless, a bank's name …
    institution text NOT NULL,
    -- The account's id there.
    external_id text NOT NULL,
    currency text NOT NULL,
    livemode boolean NOT NULL,
    PRIMARY KEY (campaign_id, money_account_id),
    -- Reference data: unique over all campaigns, or one movement of money could be booked in two.
    CONSTRAINT an_account_belongs_to_one_campaign UNIQUE (institution, external_id, livemode)
);

-- Money that arrived, or failed to.
CREATE TABLE payment (
    campaign_id uuid NOT NULL REFERENCES campaign,
    payment_id uuid NOT NULL,
    money_account_id uuid NOT NULL,
    -- The provider's or bank's id of the movement.
    object_id text NOT NULL,
    -- succeeded, failed, late_failed, reversed.
    state text NOT NULL CONSTRAINT payment_state_is_known
        CHECK (state IN ('succeeded', 'failed', 'late_failed', 'reversed')),
    -- card, direct_debit, bank_transfer.
    method text NOT NULL CONSTRAINT payment_method_is_known
        CHECK (method IN ('card', 'direct_debit', 'bank_transfer')),
    gross bigint NOT NULL CONSTRAINT gross_is_positive CHECK (gross > 0),
    -- Where the gross amount stands: 2100, 2200, 2900. Sums to gross while succeeded.
    held bigint NOT NULL,
    refundable bigint NOT NULL,
    unallocated bigint NOT NULL,
    -- What the provider charged so far; and whether it has told at all.
    fee bigint NOT NULL,
    fee_known boolean NOT NULL,
    -- The part of the fee that stands in 1500.
    fee_deferred bigint NOT NULL,
    member_id uuid,
    pledge_id uuid,
    occurred_at timestamptz NOT NULL,
    value_date date NOT NULL,
    available_on date NOT NULL,
    failure_code text NOT NULL,
    -- The entry that booked it, 0 when none did.
    entry_no bigint NOT NULL,
    PRIMARY KEY (campaign_id, payment_id),
    CONSTRAINT a_movement_is_one_payment UNIQUE (campaign_id, money_account_id, object_id),
    CONSTRAINT a_payment_arrives_on_an_account_of_its_campaign
        FOREIGN KEY (campaign_id, money_account_id) REFERENCES money_account,
    CONSTRAINT parts_of_a_payment_are_the_whole CHECK (
        held >= 0 AND refundable >= 0 AND unallocated >= 0 AND fee >= 0 AND fee_deferred >= 0
        AND held + refundable + unallocated = CASE state WHEN 'succeeded' THEN gross ELSE 0 END
    )
) WITH (fillfactor = 80);
CREATE INDEX payments_of_a_member ON payment (campaign_id, member_id, payment_id)
WHERE member_id IS NOT NULL;
CREATE INDEX payments_without_a_member ON payment (campaign_id, payment_id) WHERE unallocated > 0;

-- The identity of money that moved elsewhere: claimed by the first who records it, for ever.
CREATE TABLE effect (
    campaign_id uuid NOT NULL REFERENCES campaign,
    money_account_id uuid NOT NULL,
    -- The provider's or bank's id of the movement.
    object_id text NOT NULL,
    -- capture, fee, failure, late_failure.
    effect text NOT NULL,
    -- Empty, or what tells a repetition apart: the entry that a right one corrects.
    seq text NOT NULL,
    -- What it was claimed for.
    amount bigint NOT NULL,
    payment_id uuid NOT NULL,
    -- The change that claimed it, whose answer the next ones get.
    change_no bigint NOT NULL,
    CONSTRAINT a_movement_posts_once PRIMARY KEY (campaign_id, money_account_id, object_id, effect, seq)
);

CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON terms
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON share_class
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON money_account
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON effect
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
ALTER TABLE terms ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE share_class ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE money_account ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE effect ENABLE ALWAYS TRIGGER stays_written;

GRANT SELECT ON campaign, terms, share_class, tally, member, signature, person, pledge, money_account,
    payment, effect TO pledgebook_app, pledgebook_report;
GRANT INSERT ON terms, share_class, money_account, effect, person TO pledgebook_app;
GRANT INSERT, UPDATE ON campaign, tally, member, signature, pledge, payment TO pledgebook_app;
