//! Recorded outcomes, entries to reverse, and accounts with their balances.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Read, StoreError};
use crate::{
    domain::{AccountRow, ChangeRow, Changed, EntryRow, Head, Needs, World},
    id::{CampaignId, MemberId, RequestId},
    ledger::{AccountKey, Balance, Code},
    money::Amount,
    store::answer,
};

/// Reads the outcomes under request ids that have one.
pub(super) async fn requests(
    connection: &mut PgConnection,
    world: &mut World,
    ids: &[Uuid],
) -> Read<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"SELECT change_no, request_id, method, principal, fields, recorded_at,
                  first_entry_no, last_entry_no, same_as_change_no, refusal::text AS "refusal?", reason
           FROM change WHERE campaign_id = $1 AND request_id = ANY($2)"#,
        world.id.0,
        ids
    );
    for row in rows.fetch_all(&mut *connection).await? {
        let request_id = RequestId(row.request_id);
        let row = ChangeRow {
            number: row.change_no,
            request_id,
            method: row.method.into(),
            principal: row.principal,
            fields: row.fields,
            recorded_at: row.recorded_at,
            entries: row.first_entry_no.zip(row.last_entry_no),
            same_as: row.same_as_change_no,
            refusal: row.refusal.map(|json| answer::refusal(&json)).transpose()?,
            reason: row.reason,
        };
        world.requests.insert(request_id, row);
    }
    Ok(())
}

pub(super) async fn entries(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    for &number in &needs.entries {
        let Some(posted) = answer::entry(connection, world.id, number).await? else {
            continue;
        };
        let reversed_by = sqlx::query_scalar!(
            "SELECT entry_no FROM journal_entry WHERE campaign_id = $1 AND reverses = $2",
            world.id.0,
            number
        );
        let row = EntryRow {
            entry: posted.entry,
            reversed_by: reversed_by.fetch_optional(&mut *connection).await?,
        };
        world.entries.insert(number, row);
    }
    Ok(())
}

/// The accounts of everybody whom the batch may touch, and the campaign's own.
pub(super) async fn accounts(
    connection: &mut PgConnection,
    world: &mut World,
    members: &HashSet<MemberId>,
) -> Read<()> {
    let members = members.iter().map(|id| id.0);
    let payments = world.payments.keys().map(|id| id.0);
    let money = world
        .campaign
        .iter()
        .flat_map(|c| &c.money_accounts)
        .map(|a| a.id.0);
    let owners = members.chain(payments).chain(money).chain([Uuid::nil()]);
    let owners: Vec<Uuid> = owners.filter(|id| !world.owners.contains(id)).collect();
    if owners.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "SELECT account_no, code, commodity, owner, stands.balance, stands.debits
         FROM account
         CROSS JOIN LATERAL (
             SELECT balance, debits FROM balance
             WHERE campaign_id = $1 AND balance.account_no = account.account_no
             OFFSET 0
         ) AS stands
         WHERE campaign_id = $1 AND owner = ANY($2)",
        world.id.0,
        &owners
    );
    for row in rows.fetch_all(&mut *connection).await? {
        let key = account_key(row.code, &row.commodity, row.owner)?;
        let account = AccountRow {
            number: row.account_no,
            balance: Balance {
                net: Amount::of_units(row.balance),
                debits: Amount::of_units(row.debits),
            },
        };
        // What is known already is as new, or newer: its batch may not be committed yet.
        world.accounts.entry(key).or_insert(account);
    }
    world.owners.extend(owners);
    Ok(())
}

/// What was changed between two heads, of the accounts that worlds keep. Nothing when the
/// entry that the first one ends with is not the campaign's.
pub(crate) async fn changed_between(
    connection: &mut PgConnection,
    id: CampaignId,
    first: &Head,
    last: &Head,
) -> Read<Option<Changed>> {
    let row = sqlx::query!(
        r#"SELECT
             ARRAY(
               SELECT unnest(accounts) FROM journal_entry
               WHERE campaign_id = $1 AND entry_no > $2 AND entry_no <= $3
             ) AS "accounts!",
             ARRAY(
               SELECT owner FROM account
               WHERE campaign_id = $1 AND account_no > $4 AND account_no <= $5
             ) AS "owners!"
           WHERE $2 = 0::bigint OR EXISTS (
             SELECT FROM journal_entry WHERE campaign_id = $1 AND entry_no = $2 AND digest = $6
           )"#,
        id.0,
        first.entry,
        last.entry,
        first.account,
        last.account,
        &first.digest
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(|row| Changed {
        accounts: row.accounts.into_iter().collect(),
        owners: row.owners.into_iter().collect(),
    }))
}

/// The account of its stored parts.
pub(in crate::store) fn account_key(code: i16, commodity: &str, owner: Uuid) -> Read<AccountKey> {
    let parts = Code::of_number(code).zip(commodity.parse().ok());
    parts
        .and_then(|(code, commodity)| AccountKey::of_owner_id(code, commodity, owner))
        .ok_or_else(|| StoreError::unreadable("account", (code, commodity, owner)))
}
