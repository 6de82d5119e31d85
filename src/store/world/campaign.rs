//! The campaign, its terms, share classes and accounts, and its tally.

use sqlx::PgConnection;

use super::{Read, StoreError};
use crate::{
    domain::{
        Needs, Tally, World,
        campaign::{Campaign, FeeBearer, Stage, Terms},
        payment::{Channel, MoneyAccount},
        share::ShareClass,
    },
    id::{CampaignId, MoneyAccountId, ShareClassId},
    money::Amount,
};

pub(super) async fn campaign(connection: &mut PgConnection, world: &mut World) -> Read<()> {
    let Some((campaign, tally)) = campaign_of(connection, world.id).await? else {
        return Ok(());
    };
    world.campaign = Some(campaign);
    world.tally = tally;
    Ok(())
}

/// A campaign with its terms, share classes and accounts, and its tally.
pub(in crate::store) async fn campaign_of(
    connection: &mut PgConnection,
    id: CampaignId,
) -> Read<Option<(Campaign, Tally)>> {
    let row = sqlx::query!(
        r#"SELECT campaign.display_name, description, currency, stage, suspended_from, created_at, opened_at,
                changed_by, version, target, minimum, maximum, deadline, minimum_members,
                fee_bearer, fee_bearer_note, card_clearing_days, direct_debit_clearing_days,
                bank_transfer_clearing_days, signed AS "signed!", withdrawn AS "withdrawn!",
                converted AS "converted!", pledging_members AS "pledging_members!",
                pledged AS "pledged!", paying_members AS "paying_members!", held AS "held!",
                payments AS "payments!", failures AS "failures!", refundable AS "refundable!",
                returned AS "returned!", unallocated AS "unallocated!", allotted AS "allotted!",
                refunded AS "refunded!", certificates AS "certificates!"
         FROM campaign
         JOIN terms ON terms.campaign_id = campaign.campaign_id AND version = terms_version
         JOIN tally ON tally.campaign_id = campaign.campaign_id
         WHERE campaign.campaign_id = $1"#,
        id.0
    );
    let Some(row) = row.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let unreadable = |what| StoreError::unreadable(what, id);
    let campaign = Campaign {
        id,
        display_name: row.display_name,
        description: row.description,
        currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
        stage: Stage::of_word(&row.stage).ok_or_else(|| unreadable("stage"))?,
        suspended_from: row
            .suspended_from
            .map(|word| Stage::of_word(&word).ok_or_else(|| unreadable("stage")))
            .transpose()?,
        terms: Terms {
            version: row.version,
            target: Amount::of_units(row.target),
            minimum: Amount::of_units(row.minimum),
            maximum: Amount::of_units(row.maximum),
            deadline: row.deadline,
            minimum_members: row.minimum_members,
            fee_bearer: FeeBearer::of_word(&row.fee_bearer)
                .ok_or_else(|| unreadable("fee bearer"))?,
            fee_bearer_note: row.fee_bearer_note,
            card_clearing_days: row.card_clearing_days,
            direct_debit_clearing_days: row.direct_debit_clearing_days,
            bank_transfer_clearing_days: row.bank_transfer_clearing_days,
        },
        share_classes: share_classes(connection, id).await?,
        created_at: row.created_at,
        opened_at: row.opened_at,
        changed_by: row.changed_by,
        money_accounts: money_accounts(connection, id).await?,
    };
    let tally = Tally {
        signed: row.signed,
        withdrawn: row.withdrawn,
        converted: row.converted,
        pledging_members: row.pledging_members,
        pledged: Amount::of_units(row.pledged),
        paying_members: row.paying_members,
        held: Amount::of_units(row.held),
        payments: row.payments,
        failures: row.failures,
        refundable: Amount::of_units(row.refundable),
        returned: Amount::of_units(row.returned),
        unallocated: Amount::of_units(row.unallocated),
        allotted: Amount::of_units(row.allotted),
        refunded: Amount::of_units(row.refunded),
        certificates: row.certificates,
    };
    Ok(Some((campaign, tally)))
}

async fn share_classes(connection: &mut PgConnection, id: CampaignId) -> Read<Vec<ShareClass>> {
    let rows = sqlx::query!(
        "SELECT share_class_id, display_name, price, nominal, authorised, minimum_per_member,
                maximum_per_member, liability
         FROM share_class WHERE campaign_id = $1 ORDER BY share_class_id",
        id.0
    );
    let rows = rows.fetch_all(&mut *connection).await?.into_iter();
    Ok(rows
        .map(|row| ShareClass {
            id: ShareClassId(row.share_class_id),
            display_name: row.display_name,
            price: Amount::of_units(row.price),
            nominal: Amount::of_units(row.nominal),
            authorised: row.authorised,
            minimum_per_member: row.minimum_per_member,
            maximum_per_member: row.maximum_per_member,
            liability: row.liability,
        })
        .collect())
}

async fn money_accounts(connection: &mut PgConnection, id: CampaignId) -> Read<Vec<MoneyAccount>> {
    let rows = sqlx::query!(
        "SELECT money_account_id, kind, institution, external_id, currency, livemode
         FROM money_account WHERE campaign_id = $1 ORDER BY money_account_id",
        id.0
    );
    let rows = rows.fetch_all(&mut *connection).await?.into_iter();
    rows.map(|row| {
        let unreadable = || StoreError::unreadable("money account", row.money_account_id);
        Ok(MoneyAccount {
            id: MoneyAccountId(row.money_account_id),
            channel: Channel::of_word(&row.kind).ok_or_else(unreadable)?,
            institution: row.institution,
            external_id: row.external_id,
            currency: row.currency.parse().map_err(|_| unreadable())?,
            livemode: row.livemode,
        })
    })
    .collect()
}

pub(super) async fn registrations(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    for (institution, external_id, livemode) in &needs.registrations {
        let taken = sqlx::query_scalar!(
            "SELECT 1 FROM money_account
             WHERE institution = $1 AND external_id = $2 AND livemode = $3",
            institution,
            external_id,
            livemode
        );
        if taken.fetch_optional(&mut *connection).await?.is_some() {
            let registered = (institution.clone(), external_id.clone(), *livemode);
            world.registered.insert(registered);
        }
    }
    Ok(())
}
