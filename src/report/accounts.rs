//! Accounts and their balances: now, as of an entry, or as of a value date.

use sqlx::PgConnection;
use time::Date;

use super::{Basis, Page, ReportError, Reports, account_key, head, not_found, one_more};
use crate::{
    id::{CampaignId, MemberId},
    ledger::{AccountKey, Balance, Code},
    money::Amount,
};

/// An account, and where it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// The account.
    pub key: AccountKey,
    /// Its balance.
    pub balance: Balance,
}

/// As of when a balance is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// After the last entry.
    Now,
    /// After the entry of this number.
    Entry(i64),
    /// At the end of this value date, by what is recorded now.
    ValueDate(Date),
}

/// A balance as of some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceAsOf {
    /// The balance.
    pub balance: Balance,
    /// The last entry that the answer takes in.
    pub entry_number: i64,
}

impl Reports {
    /// A page of accounts by code, commodity and owner, after one of them.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist.
    pub async fn accounts(
        &self,
        campaign: CampaignId,
        code: Option<Code>,
        member: Option<MemberId>,
        after: Option<AccountKey>,
        limit: usize,
    ) -> Result<Page<AccountView, AccountKey>, ReportError> {
        let mut snapshot = self.snapshot().await?;
        head::read(&mut snapshot, campaign, None, Basis::Recorded).await?;
        let rows = sqlx::query_file!(
            "src/report/accounts.sql",
            campaign.0,
            code.map(Code::number),
            member.map(|member| member.0),
            after.map(|key| key.code.number()),
            after.map(|key| key.commodity.to_string()),
            after.map(|key| key.owner.uuid()),
            one_more(limit),
        );
        let rows = rows.fetch_all(&mut *snapshot).await?;
        snapshot.commit().await?;
        let views = rows.into_iter().map(|row| {
            Ok(AccountView {
                key: account_key(row.code, &row.commodity, row.owner)?,
                balance: balance(row.balance, row.debits),
            })
        });
        let views = views.collect::<Result<_, ReportError>>()?;
        Ok(Page::of(views, limit, |last: &AccountView| last.key))
    }

    /// The balance of an account.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign, the account or the entry does not exist.
    pub async fn balance(
        &self,
        campaign: CampaignId,
        account: AccountKey,
        as_of: AsOf,
    ) -> Result<BalanceAsOf, ReportError> {
        let entry = match as_of {
            AsOf::Entry(entry) => Some(entry),
            AsOf::Now | AsOf::ValueDate(_) => None,
        };
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, entry, Basis::Recorded).await?;
        let number = number(&mut snapshot, campaign, account).await?;
        let balance = match as_of {
            AsOf::Now | AsOf::Entry(_) => {
                let upto = head.entry_number;
                let row = sqlx::query_file!("src/report/balance.sql", campaign.0, number, upto);
                let row = row.fetch_optional(&mut *snapshot).await?;
                row.map_or_else(Balance::default, |row| balance(row.balance, row.debits))
            }
            AsOf::ValueDate(day) => {
                let row = sqlx::query_file!(
                    "src/report/balance_by_value_date.sql",
                    campaign.0,
                    number,
                    day
                );
                let row = row.fetch_one(&mut *snapshot).await?;
                balance(row.balance, row.debits)
            }
        };
        snapshot.commit().await?;
        Ok(BalanceAsOf {
            balance,
            entry_number: head.entry_number,
        })
    }
}

const fn balance(net: i64, debits: i64) -> Balance {
    Balance {
        net: Amount::of_units(net),
        debits: Amount::of_units(debits),
    }
}

/// The number of an account, by which its lines are found.
pub(super) async fn number(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    account: AccountKey,
) -> Result<i32, ReportError> {
    let number = sqlx::query_file_scalar!(
        "src/report/account_number.sql",
        campaign.0,
        account.owner.uuid(),
        account.code.number(),
        account.commodity.to_string(),
    );
    let found = number.fetch_optional(snapshot).await?;
    found.ok_or_else(|| not_found(format_args!("campaigns/{campaign}/accounts/{account}")))
}
