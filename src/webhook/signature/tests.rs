use std::path::{Path, PathBuf};

use aws_lc_rs::hmac as other;
use hmac::Mac;
use serde::Deserialize;

use super::*;

const NOW: i64 = 1_780_000_000;
const BODY: &[u8] = br#"{"id":"evt_1","type":"charge.succeeded","livemode":true}"#;

fn secret(text: &str) -> SigningSecret {
    SigningSecret::new(text).unwrap()
}

/// Signs by another implementation of HMAC than the one under test.
fn signed(secret: &str, at: i64, body: &[u8]) -> String {
    let key = other::Key::new(other::HMAC_SHA256, secret.as_bytes());
    let mut context = other::Context::with_key(&key);
    context.update(format!("{at}.").as_bytes());
    context.update(body);
    hex::encode(context.sign())
}

fn header(secret: &str, at: i64, body: &[u8]) -> String {
    format!("t={at},v1={}", signed(secret, at, body))
}

fn verify(header: &str, body: &[u8]) -> Result<(), SignatureError> {
    stripe(&[header.as_bytes()], body, &[secret("whsec_one")], NOW)
}

#[test]
fn what_the_provider_signed_is_accepted() {
    assert_eq!(verify(&header("whsec_one", NOW, BODY), BODY), Ok(()));
}

#[test]
fn one_flipped_bit_is_refused_wherever_it_is() {
    let header = header("whsec_one", NOW, BODY);
    for index in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[index] ^= 1;
        assert_eq!(verify(&header, &body), Err(SignatureError::Signature));
    }
    for index in header.find("v1=").unwrap() + 3..header.len() {
        let mut forged = header.clone().into_bytes();
        forged[index] = if forged[index] == b'0' { b'1' } else { b'0' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(verify(&forged, BODY), Err(SignatureError::Signature));
    }
    let later = header.replace(&NOW.to_string(), &(NOW + 1).to_string());
    assert_eq!(verify(&later, BODY), Err(SignatureError::Signature));
}

#[test]
fn the_body_counts_to_its_last_byte() {
    let header = header("whsec_one", NOW, BODY);
    let with_newline = [BODY, b"\n"].concat();
    for body in [with_newline.as_slice(), &BODY[..BODY.len() - 1], b""] {
        assert_eq!(verify(&header, body), Err(SignatureError::Signature));
    }
    // A newline that was signed belongs to the body, and an empty body can be signed.
    for body in [with_newline.as_slice(), b""] {
        assert_eq!(verify(&self::header("whsec_one", NOW, body), body), Ok(()));
    }
}

#[test]
fn a_header_has_exactly_one_readable_time() {
    let v1 = signed("whsec_one", NOW, BODY);
    for header in [
        String::new(),
        format!("v1={v1}"),
        format!("t=,v1={v1}"),
        format!("t,v1={v1}"),
        format!("t={NOW},t={NOW},v1={v1}"),
        format!("t={NOW},v1={v1},t=0"),
        format!("t=+{NOW},v1={v1}"),
        format!("t=0{NOW},v1={v1}"),
        format!("t={NOW}.0,v1={v1}"),
        format!("t= {NOW},v1={v1}"),
        format!("t=99999999999999999999,v1={v1}"),
        format!("T={NOW},v1={v1}"),
        "t=,".to_owned(),
        ",,".to_owned(),
        "\u{fffd}".to_owned(),
    ] {
        assert_eq!(
            verify(&header, BODY),
            Err(SignatureError::Header),
            "{header}"
        );
    }
}

#[test]
fn a_header_is_there_once() {
    let header = header("whsec_one", NOW, BODY);
    let once = header.as_bytes();
    let verify = |headers: &[&[u8]]| stripe(headers, BODY, &[secret("whsec_one")], NOW);
    assert_eq!(verify(&[once]), Ok(()));
    assert_eq!(verify(&[]), Err(SignatureError::Header));
    assert_eq!(verify(&[once, once]), Err(SignatureError::Header));
    assert_eq!(verify(&[&[0xff, 0xfe]]), Err(SignatureError::Header));
    // As a proxy joins repeated headers.
    let joined = format!("{header},{header}");
    assert_eq!(verify(&[joined.as_bytes()]), Err(SignatureError::Header));
}

#[test]
fn only_v1_counts() {
    let v1 = signed("whsec_one", NOW, BODY);
    for header in [
        format!("t={NOW}"),
        format!("t={NOW},v0={v1}"),
        format!("t={NOW},v2={v1}"),
        format!("t={NOW},v1"),
        format!("t={NOW},v1="),
        format!("t={NOW},v1=not hex"),
        format!("t={NOW},v1={}", &v1[..62]),
        format!("t={NOW},v1={v1}00"),
    ] {
        assert_eq!(
            verify(&header, BODY),
            Err(SignatureError::Signature),
            "{header}"
        );
    }
    let among_others = format!("t={NOW},v0=ab,v1=zz,garbage,v1={v1},v9=1");
    assert_eq!(verify(&among_others, BODY), Ok(()));
}

#[test]
fn a_request_counts_for_five_minutes_both_ways() {
    for (age, expected) in [
        (0, Ok(())),
        (300, Ok(())),
        (-300, Ok(())),
        (301, Err(SignatureError::Timestamp)),
        (-301, Err(SignatureError::Timestamp)),
    ] {
        let header = header("whsec_one", NOW - age, BODY);
        assert_eq!(verify(&header, BODY), expected, "{age}");
    }
}

#[test]
fn the_far_ends_of_time_are_only_far_away() {
    for at in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
        let header = header("whsec_one", at, BODY);
        for now in [i64::MIN, NOW, i64::MAX] {
            let expected = if at.abs_diff(now) <= 300 {
                Ok(())
            } else {
                Err(SignatureError::Timestamp)
            };
            let verified = stripe(&[header.as_bytes()], BODY, &[secret("whsec_one")], now);
            assert_eq!(verified, expected, "{at} {now}");
        }
    }
}

#[test]
fn while_secrets_rotate_any_signature_may_match_any_secret() {
    let (one, two) = (
        signed("whsec_one", NOW, BODY),
        signed("whsec_two", NOW, BODY),
    );
    let both = format!("t={NOW},v1={one},v1={two}");
    let verify = |header: &str, secrets: &[&str]| {
        let secrets: Vec<_> = secrets.iter().map(|text| secret(text)).collect();
        stripe(&[header.as_bytes()], BODY, &secrets, NOW)
    };
    assert_eq!(verify(&both, &["whsec_one"]), Ok(()));
    assert_eq!(verify(&both, &["whsec_two"]), Ok(()));
    let only_two = format!("t={NOW},v1={two}");
    assert_eq!(verify(&only_two, &["whsec_one", "whsec_two"]), Ok(()));
    let unknown = Err(SignatureError::Signature);
    assert_eq!(verify(&both, &["whsec_three"]), unknown);
    assert_eq!(verify(&both, &[]), Err(SignatureError::Secret));
}

#[test]
fn a_forger_learns_nothing_about_times() {
    let header = format!("t=0,v1={}", signed("whsec_other", 0, BODY));
    assert_eq!(verify(&header, BODY), Err(SignatureError::Signature));
}

/// A request that a provider or a third party published.
#[derive(Deserialize)]
struct Vector {
    provider: String,
    /// Unsigned schemes have none.
    #[serde(default)]
    secret: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
    #[serde(default)]
    now: i64,
    expect: String,
}

/// The published vectors' folder; says loudly when there is none.
pub(crate) fn vectors(folder: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own setting, not the service's"
    )]
    let vectors = std::env::var_os("PLEDGEBOOK_VECTORS");
    if vectors.is_none() {
        println!("SKIPPED: PLEDGEBOOK_VECTORS is not set, no published request was replayed.");
    }
    vectors.map(|vectors| Path::new(&vectors).join(folder))
}

fn published() -> Vec<(String, Vector)> {
    let Some(folder) = vectors("signed") else {
        return Vec::new();
    };
    let files = std::fs::read_dir(folder).unwrap();
    let read = |path: PathBuf| {
        let vector = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path.display().to_string(), vector)
    };
    files.map(|file| read(file.unwrap().path())).collect()
}

#[test]
fn published_requests_of_stripe_are_judged_as_published() {
    let vectors = published();
    let mut replayed = 0;
    for (path, vector) in vectors.iter().filter(|(_, v)| v.provider == "stripe") {
        let secrets: Vec<_> = SigningSecret::new(&vector.secret).into_iter().collect();
        let headers: Vec<&[u8]> = vector.headers.values().map(String::as_bytes).collect();
        let verified = stripe(&headers, vector.body.as_bytes(), &secrets, vector.now);
        let expected = match vector.expect.as_str() {
            "accept" => Ok(()),
            "reject:header" => Err(SignatureError::Header),
            "reject:timestamp" => Err(SignatureError::Timestamp),
            "reject:signature" => Err(SignatureError::Signature),
            unknown => panic!("{path}: {unknown}"),
        };
        assert_eq!(verified, expected, "{path}");
        replayed += 1;
    }
    assert!(vectors.is_empty() || replayed >= 14, "{replayed}");
}

#[test]
fn published_hmacs_are_ours_too() {
    for (path, vector) in published().iter().filter(|(_, v)| v.provider == "raw-hmac") {
        let mac = hmac_sha256(&secret(&vector.secret), &[vector.body.as_bytes()]).unwrap();
        let hex = hex::encode(mac.finalize().into_bytes());
        assert_eq!(Some(&hex), vector.headers.values().next(), "{path}");
    }
}
