//! The campaign's own rows.

use super::{Tx, Write};
use crate::domain::{World, campaign::Campaign};

pub(super) async fn campaign(tx: &mut Tx<'_>, world: &World) -> Write {
    let Some(campaign) = world.campaign.as_ref().filter(|_| world.written.campaign) else {
        return Ok(());
    };
    campaign_row(tx, campaign).await?;
    for terms in &world.written.terms {
        sqlx::query!(
            "INSERT INTO terms (campaign_id, version, target, minimum, maximum, deadline,
                minimum_members, fee_bearer, fee_bearer_note, card_clearing_days,
                direct_debit_clearing_days, bank_transfer_clearing_days)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            world.id.0,
            terms.version,
            terms.target.units(),
            terms.minimum.units(),
            terms.maximum.units(),
            terms.deadline,
            terms.minimum_members,
            terms.fee_bearer.word(),
            terms.fee_bearer_note,
            terms.card_clearing_days,
            terms.direct_debit_clearing_days,
            terms.bank_transfer_clearing_days
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn campaign_row(tx: &mut Tx<'_>, campaign: &Campaign) -> Write {
    sqlx::query!(
        "INSERT INTO campaign (campaign_id, display_name, description, currency, stage,
            suspended_from, terms_version, created_at, opened_at, changed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (campaign_id) DO UPDATE SET display_name = excluded.display_name,
            description = excluded.description, stage = excluded.stage,
            suspended_from = excluded.suspended_from, terms_version = excluded.terms_version, opened_at = excluded.opened_at,
            changed_by = excluded.changed_by",
        campaign.id.0,
        campaign.display_name,
        campaign.description,
        campaign.currency.code(),
        campaign.stage.word(),
        campaign.suspended_from.map(|stage| stage.word()),
        campaign.terms.version,
        campaign.created_at,
        campaign.opened_at,
        campaign.changed_by
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn share_classes(tx: &mut Tx<'_>, world: &World) -> Write {
    for class in &world.written.share_classes {
        sqlx::query!(
            "INSERT INTO share_class (campaign_id, share_class_id, display_name, price, nominal,
                authorised, minimum_per_member, maximum_per_member, liability)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            world.id.0,
            class.id.0,
            class.display_name,
            class.price.units(),
            class.nominal.units(),
            class.authorised,
            class.minimum_per_member,
            class.maximum_per_member,
            class.liability
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(super) async fn money_accounts(tx: &mut Tx<'_>, world: &World) -> Write {
    for account in &world.written.money_accounts {
        sqlx::query!(
            "INSERT INTO money_account (campaign_id, money_account_id, kind, institution,
                external_id, currency, livemode)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            world.id.0,
            account.id.0,
            account.channel.word(),
            account.institution,
            account.external_id,
            account.currency.code(),
            account.livemode
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
