//! Share classes.

use pledgebook::grpc::pb;
use tonic::Status;

use crate::{
    calls::{day, refused, shares},
    harness::{Campaign, Tester, eur, id, lines, money, terms, text},
};

async fn add_class(
    tester: &Tester,
    campaign: &str,
    class: pb::ShareClass,
) -> Result<pb::AddShareClassResponse, Status> {
    let request = pb::AddShareClassRequest {
        request_id: id(),
        campaign: campaign.to_owned(),
        share_class: Some(class),
        validate_only: false,
    };
    let added = tester
        .treasurer()
        .campaigns()
        .add_share_class(request)
        .await;
    Ok(added?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_class_posts_its_authorised_shares_in_the_units_book() {
    let tester = Tester::start().await;
    let campaign = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    let class = shares("25", 1, 40);
    let added = add_class(&tester, &campaign.name, class.clone())
        .await
        .unwrap();
    let made = added.share_class.unwrap();
    assert_eq!(campaign.class(&tester).await, made.name);
    assert_eq!(campaign.read(&tester).await.share_classes[0], made);
    assert_eq!(
        (made.authorised, text(&made.price), text(&made.nominal)),
        (1_000, "EUR 25.00".to_owned(), "EUR 10.00".to_owned())
    );
    let entry = campaign
        .entry(&tester, added.outcome.unwrap().entry_numbers[0])
        .await;
    assert_eq!(entry.event(), pb::EntryEvent::SharesAuthorised);
    assert_eq!(entry.value_date, day(&tester.clock, 0));
    assert_eq!(lines(&entry), ["Dr 8020 1000", "Cr 8010 1000"]);
    for line in &entry.lines {
        assert_eq!(line.book(), pb::Book::Units);
        assert_eq!(line.share_class, made.name);
        assert_eq!(text(&line.balance_after), "1000");
    }

    let same_name = pb::ShareClass {
        authorised: 5,
        minimum_per_member: 0,
        maximum_per_member: 0,
        ..class.clone()
    };
    let status = refused(
        add_class(&tester, &campaign.name, same_name).await,
        "ALREADY_EXISTS",
    );
    assert!(status.message().contains("Members' shares"), "{status:?}");
    let with = |change: &dyn Fn(&mut pb::ShareClass)| {
        let mut class = pb::ShareClass {
            display_name: "Another".to_owned(),
            ..class.clone()
        };
        change(&mut class);
        class
    };
    let cases = [
        (with(&|c| c.nominal = eur("25.01")), "SHARE_CLASS"),
        (with(&|c| c.authorised = 0), "SHARE_CLASS"),
        (with(&|c| c.authorised = -5), "SHARE_CLASS"),
        (with(&|c| c.authorised = i64::MAX), "SHARE_CLASS"),
        (with(&|c| c.minimum_per_member = -1), "SHARE_CLASS"),
        (with(&|c| c.maximum_per_member = -1), "SHARE_CLASS"),
        (with(&|c| c.minimum_per_member = 41), "SHARE_CLASS"),
        (with(&|c| c.maximum_per_member = 1_001), "SHARE_CLASS"),
        (with(&|c| c.nominal = eur("0")), "AMOUNT_NOT_POSITIVE"),
        (with(&|c| c.price = None), "INVALID_FIELD"),
        (with(&|c| c.display_name = String::new()), "INVALID_FIELD"),
        (with(&|c| c.price = money("USD", "25")), "INVALID_FIELD"),
        (
            with(&|c| {
                c.price = money("USD", "25");
                c.nominal = money("USD", "10");
            }),
            "CURRENCY_MISMATCH",
        ),
    ];
    for (class, reason) in cases {
        refused(add_class(&tester, &campaign.name, class).await, reason);
    }
    let liability = with(&|c| c.liability = true);
    let second = add_class(&tester, &campaign.name, liability).await.unwrap();
    assert!(second.share_class.unwrap().liability);

    campaign.move_to_open(&tester).await;
    let late = add_class(&tester, &campaign.name, with(&|c| c.display_name.push('!'))).await;
    refused(late, "CAMPAIGN_STAGE");
    assert_eq!(campaign.entries(&tester).await.len(), 2);
    assert_eq!(campaign.read(&tester).await.share_classes.len(), 2);
    tester.must_be_clean(&campaign.name).await;
}
