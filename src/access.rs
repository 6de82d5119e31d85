//! API keys and what they may do.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::id::{ApiKeyId, CampaignId};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A campaign's web site.
    FrontEnd,
    /// Runs campaigns and money.
    Treasurer,
    /// Reads everything, changes nothing.
    Auditor,
    /// A bridge that reports payments.
    Webhook,
    /// Keys and endpoints, and all that a treasurer may.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::FrontEnd,
        Self::Treasurer,
        Self::Auditor,
        Self::Webhook,
        Self::Admin,
    ];

    /// The word that the database keeps.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::FrontEnd => "front_end",
            Self::Treasurer => "treasurer",
            Self::Auditor => "auditor",
            Self::Webhook => "webhook",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub display_name: String,
    /// What it may do.
    pub role: Role,
    /// The one campaign it may see; nothing for all.
    pub campaign: Option<CampaignId>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

/// A key's secret: `pb_` and 64 hexadecimal digits, 32 random bytes. It is shown
/// once; stored is its SHA-256, which needs no salt, since nobody can guess 32
/// random bytes.
pub struct KeySecret(String);

impl KeySecret {
    /// A new secret.
    #[must_use]
    pub fn mint() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(format!("pb_{}", hex::encode(bytes)))
    }

    /// The secret, to show once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of a secret.
    #[must_use]
    pub fn hash(secret: &str) -> [u8; 32] {
        Sha256::digest(secret.as_bytes()).into()
    }
}
