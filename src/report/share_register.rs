//! The share register: who holds which shares, lot by lot, and the totals of each class.
//!
//! As of an entry, lots are those allotted up to it, and of each what was cancelled up to
//! it. A member's number is that of the member's first certificate: it is given with the
//! first shares, in their order, and stays for ever. Names are those of now.

use sqlx::PgConnection;
use time::Date;

use super::{
    Basis, Head, Page, ReportError, Reports, balances_of, head, one_more, plus, unreadable,
};
use crate::{
    id::{CampaignId, MemberId, ShareClassId},
    ledger::Code,
    money::Amount,
};

/// A page of the share register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRegister {
    /// The head.
    pub head: Head,
    /// The lots, by certificate.
    pub page: Page<RegisterLot, i64>,
    /// What stands in all; read with the first page alone.
    pub capital: Option<RegisterCapital>,
}

/// One lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterLot {
    /// The number of the member's first certificate.
    pub member_number: i64,
    /// Whose.
    pub member: MemberId,
    /// The member's name, while one is kept.
    pub display_name: Option<String>,
    /// The day of the member's first lot.
    pub admitted_on: Date,
    /// The day on which the member's last share was cancelled.
    pub left_on: Option<Date>,
    /// The certificate's number.
    pub certificate: i64,
    /// Of which class.
    pub share_class: ShareClassId,
    /// Shares that stand.
    pub units: i64,
    /// Shares that were cancelled.
    pub cancelled: i64,
    /// The nominal value of those that stand.
    pub nominal_value: Amount,
    /// The entry that allotted them.
    pub entry: i64,
}

/// What stands in all: the classes' nominal capital is 3000 and 2300 together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterCapital {
    /// The classes.
    pub classes: Vec<RegisterClass>,
    /// 3000.
    pub share_capital: Amount,
    /// 2300.
    pub liability_shares: Amount,
}

/// What stands of a class, in shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterClass {
    /// The class.
    pub id: ShareClassId,
    /// What it is called.
    pub display_name: String,
    /// True when it is a liability.
    pub liability: bool,
    /// A share's nominal value.
    pub nominal: Amount,
    /// 8020.
    pub authorised: i64,
    /// 8000.
    pub held: i64,
    /// 8030.
    pub cancelled: i64,
    /// 8010.
    pub unissued: i64,
    /// The nominal value of the shares held.
    pub nominal_capital: Amount,
}

impl RegisterClass {
    /// Held and cancelled.
    #[must_use]
    pub const fn issued(&self) -> i64 {
        self.held.saturating_add(self.cancelled)
    }
}

impl Reports {
    /// A page of the register as of an entry (the last one for none or 0), after a
    /// certificate (0 for the first page).
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or the entry does not exist, or the register and the
    /// ledger disagree.
    pub async fn share_register(
        &self,
        campaign: CampaignId,
        as_of: Option<i64>,
        after: i64,
        limit: usize,
    ) -> Result<ShareRegister, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, as_of, Basis::Recorded).await?;
        let rows = lots(&mut snapshot, &head, after, limit).await?;
        let capital = match after {
            0 => Some(capital(&mut snapshot, &head).await?),
            _ => None,
        };
        snapshot.commit().await?;
        let page = Page::of(rows, limit, |last| last.certificate);
        Ok(ShareRegister {
            head,
            page,
            capital,
        })
    }
}

fn value(nominal: i64, units: i64) -> Result<Amount, ReportError> {
    let value = Amount::of_units(nominal).checked_mul(units);
    value.ok_or_else(|| unreadable("a nominal value leaves the range of an amount".to_owned()))
}

async fn lots(
    snapshot: &mut PgConnection,
    head: &Head,
    after: i64,
    limit: usize,
) -> Result<Vec<RegisterLot>, ReportError> {
    let lots = sqlx::query_file!(
        "src/report/share_register.sql",
        head.campaign.0,
        head.entry_number,
        after,
        one_more(limit),
    );
    let lots = lots.fetch_all(snapshot).await?.into_iter();
    let lot = lots.map(|row| {
        Ok(RegisterLot {
            member_number: row.member_number,
            member: MemberId(row.member_id),
            display_name: row.display_name,
            admitted_on: row.admitted_on,
            left_on: row.left_on,
            certificate: row.certificate,
            share_class: ShareClassId(row.share_class_id),
            units: row.units,
            cancelled: row.cancelled,
            nominal_value: value(row.nominal, row.units)?,
            entry: row.entry_no,
        })
    });
    lot.collect()
}

async fn capital(snapshot: &mut PgConnection, head: &Head) -> Result<RegisterCapital, ReportError> {
    let rows = sqlx::query_file!(
        "src/report/share_register_totals.sql",
        head.campaign.0,
        head.entry_number,
    );
    let rows = rows.fetch_all(&mut *snapshot).await?.into_iter();
    let class = rows.map(|row| {
        Ok(RegisterClass {
            id: ShareClassId(row.share_class_id),
            display_name: row.display_name,
            liability: row.liability,
            nominal: Amount::of_units(row.nominal),
            authorised: row.authorised,
            held: row.held,
            cancelled: row.cancelled,
            unissued: row.unissued,
            nominal_capital: value(row.nominal, row.held)?,
        })
    });
    let classes: Vec<RegisterClass> = class.collect::<Result<_, ReportError>>()?;
    let codes = [Code::ShareCapital, Code::LiabilityShares];
    let [share_capital, liability_shares] = balances_of(snapshot, head, codes)
        .await?
        .map(Amount::negated);
    for (liability, stands) in [(false, share_capital), (true, liability_shares)] {
        let mut of_shares = Amount::ZERO;
        for class in classes.iter().filter(|class| class.liability == liability) {
            of_shares = plus(of_shares, class.nominal_capital)?;
        }
        if of_shares != stands {
            let problem = format!("shares of {of_shares:?} stand against capital of {stands:?}");
            return Err(unreadable(problem));
        }
    }
    Ok(RegisterCapital {
        classes,
        share_capital,
        liability_shares,
    })
}
