//! Members and signatures.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Read, StoreError, digest};
use crate::{
    domain::{
        Needs, World,
        member::{Member, Signature, SignatureState},
    },
    id::{MemberId, PledgeId, SignatureId},
    ledger::Owner,
};

/// Reads the members whom the batch needs; gives their ids.
pub(super) async fn members(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
    pledges: &HashSet<PledgeId>,
) -> Read<HashSet<MemberId>> {
    let pledges = pledges.iter().filter_map(|id| world.pledges.get(id));
    let of_payments = world.payments.values().filter_map(|payment| payment.member);
    let lines = world.entries.values().flat_map(|row| row.entry.lines());
    let of_entries = lines.filter_map(|line| match line.account.owner {
        Owner::Member(member) => Some(member),
        Owner::Nobody | Owner::MoneyAccount(_) | Owner::Payment(_) => None,
    });
    let needed = needs.members.iter().copied();
    let mut needed: HashSet<MemberId> = needed
        .chain(pledges.map(|pledge| pledge.member))
        .chain(of_payments)
        .chain(of_entries)
        .collect();
    let unknown = needed.iter().filter(|id| !world.members.contains_key(id));
    let ids: Vec<Uuid> = unknown.map(|id| id.0).collect();
    let unknown = needs
        .emails
        .iter()
        .filter(|hash| !world.member_emails.contains_key(*hash));
    let emails: Vec<Vec<u8>> = unknown.map(|hash| hash.to_vec()).collect();
    if ids.is_empty() && emails.is_empty() {
        return Ok(needed);
    }
    let rows = sqlx::query!(
        "SELECT member_id, email_hash, created_at, live_pledges FROM member
         WHERE campaign_id = $1 AND member_id = ANY($2)
         UNION
         SELECT member_id, email_hash, created_at, live_pledges FROM member
         WHERE campaign_id = $1 AND email_hash = ANY($3)",
        world.id.0,
        &ids,
        &emails
    );
    for row in rows.fetch_all(&mut *connection).await? {
        let (Some(id), Some(hash), Some(created_at), Some(live_pledges)) = (
            row.member_id,
            row.email_hash,
            row.created_at,
            row.live_pledges,
        ) else {
            return Err(StoreError::unreadable("member", row.member_id));
        };
        needed.insert(MemberId(id));
        world.put_member(Member {
            id: MemberId(id),
            email_hash: digest(hash)?,
            created_at,
            live_pledges,
        });
    }
    Ok(needed)
}

pub(super) async fn signatures(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    let ids = needs.signatures.iter();
    let unknown = ids.filter(|id| !world.signatures.contains_key(id));
    let ids: Vec<Uuid> = unknown.map(|id| id.0).collect();
    // Whoever pledges converts a signature of the same address.
    let pledging = needs.pledging.iter().filter_map(|id| world.members.get(id));
    let of_members = pledging.map(|member| member.email_hash);
    let emails = needs.emails.iter().copied().chain(of_members);
    let unknown = emails.filter(|hash| !world.signature_emails.contains_key(hash));
    let emails: Vec<Vec<u8>> = unknown.map(|hash| hash.to_vec()).collect();
    if ids.is_empty() && emails.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "SELECT signature_id, email_hash, state, created_at FROM signature
         WHERE campaign_id = $1 AND signature_id = ANY($2)
         UNION
         SELECT signature_id, email_hash, state, created_at FROM signature
         WHERE campaign_id = $1 AND email_hash = ANY($3)",
        world.id.0,
        &ids,
        &emails
    );
    for row in rows.fetch_all(&mut *connection).await? {
        let state = row.state.as_deref().and_then(SignatureState::of_word);
        let (Some(id), Some(hash), Some(state), Some(created_at)) =
            (row.signature_id, row.email_hash, state, row.created_at)
        else {
            return Err(StoreError::unreadable("signature", row.signature_id));
        };
        world.put_signature(Signature {
            id: SignatureId(id),
            email_hash: digest(hash)?,
            state,
            created_at,
        });
    }
    Ok(())
}
