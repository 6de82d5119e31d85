//! Keyed hashes of a request's fields: one a top-level field of the decoded
//! message, so that a reused request id can be answered with the name of the
//! field that differs, without keeping what was asked.

use std::{collections::HashMap, sync::LazyLock};

use prost::{
    Message,
    bytes::Buf,
    encoding::{DecodeContext, decode_key, skip_field},
};
use prost_types::FileDescriptorSet;

use super::pb;
use crate::{domain::Fingerprint, secret::Secrets};

/// The fields that say how a request is made, not what it asks for.
const BESIDE_THE_POINT: [&str; 2] = ["request_id", "validate_only"];

type Names = HashMap<String, Vec<(u16, String)>>;

/// Every request's field numbers and names, by its method.
static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(pb::DESCRIPTORS)
        .unwrap_or_default()
        .file;
    let messages = files.into_iter().flat_map(|file| file.message_type);
    messages
        .filter_map(|message| {
            let method = message.name().strip_suffix("Request")?.to_owned();
            let field = |field: &prost_types::FieldDescriptorProto| {
                let number = u16::try_from(field.number()).unwrap_or(u16::MAX);
                (number, field.name().to_owned())
            };
            let fields = message.field.iter().map(field).collect();
            Some((method, fields))
        })
        .collect()
});

/// The numbers and names of the fields of a method's request; none for what is not asked over
/// gRPC.
pub(super) fn names(method: &str) -> &'static [(u16, String)] {
    NAMES.get(method).map_or(&[], Vec::as_slice)
}

/// The fingerprint of a method's request.
pub(super) fn of<M: Message>(secrets: &Secrets, method: &str, message: &M) -> Fingerprint {
    let names = names(method);
    let encoded = message.encode_to_vec();
    let mut values = fields(&encoded);
    let beside = |number: u16| {
        let name = names.iter().find(|(n, _)| *n == number);
        name.is_some_and(|(_, name)| BESIDE_THE_POINT.contains(&name.as_str()))
    };
    values.retain(|(number, _)| !beside(*number));
    values.sort_by_key(|(number, _)| *number);
    // A repeated field's parts stand together.
    let hashes = values.chunk_by(|(one, _), (next, _)| one == next);
    let hashes = hashes.filter_map(|parts| match parts {
        [] => None,
        [(number, value)] => Some((*number, secrets.fingerprint(method, *number, value))),
        [(number, _), ..] => {
            let values: Vec<&[u8]> = parts.iter().map(|(_, value)| *value).collect();
            let value = values.concat();
            Some((*number, secrets.fingerprint(method, *number, &value)))
        }
    });
    Fingerprint {
        hashes: hashes.collect(),
        names,
    }
}

/// The top-level fields of an encoded message, each with its bytes.
fn fields(encoded: &[u8]) -> Vec<(u16, &[u8])> {
    let mut rest = encoded;
    let mut fields = Vec::new();
    while rest.has_remaining() {
        let Ok((tag, wire_type)) = decode_key(&mut rest) else {
            break;
        };
        let before = rest;
        if skip_field(wire_type, tag, &mut rest, DecodeContext::default()).is_err() {
            break;
        }
        let value = before.split_at(before.len() - rest.len()).0;
        fields.push((u16::try_from(tag).unwrap_or(u16::MAX), value));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(amount: &str) -> pb::RecordPaymentRequest {
        pb::RecordPaymentRequest {
            request_id: "one".to_owned(),
            object_id: "ch_1".to_owned(),
            gross: Some(pb::Money {
                currency_code: "EUR".to_owned(),
                amount: amount.to_owned(),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_changed_field_is_named_and_the_request_id_is_not_looked_at() {
        let secrets = Secrets::derive(&[7; 32]).unwrap();
        let first = of(&secrets, "RecordPayment", &request("1.00"));
        let mut again = request("1.00");
        again.request_id = "two".to_owned();
        again.validate_only = true;
        let again = of(&secrets, "RecordPayment", &again);
        assert_eq!(again.difference(&first.to_bytes()), None);
        let other = of(&secrets, "RecordPayment", &request("2.00"));
        assert_eq!(
            other.difference(&first.to_bytes()),
            Some("gross".to_owned())
        );
        let mut less = request("1.00");
        less.object_id = String::new();
        let less = of(&secrets, "RecordPayment", &less);
        assert_eq!(
            less.difference(&first.to_bytes()),
            Some("object_id".to_owned())
        );
        assert_eq!(
            first.difference(&less.to_bytes()),
            Some("object_id".to_owned())
        );
    }
}
