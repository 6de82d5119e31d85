//! Messages, frames and methods that are none.

use pledgebook::{access::Role, grpc::pb};
use prost::Message;
use tonic::Code;

use super::{Desk, web_status};
use crate::{
    harness::eur,
    wire::{self, call, frame, published_reason},
};

/// Messages that no generated client would send, with the reason they are refused for.
fn broken_messages() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut bomb = vec![0x0b; 100_000];
    bomb.extend(vec![0x0c; 100_000]);
    let of_campaign = |text: &[u8]| {
        let mut message = vec![0x12];
        prost::encoding::encode_varint(text.len() as u64, &mut message);
        message.extend_from_slice(text);
        message
    };
    let large = pb::CreateMemberRequest {
        display_name: "x".repeat(300 * 1024),
        ..Default::default()
    };
    vec![
        (
            "text that is not UTF-8",
            of_campaign(b"campaigns/\xff\xfe"),
            "MESSAGE_MALFORMED",
        ),
        (
            "a length past the end",
            vec![0x12, 0x7f, b'c'],
            "MESSAGE_MALFORMED",
        ),
        (
            "a length past all memory",
            vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x7f],
            "MESSAGE_MALFORMED",
        ),
        ("a tag of no field", vec![0x00], "MESSAGE_MALFORMED"),
        (
            "a tag that does not end",
            vec![0xff; 20],
            "MESSAGE_MALFORMED",
        ),
        ("another wire type", vec![0x10, 0x01], "MESSAGE_MALFORMED"),
        ("groups within groups", bomb, "MESSAGE_MALFORMED"),
        (
            "more than is taken",
            large.encode_to_vec(),
            "MESSAGE_TOO_LARGE",
        ),
        // Under its name, but nothing of what it asks for.
        (
            "unknown fields alone",
            vec![0xf8, 0x07, 0x01],
            "INVALID_FIELD",
        ),
        ("nothing", vec![], "INVALID_FIELD"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_is_refused_with_a_reason() {
    let desk = Desk::open().await;
    let before = desk.counts().await;
    let bearer = desk.bearer(Role::Treasurer);
    let path = Desk::path("MemberService/CreateMember");
    for (what, message, reason) in broken_messages() {
        for compressed in [false, true] {
            let channel = desk.tester.server.channel();
            let refused = call(channel, &path, Some(&bearer), message.clone(), compressed).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{what}: {refused:?}");
            assert_eq!(published_reason(&refused), reason, "{what} {compressed}");
        }
    }
    // What is small on the wire and large in memory is stopped at the bound.
    let channel = desk.tester.server.channel();
    let bomb = call(channel, &path, Some(&bearer), vec![0; 32 << 20], true).await;
    let bomb = bomb.unwrap_err();
    assert_eq!(published_reason(&bomb), "MESSAGE_TOO_LARGE");
    assert_eq!(desk.counts().await, before);
    desk.pledge(desk.pledging(eur("5"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_frame_is_refused_with_a_reason() {
    let desk = Desk::open().await;
    let bearer = desk.bearer(Role::Treasurer);
    let path = Desk::path("CampaignService/GetCampaign");
    let message = pb::GetCampaignRequest {
        name: desk.campaign.name.clone(),
    };
    let good = frame(&message.encode_to_vec());
    let with_flag = |flag: u8| {
        let mut frame = good.clone();
        frame[0] = flag;
        frame
    };
    let gzip = ("grpc-encoding", "gzip");
    let malformed = (Code::InvalidArgument, "MESSAGE_MALFORMED");
    for (what, header, body, (code, reason)) in [
        ("compressed by what?", None, with_flag(1), malformed),
        (
            "compressed, and it is not",
            Some(gzip),
            with_flag(1),
            malformed,
        ),
        ("a flag that means nothing", None, with_flag(7), malformed),
        (
            "half a frame",
            None,
            good[..good.len() - 3].to_vec(),
            malformed,
        ),
        ("half a head", None, good[..3].to_vec(), malformed),
        ("no frame", None, vec![], malformed),
        (
            "a compression that nobody knows",
            Some(("grpc-encoding", "brotli")),
            good.clone(),
            (Code::Unimplemented, "MESSAGE_MALFORMED"),
        ),
        (
            "a length of gigabytes",
            None,
            vec![0, 0xff, 0xff, 0xff, 0xff, 1],
            (Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
        ),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(header);
        let answer = wire::http2(desk.tester.server.address, &path, &headers, body).await;
        let status = answer.status();
        assert_eq!(status.code(), code, "{what}: {status:?}");
        assert_eq!(published_reason(&status), reason, "{what}: {status:?}");
    }
    let headers = [("authorization", bearer.as_str())];
    let answer = wire::http2(desk.tester.server.address, &path, &headers, good).await;
    assert_eq!(answer.status().code(), Code::Ok, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_does_not_exist_is_refused_with_a_reason() {
    let desk = Desk::open().await;
    let bearer = desk.bearer(Role::Admin);
    for (path, code, reason) in [
        (
            "/other.v1.Service/Method",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        (
            "/grpc.health.v1.Health/Nothing",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        ("/nothing", Code::Unimplemented, "METHOD_UNKNOWN"),
        (
            "/pledgebook.v1.PledgeService/Nothing",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "/pledgebook.v1.Nothing/Nothing",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "/pledgebook.v1.PledgeService/",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "/pledgebook.v1.PledgeService",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "/pledgebook.v1.PledgeService/CreatePledge/",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "//pledgebook.v1.PledgeService/CreatePledge",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        (
            "/pledgebook.v2.PledgeService/CreatePledge",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
    ] {
        let channel = desk.tester.server.channel();
        let refused = call(channel, path, Some(&bearer), vec![], false)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), code, "{path}: {refused:?}");
        assert_eq!(published_reason(&refused), reason, "{path}");
        // A browser is told in the same words.
        let web = [
            ("content-type", "application/grpc-web+proto"),
            ("authorization", &bearer),
        ];
        let answer = wire::http1(desk.tester.server.address, path, &web, frame(&[])).await;
        let status = web_status(&answer);
        assert_eq!(status.code(), code, "{path}: {answer:?}");
        assert_eq!(published_reason(&status), reason, "{path}");
    }
    // Whoever does not speak gRPC gets an answer of the web.
    let answer = wire::http1(desk.tester.server.address, "/nothing", &[], vec![]).await;
    assert_eq!(answer.http, http::StatusCode::NOT_FOUND);
}
