//! The inbox: events come in, are leased, and are finished.

use std::time::Duration;

use super::{
    AccountRow, Delivery, Event, EventRow, EventState, Finished, Leased, NewEvent, Read, Received,
    Replay,
};
use crate::{
    id::{CampaignId, EndpointId, WebhookEventId},
    store::{Store, Tx},
};

impl Store {
    /// Keeps a delivery and its events in one database transaction. An event that
    /// is known is counted; one that is known with another content waits for a
    /// person, unless it was applied.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_record(
        &self,
        delivery: &Delivery<'_>,
        mut events: Vec<NewEvent>,
    ) -> Read<Vec<Received>> {
        // Unsorted, two deliveries of the same events lock each other out. One statement
        // cannot count a row twice, and one body that repeats an event delivers it once.
        events.sort_by(|a, b| {
            (a.livemode, &a.event_id, a.payload_hash).cmp(&(
                b.livemode,
                &b.event_id,
                b.payload_hash,
            ))
        });
        events.dedup_by(|a, b| (a.livemode, &a.event_id) == (b.livemode, &b.event_id));
        let mut tx = self.begin().await?;
        delivery_in_tx(&mut tx, delivery).await?;
        let received = events_in_tx(&mut tx, delivery, &events).await?;
        tx.commit().await?;
        Ok(received)
    }

    /// Leases events that are due, the longest due first. What is leased is
    /// committed: nothing is held while a worker thinks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_lease(&self, limit: i64, lease: Duration) -> Read<Vec<Leased>> {
        let rows = sqlx::query!(
            "WITH due AS MATERIALIZED (
                SELECT webhook_event_id FROM webhook_event
                WHERE state IN ('pending', 'deferred') AND due_at <= now()
                    AND (leased_until IS NULL OR leased_until <= now())
                ORDER BY due_at, webhook_event_id LIMIT $1 FOR UPDATE SKIP LOCKED
             )
             UPDATE webhook_event AS event
             SET attempts = attempts + 1,
                 leased_until = now() + $2::bigint * interval '1 millisecond'
             FROM due, money_account AS account
             WHERE event.webhook_event_id = due.webhook_event_id
                AND account.campaign_id = event.campaign_id
                AND account.money_account_id = event.money_account_id
             RETURNING event.webhook_event_id, attempts, endpoint_id, event.campaign_id, event_id,
                payload, payload_hash, account.money_account_id, kind, institution, external_id,
                currency, account.livemode",
            limit,
            milliseconds(lease)
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        rows.map(|row| {
            let account = AccountRow {
                money_account_id: row.money_account_id,
                kind: row.kind,
                institution: row.institution,
                external_id: row.external_id,
                currency: row.currency,
                livemode: row.livemode,
            };
            Ok(Leased {
                id: WebhookEventId(row.webhook_event_id),
                attempt: row.attempts,
                endpoint: EndpointId(row.endpoint_id),
                campaign: CampaignId(row.campaign_id),
                account: account.try_into()?,
                event_id: row.event_id,
                payload: row.payload,
                payload_hash: row.payload_hash,
            })
        })
        .collect()
    }

    /// Notes what became of leased events; gives how many it was noted of. The
    /// others were leased again meanwhile, or a person's state stands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_finish(&self, finished: &[Finished]) -> Read<u64> {
        if finished.is_empty() {
            return Ok(0);
        }
        let each = finished.iter();
        let words = each.clone().map(|f| f.state.word().to_owned());
        // Locked in the order in which deliveries lock them.
        let update = sqlx::query!(
            "WITH locked AS MATERIALIZED (
                SELECT webhook_event_id FROM webhook_event WHERE webhook_event_id = ANY($1)
                ORDER BY livemode, event_id COLLATE \"C\" FOR UPDATE
             )
             UPDATE webhook_event AS event
             SET state = done.state, detail = done.detail, leased_until = NULL,
                 due_at = now() + done.wait * interval '1 millisecond'
             FROM locked, unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[])
                AS done (webhook_event_id, attempts, state, detail, wait)
             WHERE event.webhook_event_id = locked.webhook_event_id
                AND done.webhook_event_id = event.webhook_event_id
                AND done.attempts = event.attempts AND event.state IN ('pending', 'deferred')",
            &each.clone().map(|f| f.id.0).collect::<Vec<_>>(),
            &each.clone().map(|f| f.attempt).collect::<Vec<_>>(),
            &words.collect::<Vec<_>>(),
            &each.clone().map(|f| f.detail.clone()).collect::<Vec<_>>(),
            &each.map(|f| milliseconds(f.wait)).collect::<Vec<_>>()
        );
        Ok(update.execute(&self.pool).await?.rows_affected())
    }

    /// A page of a campaign's events, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(
        &self,
        campaign: CampaignId,
        state: Option<EventState>,
        before: Option<WebhookEventId>,
        limit: i64,
    ) -> Read<Vec<Event>> {
        let rows = sqlx::query_as!(
            EventRow,
            "SELECT webhook_event_id, endpoint_id, campaign_id, event_id, event_type, state,
                    detail, deliveries, received_at
             FROM webhook_event
             WHERE campaign_id = $1 AND ($2::text IS NULL OR state = $2)
                AND ($3::uuid IS NULL OR webhook_event_id < $3)
             ORDER BY webhook_event_id DESC LIMIT $4",
            campaign.0,
            state.map(EventState::word),
            before.map(|before| before.0),
            limit
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        rows.map(Event::try_from).collect()
    }

    /// Makes an event pending again, in whatever campaign or in the given one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_replay(
        &self,
        id: WebhookEventId,
        only: Option<CampaignId>,
        detail: &str,
    ) -> Read<Replay> {
        let only = only.map(|only| only.0);
        let row = sqlx::query_as!(
            EventRow,
            "UPDATE webhook_event
             SET state = 'pending', detail = $3, due_at = now(), leased_until = NULL
             WHERE webhook_event_id = $1 AND ($2::uuid IS NULL OR campaign_id = $2)
                AND state IN ('review', 'dead', 'deferred', 'ignored')
             RETURNING webhook_event_id, endpoint_id, campaign_id, event_id, event_type, state,
                detail, deliveries, received_at",
            id.0,
            only,
            detail
        );
        if let Some(row) = row.fetch_optional(&self.pool).await? {
            return Ok(Replay::Pending(row.try_into()?));
        }
        let row = sqlx::query_as!(
            EventRow,
            "SELECT webhook_event_id, endpoint_id, campaign_id, event_id, event_type, state,
                    detail, deliveries, received_at
             FROM webhook_event
             WHERE webhook_event_id = $1 AND ($2::uuid IS NULL OR campaign_id = $2)",
            id.0,
            only
        );
        Ok(match row.fetch_optional(&self.pool).await? {
            Some(row) => Replay::NotReplayable(row.try_into()?),
            None => Replay::NotFound,
        })
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn delivery_in_tx(tx: &mut Tx<'_>, delivery: &Delivery<'_>) -> Read<()> {
    sqlx::query!(
        "INSERT INTO webhook_delivery (delivery_id, endpoint_id, received_at, headers, body,
            body_hash)
         VALUES ($1, $2, $3, $4, $5, $6)",
        delivery.id.0,
        delivery.endpoint.id.0,
        delivery.received_at,
        delivery.headers,
        delivery.body,
        &delivery.body_hash
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn events_in_tx(
    tx: &mut Tx<'_>,
    delivery: &Delivery<'_>,
    events: &[NewEvent],
) -> Read<Vec<Received>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let each = events.iter();
    let hashes = each.clone().map(|event| event.payload_hash.to_vec());
    let rows = sqlx::query!(
        "INSERT INTO webhook_event (campaign_id, money_account_id, endpoint_id, delivery_id,
            received_at, webhook_event_id, livemode, event_id, event_type, payload, payload_hash,
            deliveries, state, detail, attempts, due_at)
         SELECT $1, $2, $3, $4, $5, fresh.*, 1, 'pending', '', 0, now()
         FROM unnest($6::uuid[], $7::bool[], $8::text[], $9::text[], $10::text[], $11::bytea[])
            AS fresh
         ON CONFLICT (money_account_id, livemode, event_id) DO UPDATE
         SET deliveries = webhook_event.deliveries + 1,
             state = CASE WHEN webhook_event.payload_hash <> excluded.payload_hash
                AND webhook_event.state <> 'applied' THEN 'review' ELSE webhook_event.state END,
             detail = CASE WHEN webhook_event.payload_hash <> excluded.payload_hash
                AND webhook_event.state <> 'applied'
                THEN 'delivered again with another content' ELSE webhook_event.detail END
         RETURNING event_id, livemode, payload_hash, deliveries",
        delivery.endpoint.campaign.0,
        delivery.endpoint.account.id.0,
        delivery.endpoint.id.0,
        delivery.id.0,
        delivery.received_at,
        &each.clone().map(|e| e.id.0).collect::<Vec<_>>(),
        &each.clone().map(|e| e.livemode).collect::<Vec<_>>(),
        &each.clone().map(|e| e.event_id.clone()).collect::<Vec<_>>(),
        &each
            .clone()
            .map(|e| e.event_type.clone())
            .collect::<Vec<_>>(),
        &each.map(|e| e.payload.clone()).collect::<Vec<_>>(),
        &hashes.collect::<Vec<_>>()
    );
    let rows = rows.fetch_all(&mut **tx).await?.into_iter();
    let differs = |livemode: bool, event_id: &str, stored: &[u8]| {
        let same = |e: &&NewEvent| e.livemode == livemode && e.event_id == event_id;
        events
            .iter()
            .find(same)
            .is_some_and(|e| e.payload_hash != stored)
    };
    Ok(rows
        .map(|row| Received {
            differs: differs(row.livemode, &row.event_id, &row.payload_hash),
            event_id: row.event_id,
            deliveries: row.deliveries,
        })
        .collect())
}
