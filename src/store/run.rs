//! Runs: what they are planned from, their lists, and who works them.

use std::time::Duration;

use futures::TryStreamExt;
use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    world::{PAYMENT, PaymentRow, campaign_of, head_in_tx, run_items_where, runs_where},
};
use crate::{
    domain::{
        campaign::Campaign,
        payment::Payment,
        run::{Run, RunItem, RunItemState},
    },
    id::{CampaignId, MemberId, RunId, ShareClassId},
    money::Amount,
};

type Read<T> = Result<T, StoreError>;

/// What a member holds of application money for one class.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// Whose.
    pub member: MemberId,
    /// For which class; nothing where the money names none.
    pub share_class: Option<ShareClassId>,
    /// How much may become shares.
    pub held: Amount,
    /// The shares of the class that the member has already.
    pub shares: i64,
}

/// A snapshot of a campaign that a list is made from.
#[derive(Debug)]
pub struct Basis {
    tx: Tx<'static>,
    /// The campaign.
    pub campaign: Campaign,
    /// The change up to which the snapshot goes.
    pub change: i64,
}

impl Store {
    /// A snapshot to make a list from. Nothing when there is no such campaign.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_basis(&self, id: CampaignId) -> Read<Option<Basis>> {
        let mut tx = self.snapshot().await?;
        // One pass over everybody: read through rather than probed, and it may take long.
        let settings = "SET LOCAL enable_seqscan = on; SET LOCAL statement_timeout = '10min';
            SET LOCAL idle_in_transaction_session_timeout = '10min'";
        sqlx::raw_sql(settings).execute(&mut *tx).await?;
        let head = head_in_tx(&mut tx, id).await?;
        let campaign = campaign_of(&mut tx, id).await?;
        Ok(head.zip(campaign).map(|(head, (campaign, _))| Basis {
            tx,
            campaign,
            change: head.change,
        }))
    }

    /// Writes items of a list that is not frozen yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_items_write(&self, campaign: CampaignId, items: &[RunItem]) -> Read<()> {
        sqlx::query!(
            "INSERT INTO run_item (campaign_id, run_id, position, member_id, payment_id,
                share_class_id, units, amount, released, hash)
             SELECT $1, unnest($2::uuid[]), unnest($3::bigint[]), unnest($4::uuid[]),
                unnest($5::uuid[]), unnest($6::uuid[]), unnest($7::bigint[]), unnest($8::bigint[]),
                unnest($9::bigint[]), unnest($10::bytea[])",
            campaign.0,
            &items.iter().map(|item| item.run.0).collect::<Vec<_>>(),
            &items.iter().map(|item| item.position).collect::<Vec<_>>(),
            &items
                .iter()
                .map(|item| item.member.map(|id| id.0))
                .collect::<Vec<_>>() as &[Option<Uuid>],
            &items
                .iter()
                .map(|item| item.payment.map(|id| id.0))
                .collect::<Vec<_>>() as &[Option<Uuid>],
            &items
                .iter()
                .map(|item| item.share_class.map(|id| id.0))
                .collect::<Vec<_>>() as &[Option<Uuid>],
            &items.iter().map(|item| item.units).collect::<Vec<_>>(),
            &items
                .iter()
                .map(|item| item.amount.units())
                .collect::<Vec<_>>(),
            &items
                .iter()
                .map(|item| item.released.units())
                .collect::<Vec<_>>(),
            &items
                .iter()
                .map(|item| item.hash.as_slice())
                .collect::<Vec<_>>() as &[&[u8]]
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Removes the items of lists that nobody froze: of `own`, and of others that were begun
    /// before `older_than`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_items_forget(
        &self,
        campaign: CampaignId,
        own: Option<RunId>,
        older_than: RunId,
    ) -> Read<()> {
        sqlx::query!(
            "DELETE FROM run_item WHERE campaign_id = $1 AND (run_id = $2 OR run_id < $3)
                AND NOT EXISTS (
                    SELECT FROM run WHERE run.campaign_id = $1 AND run.run_id = run_item.run_id
                )",
            campaign.0,
            own.map(|own| own.0),
            older_than.0
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The runs that are running, of campaigns that are not suspended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_running(&self) -> Read<Vec<(CampaignId, RunId)>> {
        let rows = sqlx::query!(
            "SELECT campaign_id, run_id FROM run JOIN campaign USING (campaign_id)
             WHERE state = 'running' AND stage <> 'suspended'
             ORDER BY run_id"
        );
        let rows = rows.fetch_all(self.pool()).await?.into_iter();
        Ok(rows
            .map(|row| (CampaignId(row.campaign_id), RunId(row.run_id)))
            .collect())
    }

    /// Takes a run for a while, or keeps it; false while somebody else has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_lease(
        &self,
        campaign: CampaignId,
        run: RunId,
        holder: Uuid,
        time: Duration,
    ) -> Read<bool> {
        let seconds = i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        let taken = sqlx::query!(
            "INSERT INTO run_lease AS held (campaign_id, run_id, holder, leased_until)
             VALUES ($1, $2, $3, now() + make_interval(secs => $4))
             ON CONFLICT (campaign_id, run_id) DO UPDATE
             SET holder = excluded.holder, leased_until = excluded.leased_until
             WHERE held.holder = excluded.holder OR held.leased_until < now()",
            campaign.0,
            run.0,
            holder,
            f64::from(seconds)
        );
        Ok(taken.execute(self.pool()).await?.rows_affected() > 0)
    }

    /// A run and the positions of its next items to be worked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_pending(
        &self,
        campaign: CampaignId,
        run: RunId,
        limit: i64,
    ) -> Read<Vec<i64>> {
        let positions = sqlx::query_scalar!(
            "SELECT position FROM run_item
             WHERE campaign_id = $1 AND run_id = $2 AND state = 'pending'
             ORDER BY position LIMIT $3",
            campaign.0,
            run.0,
            limit
        );
        Ok(positions.fetch_all(self.pool()).await?)
    }

    /// A run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, campaign: CampaignId, id: RunId) -> Read<Option<Run>> {
        let mut tx = self.begin().await?;
        let found = runs_where(&mut tx, campaign, |query| {
            query.push(" AND run_id = ").push_bind(id.0);
        });
        Ok(found.await?.pop())
    }

    /// A page of runs, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(
        &self,
        campaign: CampaignId,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<Run>> {
        let mut tx = self.begin().await?;
        runs_where(&mut tx, campaign, |query| {
            if let Some(after) = after {
                query.push(" AND run_id > ").push_bind(after);
            }
            query.push(" ORDER BY run_id LIMIT ").push_bind(limit);
        })
        .await
    }

    /// A page of a run's items, in the order of its list.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_items(
        &self,
        campaign: CampaignId,
        run: RunId,
        state: Option<RunItemState>,
        after: i64,
        limit: i64,
    ) -> Read<Vec<RunItem>> {
        let mut tx = self.begin().await?;
        run_items_where(&mut tx, campaign, |query| {
            query.push(" AND run_id = ").push_bind(run.0);
            if let Some(state) = state {
                query.push(" AND state = ").push_bind(state.word());
            }
            query.push(" AND position > ").push_bind(after);
            query.push(" ORDER BY position LIMIT ").push_bind(limit);
        })
        .await
    }
}

impl Basis {
    /// Who holds application money that may become shares, whoever paid first comes first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holdings(&mut self) -> Read<Vec<Holding>> {
        let only_class = self.campaign.only_class().map(|class| class.0);
        let mut rows = sqlx::query!(
            r#"WITH holding AS (
                SELECT payment.member_id, coalesce(pledge.share_class_id, $2) AS share_class_id,
                    sum(held - greatest(reserved - refundable - unallocated, 0)) AS held,
                    min(payment.entry_no) AS first_entry
                FROM payment
                LEFT JOIN pledge ON pledge.campaign_id = $1
                    AND pledge.pledge_id = payment.pledge_id
                WHERE payment.campaign_id = $1 AND payment.state = 'succeeded' AND NOT flagged
                    AND held > greatest(reserved - refundable - unallocated, 0)
                GROUP BY 1, 2
            )
            SELECT member_id AS "member_id!", share_class_id, held::bigint AS "held!",
                coalesce(-balance.balance, 0) AS "shares!"
            FROM holding
            LEFT JOIN account ON account.campaign_id = $1 AND account.owner = holding.member_id
                AND account.code = 8000 AND account.commodity = holding.share_class_id::text
            LEFT JOIN balance ON balance.campaign_id = $1
                AND balance.account_no = account.account_no
            ORDER BY first_entry, member_id"#,
            self.campaign.id.0,
            only_class
        )
        .fetch(&mut *self.tx);
        let mut holdings = Vec::new();
        while let Some(row) = rows.try_next().await? {
            holdings.push(Holding {
                member: MemberId(row.member_id),
                share_class: row.share_class_id.map(ShareClassId),
                held: Amount::of_units(row.held),
                shares: row.shares,
            });
        }
        Ok(holdings)
    }

    /// Shares of a class that are authorised and not issued.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unissued(&mut self, class: ShareClassId) -> Read<i64> {
        let left = sqlx::query_scalar!(
            "SELECT -balance.balance FROM account JOIN balance USING (campaign_id, account_no)
             WHERE campaign_id = $1 AND owner = $2 AND code = 8010 AND commodity = $3",
            self.campaign.id.0,
            Uuid::nil(),
            class.to_string()
        );
        Ok(left
            .fetch_optional(&mut *self.tx)
            .await?
            .flatten()
            .unwrap_or(0))
    }

    /// The next payments that have something to give back, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn payments_due(&mut self, after: Uuid, limit: i64) -> Read<Vec<Payment>> {
        let mut query = sqlx::QueryBuilder::new(PAYMENT);
        query.push_bind(self.campaign.id.0);
        query
            .push(" AND state = 'succeeded' AND held + refundable + unallocated > reserved")
            .push(" AND payment_id > ")
            .push_bind(after)
            .push(" ORDER BY payment_id LIMIT ")
            .push_bind(limit);
        let rows: Vec<PaymentRow> = query.build_query_as().fetch_all(&mut *self.tx).await?;
        rows.into_iter().map(Payment::try_from).collect()
    }
}
