//! The reports of a campaign, as a treasurer wants to read them.

use time::OffsetDateTime;

use super::{campaign::Playing, outcome, settled};
use crate::{
    cli::{
        Failure, check,
        client::present,
        print,
        tables::{Sheet, amount, movement, per_cent, words},
    },
    grpc::pb,
};

/// So much of a digest tells two ledgers apart for the eye.
const DIGEST_SHOWN: usize = 16;

/// Prints what matters while money is collected: how sure it is, and whether it could be
/// paid back.
pub(super) async fn in_the_middle(playing: &Playing) -> Result<(), Failure> {
    progress(playing).await?;
    coverage(playing).await
}

/// Prints what a campaign has come to; true when its check is clean and nobody is owed
/// anything.
pub(super) async fn at_the_end(playing: &Playing) -> Result<bool, Failure> {
    print(format_args!("{}\n", "═".repeat(100)));
    trial_balance(playing).await?;
    outcome::say(playing).await?;
    statement(playing).await?;
    let settled = settled::say(playing).await?;
    Ok(checked(playing).await? && settled)
}

fn head(title: &str, head: Option<pb::ReportHead>) -> Result<(), Failure> {
    let head = present(head, "head")?;
    let basis = match head.date_basis() {
        pb::DateBasis::Unspecified => "by entry number".to_owned(),
        pb::DateBasis::Recorded => "by order of recording".to_owned(),
        pb::DateBasis::ValueDate => format!("by value date, to {}", head.value_date),
    };
    let digest = head.digest.get(..DIGEST_SHOWN).unwrap_or(&head.digest);
    print(format_args!(
        "{title} · {} · {}\nto entry {} of {}, {basis} · drawn {} · digest {digest}…\n",
        head.display_name,
        head.currency_code,
        head.entry_number,
        moment(head.entry_recorded_at),
        moment(head.drawn_at),
    ));
    Ok(())
}

/// Like "2026-11-22 20:51 UTC".
fn moment(at: Option<prost_types::Timestamp>) -> String {
    let at = at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok());
    at.map_or_else(String::new, |at| {
        format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
    })
}

async fn trial_balance(playing: &Playing) -> Result<(), Failure> {
    let report = playing.trial_balance().await?;
    head("TRIAL BALANCE", report.head)?;
    let mut sheet = Sheet::new(&[
        "",
        "Account",
        "Type",
        ">Sub-accounts",
        ">Debits",
        ">Credits",
        ">Balance Dr",
        ">Balance Cr",
    ]);
    for (position, total) in report.totals.iter().enumerate() {
        if position > 0 {
            sheet.gap();
        }
        let in_book = |row: &&pb::TrialBalanceRow| {
            row.book == total.book && row.share_class == total.share_class
        };
        for row in report.rows.iter().filter(in_book) {
            sheet.row([
                row.code.clone(),
                row.display_name.clone(),
                row.account_type.clone(),
                row.sub_accounts.to_string(),
                movement(row.period_debit.as_ref()),
                movement(row.period_credit.as_ref()),
                movement(row.closing_debit.as_ref()),
                movement(row.closing_credit.as_ref()),
            ]);
        }
        let name = match total.book() {
            pb::Book::Memo => "Promises",
            pb::Book::Units => "Share units",
            pb::Book::Financial | pb::Book::Unspecified => "Money",
        };
        sheet.row([
            String::new(),
            format!("= {name}"),
            String::new(),
            String::new(),
            amount(total.period_debit.as_ref()),
            amount(total.period_credit.as_ref()),
            amount(total.closing_debit.as_ref()),
            amount(total.closing_credit.as_ref()),
        ]);
    }
    sheet.print();
    Ok(())
}

async fn progress(playing: &Playing) -> Result<(), Failure> {
    let request = pb::GetCampaignProgressRequest {
        campaign: playing.name.clone(),
    };
    let mut reports = playing.clients.reports();
    let report = reports.get_campaign_progress(request).await?.into_inner();
    head("PROGRESS, least certain first", report.head)?;
    let mut sheet = Sheet::new(&[
        "",
        ">Members",
        ">Amount",
        ">of minimum",
        ">of target",
        ">may fall away",
    ]);
    for row in &report.rows {
        let share = |basis_points| match row.amount {
            Some(_) => per_cent(basis_points),
            None => String::new(),
        };
        sheet.row([
            words(row.rung().as_str_name(), "CERTAINTY_RUNG_"),
            row.members.to_string(),
            amount(row.amount.as_ref()),
            share(row.minimum_basis_points),
            share(row.target_basis_points),
            share(row.expected_haircut_basis_points),
        ]);
    }
    sheet.print();
    print(format_args!(
        "minimum {} from {} members · target {} · maximum {}\n\
         fees so far {} · refundable {} · not yet allocated {}\n",
        amount(report.minimum.as_ref()),
        report.minimum_members,
        amount(report.target.as_ref()),
        amount(report.maximum.as_ref()),
        amount(report.fees.as_ref()),
        amount(report.refundable.as_ref()),
        amount(report.unallocated.as_ref()),
    ));
    Ok(())
}

async fn coverage(playing: &Playing) -> Result<(), Failure> {
    let request = pb::GetCoverageRequest {
        campaign: playing.name.clone(),
        entry_number: 0,
    };
    let drawn = playing.clients.reports().get_coverage(request).await?;
    let report = drawn.into_inner();
    head("COVERAGE: could everybody be paid back today?", report.head)?;
    let mut sheet = Sheet::new(&["", "Account", ">Held", ">Owed"]);
    for row in &report.rows {
        let counts = movement(row.amount.as_ref());
        let (held, owed) = if row.counts_as_held {
            (counts, String::new())
        } else {
            (String::new(), counts)
        };
        sheet.row([row.code.clone(), row.display_name.clone(), held, owed]);
    }
    let (held, owed) = (report.held.as_ref(), report.owed.as_ref());
    sheet.row([String::new(), "=".to_owned(), amount(held), amount(owed)]);
    sheet.print();
    let fees = match report.payments_without_fee {
        0 => "every fee is known".to_owned(),
        payments => format!(
            "fees still to come for {payments} payments, about {}",
            amount(report.estimated_missing_fees.as_ref())
        ),
    };
    let coverage = per_cent(report.coverage_basis_points);
    print(format_args!("coverage {coverage} · {fees}\n"));
    Ok(())
}

async fn statement(playing: &Playing) -> Result<(), Failure> {
    let request = pb::GetBackerStatementRequest {
        member: (playing.known.members.get(&0))
            .cloned()
            .ok_or("nobody has become a member")?,
        ..Default::default()
    };
    let mut reports = playing.clients.reports();
    let report = reports.get_backer_statement(request).await?.into_inner();
    let title = format!("STATEMENT of {}", report.display_name);
    head(&title, report.head)?;
    let mut sheet = Sheet::new(&[
        "Counts on",
        "Event",
        "Reference",
        ">Promise ±",
        ">Held ±",
        ">Refundable ±",
        ">Still to pay",
        ">Held",
        ">Refundable",
    ]);
    for row in &report.rows {
        sheet.row([
            row.value_date.clone(),
            words(row.event().as_str_name(), "ENTRY_EVENT_"),
            row.object_id.clone(),
            movement(row.promised.as_ref()),
            movement(row.held_change.as_ref()),
            movement(row.refundable_change.as_ref()),
            amount(row.outstanding_after.as_ref()),
            amount(row.held_after.as_ref()),
            amount(row.refundable_after.as_ref()),
        ]);
    }
    sheet.print();
    Ok(())
}

async fn checked(playing: &Playing) -> Result<bool, Failure> {
    let request = pb::CheckCampaignRequest {
        campaign: playing.name.clone(),
    };
    let checked = playing.clients.ledger().check_campaign(request).await?;
    let checked = checked.into_inner();
    let differences = checked.differences.iter().map(|difference| {
        [
            difference.rule.clone(),
            difference.subject.clone(),
            difference.stored.clone(),
            difference.expected.clone(),
        ]
    });
    let clean = check::say(
        &format!("CHECK · {}", playing.plan.offer.title),
        checked.entry_number,
        checked.rules.len(),
        differences,
    );
    print("");
    Ok(clean)
}
