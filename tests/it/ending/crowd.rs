//! Many members at once, who all pay: what a race or a run needs.

use futures::{StreamExt as _, stream};
use pledgebook::{access::Role, grpc::pb};

use super::Road;
use crate::harness::{all, eur, id};

const AT_ONCE: usize = 32;

/// So many new members.
pub async fn members(road: &Road, count: usize) -> Vec<String> {
    let create = |n: usize| async move {
        let email = format!("crowd{n}@example.org");
        road.campaign.member(&road.tester, &email).await
    };
    let created = stream::iter(0..count).map(create).buffered(AT_ONCE);
    created.collect().await
}

/// Each member pays by card, without a pledge, through the stream; gives the payments.
pub async fn pay(road: &Road, members: &[String], amount: impl Fn(usize) -> String) -> Vec<String> {
    let payment = |(n, member): (usize, &String)| pb::RecordPaymentRequest {
        request_id: id(),
        money_account: road.campaign.provider.clone(),
        object_id: format!("card_{n}"),
        gross: eur(&amount(n)),
        payer: Some(pb::record_payment_request::Payer::Member(member.clone())),
        method: pb::PaymentMethod::Card.into(),
        ..Default::default()
    };
    let payments: Vec<_> = members.iter().enumerate().map(payment).collect();
    let messages: Vec<_> = payments
        .chunks(250)
        .map(|chunk| pb::RecordPaymentsRequest {
            payments: chunk.to_vec(),
        })
        .collect();
    let mut client = road.treasurer.payments();
    let answers = client
        .record_payments(stream::iter(messages))
        .await
        .unwrap();
    let outcomes = all(answers.into_inner()).await;
    let recorded = outcomes.into_iter().flat_map(|answer| answer.outcomes);
    let name = |outcome: pb::RecordPaymentsOutcome| match outcome.result.unwrap() {
        pb::record_payments_outcome::Result::Recorded(recorded) => recorded.payment.unwrap().name,
        pb::record_payments_outcome::Result::Refused(refused) => panic!("{refused:?}"),
    };
    let paid: Vec<String> = recorded.map(name).collect();
    assert_eq!(paid.len(), members.len());
    paid
}

/// A bridge sends everything that is to be sent, many at once; gives how many it was.
pub async fn bridge(road: &Road) -> usize {
    let bridge = road.tester.as_role(Role::Webhook);
    let mut sent = 0;
    loop {
        let request = pb::ListRefundInstructionsRequest {
            campaign: road.campaign.name.clone(),
            page_size: 1000,
            ..Default::default()
        };
        let listed = bridge.refunds().list_refund_instructions(request).await;
        let instructions = listed.unwrap().into_inner().instructions;
        if instructions.is_empty() {
            return sent;
        }
        sent += instructions.len();
        let send = |instruction: pb::RefundInstruction| {
            let request = pb::SubmitRefundRequest {
                request_id: id(),
                refund: instruction.refund.unwrap().name,
                object_id: format!("re_{}", instruction.idempotency_key),
                ..Default::default()
            };
            let mut refunds = bridge.refunds();
            async move { refunds.submit_refund(request).await.unwrap() }
        };
        let all = stream::iter(instructions).map(send);
        all.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }
}
