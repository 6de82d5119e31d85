//! Signatures of webhooks, over the raw bytes. Pure.
//!
//! What is refused is refused before anything is read from the body, and the
//! comparison takes the same time whatever the signature. Which part was wrong
//! is for our log; a sender learns only that it does not verify.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use crate::app::webhook::{SigningSecret, SigningSecretError};

/// Why a request is not the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is missing, repeated, or without one readable time.
    #[error("the signature header is missing, repeated or malformed")]
    Header,
    /// Rightly signed, but too long ago, or in the future.
    #[error("the signature is too old, or in the future")]
    Timestamp,
    /// No signature matches any active secret.
    #[error("no signature matches")]
    Signature,
    /// There is no secret to verify with.
    #[error("there is no signing secret")]
    Secret,
}

/// How far the signed time may lie from ours, in seconds, both ways.
const WINDOW: i64 = 300;

/// Verifies a request of Stripe's: `t=<seconds>,v1=<hex>[,v1=…]`, HMAC-SHA256
/// over `<seconds>.<body>` under the whole text of the secret. While secrets
/// rotate there are several signatures and several secrets: any pair counts.
/// Other schemes than `v1` are passed over; `v0` is a weaker one for tests.
///
/// `headers` are all values of `Stripe-Signature`, so that a repeated one shows.
///
/// # Errors
/// [`SignatureError`]. A forged signature is reported as such even when its time
/// is off too: only who can sign learns about times.
pub fn stripe(
    headers: &[&[u8]],
    body: &[u8],
    secrets: &[SigningSecret],
    now: i64,
) -> Result<(), SignatureError> {
    let &[header] = headers else {
        return Err(SignatureError::Header);
    };
    let header = std::str::from_utf8(header).map_err(|_| SignatureError::Header)?;
    let (time, at) = signed_at(header)?;
    if secrets.is_empty() {
        return Err(SignatureError::Secret);
    }
    let signatures: Vec<Vec<u8>> = values(header, "v1")
        .filter_map(|signature| hex::decode(signature).ok())
        .collect();
    let matches = secrets.iter().any(|secret| {
        let Some(mac) = hmac_sha256(secret, &[time.as_bytes(), b".", body]) else {
            return false;
        };
        let is_ours = |signature: &Vec<u8>| mac.clone().verify_slice(signature).is_ok();
        signatures.iter().any(is_ours)
    });
    if !matches {
        return Err(SignatureError::Signature);
    }
    // Checked: the far ends of i64 lie further apart than an i64 can say.
    match now.checked_sub(at) {
        Some(age) if (-WINDOW..=WINDOW).contains(&age) => Ok(()),
        _ => Err(SignatureError::Timestamp),
    }
}

/// HMAC-SHA256 over parts, as if they were one.
fn hmac_sha256(secret: &SigningSecret, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    // Keys of every length are allowed; the error cannot occur and is no reason to panic.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

/// The values of one key in a header of `key=value` pairs.
fn values<'a>(header: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = header.split(',').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(move |(name, value)| (name == key).then_some(value))
}

/// The one signed time, as it was signed and as a number. Two times would leave
/// open which one was signed.
fn signed_at(header: &str) -> Result<(&str, i64), SignatureError> {
    let mut times = values(header, "t");
    let (Some(text), None) = (times.next(), times.next()) else {
        return Err(SignatureError::Header);
    };
    let at: i64 = text.parse().map_err(|_| SignatureError::Header)?;
    // One spelling: neither +1 nor 01.
    if at.to_string() != text {
        return Err(SignatureError::Header);
    }
    Ok((text, at))
}

#[cfg(test)]
pub(super) mod tests;
