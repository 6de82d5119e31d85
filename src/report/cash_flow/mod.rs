//! Cash flow: what came in and went out on each account of money, for a period.
//!
//! What stood there before and after is read from running balances or the totals by day,
//! and what moved is summed from the lines: two ways to the same figures, and a report
//! in which they differ is none.

mod flow;

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::Date;
use uuid::Uuid;

pub use flow::Flow;

use super::{Basis, Head, Period, ReportError, Reports, event, head, plus, unreadable};
use crate::{
    id::{CampaignId, MoneyAccountId},
    ledger::Code,
    money::Amount,
};

/// Where money is, or is on its way.
const MONEY: [Code; 6] = [
    Code::ProviderBalance,
    Code::ProviderReserve,
    Code::PayoutsInTransit,
    Code::EscrowBank,
    Code::OperatingBank,
    Code::OutgoingClearing,
];

/// What to draw the cash flow of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CashFlowQuery {
    /// The campaign.
    pub campaign: CampaignId,
    /// The period, on its date basis.
    pub period: Period,
    /// Only what was recorded up to this entry; the last one for none or 0.
    pub as_of: Option<i64>,
}

/// Cash flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CashFlow {
    /// The head.
    pub head: Head,
    /// Providers' accounts, then banks', then 1150.
    pub rows: Vec<CashFlowRow>,
    /// All of them together.
    pub total: Flow,
}

/// One account of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CashFlowRow {
    /// The provider's or bank's account; nothing for 1150.
    pub account: Option<MoneyAccountId>,
    /// The institution, or the name in the chart.
    pub display_name: String,
    /// What moved.
    pub flow: Flow,
}

/// What an owner's accounts stood at.
struct Stood {
    owner: Uuid,
    kind: Option<String>,
    institution: Option<String>,
    opening: i64,
    closing: i64,
}

/// A period as the lines know it: entries after one up to another, days after one up to another.
struct Bounds {
    after_entry: i64,
    upto_entry: i64,
    after_day: Option<Date>,
    upto_day: Option<Date>,
}

impl Reports {
    /// Draws the cash flow of a period.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or an entry does not exist, the period ends before
    /// it begins, or a row does not add up.
    pub async fn cash_flow(&self, query: CashFlowQuery) -> Result<CashFlow, ReportError> {
        let basis = match query.period {
            Period::Entries { .. } => Basis::Recorded,
            Period::ValueDates { until, .. } => Basis::ValueDate(until),
        };
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, query.campaign, query.as_of, basis).await?;
        let bounds = bounds(query.period, head.entry_number)?;
        let stood = stood(&mut snapshot, &head, query.period, &bounds).await?;
        let moved = moved(&mut snapshot, &head, &bounds).await?;
        snapshot.commit().await?;
        let rows = rows(stood, moved)?;
        let mut total = Flow::default();
        for row in &rows {
            total = total.plus(row.flow)?;
        }
        total.must_add_up("all accounts")?;
        Ok(CashFlow { head, rows, total })
    }
}

fn bounds(period: Period, as_of: i64) -> Result<Bounds, ReportError> {
    let bounds = match period {
        Period::Entries { after } => Bounds {
            after_entry: after,
            upto_entry: as_of,
            after_day: None,
            upto_day: None,
        },
        Period::ValueDates { after, until } => Bounds {
            after_entry: 0,
            upto_entry: as_of,
            after_day: after,
            upto_day: Some(until),
        },
    };
    let days_backwards = bounds.after_day.is_some() && bounds.after_day > bounds.upto_day;
    if bounds.after_entry > bounds.upto_entry || days_backwards {
        return Err(ReportError::PeriodIsBackwards);
    }
    Ok(bounds)
}

async fn stood(
    snapshot: &mut PgConnection,
    head: &Head,
    period: Period,
    bounds: &Bounds,
) -> Result<Vec<Stood>, ReportError> {
    let codes = MONEY.map(Code::number);
    Ok(match period {
        Period::Entries { after } => {
            let by_entry = sqlx::query_file_as!(
                Stood,
                "src/report/cash_flow_by_entry.sql",
                head.campaign.0,
                head.currency.code(),
                &codes[..],
                after,
                bounds.upto_entry,
            );
            by_entry.fetch_all(snapshot).await?
        }
        Period::ValueDates { after, until } => {
            let by_value_date = sqlx::query_file_as!(
                Stood,
                "src/report/cash_flow_by_value_date.sql",
                head.campaign.0,
                head.currency.code(),
                &codes[..],
                bounds.upto_entry,
                after,
                until,
            );
            by_value_date.fetch_all(snapshot).await?
        }
    })
}

/// What moved, by whose the account is.
async fn moved(
    snapshot: &mut PgConnection,
    head: &Head,
    bounds: &Bounds,
) -> Result<BTreeMap<Uuid, Flow>, ReportError> {
    let rows = sqlx::query_file!(
        "src/report/cash_flow.sql",
        head.campaign.0,
        head.currency.code(),
        &MONEY.map(Code::number)[..],
        bounds.after_entry,
        bounds.upto_entry,
        bounds.after_day,
        bounds.upto_day,
    );
    let mut moved: BTreeMap<Uuid, Flow> = BTreeMap::new();
    for row in rows.fetch_all(snapshot).await? {
        let column = moved.entry(row.owner).or_default();
        let column = column.column(event(&row.event)?);
        *column = plus(*column, Amount::of_units(row.amount))?;
    }
    Ok(moved)
}

fn rows(
    stood: Vec<Stood>,
    mut moved: BTreeMap<Uuid, Flow>,
) -> Result<Vec<CashFlowRow>, ReportError> {
    let mut rows = Vec::new();
    for row in stood {
        let flow = Flow {
            opening: Amount::of_units(row.opening),
            closing: Amount::of_units(row.closing),
            ..moved.remove(&row.owner).unwrap_or_default()
        };
        let account = row.kind.map(|_| MoneyAccountId(row.owner));
        let clearing = || Code::OutgoingClearing.name().to_owned();
        let display_name = row.institution.unwrap_or_else(clearing);
        flow.must_add_up(&display_name)?;
        rows.push(CashFlowRow {
            account,
            display_name,
            flow,
        });
    }
    match moved.keys().next() {
        None => Ok(rows),
        Some(owner) => Err(unreadable(format!("{owner} moved and never stood"))),
    }
}
