//! Members and signatures.

use uuid::Uuid;

use super::{Read, StoreError, Tx, digest};
use crate::{
    domain::{
        Needs, World,
        member::{Member, Signature, SignatureState},
    },
    id::{MemberId, SignatureId},
    ledger::Owner,
};

pub(super) async fn members(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    let of_pledges = world.pledges.values().map(|pledge| pledge.member);
    let of_payments = world.payments.values().filter_map(|payment| payment.member);
    let lines = world.entries.values().flat_map(|row| row.entry.lines());
    let of_entries = lines.filter_map(|line| match line.account.owner {
        Owner::Member(member) => Some(member),
        Owner::Nobody | Owner::MoneyAccount(_) | Owner::Payment(_) => None,
    });
    let ids = needs
        .members
        .iter()
        .copied()
        .chain(of_pledges)
        .chain(of_payments)
        .chain(of_entries);
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    let emails: Vec<Vec<u8>> = needs.emails.iter().map(|hash| hash.to_vec()).collect();
    if ids.is_empty() && emails.is_empty() {
        return Ok(());
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
    for row in rows.fetch_all(&mut **tx).await? {
        let (Some(id), Some(hash), Some(created_at), Some(live_pledges)) = (
            row.member_id,
            row.email_hash,
            row.created_at,
            row.live_pledges,
        ) else {
            return Err(StoreError::unreadable("member", row.member_id));
        };
        world.put_member(Member {
            id: MemberId(id),
            email_hash: digest(hash)?,
            created_at,
            live_pledges,
        });
    }
    Ok(())
}

pub(super) async fn signatures(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    let ids: Vec<Uuid> = needs.signatures.iter().map(|id| id.0).collect();
    // Whoever pledges converts a signature of the same address.
    let of_members = world.members.values().map(|member| member.email_hash);
    let emails = needs.emails.iter().copied().chain(of_members);
    let emails: Vec<Vec<u8>> = emails.map(|hash| hash.to_vec()).collect();
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
    for row in rows.fetch_all(&mut **tx).await? {
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
