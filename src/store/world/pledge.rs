//! Pledges.

use std::collections::HashSet;

use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Read, StoreError};
use crate::{
    domain::{
        Needs, World,
        campaign::Campaign,
        pledge::{Pledge, PledgeState, RETRY_PERIOD},
    },
    id::{CampaignId, MemberId, PledgeId, ShareClassId},
    money::Amount,
};

#[derive(sqlx::FromRow)]
struct PledgeRow {
    pledge_id: Uuid,
    member_id: Uuid,
    state: String,
    amount: i64,
    paid: i64,
    share_class_id: Option<Uuid>,
    units: i64,
    created_at: time::OffsetDateTime,
    expires_at: time::OffsetDateTime,
    errored_at: Option<time::OffsetDateTime>,
    terms_version: i32,
}

impl TryFrom<PledgeRow> for Pledge {
    type Error = StoreError;

    fn try_from(row: PledgeRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("pledge", row.pledge_id);
        Ok(Self {
            id: PledgeId(row.pledge_id),
            member: MemberId(row.member_id),
            state: PledgeState::of_word(&row.state).ok_or_else(unreadable)?,
            amount: Amount::of_units(row.amount),
            paid: Amount::of_units(row.paid),
            share_class: row.share_class_id.map(ShareClassId),
            units: row.units,
            created_at: row.created_at,
            expires_at: row.expires_at,
            errored_at: row.errored_at,
            terms_version: row.terms_version,
        })
    }
}

const PLEDGE: &str = "SELECT pledge_id, member_id, state, amount, paid, share_class_id, units,
    created_at, expires_at, errored_at, terms_version FROM pledge WHERE campaign_id = ";

/// Pledges that the rest of a statement picks.
pub(in crate::store) async fn pledges_where(
    connection: &mut PgConnection,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Pledge>> {
    let mut query = QueryBuilder::new(PLEDGE);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<PledgeRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    rows.into_iter().map(Pledge::try_from).collect()
}

/// Reads the pledges that the batch needs; gives their ids.
pub(super) async fn pledges(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<HashSet<PledgeId>> {
    let of_payments = world.payments.values().filter_map(|payment| payment.pledge);
    let mut needed: HashSet<PledgeId> = needs.pledges.iter().copied().chain(of_payments).collect();
    let unknown = needed.iter().filter(|id| !world.pledges.contains_key(id));
    let unknown: Vec<Uuid> = unknown.map(|id| id.0).collect();
    if !unknown.is_empty() {
        let found = pledges_where(connection, world.id, |query| {
            query
                .push(" AND pledge_id = ANY(")
                .push_bind(unknown)
                .push(")");
        });
        let found = found.await?.into_iter();
        world
            .pledges
            .extend(found.map(|pledge| (pledge.id, pledge)));
    }
    if needs.run_out > 0 {
        let over = world.campaign.as_ref().is_some_and(Campaign::offer_is_over);
        let found = pledges_where(connection, world.id, |query| {
            query
                .push(" AND state IN ('committed', 'part_paid', 'errored') AND (expires_at <= ")
                .push_bind(now)
                .push(" OR ")
                .push_bind(over)
                .push(" OR (state = 'errored' AND errored_at <= ")
                .push_bind(now - RETRY_PERIOD)
                .push(")) ORDER BY pledge_id LIMIT ")
                .push_bind(needs.run_out);
        });
        for pledge in found.await? {
            needed.insert(pledge.id);
            world.pledges.insert(pledge.id, pledge);
        }
    }
    Ok(needed)
}
