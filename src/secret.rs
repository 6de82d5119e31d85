//! The one secret that all servers of an installation share, and the keys that
//! are derived from it by purpose.
//!
//! A key is HMAC-SHA256 of the purpose's name under the secret, so knowing one
//! key tells nothing about another or about the secret.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::id::CampaignId;

/// What a key is for.
#[derive(Clone, Copy)]
enum Purpose {
    Fingerprint,
    Email,
    Token,
    Seal,
    Peers,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Fingerprint => b"pledgebook request fingerprint 1",
            Self::Email => b"pledgebook e-mail address 1",
            Self::Token => b"pledgebook page token 1",
            Self::Seal => b"pledgebook sealed secret 1",
            Self::Peers => b"pledgebook between servers 1",
        }
    }
}

/// Keys for everything that is hashed, authenticated or sealed. Never printed.
#[derive(Clone)]
pub struct Secrets {
    // Keyed and not yet fed: cloning one is cheaper than keying it.
    fingerprint: Hmac<Sha256>,
    email: Hmac<Sha256>,
    token: Hmac<Sha256>,
    seal: Arc<[u8; 32]>,
    peers: Arc<[u8; 32]>,
}

/// Why a secret is none, or a sealed text cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short to be a secret.
    #[error("the secret has {0} bytes; it needs at least 32")]
    TooShort(usize),
    /// Sealed under another secret, or altered.
    #[error("a sealed value cannot be opened: it was sealed under another secret, or altered")]
    NotOurs,
}

impl Secrets {
    /// The least number of bytes of a secret.
    pub const LEAST_BYTES: usize = 32;

    /// Derives the keys.
    ///
    /// # Errors
    /// When the secret is too short to be one.
    pub fn derive(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.len() < Self::LEAST_BYTES {
            return Err(SecretError::TooShort(secret.len()));
        }
        let key = |purpose: Purpose| -> Result<[u8; 32], SecretError> {
            let mut mac = keyed(secret)?;
            mac.update(purpose.name());
            Ok(mac.finalize().into_bytes().into())
        };
        Ok(Self {
            fingerprint: keyed(&key(Purpose::Fingerprint)?)?,
            email: keyed(&key(Purpose::Email)?)?,
            token: keyed(&key(Purpose::Token)?)?,
            seal: Arc::new(key(Purpose::Seal)?),
            peers: Arc::new(key(Purpose::Peers)?),
        })
    }

    /// A request field's hash: tells whether a second request says the same.
    #[must_use]
    pub fn fingerprint(&self, method: &str, field: u16, value: &[u8]) -> [u8; 8] {
        let mut mac = self.fingerprint.clone();
        mac.update(method.as_bytes());
        mac.update(&[0]);
        mac.update(&field.to_be_bytes());
        mac.update(value);
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let mut short = [0; 8];
        short.copy_from_slice(hash.split_at(8).0);
        short
    }

    /// An e-mail address's hash within a campaign, whatever its capitals.
    #[must_use]
    pub fn email(&self, campaign: CampaignId, email: &str) -> [u8; 32] {
        let mut mac = self.email.clone();
        mac.update(campaign.0.as_bytes());
        mac.update(email.trim().to_lowercase().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The tag that makes a page token ours.
    #[must_use]
    pub fn token(&self, content: &[u8]) -> [u8; 16] {
        let mut mac = self.token.clone();
        mac.update(content);
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        let mut short = [0; 16];
        short.copy_from_slice(tag.split_at(16).0);
        short
    }

    /// Whether a page token's tag is ours; takes the same time whatever the tag.
    #[must_use]
    pub fn is_token(&self, content: &[u8], tag: &[u8; 16]) -> bool {
        let mut mac = self.token.clone();
        mac.update(content);
        mac.verify_truncated_left(tag).is_ok()
    }

    /// Seals a text for the database (AES-256-GCM under a random nonce). `about`
    /// is what it belongs to; it opens only there.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn seal(&self, about: &[u8], text: &str) -> Result<Vec<u8>, SecretError> {
        seal(&self.seal, about, text.as_bytes().to_vec())
    }

    /// Opens what [`Secrets::seal`] sealed.
    ///
    /// # Errors
    /// [`SecretError::NotOurs`].
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Result<String, SecretError> {
        let text = open(&self.seal, about, sealed.to_vec())?;
        String::from_utf8(text).map_err(|_| SecretError::NotOurs)
    }

    /// Seals a message for another server of the installation, as [`Secrets::seal`] does
    /// and under a key of its own.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn seal_for_peers(&self, about: &[u8], message: Vec<u8>) -> Result<Vec<u8>, SecretError> {
        seal(&self.peers, about, message)
    }

    /// Opens what another server sealed by [`Secrets::seal_for_peers`].
    ///
    /// # Errors
    /// [`SecretError::NotOurs`].
    pub fn open_from_peer(&self, about: &[u8], sealed: Vec<u8>) -> Result<Vec<u8>, SecretError> {
        open(&self.peers, about, sealed)
    }
}

/// The nonce, the sealed text, its tag.
fn seal(key: &[u8; 32], about: &[u8], mut text: Vec<u8>) -> Result<Vec<u8>, SecretError> {
    let nonce = sealing(key)?
        .seal_in_place_append_tag(Aad::from(about), &mut text)
        .map_err(|_| SecretError::NotOurs)?;
    text.splice(..0, nonce.as_ref().iter().copied());
    Ok(text)
}

fn open(key: &[u8; 32], about: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, SecretError> {
    let nonce = sealed.get(..NONCE_LEN).ok_or(SecretError::NotOurs)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::NotOurs)?;
    sealed.drain(..NONCE_LEN);
    let length = sealing(key)?
        .open_in_place(nonce, Aad::from(about), &mut sealed)
        .map_err(|_| SecretError::NotOurs)?
        .len();
    sealed.truncate(length);
    Ok(sealed)
}

fn sealing(key: &[u8; 32]) -> Result<RandomizedNonceKey, SecretError> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| SecretError::NotOurs)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, SecretError> {
    // HMAC takes keys of every length; the error cannot occur and is no reason to panic.
    Hmac::new_from_slice(key).map_err(|_| SecretError::TooShort(key.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(seed: u8) -> Secrets {
        Secrets::derive(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_short_secret_is_none() {
        assert!(Secrets::derive(&[1; 31]).is_err());
    }

    #[test]
    fn an_address_is_one_whatever_its_capitals() {
        let campaign = CampaignId::mint();
        let hash = |email| secrets(1).email(campaign, email);
        assert_eq!(hash(" Ada@Example.org"), hash("ada@example.org"));
        assert_ne!(hash("ada@example.org"), hash("bob@example.org"));
        assert_ne!(
            hash("ada@example.org"),
            secrets(1).email(CampaignId::mint(), "ada@example.org")
        );
        assert_ne!(
            hash("ada@example.org"),
            secrets(2).email(campaign, "ada@example.org")
        );
    }

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let sealed = secrets(1).seal(b"here", "whsec_test").unwrap();
        assert_eq!(secrets(1).open(b"here", &sealed).unwrap(), "whsec_test");
        assert!(secrets(1).open(b"there", &sealed).is_err());
        assert!(secrets(2).open(b"here", &sealed).is_err());
        assert!(secrets(1).open(b"here", &[]).is_err());
        let mut altered = sealed;
        *altered.last_mut().unwrap() ^= 1;
        assert!(secrets(1).open(b"here", &altered).is_err());
    }

    #[test]
    fn what_is_sealed_for_a_peer_is_no_sealed_secret() {
        let sealed = secrets(1).seal_for_peers(b"here", b"{}".to_vec()).unwrap();
        let opened = secrets(1).open_from_peer(b"here", sealed.clone());
        assert_eq!(opened.unwrap(), b"{}");
        assert!(secrets(2).open_from_peer(b"here", sealed.clone()).is_err());
        assert!(secrets(1).open_from_peer(b"there", sealed.clone()).is_err());
        assert!(secrets(1).open(b"here", &sealed).is_err());
        assert!(secrets(1).open_from_peer(b"here", vec![0; 11]).is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", secrets(7)), "Secrets(…)");
    }
}
