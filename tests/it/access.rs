//! Who may call what, who sees what, and what becomes of keys.

use std::{collections::HashMap, time::Duration};

use pledgebook::{access::Role, grpc::pb};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    harness::{Campaign, Clients, Tester, eur, id, make_key},
    wire::{call, published_reason},
};

/// Every method with the roles that may call it, written out once more: F the
/// front end, W a webhook bridge, T the treasurer, A the auditor, D the
/// administrator; `*` anybody, without a key.
const MAY_CALL: &[(&str, &str)] = &[
    ("AdminService/CreateApiKey", "D"),
    ("AdminService/ListApiKeys", "D"),
    ("AdminService/RevokeApiKey", "D"),
    ("CampaignService/AddShareClass", "TD"),
    ("CampaignService/ArchiveCampaign", "TD"),
    ("CampaignService/CancelCampaign", "TD"),
    ("CampaignService/CloseCampaign", "TD"),
    ("CampaignService/CompletePurchase", "TD"),
    ("CampaignService/ConcludeCampaign", "TD"),
    ("CampaignService/CreateCampaign", "TD"),
    ("CampaignService/FinishAllotment", "TD"),
    ("CampaignService/FinishRefunding", "TD"),
    ("CampaignService/GetCampaign", "FWTAD"),
    ("CampaignService/GetPublicProgress", "*"),
    ("CampaignService/ListCampaigns", "FWTAD"),
    ("CampaignService/LoseAcquisition", "TD"),
    ("CampaignService/OpenCampaign", "TD"),
    ("CampaignService/ResumeCampaign", "TD"),
    ("CampaignService/ReviseTerms", "TD"),
    ("CampaignService/StartCompletion", "TD"),
    ("CampaignService/StartGathering", "TD"),
    ("CampaignService/StartPledging", "TD"),
    ("CampaignService/StartRefunding", "TD"),
    ("CampaignService/SuspendCampaign", "TD"),
    ("CampaignService/UpdateCampaign", "TD"),
    ("CampaignService/WatchCampaign", "FWTAD"),
    ("LedgerService/CheckCampaign", "TAD"),
    ("LedgerService/GetBalance", "TAD"),
    ("LedgerService/GetEntry", "TAD"),
    ("LedgerService/ListAccounts", "TAD"),
    ("LedgerService/ListCurrencies", "*"),
    ("LedgerService/ListEntries", "TAD"),
    ("LedgerService/PostEntry", "TD"),
    ("LedgerService/ReverseEntry", "TD"),
    ("LedgerService/StreamEntries", "TAD"),
    ("MemberService/CountSignatures", "FTAD"),
    ("MemberService/CreateMember", "FTD"),
    ("MemberService/GetMember", "FTAD"),
    ("MemberService/ListMembers", "TAD"),
    ("MemberService/SignCampaign", "FTD"),
    ("MemberService/WithdrawSignature", "FTD"),
    ("PaymentService/ClearDispute", "TD"),
    ("PaymentService/FlagDispute", "WTD"),
    ("PaymentService/GetPayment", "FWTAD"),
    ("PaymentService/GetPayout", "TAD"),
    ("PaymentService/ListMoneyAccounts", "FWTAD"),
    ("PaymentService/ListPayments", "FTAD"),
    ("PaymentService/ListPayouts", "TAD"),
    ("PaymentService/MatchReceipt", "TD"),
    ("PaymentService/RecordBankMovement", "TD"),
    ("PaymentService/RecordBankReceipt", "TD"),
    ("PaymentService/RecordPayment", "WTD"),
    ("PaymentService/RecordPaymentFailure", "WTD"),
    ("PaymentService/RecordPaymentFee", "WTD"),
    ("PaymentService/RecordPayments", "WTD"),
    ("PaymentService/RecordPayout", "WTD"),
    ("PaymentService/RecordPayoutArrival", "WTD"),
    ("PaymentService/RecordPayoutFailure", "WTD"),
    ("PaymentService/RegisterBankAccount", "TD"),
    ("PaymentService/RegisterProviderAccount", "TD"),
    ("PledgeService/AmendPledge", "FTD"),
    ("PledgeService/CancelPledge", "FTD"),
    ("PledgeService/CreatePledge", "FTD"),
    ("PledgeService/ExpirePledges", "TD"),
    ("PledgeService/GetPledge", "FWTAD"),
    ("PledgeService/ListPledges", "FWTAD"),
    ("RefundService/ApproveRefund", "TD"),
    ("RefundService/FailRefund", "WTD"),
    ("RefundService/GetRefund", "FWTAD"),
    ("RefundService/ListRefundInstructions", "WTAD"),
    ("RefundService/ListRefunds", "FWTAD"),
    ("RefundService/MarkRefundUnclaimed", "TD"),
    ("RefundService/RejectRefund", "TD"),
    ("RefundService/RequestRefund", "FTD"),
    ("RefundService/ResendRefund", "TD"),
    ("RefundService/SettleRefund", "WTD"),
    ("RefundService/SubmitRefund", "WTD"),
    ("ReportService/GetBackerStatement", "FTAD"),
    ("ReportService/GetCampaignProgress", "FTAD"),
    ("ReportService/GetCashFlow", "TAD"),
    ("ReportService/GetCoverage", "TAD"),
    ("ReportService/GetDailySeries", "TAD"),
    ("ReportService/GetFees", "TAD"),
    ("ReportService/GetGeneralLedger", "TAD"),
    ("ReportService/GetRefundRun", "TAD"),
    ("ReportService/GetShareRegister", "TAD"),
    ("ReportService/GetTrialBalance", "TAD"),
    ("RunService/ApproveRun", "TD"),
    ("RunService/CancelRun", "TD"),
    ("RunService/GetRun", "TAD"),
    ("RunService/ListRunItems", "TAD"),
    ("RunService/ListRuns", "TAD"),
    ("RunService/PauseRun", "TD"),
    ("RunService/PlanAllotment", "TD"),
    ("RunService/PlanRefunds", "TD"),
    ("RunService/StartRun", "TD"),
    ("RunService/WatchRun", "TAD"),
    ("ShareService/ListLots", "TAD"),
    ("ShareService/PurchaseShares", "TD"),
    ("ShareService/SimulateAllotment", "TAD"),
    ("WebhookService/CreateWebhookEndpoint", "D"),
    ("WebhookService/ListWebhookEndpoints", "TAD"),
    ("WebhookService/ListWebhookEvents", "TAD"),
    ("WebhookService/ReplayWebhookEvent", "TD"),
];

const fn letter(role: Role) -> char {
    match role {
        Role::FrontEnd => 'F',
        Role::Webhook => 'W',
        Role::Treasurer => 'T',
        Role::Auditor => 'A',
        Role::Admin => 'D',
    }
}

/// All methods of ours: the path of each.
fn methods() -> Vec<String> {
    let files = FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap().file;
    let ours = files
        .iter()
        .filter(|file| file.package() == "pledgebook.v1");
    let services = ours.flat_map(|file| &file.service);
    let named = services.flat_map(|service| {
        let methods = service.method.iter();
        methods.map(move |method| format!("{}/{}", service.name(), method.name()))
    });
    named.collect()
}

/// Whether a call was turned away at the door.
fn turned_away(answer: &Result<Vec<u8>, Status>) -> Option<Code> {
    match answer.as_ref().map_err(Status::code) {
        Err(code @ (Code::Unauthenticated | Code::PermissionDenied)) => Some(code),
        Ok(_) | Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_lets_in_exactly_those_who_may_call_it() {
    let mut written_out: Vec<String> = MAY_CALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut served = methods();
    written_out.sort();
    served.sort();
    assert_eq!(written_out, served);

    let tester = Tester::start().await;
    let revoked = make_key(&tester.server.app, Role::Admin, None).await;
    revoke(&tester, &revoked).await;
    let strangers: Vec<Option<String>> = [
        None,
        Some(format!("Bearer pb_{}", "0".repeat(64))),
        Some(format!("Bearer {revoked}")),
        Some(tester.key(Role::Admin).to_owned()),
        Some(format!("Basic {}", tester.key(Role::Admin))),
        Some(format!("Bearer{}", tester.key(Role::Admin))),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {} x", tester.key(Role::Admin))),
        Some(format!("Bearer {}", tester.key(Role::Admin).to_uppercase())),
    ]
    .into_iter()
    .collect();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (method, may_call) in MAY_CALL {
        let path = format!("/pledgebook.v1.{method}");
        for role in Role::ALL {
            let key = format!("Bearer {}", tester.key(role));
            let answer = call(tester.server.channel(), &path, Some(&key), vec![], false).await;
            let expected = (*may_call != "*" && !may_call.contains(letter(role)))
                .then_some(Code::PermissionDenied);
            wrong.extend(differs(&format!("{method} as {role:?}"), &answer, expected));
            asked += 1;
        }
        for stranger in &strangers {
            let channel = tester.server.channel();
            let answer = call(channel, &path, stranger.as_deref(), vec![], false).await;
            let expected = (*may_call != "*").then_some(Code::Unauthenticated);
            wrong.extend(differs(
                &format!("{method} with {stranger:?}"),
                &answer,
                expected,
            ));
            asked += 1;
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(asked, MAY_CALL.len() * 14);

    // Nothing that was asked, all of it empty, has left a trace.
    let pool = tester.database.pool("postgres").await;
    let heads: i64 = sqlx::query_scalar("SELECT count(*) FROM campaign_head")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(heads, 0);
}

fn differs(what: &str, answer: &Result<Vec<u8>, Status>, expected: Option<Code>) -> Option<String> {
    let got = turned_away(answer);
    if got != expected {
        return Some(format!("{what}: {got:?}, not {expected:?}: {answer:?}"));
    }
    // "Missing response message" is the client's own: a stream that ended without a message.
    if let Err(status) = answer
        && !status.message().contains("Missing response message")
    {
        let reason = published_reason(status);
        let named = match expected {
            Some(Code::Unauthenticated) => "UNAUTHENTICATED",
            Some(_) => "ROLE_NOT_ALLOWED",
            None => reason.as_str(),
        };
        return (reason != named).then(|| format!("{what}: {reason}, not {named}"));
    }
    None
}

/// Revokes a key that the harness made, by its secret.
async fn revoke(tester: &Tester, secret: &str) {
    let hash = pledgebook::access::KeySecret::hash(secret);
    let store = &tester.server.app.store;
    let key = store.api_key_of_secret(hash).await.unwrap().unwrap();
    let now = tester.clock.now();
    store.api_key_revoke(key.id, "test", now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_method_of_ours_is_denied_whoever_asks() {
    let tester = Tester::start().await;
    let admin = format!("Bearer {}", tester.key(Role::Admin));
    for path in [
        "/pledgebook.v1.CampaignService/DropAll",
        "/pledgebook.v1.CampaignService/getcampaign",
        "/pledgebook.v1.CampaignService/GetPublicProgress/",
        "/pledgebook.v1.NoService/GetCampaign",
        "/pledgebook.v1.",
    ] {
        for authorization in [None, Some(admin.as_str())] {
            let channel = tester.server.channel();
            let status = call(channel, path, authorization, vec![], false).await;
            let status = status.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{path}: {status:?}");
            assert_eq!(published_reason(&status), "ROLE_NOT_ALLOWED");
        }
    }
}

/// Two campaigns with a member, a pledge and a payment each, and a key for the
/// first of each role.
struct Two {
    mine: Campaign,
    theirs: Campaign,
    member: String,
    pledge: String,
    payment: String,
    scoped: HashMap<Role, Clients>,
}

impl Two {
    async fn prepare(tester: &Tester) -> Self {
        let mine = Campaign::open(tester, "EUR").await;
        let theirs = Campaign::open(tester, "EUR").await;
        let member = theirs.member(tester, "ada@example.org").await;
        let pledge = theirs.pledge(tester, &member, "100").await;
        let request = theirs.payment("ch_1", &pledge, "40");
        let paid = tester.treasurer().payments().record_payment(request).await;
        let payment = paid.unwrap().into_inner().payment.unwrap().name;
        let campaign = mine.name.strip_prefix("campaigns/").unwrap();
        let campaign = Some(campaign.parse().unwrap());
        let mut scoped = HashMap::new();
        for role in Role::ALL {
            let key = make_key(&tester.server.app, role, campaign).await;
            scoped.insert(role, Clients::new(tester.server.channel(), Some(&key)));
        }
        Self {
            mine,
            theirs,
            member,
            pledge,
            payment,
            scoped,
        }
    }
}

async fn counts(tester: &Tester) -> Vec<(String, i64, i64)> {
    let pool = tester.database.pool("postgres").await;
    sqlx::query_as(
        "SELECT campaign_id::text, change_no, entry_no FROM campaign_head ORDER BY campaign_id",
    )
    .fetch_all(&pool)
    .await
    .unwrap()
}

/// Everything that a key of one campaign can ask of another, by name.
async fn asked_of(of: &Clients, two: &Two, campaign: &str) -> Vec<(&'static str, Option<Status>)> {
    let there = |name: &str| name.replace(&two.theirs.name, campaign);
    let (name, request_id) = (campaign.to_owned(), id);
    let (member, pledge, payment) = (there(&two.member), there(&two.pledge), there(&two.payment));
    let money_account = there(&two.theirs.provider);
    let (page_size, validate_only) = (0, false);
    let promise = pb::create_pledge_request::Promise::Amount(eur("5").unwrap());
    let amended = pb::amend_pledge_request::Promise::Amount(eur("5").unwrap());
    macro_rules! ask {
        ($($client:ident.$method:ident($request:expr),)*) => {
            vec![$((
                stringify!($method),
                of.$client().$method($request).await.err(),
            ),)*]
        };
    }
    let mut asked = ask![
        campaigns.get_campaign(pb::GetCampaignRequest { name: name.clone() }),
        campaigns.update_campaign(pb::UpdateCampaignRequest {
            request_id: request_id(),
            name: name.clone(),
            description: "mine now".to_owned(),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["description".to_owned()]
            }),
            ..Default::default()
        }),
        campaigns.cancel_campaign(pb::CancelCampaignRequest {
            request_id: request_id(),
            name: name.clone(),
            ..Default::default()
        }),
        campaigns.open_campaign(pb::OpenCampaignRequest {
            request_id: request_id(),
            name: name.clone(),
            validate_only: true,
        }),
        members.get_member(pb::GetMemberRequest {
            name: member.clone()
        }),
        members.list_members(pb::ListMembersRequest {
            campaign: name.clone(),
            page_size,
            ..Default::default()
        }),
        members.count_signatures(pb::CountSignaturesRequest {
            campaign: name.clone()
        }),
        members.create_member(pb::CreateMemberRequest {
            request_id: request_id(),
            campaign: name.clone(),
            display_name: "Eve".to_owned(),
            email: "eve@example.org".to_owned(),
            validate_only,
        }),
        members.sign_campaign(pb::SignCampaignRequest {
            request_id: request_id(),
            campaign: name.clone(),
            display_name: "Eve".to_owned(),
            email: "eve@example.org".to_owned(),
            validate_only,
        }),
        pledges.get_pledge(pb::GetPledgeRequest {
            name: pledge.clone()
        }),
        pledges.list_pledges(pb::ListPledgesRequest {
            campaign: name.clone(),
            ..Default::default()
        }),
        pledges.create_pledge(pb::CreatePledgeRequest {
            request_id: request_id(),
            member: member.clone(),
            promise: Some(promise),
            ..Default::default()
        }),
        pledges.amend_pledge(pb::AmendPledgeRequest {
            request_id: request_id(),
            name: pledge.clone(),
            promise: Some(amended),
            validate_only,
        }),
        pledges.cancel_pledge(pb::CancelPledgeRequest {
            request_id: request_id(),
            name: pledge.clone(),
            validate_only,
        }),
        pledges.expire_pledges(pb::ExpirePledgesRequest {
            request_id: request_id(),
            campaign: name.clone(),
            ..Default::default()
        }),
        payments.get_payment(pb::GetPaymentRequest {
            name: payment.clone()
        }),
        payments.list_payments(pb::ListPaymentsRequest {
            campaign: name.clone(),
            ..Default::default()
        }),
        payments.list_money_accounts(pb::ListMoneyAccountsRequest {
            campaign: name.clone()
        }),
        payments.register_bank_account(pb::RegisterBankAccountRequest {
            request_id: request_id(),
            campaign: name.clone(),
            institution: "triodos".to_owned(),
            external_id: "iban".to_owned(),
            validate_only,
        }),
        payments.record_payment(pb::RecordPaymentRequest {
            request_id: request_id(),
            money_account: money_account.clone(),
            object_id: "ch_2".to_owned(),
            gross: eur("5"),
            ..Default::default()
        }),
        payments.record_payment_failure(pb::RecordPaymentFailureRequest {
            request_id: request_id(),
            money_account: money_account.clone(),
            object_id: "ch_1".to_owned(),
            failure_code: "lost".to_owned(),
            ..Default::default()
        }),
        payments.record_payment_fee(pb::RecordPaymentFeeRequest {
            request_id: request_id(),
            payment: payment.clone(),
            object_id: "txn_1".to_owned(),
            fee: eur("1"),
            ..Default::default()
        }),
        payments.match_receipt(pb::MatchReceiptRequest {
            request_id: request_id(),
            payment: payment.clone(),
            payer: Some(pb::match_receipt_request::Payer::Member(member.clone())),
            validate_only,
        }),
    ];
    asked.sort_by_key(|(method, _)| *method);
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_campaign_cannot_tell_another_from_none() {
    let tester = Tester::start().await;
    let two = Two::prepare(&tester).await;
    let before = counts(&tester).await;
    let ghost = format!("campaigns/{}", Uuid::from_u128(7));
    for role in [Role::Admin, Role::Treasurer] {
        let scoped = &two.scoped[&role];
        let of_theirs = asked_of(scoped, &two, &two.theirs.name).await;
        let of_nobodys = asked_of(scoped, &two, &ghost).await;
        for ((method, theirs), (_, nobodys)) in of_theirs.iter().zip(&of_nobodys) {
            let status = theirs
                .as_ref()
                .unwrap_or_else(|| panic!("{method} went through"));
            assert_eq!(status.code(), Code::NotFound, "{method}: {status:?}");
            assert_eq!(published_reason(status), "CAMPAIGN_NOT_FOUND", "{method}");
            let nobodys = nobodys.as_ref().unwrap();
            assert_eq!(
                (status.code(), status.message(), status.details()),
                (nobodys.code(), nobodys.message(), nobodys.details()),
                "{method}"
            );
        }
        assert!(of_theirs.len() > 20);
    }
    assert_eq!(counts(&tester).await, before);

    // The same of its own campaign is let through, and a key of all sees both.
    let scoped = &two.scoped[&Role::Treasurer];
    let request = pb::GetCampaignRequest {
        name: two.mine.name.clone(),
    };
    scoped.campaigns().get_campaign(request).await.unwrap();
    let of_all = tester.treasurer();
    let request = pb::GetPledgeRequest {
        name: two.pledge.clone(),
    };
    of_all.pledges().get_pledge(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_campaign_lists_that_one_and_makes_none() {
    let tester = Tester::start().await;
    let two = Two::prepare(&tester).await;
    for role in Role::ALL {
        let listed = two.scoped[&role]
            .campaigns()
            .list_campaigns(pb::ListCampaignsRequest::default())
            .await
            .unwrap()
            .into_inner();
        let names: Vec<String> = listed.campaigns.into_iter().map(|c| c.name).collect();
        assert_eq!(names, std::slice::from_ref(&two.mine.name), "{role:?}");
        assert_eq!(listed.next_page_token, "");
    }
    let all = tester
        .treasurer()
        .campaigns()
        .list_campaigns(pb::ListCampaignsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.campaigns.len(), 2);

    let before = counts(&tester).await;
    let request = pb::CreateCampaignRequest {
        request_id: id(),
        display_name: "Another".to_owned(),
        currency_code: "EUR".to_owned(),
        terms: Some(crate::harness::terms(&tester.clock, "EUR")),
        ..Default::default()
    };
    let scoped = &two.scoped[&Role::Admin];
    let refused = scoped
        .campaigns()
        .create_campaign(request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(published_reason(&refused), "ROLE_NOT_ALLOWED");
    assert_eq!(counts(&tester).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_campaign_can_be_named_beside_ones_own() {
    let tester = Tester::start().await;
    let two = Two::prepare(&tester).await;
    let before = counts(&tester).await;
    let payer = pb::record_payment_request::Payer::Pledge(two.pledge.clone());
    let request = pb::RecordPaymentRequest {
        payer: Some(payer),
        ..two.mine.payment("ch_x", "", "5")
    };
    // By a key that sees both, and by one that sees only its own.
    let refused = tester
        .treasurer()
        .payments()
        .record_payment(request.clone())
        .await;
    assert_eq!(published_reason(&refused.unwrap_err()), "NOT_FOUND");
    let scoped = &two.scoped[&Role::Treasurer];
    let refused = scoped.payments().record_payment(request).await.unwrap_err();
    assert_eq!(published_reason(&refused), "CAMPAIGN_NOT_FOUND");
    let request = pb::ListPledgesRequest {
        campaign: two.mine.name.clone(),
        member: two.member.clone(),
        ..Default::default()
    };
    let refused = tester.treasurer().pledges().list_pledges(request).await;
    assert_eq!(published_reason(&refused.unwrap_err()), "NOT_FOUND");
    // The right id under the wrong campaign.
    let stolen = two.pledge.replace(&two.theirs.name, &two.mine.name);
    let request = pb::GetPledgeRequest {
        name: stolen.clone(),
    };
    let refused = tester.treasurer().pledges().get_pledge(request).await;
    assert_eq!(published_reason(&refused.unwrap_err()), "NOT_FOUND");
    assert_eq!(counts(&tester).await, before);
    let request = two.mine.payment("ch_y", &stolen, "5");
    let refused = tester.treasurer().payments().record_payment(request).await;
    assert_eq!(published_reason(&refused.unwrap_err()), "NOT_FOUND");
}

fn create_key(role: pb::Role, campaign: &str) -> pb::CreateApiKeyRequest {
    pb::CreateApiKeyRequest {
        request_id: id(),
        display_name: "A key for a test".to_owned(),
        role: role.into(),
        campaign: campaign.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_secret_is_shown_once_and_kept_nowhere() {
    let tester = Tester::start().await;
    let request = create_key(pb::Role::Auditor, "");
    let admin = tester.admin();
    let made = admin.admin().create_api_key(request.clone()).await.unwrap();
    let made = made.into_inner();
    let key = made.api_key.unwrap();
    assert!(made.secret.starts_with("pb_") && made.secret.len() == 67);
    assert_eq!(key.role(), pb::Role::Auditor);

    let repeated = admin
        .admin()
        .create_api_key(request.clone())
        .await
        .unwrap_err();
    assert_eq!(repeated.code(), Code::AlreadyExists);
    assert_eq!(published_reason(&repeated), "ALREADY_EXISTS");
    assert!(!format!("{repeated:?}").contains(&made.secret));

    let listed = admin
        .admin()
        .list_api_keys(pb::ListApiKeysRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(!format!("{listed:?}").contains("pb_"));
    assert_eq!(listed.api_keys.len(), Role::ALL.len() + 1);
    assert_eq!(listed.api_keys[0].name, key.name);

    // Not in clear in the database either, in no column of any kind.
    let pool = tester.database.pool("postgres").await;
    let kept: Vec<String> = sqlx::query_scalar("SELECT key::text FROM api_key AS key")
        .fetch_all(&pool)
        .await
        .unwrap();
    let bare = made.secret.strip_prefix("pb_").unwrap();
    assert!(kept.iter().all(|row| !row.contains(bare)));

    // It works, for what its role may do.
    let auditor = Clients::new(tester.server.channel(), Some(&made.secret));
    let request = pb::ListCampaignsRequest::default();
    auditor.campaigns().list_campaigns(request).await.unwrap();
    let denied = auditor
        .admin()
        .list_api_keys(pb::ListApiKeysRequest {})
        .await
        .unwrap_err();
    assert_eq!(published_reason(&denied), "ROLE_NOT_ALLOWED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_stops_working_on_every_server() {
    let tester = Tester::start().await;
    let other = tester.another_server().await;
    let made = tester
        .admin()
        .admin()
        .create_api_key(create_key(pb::Role::Treasurer, ""))
        .await
        .unwrap()
        .into_inner();
    let secret = made.secret;
    let name = made.api_key.unwrap().name;
    let holders = [
        Clients::new(tester.server.channel(), Some(&secret)),
        Clients::new(other.channel(), Some(&secret)),
    ];
    let list = pb::ListCampaignsRequest::default;
    for holder in &holders {
        holder.campaigns().list_campaigns(list()).await.unwrap();
    }
    let revoke = pb::RevokeApiKeyRequest { name };
    let revoked = tester
        .admin()
        .admin()
        .revoke_api_key(revoke.clone())
        .await
        .unwrap()
        .into_inner()
        .api_key
        .unwrap();
    assert!(revoked.revoke_time.is_some());
    // A server remembers a key for two seconds.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for holder in &holders {
        let refused = holder.campaigns().list_campaigns(list()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(published_reason(&refused), "UNAUTHENTICATED");
    }
    // To revoke it again says when it was revoked.
    let again = tester.admin().admin().revoke_api_key(revoke).await.unwrap();
    assert_eq!(again.into_inner().api_key.unwrap(), revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_of_one_campaign_has_power_over_its_keys_alone() {
    let tester = Tester::start().await;
    let two = Two::prepare(&tester).await;
    let scoped = two.scoped[&Role::Admin].clone();

    // Without a campaign the new key gets the administrator's own.
    let made = scoped
        .admin()
        .create_api_key(create_key(pb::Role::FrontEnd, ""))
        .await
        .unwrap()
        .into_inner()
        .api_key
        .unwrap();
    assert_eq!(made.campaign, two.mine.name);
    let elsewhere = create_key(pb::Role::FrontEnd, &two.theirs.name);
    let refused = scoped.admin().create_api_key(elsewhere).await.unwrap_err();
    assert_eq!(published_reason(&refused), "CAMPAIGN_NOT_FOUND");

    let listed = scoped
        .admin()
        .list_api_keys(pb::ListApiKeysRequest {})
        .await
        .unwrap()
        .into_inner()
        .api_keys;
    assert_eq!(listed.len(), Role::ALL.len() + 1);
    assert!(listed.iter().all(|key| key.campaign == two.mine.name));

    let all = tester
        .admin()
        .admin()
        .list_api_keys(pb::ListApiKeysRequest {})
        .await
        .unwrap()
        .into_inner()
        .api_keys;
    let of_all = all.iter().find(|key| key.campaign.is_empty()).unwrap();
    let revoke = pb::RevokeApiKeyRequest {
        name: of_all.name.clone(),
    };
    let refused = scoped.admin().revoke_api_key(revoke).await.unwrap_err();
    assert_eq!(published_reason(&refused), "NOT_FOUND");
    let revoke = pb::RevokeApiKeyRequest { name: made.name };
    scoped.admin().revoke_api_key(revoke).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_makes_no_sense_is_not_made() {
    let tester = Tester::start().await;
    let good = create_key(pb::Role::Auditor, "");
    let ghost = format!("campaigns/{}", Uuid::from_u128(7));
    for (request, reason) in [
        (
            pb::CreateApiKeyRequest {
                request_id: String::new(),
                ..good.clone()
            },
            "INVALID_FIELD",
        ),
        (create_key(pb::Role::Unspecified, ""), "INVALID_FIELD"),
        (
            pb::CreateApiKeyRequest {
                role: 77,
                ..good.clone()
            },
            "INVALID_FIELD",
        ),
        (
            pb::CreateApiKeyRequest {
                display_name: " ".to_owned(),
                ..good.clone()
            },
            "INVALID_FIELD",
        ),
        (
            create_key(pb::Role::Auditor, "campaigns/x"),
            "INVALID_FIELD",
        ),
        (create_key(pb::Role::Auditor, &ghost), "CAMPAIGN_NOT_FOUND"),
    ] {
        let refused = tester.admin().admin().create_api_key(request).await;
        assert_eq!(published_reason(&refused.unwrap_err()), reason);
    }
    for (name, reason) in [
        ("", "INVALID_FIELD"),
        ("apiKeys/x", "INVALID_FIELD"),
        ("apiKeys/00000000-0000-0000-0000-000000000007", "NOT_FOUND"),
    ] {
        let request = pb::RevokeApiKeyRequest {
            name: name.to_owned(),
        };
        let refused = tester.admin().admin().revoke_api_key(request).await;
        assert_eq!(published_reason(&refused.unwrap_err()), reason, "{name}");
    }
    let listed = tester
        .admin()
        .admin()
        .list_api_keys(pb::ListApiKeysRequest {})
        .await
        .unwrap();
    assert_eq!(listed.into_inner().api_keys.len(), Role::ALL.len());
}
