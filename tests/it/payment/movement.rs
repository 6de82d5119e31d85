//! A movement of money is posted once, whoever tells of it how often.

use pledgebook::grpc::pb::{self, PaymentState, PledgeState};

use crate::{
    calls::{PaidBy, ReceivedFrom, parts, refused},
    harness::{Campaign, Tester, detail, eur, id},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_movement_told_again_is_answered_as_the_first_time() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let request = campaign.payment("ch_1", &pledge, "60");
    let paid = campaign.record(&tester, request.clone()).await.unwrap();
    assert!(!paid.outcome.already_recorded && !paid.outcome.replayed);
    // The same request is a replay; another request tells of the same movement,
    // also when it knows less of the payer.
    let replay = campaign.record(&tester, request.clone()).await.unwrap();
    assert!(replay.outcome.replayed && !replay.outcome.already_recorded);
    let anonymous = campaign.payment_by("ch_1", None, "60");
    let another = pb::RecordPaymentRequest {
        request_id: id(),
        ..request.clone()
    };
    for again in [another, anonymous] {
        let again = campaign.record(&tester, again).await.unwrap();
        assert!(again.outcome.already_recorded && !again.outcome.replayed);
        assert_eq!(again.entry(), paid.entry());
        assert_eq!(again.payment, paid.payment);
    }
    let differs = campaign.payment("ch_1", &pledge, "60.01");
    let status = refused(campaign.record(&tester, differs).await, "MOVEMENT_DIFFERS");
    assert_eq!(detail(&status, "recorded"), "EUR 60.00");

    // The bank's id of the same spelling is another movement.
    let payer = || Some(ReceivedFrom::Pledge(pledge.clone()));
    let request = campaign.receipt("ch_1", payer(), "40");
    let received = campaign.receive(&tester, request).await.unwrap();
    assert!(!received.outcome.already_recorded);
    let request = campaign.receipt("ch_1", payer(), "40");
    let again = campaign.receive(&tester, request).await.unwrap();
    assert!(again.outcome.already_recorded);
    assert_eq!(again.entry(), received.entry());
    let request = campaign.receipt("ch_1", payer(), "41");
    refused(campaign.receive(&tester, request).await, "MOVEMENT_DIFFERS");
    // The pledge, the payment, the receipt: three entries.
    assert_eq!(campaign.entries(&tester).await.len(), 3);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_money_account_belongs_to_one_campaign() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let other = Campaign::open(&tester, "EUR").await;
    let mut payments = tester.treasurer().payments();
    let provider = |campaign: &str, livemode| pb::RegisterProviderAccountRequest {
        request_id: id(),
        campaign: campaign.to_owned(),
        institution: "adyen".to_owned(),
        external_id: "acct_1".to_owned(),
        livemode,
        validate_only: false,
    };
    let made = payments
        .register_provider_account(provider(&campaign.name, true))
        .await;
    let made = made.unwrap().into_inner();
    assert!(made.outcome.unwrap().entry_numbers.is_empty());
    let made = made.money_account.unwrap();
    assert_eq!(
        (made.kind(), made.currency_code.as_str()),
        (pb::MoneyAccountKind::Provider, "EUR")
    );
    for owner in [&campaign.name, &other.name] {
        let again = payments
            .register_provider_account(provider(owner, true))
            .await;
        refused(again, "ALREADY_EXISTS");
    }
    // The test mode's account is another one.
    let test_mode = payments
        .register_provider_account(provider(&other.name, false))
        .await;
    assert!(
        !test_mode
            .unwrap()
            .into_inner()
            .money_account
            .unwrap()
            .livemode
    );
    let odd = pb::RegisterProviderAccountRequest {
        institution: "Adyen NV".to_owned(),
        ..provider(&other.name, true)
    };
    refused(
        payments.register_provider_account(odd).await,
        "INVALID_FIELD",
    );
    let request = pb::ListMoneyAccountsRequest {
        campaign: campaign.name.clone(),
    };
    let listed = payments
        .list_money_accounts(request)
        .await
        .unwrap()
        .into_inner();
    let mut names: Vec<String> = listed.money_accounts.into_iter().map(|a| a.name).collect();
    let mut expected = vec![campaign.provider.clone(), campaign.bank.clone(), made.name];
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    // Money cannot be booked on another campaign's account.
    let request = pb::RecordPaymentRequest {
        money_account: campaign.provider.replace(&campaign.name, &other.name),
        ..campaign.payment_by("ch_1", None, "5")
    };
    refused(other.record(&tester, request).await, "NOT_FOUND");
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&other.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_reversal_a_movement_is_recorded_rightly() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let adas = campaign.pledge(&tester, &ada, "100").await;
    let bobs = campaign.pledge(&tester, &bob, "80").await;
    // Booked on the wrong pledge with the wrong amount.
    let wrong = campaign.pay(&tester, "ch_1", &adas, "100").await;
    campaign
        .fee(&tester, wrong.name(), "txn_1", "1")
        .await
        .unwrap();
    campaign.reverse(&tester, wrong.entry()).await.unwrap();
    let reversed = campaign.read_payment(&tester, wrong.name()).await;
    assert_eq!(reversed.state(), PaymentState::Reversed);
    // Without naming what it corrects, the movement is known already, and mistaken.
    let again = campaign.pay(&tester, "ch_1", &adas, "100").await;
    assert!(again.outcome.already_recorded);
    let right = |entry: i64, amount: &str| pb::RecordPaymentRequest {
        corrects_entry: format!("{}/entries/{entry}", campaign.name),
        ..campaign.payment("ch_1", &bobs, amount)
    };
    for entry in [1, wrong.entry() + 1] {
        refused(
            campaign.record(&tester, right(entry, "90")).await,
            "INVALID_FIELD",
        );
    }
    let elsewhere = pb::RecordPaymentRequest {
        object_id: "ch_2".to_owned(),
        ..right(wrong.entry(), "90")
    };
    refused(campaign.record(&tester, elsewhere).await, "INVALID_FIELD");
    // A failure of what was never so is refused.
    let failure = campaign.fail(&tester, campaign.failure("ch_1")).await;
    refused(failure, "PAYMENT_STATE");

    let second = campaign
        .record(&tester, right(wrong.entry(), "90"))
        .await
        .unwrap();
    assert_eq!(second.name(), wrong.name());
    assert_eq!(parts(&second.payment), ["80.00", "10.00", "0.00"]);
    assert_eq!(
        (&second.payment.member, &second.payment.pledge),
        (&bob, &bobs)
    );
    assert_eq!(
        campaign.posted(&tester, second.entry()).await,
        [
            "Dr 1000 EUR 90.00",
            "Cr 2100 EUR 80.00",
            "Cr 2200 EUR 10.00",
            "Dr 9001 EUR 80.00",
            "Cr 9000 EUR 80.00",
        ]
    );
    let adas = campaign.read_pledge(&tester, &adas).await;
    assert_eq!(adas.state(), PledgeState::Committed);
    // The correction is itself told once, and corrected in its turn.
    let again = campaign
        .record(&tester, right(wrong.entry(), "90"))
        .await
        .unwrap();
    assert!(again.outcome.already_recorded);
    assert_eq!(again.entry(), second.entry());
    let other = campaign.record(&tester, right(wrong.entry(), "91")).await;
    refused(other, "MOVEMENT_DIFFERS");
    campaign.reverse(&tester, second.entry()).await.unwrap();
    let third = campaign
        .record(&tester, right(second.entry(), "91"))
        .await
        .unwrap();
    assert_eq!(parts(&third.payment), ["80.00", "11.00", "0.00"]);
    assert_eq!(campaign.stands(&tester, "1000").await, "Dr 90.00");
    // The right one can fail late like any other.
    let failed = campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    assert_eq!(failed.outcome.entry_numbers.len(), 2);
    assert_eq!(campaign.stands(&tester, "1000").await, "Cr 1.00");
    assert_eq!(campaign.stands(&tester, "5400").await, "Dr 1.00");

    // The same at the bank.
    let request = campaign.receipt("tx_1", None, "7");
    let wrong = campaign.receive(&tester, request).await.unwrap();
    campaign.reverse(&tester, wrong.entry()).await.unwrap();
    let request = pb::RecordBankReceiptRequest {
        corrects_entry: format!("{}/entries/{}", campaign.name, wrong.entry()),
        ..campaign.receipt("tx_1", Some(ReceivedFrom::Member(ada.clone())), "70")
    };
    let right = campaign.receive(&tester, request).await.unwrap();
    assert_eq!(
        campaign.posted(&tester, right.entry()).await,
        ["Dr 1100 EUR 70.00", "Cr 2100 EUR 70.00"]
    );
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_may_succeed_for_another_payer_and_amount() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let request = pb::RecordPaymentFailureRequest {
        gross: eur("100"),
        pledge: pledge.clone(),
        ..campaign.failure("ch_1")
    };
    campaign.fail(&tester, request).await.unwrap();
    let request = campaign.payment_by("ch_1", Some(PaidBy::Member(ada)), "25");
    let paid = campaign.record(&tester, request).await.unwrap();
    assert_eq!(parts(&paid.payment), ["25.00", "0.00", "0.00"]);
    assert_eq!(
        campaign.posted(&tester, paid.entry()).await,
        ["Dr 1000 EUR 25.00", "Cr 2100 EUR 25.00"]
    );
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Errored);
    tester.must_be_clean(&campaign.name).await;
}
