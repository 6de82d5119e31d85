//! `pledgebook check`.

use std::process::ExitCode;

use super::{Failure, open, print, tables::Sheet};
use crate::{config::Settings, id::CampaignId};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this campaign; all of them when left out.
    #[arg(long)]
    campaign: Option<CampaignId>,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let database = open::Database::open(settings).await?;
    let reports = open::reports(&database).await?;
    let campaigns = match arguments.campaign {
        Some(campaign) => vec![campaign],
        None => reports.campaigns().await?,
    };
    let mut clean = true;
    for campaign in &campaigns {
        let checked = reports.check(*campaign).await?;
        let differences = checked.differences.into_iter().map(|difference| {
            [
                difference.rule.to_owned(),
                difference.subject,
                difference.stored,
                difference.expected,
            ]
        });
        clean &= say(
            &format!("campaigns/{campaign}"),
            checked.entry_number,
            checked.rules.len(),
            differences,
        );
    }
    if campaigns.is_empty() {
        print("there are no campaigns");
    }
    database.close().await?;
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says what a check found, differences as a table; true when there are none.
pub(super) fn say(
    what: &str,
    entry: i64,
    rules: usize,
    differences: impl ExactSizeIterator<Item = [String; 4]>,
) -> bool {
    let count = differences.len();
    print(format_args!(
        "{what}: {rules} rules, to entry {entry}: {count} differences"
    ));
    if count > 0 {
        let mut sheet = Sheet::new(&["Rule", "Subject", ">Stored", ">Should be"]);
        for difference in differences {
            sheet.row(difference);
        }
        sheet.print();
    }
    count == 0
}
