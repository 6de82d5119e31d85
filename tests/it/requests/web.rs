//! Browsers, health and reflection on the same port.

use pledgebook::{access::Role, grpc::pb};
use prost::Message;
use tonic::Code;

use super::{Desk, frames, web_status};
use crate::{
    harness::{Tester, eur, text},
    wire::{self, frame, published_reason},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_served_over_http_1() {
    let desk = Desk::open().await;
    let address = desk.tester.server.address;
    let web = ("content-type", "application/grpc-web+proto");
    let request = pb::GetPublicProgressRequest {
        name: desk.campaign.name.clone(),
    };
    let path = Desk::path("CampaignService/GetPublicProgress");
    let answer = wire::http1(address, &path, &[web], frame(&request.encode_to_vec())).await;
    assert_eq!(answer.http, http::StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/grpc-web+proto");
    assert_eq!(web_status(&answer).code(), Code::Ok);
    let (flag, message) = &frames(&answer.body)[0];
    assert_eq!(*flag, 0);
    let progress = pb::GetPublicProgressResponse::decode(&message[..]).unwrap();
    assert_eq!(progress.display_name, "We are the club");
    assert_eq!(text(&progress.collected), "EUR 0.00");

    // A write, with a key, and what it is refused for without one.
    let pledging = frame(&desk.pledging(eur("100")).encode_to_vec());
    let path = Desk::path("PledgeService/CreatePledge");
    let refused = wire::http1(address, &path, &[web], pledging.clone()).await;
    assert_eq!(published_reason(&web_status(&refused)), "UNAUTHENTICATED");
    let bearer = desk.bearer(Role::FrontEnd);
    let headers = [web, ("authorization", bearer.as_str())];
    let done = wire::http1(address, &path, &headers, pledging).await;
    assert_eq!(web_status(&done).code(), Code::Ok, "{done:?}");
    let (_, message) = &frames(&done.body)[0];
    let done = pb::CreatePledgeResponse::decode(&message[..]).unwrap();
    assert_eq!(text(&done.pledge.unwrap().amount), "EUR 100.00");
    assert_eq!(desk.balance(9000).await, 10_000);
    // An error of the service itself has its reason here too.
    let headers = [web, ("authorization", bearer.as_str())];
    let refused = wire::http1(address, &path, &headers, frame(&[])).await;
    assert_eq!(published_reason(&web_status(&refused)), "INVALID_FIELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_listed_origin_may_call_and_others_may_not() {
    let desk = Desk::open().await;
    let address = desk.tester.server.address;
    let path = Desk::path("CampaignService/GetPublicProgress");
    let request = pb::GetPublicProgressRequest {
        name: desk.campaign.name.clone(),
    };
    let listed = "https://buyout.example.org";
    for (origin, allowed) in [(listed, Some(listed)), ("https://evil.example.org", None)] {
        let origin = ("origin", origin);
        let asked = [
            origin,
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,x-grpc-web,content-type",
            ),
        ];
        let before = wire::preflight(address, &path, &asked).await;
        assert_eq!(before.http, http::StatusCode::OK);
        let web = [("content-type", "application/grpc-web+proto"), origin];
        let answer = wire::http1(address, &path, &web, frame(&request.encode_to_vec())).await;
        // Also one that speaks gRPC as it is, which otherwise passes browsers' ways by.
        let plain = wire::http2(address, &path, &[origin], frame(&request.encode_to_vec())).await;
        assert_eq!(plain.status().code(), Code::Ok, "{plain:?}");
        for headers in [&before.headers, &answer.headers, &plain.headers] {
            let of = headers.get("access-control-allow-origin");
            assert_eq!(of.map(|of| of.to_str().unwrap()), allowed);
        }
        let may_send = before.headers["access-control-allow-headers"].to_str();
        assert!(may_send.unwrap().contains("authorization"), "{before:?}");
        // The page can read what an error says.
        let readable = answer.headers["access-control-expose-headers"]
            .to_str()
            .unwrap();
        for header in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert!(readable.contains(header), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer_without_a_key() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let tester = Tester::start().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(tester.server.channel());
    let asked = HealthCheckRequest::default();
    let answer = health.check(asked).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let unknown = HealthCheckRequest {
        service: "nothing".to_owned(),
    };
    assert_eq!(
        health.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    macro_rules! services {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(tester.server.channel());
            let asked = futures::stream::iter([request]);
            let mut answers = client
                .server_reflection_info(asked)
                .await
                .unwrap()
                .into_inner();
            let answer = answers.message().await.unwrap().unwrap();
            match answer.message_response {
                Some(MessageResponse::ListServicesResponse(list)) => list
                    .service
                    .into_iter()
                    .map(|service| service.name)
                    .collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        }};
    }
    for names in [services!(v1), services!(v1alpha)] {
        for service in ["pledgebook.v1.PledgeService", "grpc.health.v1.Health"] {
            assert!(names.iter().any(|name| name == service), "{names:?}");
        }
    }
}
