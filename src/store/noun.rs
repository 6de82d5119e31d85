//! Single nouns and pages of them, as they stand now: for Get and List.
//!
//! Pages go by id, which sorts by time of creation: a page is an index range,
//! whatever the page before it was.

use uuid::Uuid;

use super::{
    Store, StoreError,
    world::{campaign_of, payments_where, pledges_where},
};
use crate::{
    domain::{
        Tally,
        campaign::Campaign,
        member::{Member, Person},
        payment::Payment,
        pledge::{Pledge, PledgeState},
    },
    id::{CampaignId, MemberId, PaymentId, PledgeId},
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
        payments_where(&mut tx, campaign, |query| {
            if let Some(member) = member {
                query.push(" AND member_id = ").push_bind(member.0);
            }
            if unallocated_only {
                query.push(" AND unallocated > 0");
            }
            if let Some(after) = after {
                query.push(" AND payment_id > ").push_bind(after);
            }
            query.push(" ORDER BY payment_id LIMIT ").push_bind(limit);
        })
        .await
    }
}
