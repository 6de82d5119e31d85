//! Members, signatures, pledges, payments and their effects.

use uuid::Uuid;

use super::{Tx, Write};
use crate::domain::World;

/// Writes the nouns that the batch made or changed.
pub(super) async fn nouns(tx: &mut Tx<'_>, world: &World) -> Write {
    let written = &world.written;
    let members: Vec<_> = of(&written.members, |id| world.members.get(id));
    let signatures: Vec<_> = of(&written.signatures, |id| world.signatures.get(id));
    let persons = &written.persons;
    let pledges: Vec<_> = of(&written.pledges, |id| world.pledges.get(id));
    let payments: Vec<_> = of(&written.payments, |id| world.payments.get(id));
    let effects: Vec<_> = of(&written.effects, |key| world.effects.get_key_value(key));
    let nothing = members.is_empty()
        && signatures.is_empty()
        && persons.is_empty()
        && pledges.is_empty()
        && payments.is_empty()
        && effects.is_empty();
    if nothing {
        return Ok(());
    }
    sqlx::query_file!(
        "src/store/batch/noun.sql",
        world.id.0,
        &members.iter().map(|m| m.id.0).collect::<Vec<_>>(),
        &members
            .iter()
            .map(|m| m.email_hash.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &members.iter().map(|m| m.created_at).collect::<Vec<_>>(),
        &members.iter().map(|m| m.live_pledges).collect::<Vec<_>>(),
        &signatures.iter().map(|s| s.id.0).collect::<Vec<_>>(),
        &signatures
            .iter()
            .map(|s| s.email_hash.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &signatures
            .iter()
            .map(|s| s.state.word())
            .collect::<Vec<_>>() as &[&str],
        &signatures.iter().map(|s| s.created_at).collect::<Vec<_>>(),
        &persons.iter().map(|p| p.subject).collect::<Vec<_>>(),
        &persons
            .iter()
            .map(|p| p.display_name.as_str())
            .collect::<Vec<_>>() as &[&str],
        &persons.iter().map(|p| p.email.as_str()).collect::<Vec<_>>() as &[&str],
        &pledges.iter().map(|p| p.id.0).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.member.0).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.state.word()).collect::<Vec<_>>() as &[&str],
        &pledges.iter().map(|p| p.amount.units()).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.paid.units()).collect::<Vec<_>>(),
        &pledges
            .iter()
            .map(|p| p.share_class.map(|c| c.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &pledges.iter().map(|p| p.units).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.created_at).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.expires_at).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.errored_at).collect::<Vec<_>>()
            as &[Option<time::OffsetDateTime>],
        &pledges.iter().map(|p| p.terms_version).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.id.0).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.account.0).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.object_id.as_str())
            .collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.state.word()).collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.method.word()).collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.gross.units()).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.held.units()).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.refundable.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.unallocated.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.fee.units()).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.fee_known).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.fee_deferred.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.allotted.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.refunded.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.returned.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.charged.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.lost.units()).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.reserved.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.flagged).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.member.map(|m| m.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &payments
            .iter()
            .map(|p| p.pledge.map(|p| p.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &payments.iter().map(|p| p.occurred_at).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.value_date).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.available_on).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.failure_code.as_str())
            .collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.entry).collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(key, _)| key.account.0)
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(key, _)| key.object.as_str())
            .collect::<Vec<_>>() as &[&str],
        &effects
            .iter()
            .map(|(key, _)| key.effect)
            .collect::<Vec<_>>() as &[&str],
        &effects
            .iter()
            .map(|(key, _)| key.seq.as_str())
            .collect::<Vec<_>>() as &[&str],
        &effects
            .iter()
            .map(|(_, row)| row.amount.units())
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(_, row)| row.payment.map(|id| id.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &effects
            .iter()
            .map(|(_, row)| row.change)
            .collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The rows of these ids.
pub(super) fn of<'a, Id: 'a, Row>(
    ids: impl IntoIterator<Item = &'a Id>,
    row: impl FnMut(&'a Id) -> Option<Row>,
) -> Vec<Row> {
    ids.into_iter().filter_map(row).collect()
}
