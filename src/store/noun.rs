//! Single nouns and pages of them, as they stand now: for Get and List.
//!
//! Pages go by id, which sorts by time of creation: a page is an index range,
//! whatever the page before it was. Only of a member's payments each page begins with all of them.

use std::collections::HashMap;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    Store, StoreError,
    world::{
        campaign_of, payments_of_members, payments_where, payouts_where, pledges_where,
        refunds_where,
    },
};
use crate::{
    domain::{
        Tally,
        campaign::Campaign,
        member::{Member, Person},
        payment::Payment,
        payout::Payout,
        pledge::{Pledge, PledgeState},
        refund::{Refund, RefundState},
        share::Lot,
    },
    id::{
        CampaignId, MemberId, MoneyAccountId, PaymentId, PayoutId, PledgeId, RefundId, ShareClassId,
    },
    money::Currency,
};

type Read<T> = Result<T, StoreError>;

impl Store {
    /// A campaign's currency, which never changes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn campaign_currency(&self, id: CampaignId) -> Read<Option<Currency>> {
        let code =
            sqlx::query_scalar!("SELECT currency FROM campaign WHERE campaign_id = $1", id.0);
        let code = code.fetch_optional(&self.pool).await?;
        code.map(|code| {
            code.parse()
                .map_err(|_| StoreError::unreadable("currency", code))
        })
        .transpose()
    }

    /// A campaign and its tally, with the change up to which both hold.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn campaign(&self, id: CampaignId) -> Read<Option<(Campaign, Tally, i64)>> {
        let mut tx = self.snapshot().await?;
        let head = super::world::head_in_tx(&mut tx, id).await?;
        let campaign = campaign_of(&mut tx, id).await?;
        tx.rollback().await?;
        let found = campaign.zip(head);
        Ok(found.map(|((campaign, tally), head)| (campaign, tally, head.change)))
    }

    /// A page of campaigns, newest first: all, or the one that a caller may see.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn campaigns(
        &self,
        only: Option<CampaignId>,
        before: Option<(time::OffsetDateTime, Uuid)>,
        limit: i64,
    ) -> Read<Vec<Campaign>> {
        let (before_at, before_id) = before.unzip();
        let ids = sqlx::query_scalar!(
            "SELECT campaign_id FROM campaign
             WHERE ($1::uuid IS NULL OR campaign_id = $1)
                AND ($2::timestamptz IS NULL OR (created_at, campaign_id) < ($2, $3))
             ORDER BY created_at DESC, campaign_id DESC LIMIT $4",
            only.map(|only| only.0),
            before_at,
            before_id,
            limit
        );
        let mut tx = self.snapshot().await?;
        let mut campaigns = Vec::new();
        for id in ids.fetch_all(&mut *tx).await? {
            let found = campaign_of(&mut tx, CampaignId(id)).await?;
            campaigns.extend(found.map(|(campaign, _)| campaign));
        }
        tx.rollback().await?;
        Ok(campaigns)
    }

    /// A member with name and e-mail address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member(
        &self,
        campaign: CampaignId,
        id: MemberId,
    ) -> Read<Option<(Member, Person)>> {
        let mut found = self.members_page(campaign, Some(id), None, 1).await?;
        Ok(found.pop())
    }

    /// A page of members, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn members(
        &self,
        campaign: CampaignId,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<(Member, Person)>> {
        self.members_page(campaign, None, after, limit).await
    }

    async fn members_page(
        &self,
        campaign: CampaignId,
        only: Option<MemberId>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<(Member, Person)>> {
        let rows = sqlx::query!(
            "SELECT member_id, email_hash, member.created_at, live_pledges, display_name, email
             FROM member JOIN person ON person.campaign_id = member.campaign_id
                AND person.subject_id = member_id
             WHERE member.campaign_id = $1 AND ($2::uuid IS NULL OR member_id = $2)
                AND ($3::uuid IS NULL OR member_id > $3)
             ORDER BY member_id LIMIT $4",
            campaign.0,
            only.map(|only| only.0),
            after,
            limit
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        rows.map(|row| {
            let member = Member {
                id: MemberId(row.member_id),
                email_hash: super::world::digest(row.email_hash)?,
                created_at: row.created_at,
                live_pledges: row.live_pledges,
            };
            let person = Person {
                subject: row.member_id,
                display_name: row.display_name,
                email: row.email,
            };
            Ok((member, person))
        })
        .collect()
    }

    /// A pledge.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pledge(&self, campaign: CampaignId, id: PledgeId) -> Read<Option<Pledge>> {
        let mut tx = self.begin().await?;
        let found = pledges_where(&mut tx, campaign, |query| {
            query.push(" AND pledge_id = ").push_bind(id.0);
        });
        Ok(found.await?.pop())
    }

    /// A page of pledges, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pledges(
        &self,
        campaign: CampaignId,
        member: Option<MemberId>,
        state: Option<PledgeState>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<Pledge>> {
        let mut tx = self.begin().await?;
        pledges_where(&mut tx, campaign, |query| {
            if let Some(member) = member {
                query.push(" AND member_id = ").push_bind(member.0);
            }
            if let Some(state) = state {
                query.push(" AND state = ").push_bind(state.word());
            }
            if let Some(after) = after {
                query.push(" AND pledge_id > ").push_bind(after);
            }
            query.push(" ORDER BY pledge_id LIMIT ").push_bind(limit);
        })
        .await
    }

    /// A payment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn payment(&self, campaign: CampaignId, id: PaymentId) -> Read<Option<Payment>> {
        let mut tx = self.begin().await?;
        let found = payments_where(&mut tx, campaign, |query| {
            query.push(" AND payment_id = ").push_bind(id.0);
        });
        Ok(found.await?.pop())
    }

    /// A page of payments, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn payments(
        &self,
        campaign: CampaignId,
        member: Option<MemberId>,
        unallocated_only: bool,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<Payment>> {
        let mut tx = self.begin().await?;
        let rest = |query: &mut QueryBuilder<Postgres>| {
            if unallocated_only {
                query.push(" AND unallocated > 0");
            }
            if let Some(after) = after {
                query.push(" AND payment_id > ").push_bind(after);
            }
            query.push(" ORDER BY payment_id LIMIT ").push_bind(limit);
        };
        match member {
            Some(member) => payments_of_members(&mut tx, campaign, vec![member.0], rest).await,
            None => payments_where(&mut tx, campaign, rest).await,
        }
    }

    /// A payout.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn payout(&self, campaign: CampaignId, id: PayoutId) -> Read<Option<Payout>> {
        let mut tx = self.begin().await?;
        let found = payouts_where(&mut tx, campaign, |query| {
            query.push(" AND payout_id = ").push_bind(id.0);
        });
        Ok(found.await?.pop())
    }

    /// A page of payouts, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn payouts(
        &self,
        campaign: CampaignId,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<Payout>> {
        let mut tx = self.begin().await?;
        payouts_where(&mut tx, campaign, |query| {
            if let Some(after) = after {
                query.push(" AND payout_id > ").push_bind(after);
            }
            query.push(" ORDER BY payout_id LIMIT ").push_bind(limit);
        })
        .await
    }

    /// A refund.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refund(&self, campaign: CampaignId, id: RefundId) -> Read<Option<Refund>> {
        let mut tx = self.begin().await?;
        let found = refunds_where(&mut tx, campaign, |query| {
            query.push(" AND refund_id = ").push_bind(id.0);
        });
        Ok(found.await?.pop())
    }

    /// A page of refunds, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refunds(
        &self,
        campaign: CampaignId,
        payment: Option<PaymentId>,
        state: Option<RefundState>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<Refund>> {
        let mut tx = self.begin().await?;
        refunds_where(&mut tx, campaign, |query| {
            if let Some(payment) = payment {
                query.push(" AND payment_id = ").push_bind(payment.0);
            }
            if let Some(state) = state {
                query.push(" AND state = ").push_bind(state.word());
            }
            if let Some(after) = after {
                query.push(" AND refund_id > ").push_bind(after);
            }
            query.push(" ORDER BY refund_id LIMIT ").push_bind(limit);
        })
        .await
    }

    /// A page of what is to be sent, with the payment's id at its provider or bank; nothing
    /// of a payment whose dispute is announced, or of a campaign that is suspended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refund_instructions(
        &self,
        campaign: CampaignId,
        account: Option<MoneyAccountId>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Read<Vec<(Refund, String)>> {
        let mut tx = self.begin().await?;
        let refunds = refunds_where(&mut tx, campaign, |query| {
            query.push(
                " AND state = 'approved'
                  AND EXISTS (SELECT FROM campaign WHERE campaign.campaign_id = refund.campaign_id
                    AND stage <> 'suspended')
                  AND EXISTS (SELECT FROM payment WHERE payment.campaign_id = refund.campaign_id
                    AND payment.payment_id = refund.payment_id AND NOT flagged)",
            );
            if let Some(account) = account {
                query.push(" AND money_account_id = ").push_bind(account.0);
            }
            if let Some(after) = after {
                query.push(" AND refund_id > ").push_bind(after);
            }
            query.push(" ORDER BY refund_id LIMIT ").push_bind(limit);
        })
        .await?;
        let ids: Vec<Uuid> = refunds.iter().map(|refund| refund.payment.0).collect();
        let objects = sqlx::query!(
            "SELECT payment_id, object_id FROM payment
             WHERE campaign_id = $1 AND payment_id = ANY($2)",
            campaign.0,
            &ids
        );
        let objects = objects.fetch_all(&mut *tx).await?.into_iter();
        let objects: HashMap<Uuid, String> =
            objects.map(|row| (row.payment_id, row.object_id)).collect();
        let instructions = refunds.into_iter().map(|refund| {
            let object = objects.get(&refund.payment.0).cloned().unwrap_or_default();
            (refund, object)
        });
        Ok(instructions.collect())
    }

    /// A page of lots, in the order of their certificates.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lots(
        &self,
        campaign: CampaignId,
        member: Option<MemberId>,
        after: i64,
        limit: i64,
    ) -> Read<Vec<Lot>> {
        let rows = sqlx::query!(
            "SELECT certificate, member_id, share_class_id, units, cancelled, entry_no, allotted_at
             FROM lot
             WHERE campaign_id = $1 AND ($2::uuid IS NULL OR member_id = $2) AND certificate > $3
             ORDER BY certificate LIMIT $4",
            campaign.0,
            member.map(|member| member.0),
            after,
            limit
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let lot = rows.map(|row| Lot {
            certificate: row.certificate,
            member: MemberId(row.member_id),
            share_class: ShareClassId(row.share_class_id),
            units: row.units,
            cancelled: row.cancelled,
            entry: row.entry_no,
            allotted_at: row.allotted_at,
        });
        Ok(lot.collect())
    }
}
