//! Recomputes every stored number of a campaign and names what differs.
//!
//! One `.sql` a rule, named as the rule is. Each answers with what differs: the
//! subject, what is stored, what it should be; no row when all is well. `$1` is
//! the campaign. They share nothing with the code that writes: balances are
//! summed from lines, states follow from which entries stand, and the digests
//! are hashed again by PostgreSQL from the rows as they stand
//! (`digest_chain.sql`), not by `ledger::chain`.
//!
//! A stored number that makes a sum overflow or a date impossible would end a
//! rule with an error and hide the rest: each rule therefore runs in a savepoint
//! and such an error is itself a difference.

use sqlx::{Acquire, Postgres, Transaction};

use super::{ReportError, Reports};
use crate::{id::CampaignId, ledger::Code};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// The last entry that the check took in.
    pub entry_number: i64,
    /// The last change that the check took in.
    pub change_number: i64,
    /// The rules that were checked.
    pub rules: Vec<&'static str>,
    /// What differs, at most 100 a rule; empty when all is well.
    pub differences: Vec<Difference>,
}

impl CheckResult {
    /// True when nothing differs.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One stored number that is not what the journal makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The rule that is broken.
    pub rule: &'static str,
    /// What it is about.
    pub subject: String,
    /// What is stored.
    pub stored: String,
    /// What it should be.
    pub expected: String,
}

/// `rules![a, b]`: the rules of `a.sql` and `b.sql`. Materialised, so that the
/// limit cannot talk the planner into a plan that is quick for the first rows
/// only: a clean rule has none.
macro_rules! rules {
    ($($rule:literal,)*) => {
        &[$((
            $rule,
            concat!(
                "WITH difference (subject, stored, expected) AS MATERIALIZED (\n",
                include_str!(concat!($rule, ".sql")),
                ")\nSELECT subject::text, coalesce(stored::text, 'nothing'), \
                 coalesce(expected::text, 'nothing') FROM difference LIMIT 100",
            ),
        ),)*]
    };
}

/// The rules and their SQL, from what everything hangs on to what follows from it.
const RULES: &[(&str, &str)] = rules![
    "head_is_the_last",
    "change_numbers_are_dense",
    "batches_follow",
    "entry_numbers_are_dense",
    "account_numbers_are_dense",
    "entries_tile_the_changes",
    "time_goes_on",
    "entries_have_their_lines",
    "entries_balance",
    "digest_chain",
    "running_balances",
    "floors_are_kept",
    "balances",
    "balance_guards_and_units",
    "account_days",
    "reversals_mirror_their_entry",
    "references_exist",
    "outcomes_fit",
    "entries_have_history",
    "history_of_campaign",
    "history_of_terms",
    "history_of_share_classes",
    "history_of_money_accounts",
    "history_of_members",
    "history_of_signatures",
    "history_of_pledges",
    "history_of_payments",
    "history_of_payouts",
    "history_of_refunds",
    "history_of_lots",
    "history_of_runs",
    "money_names_its_payment",
    "payment_money",
    "payment_money_is_its_payers",
    "payment_parts_are_the_gross",
    "payment_reserved",
    "refunds_are_their_payments",
    "payment_fee",
    "payment_state",
    "payment_is_as_captured",
    "effects_post_once",
    "movements_post_once",
    "failures_post_nothing",
    "pledge_paid",
    "pledge_state",
    "pledge_units_cost_the_amount",
    "pledge_commitments",
    "member_commitments",
    "member_live_pledges",
    "member_cap",
    "share_capital_is_nominal",
    "shares_are_authorised",
    "lots_are_shares_held",
    "runs_count_their_items",
    "run_items_chain",
    "run_items_are_worked_once",
    "tally",
];

/// Compared in Rust: what is written in the program can only be compared there.
const CHART: &str = "chart_is_the_programs";

impl Reports {
    /// The campaigns that there are.
    ///
    /// # Errors
    /// [`ReportError`] when the database fails.
    pub async fn campaigns(&self) -> Result<Vec<CampaignId>, ReportError> {
        let campaigns = sqlx::query_file_scalar!("src/report/campaigns.sql");
        let ids = campaigns.fetch_all(&self.pool).await?;
        Ok(ids.into_iter().map(CampaignId).collect())
    }

    /// Checks every campaign, each on a snapshot of its own.
    ///
    /// # Errors
    /// [`ReportError`] when the database fails.
    pub async fn check_all(&self) -> Result<Vec<(CampaignId, CheckResult)>, ReportError> {
        let mut results = Vec::new();
        for campaign in self.campaigns().await? {
            results.push((campaign, self.check(campaign).await?));
        }
        Ok(results)
    }

    /// Checks one campaign.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist, or the database fails.
    pub async fn check(&self, campaign: CampaignId) -> Result<CheckResult, ReportError> {
        let mut snapshot = self.snapshot().await?;
        sqlx::raw_sql(include_str!("../check_settings.sql"))
            .execute(&mut *snapshot)
            .await?;
        let head = sqlx::query_file!("src/report/check_head.sql", campaign.0)
            .fetch_optional(&mut *snapshot)
            .await?
            .ok_or(ReportError::CampaignNotFound)?;
        let mut differences = chart(&mut snapshot).await?;
        for &(rule, sql) in RULES {
            differences.extend(broken(&mut snapshot, campaign, rule, sql).await?);
        }
        snapshot.commit().await?;
        let names = RULES.iter().map(|&(rule, _)| rule);
        Ok(CheckResult {
            entry_number: head.entry_no,
            change_number: head.change_no,
            rules: [CHART].into_iter().chain(names).collect(),
            differences,
        })
    }
}

/// Where one rule is broken.
async fn broken(
    snapshot: &mut Transaction<'static, Postgres>,
    campaign: CampaignId,
    rule: &'static str,
    sql: &'static str,
) -> Result<Vec<Difference>, ReportError> {
    let mut savepoint = snapshot.begin().await?;
    let found = sqlx::query_as::<_, (String, String, String)>(sql)
        .bind(campaign.0)
        .fetch_all(&mut *savepoint)
        .await;
    match found {
        Ok(rows) => {
            savepoint.commit().await?;
            let difference = |(subject, stored, expected)| Difference {
                rule,
                subject,
                stored,
                expected,
            };
            Ok(rows.into_iter().map(difference).collect())
        }
        Err(sqlx::Error::Database(error)) if is_of_the_data(error.as_ref()) => {
            savepoint.rollback().await?;
            Ok(vec![Difference {
                rule,
                subject: "the rule itself".to_owned(),
                stored: error.message().to_owned(),
                expected: "rows from which it can be computed".to_owned(),
            }])
        }
        Err(error) => Err(error.into()),
    }
}

/// Class 22 of SQLSTATE, "data exception": an overflow, an impossible date.
fn is_of_the_data(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| code.starts_with("22"))
}

/// The chart in the database is the one in the program.
async fn chart(
    snapshot: &mut Transaction<'static, Postgres>,
) -> Result<Vec<Difference>, ReportError> {
    let rows = sqlx::query_file!("src/report/check_chart.sql");
    let rows = rows.fetch_all(&mut **snapshot).await?;
    let mut stored: Vec<(i16, String)> = rows
        .into_iter()
        .map(|row| (row.code, row.described))
        .collect();
    let mut differences = Vec::new();
    for &code in Code::ALL {
        let number = code.number();
        let found = stored.iter().position(|(stored, _)| *stored == number);
        let found = found.map(|at| stored.swap_remove(at).1);
        let expected = described(code);
        if found.as_ref() != Some(&expected) {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            differences.push(of_the_chart(number, found, expected));
        }
    }
    let unknown = stored.into_iter();
    let unknown = unknown.map(|(code, found)| of_the_chart(code, found, "nothing".to_owned()));
    differences.extend(unknown);
    Ok(differences)
}

fn of_the_chart(code: i16, stored: String, expected: String) -> Difference {
    Difference {
        rule: CHART,
        subject: format!("code {code}"),
        stored,
        expected,
    }
}

/// A code as `check_chart.sql` describes it.
fn described(code: Code) -> String {
    let guard = code.never().map_or(0, |never| -never.sign());
    [
        code.name(),
        code.book().letter(),
        code.kind().word(),
        &code.normal_side().sign().to_string(),
        &guard.to_string(),
        code.owner_kind().word(),
    ]
    .join(", ")
}
