//! What a caller can get wrong, send twice, or send broken; and what the answer
//! is while the service is busy, slow or ending.

mod broken;
mod busy;
mod fields;
mod pages;
mod repeats;
mod web;

use pledgebook::{access::Role, book::Settings, grpc::pb};
use sqlx::PgPool;
use tonic::Status;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    harness::{Campaign, Tester, id},
    wire::Answer,
};

/// A campaign with a member, and sight of its books.
struct Desk {
    tester: Tester,
    campaign: Campaign,
    member: String,
    pool: PgPool,
}

impl Desk {
    async fn open() -> Self {
        Self::open_with(Settings::default()).await
    }

    async fn open_with(settings: Settings) -> Self {
        let tester = Tester::start_with(settings).await;
        let campaign = Campaign::open(&tester, "EUR").await;
        let member = campaign.member(&tester, "ada@example.org").await;
        let pool = tester.database.pool("postgres").await;
        Self {
            tester,
            campaign,
            member,
            pool,
        }
    }

    fn id(&self) -> Uuid {
        let id = self.campaign.name.strip_prefix("campaigns/").unwrap();
        id.parse().unwrap()
    }

    /// Recorded outcomes, entries and lines of the campaign.
    async fn counts(&self) -> (i64, i64, i64) {
        sqlx::query_as(
            "SELECT change_no, entry_no,
                (SELECT count(*) FROM line WHERE line.campaign_id = campaign_head.campaign_id)
             FROM campaign_head WHERE campaign_id = $1",
        )
        .bind(self.id())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The campaign's balance over all accounts of a code.
    async fn balance(&self, code: i16) -> i64 {
        sqlx::query_scalar(
            "SELECT coalesce(sum(balance), 0)::bigint
             FROM balance JOIN account USING (campaign_id, account_no)
             WHERE campaign_id = $1 AND code = $2",
        )
        .bind(self.id())
        .bind(code)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    fn pledging(&self, amount: Option<pb::Money>) -> pb::CreatePledgeRequest {
        pb::CreatePledgeRequest {
            request_id: id(),
            member: self.member.clone(),
            promise: amount.map(pb::create_pledge_request::Promise::Amount),
            ..Default::default()
        }
    }

    async fn pledge(
        &self,
        request: pb::CreatePledgeRequest,
    ) -> Result<pb::CreatePledgeResponse, Status> {
        let answer = self
            .tester
            .treasurer()
            .pledges()
            .create_pledge(request)
            .await;
        answer.map(tonic::Response::into_inner)
    }

    async fn pay(
        &self,
        request: pb::RecordPaymentRequest,
    ) -> Result<pb::RecordPaymentResponse, Status> {
        let answer = self
            .tester
            .treasurer()
            .payments()
            .record_payment(request)
            .await;
        answer.map(tonic::Response::into_inner)
    }

    /// A payment of the member's, without a pledge.
    fn payment(&self, object: &str, gross: Option<pb::Money>) -> pb::RecordPaymentRequest {
        let payer = pb::record_payment_request::Payer::Member(self.member.clone());
        pb::RecordPaymentRequest {
            gross,
            payer: Some(payer),
            ..self.campaign.payment(object, "", "1")
        }
    }

    fn path(method: &str) -> String {
        format!("/pledgebook.v1.{method}")
    }

    fn bearer(&self, role: Role) -> String {
        format!("Bearer {}", self.tester.key(role))
    }

    /// Locks the campaign's head from outside: its book waits until this is dropped.
    async fn hold(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        self.tester.database.hold(&self.campaign.name).await
    }

    /// Returns when somebody waits for the campaign's head.
    async fn until_somebody_waits(&self) {
        self.tester.database.until_somebody_waits().await;
    }
}

/// The fields that a refusal names as wrong.
fn wrong_fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request();
    let violations = violations.map(|request| request.field_violations);
    let fields = violations.unwrap_or_default().into_iter();
    fields.map(|violation| violation.field).collect()
}

/// The status of an answer over gRPC-Web: in its headers, or in the last frame of its body.
fn web_status(answer: &Answer) -> Status {
    if answer.headers.contains_key("grpc-status") {
        return answer.status();
    }
    let trailers = frames(&answer.body)
        .into_iter()
        .find(|(flag, _)| flag & 0x80 != 0)
        .unwrap_or_else(|| panic!("{answer:?}"));
    let mut headers = http::HeaderMap::new();
    for line in String::from_utf8(trailers.1).unwrap().lines() {
        let (name, value) = line.split_once(':').unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.trim().parse().unwrap());
    }
    Status::from_header_map(&headers).unwrap()
}

/// The frames of a body, each with its flag.
fn frames(body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = body;
    let mut frames = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let [flag, length @ ..] = *head;
        let (content, next) = after.split_at(u32::from_be_bytes(length) as usize);
        frames.push((flag, content.to_vec()));
        rest = next;
    }
    assert!(rest.is_empty(), "{body:?}");
    frames
}
