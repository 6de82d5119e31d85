-- Who may call, and what comes in from providers.

-- API keys. The secret is 32 random bytes, so a plain SHA-256 of it is enough.
CREATE TABLE api_key (
    api_key_id uuid PRIMARY KEY,
    secret_hash bytea NOT NULL CONSTRAINT one_key_a_secret UNIQUE,
    display_name text NOT NULL,
    -- front_end, treasurer, auditor, webhook, admin.
    role text NOT NULL CONSTRAINT role_is_known
        CHECK (role IN ('front_end', 'treasurer', 'auditor', 'webhook', 'admin')),
    -- The one campaign it may see; all when null.
    campaign_id uuid REFERENCES campaign,
    created_at timestamptz NOT NULL,
    -- Who made it.
    created_by text NOT NULL,
    revoked_at timestamptz,
    revoked_by text
);

-- Where a provider posts events to.
CREATE TABLE webhook_endpoint (
    endpoint_id uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    money_account_id uuid NOT NULL,
    -- The signing secrets, each sealed with a key derived from the secret file.
    sealed_secrets bytea[] NOT NULL CONSTRAINT an_endpoint_has_a_secret CHECK (cardinality(sealed_secrets) > 0),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    CONSTRAINT an_endpoint_is_a_money_accounts
        FOREIGN KEY (campaign_id, money_account_id) REFERENCES money_account
);

-- Every verified delivery, as it came.
CREATE TABLE webhook_delivery (
    delivery_id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoint,
    received_at timestamptz NOT NULL,
    -- The headers that say something about the delivery, never credentials.
    headers json NOT NULL,
    body bytea NOT NULL,
    body_hash bytea NOT NULL
);

-- One row an event, however often it is delivered.
CREATE TABLE webhook_event (
    webhook_event_id uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    money_account_id uuid NOT NULL,
    livemode boolean NOT NULL,
    -- The provider's id of the event.
    event_id text NOT NULL,
    event_type text NOT NULL,
    -- The event itself, as it stood in the body that first brought it.
    payload text NOT NULL,
    payload_hash bytea NOT NULL,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoint,
    delivery_id uuid NOT NULL REFERENCES webhook_delivery,
    deliveries integer NOT NULL,
    received_at timestamptz NOT NULL,
    state text NOT NULL CONSTRAINT event_state_is_known CHECK (
        state IN ('pending', 'applied', 'duplicate', 'ignored', 'deferred', 'review', 'dead')
    ),
    -- Why it is in that state.
    detail text NOT NULL,
    attempts integer NOT NULL,
    -- When the worker may take it; pending and deferred ones only.
    due_at timestamptz NOT NULL,
    -- Until when a worker has it; a lease that nobody ends runs out.
    leased_until timestamptz,
    CONSTRAINT an_event_comes_in_once UNIQUE (money_account_id, livemode, event_id)
);
CREATE INDEX events_to_work ON webhook_event (due_at) WHERE state IN ('pending', 'deferred');
CREATE INDEX events_of_a_campaign ON webhook_event (campaign_id, webhook_event_id DESC);

CREATE TRIGGER stays_written BEFORE UPDATE OR DELETE OR TRUNCATE ON webhook_delivery
FOR EACH STATEMENT EXECUTE FUNCTION stays_written();
ALTER TABLE webhook_delivery ENABLE ALWAYS TRIGGER stays_written;

GRANT SELECT ON api_key, webhook_endpoint, webhook_delivery, webhook_event TO pledgebook_app;
GRANT INSERT ON api_key, webhook_endpoint, webhook_delivery, webhook_event TO pledgebook_app;
GRANT UPDATE (revoked_at, revoked_by) ON api_key TO pledgebook_app;
GRANT UPDATE (deliveries, state, detail, attempts, due_at, leased_until) ON webhook_event TO pledgebook_app;
GRANT SELECT ON webhook_event TO pledgebook_report;
