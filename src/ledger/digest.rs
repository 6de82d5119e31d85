//! The digest that chains a campaign's entries.
//!
//! Each entry's digest is the SHA-256 of the digest before it and of the
//! entry's stored columns in a fixed, unambiguous layout (all integers big
//! endian). Whoever knows a later digest can tell whether any earlier entry was
//! changed, added, left out or moved. `report/check/digest_chain.sql` computes the same from
//! the stored rows, in SQL: a second code path.
//!
//! | part | bytes |
//! |---|---|
//! | digest before | 32 |
//! | campaign id | 16 |
//! | entry number, change number | 8 + 8 |
//! | event | 4 (length) + UTF-8 |
//! | occurred at, microseconds since 1970 | 8 |
//! | value date, days since 1970 | 4 |
//! | recorded at, microseconds since 1970 | 8 |
//! | reversed entry, 0 for none | 8 |
//! | number of lines | 4 |
//! | per line: code | 4 |
//! | … commodity | 4 (length) + UTF-8 |
//! | … owner, payment, pledge; all zero for none | 16 + 16 + 16 |
//! | … amount, balance, debits | 8 + 8 + 8 |

use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, macros::date};
use uuid::Uuid;

use super::PostedEntry;
use crate::id::CampaignId;

/// A SHA-256.
pub type Digest = [u8; 32];

/// The digest after `entry`, whose own `digest` is not looked at.
#[must_use]
pub fn chain(before: &Digest, campaign: CampaignId, entry: &PostedEntry) -> Digest {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(campaign.0.as_bytes());
    hash.update(entry.number.to_be_bytes());
    hash.update(entry.change.to_be_bytes());
    text(&mut hash, entry.entry.event().word());
    hash.update(microseconds(entry.entry.occurred_at()).to_be_bytes());
    let days = (entry.entry.value_date() - date!(1970 - 01 - 01)).whole_days();
    hash.update(i32::try_from(days).unwrap_or(i32::MAX).to_be_bytes());
    hash.update(microseconds(entry.recorded_at).to_be_bytes());
    hash.update(entry.entry.reverses().unwrap_or(0).to_be_bytes());
    hash.update(length(entry.lines.len()));
    for posted in &entry.lines {
        let account = &posted.line.account;
        hash.update(i32::from(account.code.number()).to_be_bytes());
        text(&mut hash, &account.commodity.to_string());
        hash.update(account.owner.uuid().as_bytes());
        hash.update(
            posted
                .line
                .payment
                .map_or(Uuid::nil(), |id| id.0)
                .as_bytes(),
        );
        hash.update(posted.line.pledge.map_or(Uuid::nil(), |id| id.0).as_bytes());
        hash.update(posted.line.amount.units().to_be_bytes());
        hash.update(posted.balance.net.units().to_be_bytes());
        hash.update(posted.balance.debits.units().to_be_bytes());
    }
    hash.finalize().into()
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update(length(text.len()));
    hash.update(text.as_bytes());
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).unwrap_or(u32::MAX).to_be_bytes()
}

fn microseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}
