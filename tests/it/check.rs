//! `check` names what was tampered with: the negative controls of its rules.

use pledgebook::{clock::Clock, grpc::pb};

use crate::{
    calls::{MatchedTo, shares},
    ending::Road,
    harness::{Campaign, Tester, eur, id, terms},
};

/// A campaign with an entry of most kinds.
async fn lively(tester: &Tester) -> Campaign {
    let class = Some(shares("100", 0, 5));
    let campaign = Campaign::open_with(tester, terms(&tester.clock, "EUR"), class).await;
    let sign = pb::SignCampaignRequest {
        request_id: id(),
        campaign: campaign.name.clone(),
        display_name: "A supporter".to_owned(),
        email: "cleo@example.org".to_owned(),
        validate_only: false,
    };
    tester
        .treasurer()
        .members()
        .sign_campaign(sign)
        .await
        .unwrap();
    let ada = campaign.member(tester, "ada@example.org").await;
    let class = campaign.class(tester).await;
    let pledge = campaign.pledge_shares(tester, &ada, &class, 1).await;
    let pledge = pledge.unwrap().pledge.unwrap().name;
    let declined = pb::RecordPaymentFailureRequest {
        gross: eur("100"),
        pledge: pledge.clone(),
        ..campaign.failure("ch_0")
    };
    campaign.fail(tester, declined).await.unwrap();
    let paid = campaign.pay(tester, "ch_1", &pledge, "130").await;
    campaign
        .fee(tester, paid.name(), "txn_1", "2")
        .await
        .unwrap();
    let request = campaign.receipt("tx_1", None, "60");
    let waiting = campaign.receive(tester, request).await.unwrap();
    let to_ada = MatchedTo::Member(ada);
    campaign
        .match_to(tester, waiting.name(), to_ada)
        .await
        .unwrap();
    let mistaken = campaign.pay(tester, "ch_2", &pledge, "5").await;
    campaign.reverse(tester, mistaken.entry()).await.unwrap();
    campaign
}

/// A campaign with shares, a refund that came back, a payout and two runs.
async fn ended() -> Road {
    let class = Some(shares("100", 0, 5));
    let road = Road::open(Road::terms(&Clock::default()), class).await;
    road.pays("ada", "250").await;
    road.payout("po_1", "200", false).await;
    road.buy("100").await;
    let allotment = road.plan_allotment(pb::AllotmentMethod::ProRata).await;
    road.runs_well(&allotment).await;
    let refunds = road.plan_refunds().await;
    road.runs_well(&refunds).await;
    road.bridge().await;
    let refund = road.refunds().await.remove(0);
    let request = pb::FailRefundRequest {
        request_id: id(),
        refund: refund.name,
        object_id: "came back".to_owned(),
        failure_code: "account_closed".to_owned(),
        ..Default::default()
    };
    road.treasurer.refunds().fail_refund(request).await.unwrap();
    road
}

/// The rules that are broken, in their order.
async fn broken(tester: &Tester, campaign: &str) -> Vec<String> {
    let request = pb::CheckCampaignRequest {
        campaign: campaign.to_owned(),
    };
    let checked = tester.admin().ledger().check_campaign(request).await;
    let checked = checked.unwrap().into_inner();
    for difference in &checked.differences {
        assert!(checked.rules.contains(&difference.rule));
        assert_ne!(difference.stored, difference.expected, "{difference:?}");
    }
    let mut rules: Vec<String> = checked.differences.into_iter().map(|d| d.rule).collect();
    rules.dedup();
    rules
}

/// The rule about what is the same for all campaigns.
const CHART: &str = "chart_is_the_programs";

/// What is done to a campaign (`$1` is its id), and every rule that must name it.
const TAMPERED: &[(&str, &[&str])] = &[
    // Balances and what follows from lines.
    (
        "UPDATE balance SET balance = balance + 1, debits = debits + 1
         WHERE campaign_id = $1 AND account_no = 5",
        &["balances"],
    ),
    (
        "UPDATE balance SET guard = 0 WHERE campaign_id = $1 AND account_no = 3",
        &["balance_guards_and_units"],
    ),
    (
        "UPDATE line SET amount = amount + 1
         WHERE campaign_id = $1 AND entry_no = 3 AND line_no = 1",
        &[
            "entries_balance",
            "digest_chain",
            "running_balances",
            "balances",
            "account_days",
        ],
    ),
    (
        "UPDATE line SET balance = balance - 1
         WHERE campaign_id = $1 AND entry_no = 3 AND line_no = 2",
        &["digest_chain", "running_balances"],
    ),
    (
        "UPDATE balance SET debits_before_day = debits_before_day - 7
         WHERE campaign_id = $1 AND account_no = 5",
        &["account_days"],
    ),
    (
        "UPDATE balance SET day = day - 1 WHERE campaign_id = $1 AND account_no = 6",
        &["account_days"],
    ),
    (
        "INSERT INTO account_day VALUES ($1, 5, '2001-01-01', 7, 7)",
        &["account_days"],
    ),
    // It sums up right, but the next posting of that day would go somewhere else.
    (
        "INSERT INTO account_day VALUES ($1, 5, '2101-01-01', 0, 0)",
        &["account_days"],
    ),
    // The chain.
    (
        "UPDATE journal_entry SET digest = sha256('another') WHERE campaign_id = $1 AND entry_no = 4",
        &["digest_chain"],
    ),
    (
        "UPDATE journal_entry SET value_date = value_date - 1 WHERE campaign_id = $1 AND entry_no = 3",
        &["digest_chain", "account_days", "payment_is_as_captured"],
    ),
    (
        "UPDATE journal_entry SET occurred_at = occurred_at - interval '1 second'
         WHERE campaign_id = $1 AND entry_no = 2",
        &["digest_chain"],
    ),
    (
        "UPDATE campaign_head SET digest = sha256('another') WHERE campaign_id = $1",
        &["head_is_the_last"],
    ),
    (
        "UPDATE campaign_head SET claimed_entry_no = claimed_entry_no - 1 WHERE campaign_id = $1",
        &["head_is_the_last"],
    ),
    // A line moved to another payment, and money that names none.
    (
        "UPDATE line SET payment_id = NULL WHERE campaign_id = $1 AND entry_no = 3",
        &["digest_chain", "money_names_its_payment", "payment_money"],
    ),
    (
        "UPDATE campaign_head SET batch = batch + 1 WHERE campaign_id = $1",
        &["head_is_the_last"],
    ),
    (
        "UPDATE change SET follows = follows + 1 WHERE campaign_id = $1 AND change_no = 3",
        &["batches_follow"],
    ),
    // Numbers without a gap.
    (
        "DELETE FROM change WHERE campaign_id = $1 AND change_no = 6",
        &["change_numbers_are_dense", "batches_follow"],
    ),
    (
        "UPDATE change SET recorded_at = recorded_at + interval '1 year'
         WHERE campaign_id = $1 AND change_no = 2",
        &["time_goes_on"],
    ),
    (
        "DELETE FROM line WHERE campaign_id = $1 AND entry_no = 4;
         DELETE FROM journal_entry WHERE campaign_id = $1 AND entry_no = 4",
        &[
            "entry_numbers_are_dense",
            "entries_tile_the_changes",
            "digest_chain",
            "balances",
        ],
    ),
    (
        "DELETE FROM line WHERE campaign_id = $1 AND entry_no = 5",
        &["entries_have_their_lines", "digest_chain", "balances"],
    ),
    // Nouns and what the journal makes of them.
    (
        "UPDATE campaign_head SET tally.held = (tally).held + 1 WHERE campaign_id = $1",
        &["head_is_the_last", "tally"],
    ),
    (
        "UPDATE change SET tally.held = (tally).held + 1 WHERE campaign_id = $1 AND tally IS NOT NULL",
        &["head_is_the_last"],
    ),
    (
        "UPDATE campaign_head SET tally.signed = 7 WHERE campaign_id = $1",
        &["head_is_the_last", "tally"],
    ),
    (
        "UPDATE pledge SET paid = paid - 1 WHERE campaign_id = $1",
        &[
            "history_of_pledges",
            "pledge_paid",
            "pledge_state",
            "pledge_commitments",
        ],
    ),
    (
        "UPDATE pledge SET state = 'cancelled' WHERE campaign_id = $1",
        &["history_of_pledges", "member_live_pledges", "tally"],
    ),
    (
        "UPDATE payment SET held = held - 1, refundable = refundable + 1
         WHERE campaign_id = $1 AND object_id = 'ch_1'",
        &["history_of_payments", "payment_money", "pledge_paid"],
    ),
    (
        "UPDATE payment SET fee = fee + 1 WHERE campaign_id = $1 AND object_id = 'ch_1'",
        &["history_of_payments", "payment_fee"],
    ),
    (
        "UPDATE payment SET state = 'late_failed', held = 0, refundable = 0
         WHERE campaign_id = $1 AND object_id = 'ch_1'",
        &[
            "history_of_payments",
            "payment_money",
            "payment_state",
            "pledge_paid",
            "tally",
        ],
    ),
    (
        "UPDATE member SET live_pledges = 2 WHERE campaign_id = $1",
        &["member_live_pledges"],
    ),
    (
        "UPDATE signature SET state = 'withdrawn' WHERE campaign_id = $1",
        &["history_of_signatures", "tally"],
    ),
    (
        "UPDATE terms SET maximum = maximum + 1 WHERE campaign_id = $1",
        &["history_of_terms"],
    ),
    (
        "UPDATE campaign SET stage = 'cancelled' WHERE campaign_id = $1",
        &["history_of_campaign"],
    ),
    (
        "UPDATE money_account SET livemode = false WHERE campaign_id = $1 AND kind = 'provider'",
        &["history_of_money_accounts"],
    ),
    // What is named exists, and is whose it says.
    (
        "UPDATE account SET account_no = 100 WHERE campaign_id = $1 AND account_no = 10",
        &[
            "account_numbers_are_dense",
            "references_exist",
            "head_is_the_last",
        ],
    ),
    (
        "UPDATE payment SET member_id = gen_random_uuid() WHERE campaign_id = $1 AND object_id = 'ch_1'",
        &[
            "history_of_payments",
            "payment_money_is_its_payers",
            "references_exist",
        ],
    ),
    (
        "UPDATE member SET created_at = created_at - interval '1 day' WHERE campaign_id = $1",
        &["history_of_members"],
    ),
    // Bounds.
    (
        "UPDATE line SET balance = -balance WHERE campaign_id = $1 AND entry_no = 3 AND line_no = 2",
        &["floors_are_kept", "running_balances"],
    ),
    (
        "UPDATE payment SET held = held + 1 WHERE campaign_id = $1 AND object_id = 'ch_1'",
        &["payment_parts_are_the_gross", "payment_money"],
    ),
    (
        "UPDATE pledge SET amount = amount + 1 WHERE campaign_id = $1",
        &[
            "pledge_units_cost_the_amount",
            "pledge_commitments",
            "member_commitments",
            "tally",
        ],
    ),
    (
        "UPDATE share_class SET maximum_per_member = 1 WHERE campaign_id = $1",
        &["history_of_share_classes", "member_cap"],
    ),
    (
        "UPDATE share_class SET authorised = authorised + 1 WHERE campaign_id = $1",
        &["history_of_share_classes", "shares_are_authorised"],
    ),
    (
        "UPDATE account SET code = 3000 WHERE campaign_id = $1 AND code = 2100",
        &["digest_chain", "share_capital_is_nominal"],
    ),
    // Identity and history.
    (
        "UPDATE change SET refusal = '{}' WHERE campaign_id = $1 AND change_no = 1",
        &["outcomes_fit"],
    ),
    (
        "UPDATE effect SET seq = '7' WHERE campaign_id = $1 AND effect = 'failure'",
        &["failures_post_nothing"],
    ),
    (
        "DELETE FROM effect WHERE campaign_id = $1 AND effect = 'fee'",
        &["payment_fee", "effects_post_once"],
    ),
    (
        "UPDATE effect SET amount = amount + 1 WHERE campaign_id = $1 AND object_id = 'ch_1'",
        &["effects_post_once"],
    ),
    (
        "UPDATE change SET history = (
             SELECT json_agg(made) FROM json_array_elements(history) AS made
             WHERE made #>> '{snapshot,noun}' <> 'payment'
         ) WHERE campaign_id = $1 AND history IS NOT NULL",
        &["entries_have_history"],
    ),
    (
        "UPDATE journal_entry SET reverses = 5 WHERE campaign_id = $1 AND reverses IS NOT NULL",
        &[
            "digest_chain",
            "reversals_mirror_their_entry",
            "payment_state",
        ],
    ),
];

/// The same of a campaign that has come to its end.
const TAMPERED_AT_THE_END: &[(&str, &[&str])] = &[
    (
        "UPDATE payment SET reserved = reserved + 1 WHERE campaign_id = $1",
        &["history_of_payments", "payment_reserved"],
    ),
    (
        "UPDATE payment SET allotted = allotted - 1, held = held + 1
         WHERE campaign_id = $1 AND allotted > 0",
        &["history_of_payments", "payment_money", "tally"],
    ),
    (
        "UPDATE refund SET state = 'settled' WHERE campaign_id = $1 AND state = 'failed'",
        &["history_of_refunds", "refunds_are_their_payments"],
    ),
    (
        "UPDATE refund SET requested_by = 'nobody' WHERE campaign_id = $1",
        &["history_of_refunds"],
    ),
    (
        "DELETE FROM effect WHERE campaign_id = $1 AND effect = 'payout'",
        &["movements_post_once"],
    ),
    (
        "UPDATE effect SET amount = amount + 1 WHERE campaign_id = $1 AND effect = 'refund_failed'",
        &["movements_post_once"],
    ),
    (
        "UPDATE payout SET failure_code = 'none' WHERE campaign_id = $1",
        &["history_of_payouts"],
    ),
    (
        "UPDATE lot SET units = units + 1 WHERE campaign_id = $1",
        &["history_of_lots", "lots_are_shares_held"],
    ),
    (
        "UPDATE lot SET certificate = certificate + 7 WHERE campaign_id = $1",
        &["history_of_lots", "lots_are_shares_held"],
    ),
    (
        "UPDATE run SET planned_at = planned_at - interval '1 day' WHERE campaign_id = $1",
        &["history_of_runs"],
    ),
    (
        "UPDATE run SET done = done - 1 WHERE campaign_id = $1",
        &["runs_count_their_items"],
    ),
    (
        "UPDATE run_item SET amount = amount + 1 WHERE campaign_id = $1 AND position = 1",
        &["runs_count_their_items", "run_items_chain"],
    ),
    (
        "UPDATE run_item SET change_no = 1 WHERE campaign_id = $1",
        &["run_items_are_worked_once"],
    ),
    (
        "UPDATE campaign_head SET tally.certificates = (tally).certificates + 1, tally.returned = 0
         WHERE campaign_id = $1",
        &["head_is_the_last", "tally"],
    ),
];

/// All that a campaign has.
const TABLES: [&str; 22] = [
    "campaign_head",
    "account",
    "balance",
    "account_day",
    "change",
    "journal_entry",
    "line",
    "campaign",
    "terms",
    "share_class",
    "member",
    "signature",
    "person",
    "pledge",
    "money_account",
    "payment",
    "effect",
    "payout",
    "refund",
    "lot",
    "run",
    "run_item",
];

/// One statement for each of the tables.
fn each(statement: &str) -> String {
    let of_table = |table| statement.replace("{}", table);
    TABLES.map(of_table).join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_tampered_with_is_named() {
    let road = ended().await;
    let tester = &road.tester;
    let campaign = lively(tester).await;
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&road.campaign.name).await;
    // Not even a superuser's tampering passes the triggers unless they are taken off.
    let database = &tester.database;
    let careless = "UPDATE line SET amount = amount + 1";
    assert!(database.execute("postgres", careless).await.is_err());
    let off = each("ALTER TABLE {} DISABLE TRIGGER ALL");
    let keep = each("CREATE TABLE kept.{} AS TABLE public.{}");
    let unbound = "ALTER TABLE payment DROP CONSTRAINT parts_of_a_payment_are_the_whole,
        DROP CONSTRAINT no_more_is_reserved_than_stands;
        ALTER TABLE change DROP CONSTRAINT what_is_not_done_makes_nothing";
    let prepared = format!("CREATE SCHEMA kept; {keep}; {off}; {unbound}");
    database.execute("postgres", &prepared).await.unwrap();
    let restored = each("DELETE FROM public.{}; INSERT INTO public.{} TABLE kept.{}");

    let mut missed = Vec::new();
    let campaigns = [(&campaign, TAMPERED), (&road.campaign, TAMPERED_AT_THE_END)];
    let tampered = campaigns.iter().flat_map(|(campaign, tampered)| {
        let each = tampered.iter();
        each.map(move |(statement, rules)| (*campaign, *statement, *rules))
    });
    for (campaign, statement, rules) in tampered {
        let id = campaign.name.strip_prefix("campaigns/").unwrap();
        let statement = statement.replace("$1", &format!("'{id}'"));
        let tampered = format!("{restored}; {statement}");
        database.execute("postgres", &tampered).await.unwrap();
        let named = broken(tester, &campaign.name).await;
        for rule in rules
            .iter()
            .filter(|rule| !named.iter().any(|named| named == *rule))
        {
            missed.push(format!("{rule} does not name: {statement}; only {named:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    // Every rule has a control; the chart's has one of its own.
    let controlled: Vec<&str> = TAMPERED
        .iter()
        .chain(TAMPERED_AT_THE_END)
        .flat_map(|(_, rules)| *rules)
        .copied()
        .collect();
    let request = pb::CheckCampaignRequest {
        campaign: campaign.name.clone(),
    };
    let checked = tester.admin().ledger().check_campaign(request).await;
    for rule in checked.unwrap().into_inner().rules {
        assert!(
            rule == CHART || controlled.contains(&rule.as_str()),
            "{rule}"
        );
    }
    database.execute("postgres", &restored).await.unwrap();
    tester.must_be_clean(&campaign.name).await;
}

/// A forger who keeps every sum right still has the chain of digests against them.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgery_in_which_everything_adds_up_breaks_the_chain() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let request = campaign.receipt("tx_1", None, "60");
    campaign.receive(&tester, request).await.unwrap();
    let id = campaign.name.strip_prefix("campaigns/").unwrap();
    let of = format!("WHERE campaign_id = '{id}'");
    let forged = [
        each("ALTER TABLE {} DISABLE TRIGGER ALL"),
        format!(
            "UPDATE line SET amount = amount * 2, balance = balance * 2, debits = debits * 2 {of}"
        ),
        format!(
            "UPDATE balance SET balance = balance * 2, debits = debits * 2,
                 balance_before_day = balance_before_day * 2,
                 debits_before_day = debits_before_day * 2 {of}"
        ),
        format!("UPDATE account_day SET debits = debits * 2, credits = credits * 2 {of}"),
        format!("UPDATE campaign_head SET tally.unallocated = (tally).unallocated * 2 {of}"),
        format!(
            "UPDATE change SET tally.unallocated = (tally).unallocated * 2 {of}
             AND tally IS NOT NULL"
        ),
        format!("UPDATE payment SET gross = gross * 2, unallocated = unallocated * 2 {of}"),
        format!("UPDATE effect SET amount = amount * 2 {of}"),
        format!(
            "UPDATE change SET history = replace(history::text, '6000', '12000')::json {of}
             AND method = 'RecordBankReceipt'"
        ),
    ];
    tester
        .database
        .execute("postgres", &forged.join("; "))
        .await
        .unwrap();
    assert_eq!(broken(&tester, &campaign.name).await, ["digest_chain"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_of_accounts_is_the_programs() {
    let tester = Tester::start().await;
    let campaign = lively(&tester).await;
    let altered = "ALTER TABLE chart_account DISABLE TRIGGER ALL;
        UPDATE chart_account SET guard = 0 WHERE code = 2100";
    tester.database.execute("postgres", altered).await.unwrap();
    let named = broken(&tester, &campaign.name).await;
    assert_eq!(named[0], CHART);
}
