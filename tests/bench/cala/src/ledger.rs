//! The ledger that is posted to: one journal, one hot account, its
//! counterparties, one template of two entries.

use std::{num::NonZeroU32, time::Duration};

use cala_ledger::{
    AccountId, CalaLedger, CalaLedgerConfig, Currency, JournalId, TransactionId, TxTemplateId,
    account::NewAccount,
    job::{JobSvcConfig, Jobs},
    journal::NewJournal,
    posting::PostingInput,
    tx_template::{
        NewParamDefinition, NewTxTemplate, NewTxTemplateEntry, NewTxTemplateTransaction,
        ParamDataType, Params,
    },
};
use rust_decimal::Decimal;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::Failure;

const TEMPLATE: &str = "BENCH";
const CURRENCY: &str = "EUR";
const AMOUNT: u32 = 10;
/// Accounts made in one database transaction.
const ACCOUNTS_A_CALL: usize = 1_000;

/// cala-ledger with the accounts of the benchmark in it.
pub(crate) struct Ledger {
    cala: CalaLedger,
    journal: JournalId,
    hot: AccountId,
    counterparties: Vec<AccountId>,
    // Never polled: it only rolls up eventually consistent accounts, and there are none.
    _jobs: Jobs,
}

impl Ledger {
    /// Makes schema, journal, accounts and template in an empty database.
    ///
    /// # Errors
    ///
    /// The database cannot be reached, or is not empty.
    pub(crate) async fn create(
        database: &str,
        connections: NonZeroU32,
        counterparties: NonZeroU32,
    ) -> Result<Self, Failure> {
        let pool = pool(database, connections.get()).await?;
        // The jobs need cala's schema, and `CalaLedger::init` the jobs.
        let mut jobs = Jobs::init(JobSvcConfig::builder().pool(pool.clone()).build()?).await?;
        let config = CalaLedgerConfig::builder()
            .pool(pool)
            .exec_migrations(true)
            .build()?;
        let cala = CalaLedger::init(config, &mut jobs).await?;
        let journal = JournalId::new();
        cala.journals()
            .create(NewJournal::builder().id(journal).name("Bench").build())
            .await?;
        // Locks are taken in the order of account ids, and ids grow: as the first account the
        // hot one is locked first, so that who waits for it holds no other.
        let hot = AccountId::new();
        cala.accounts().create(account(hot, "hot")).await?;
        let counterparties: Vec<_> = (0..counterparties.get())
            .map(|_| AccountId::new())
            .collect();
        for chunk in counterparties.chunks(ACCOUNTS_A_CALL) {
            let accounts = chunk.iter().map(|id| account(*id, &id.to_string()));
            cala.accounts().create_all(accounts.collect()).await?;
        }
        cala.tx_templates().create(template(journal, hot)?).await?;
        Ok(Self {
            cala,
            journal,
            hot,
            counterparties,
            _jobs: jobs,
        })
    }

    /// Posts one, in a database transaction of its own.
    ///
    /// # Errors
    ///
    /// cala-ledger refused it, or the database failed.
    pub(crate) async fn post(&self, posting: u32) -> Result<(), Failure> {
        let params = self.params(posting)?;
        self.cala
            .post_transaction(TransactionId::new(), TEMPLATE, params)
            .await?;
        Ok(())
    }

    /// Posts many, in one database transaction.
    ///
    /// # Errors
    ///
    /// cala-ledger refused one of them, or the database failed; none is posted then.
    pub(crate) async fn post_batch(
        &self,
        postings: impl Iterator<Item = u32>,
    ) -> Result<(), Failure> {
        let batch = postings
            .map(|posting| {
                let params = self.params(posting)?;
                Ok(PostingInput::new(TransactionId::new(), TEMPLATE, params))
            })
            .collect::<Result<_, Failure>>()?;
        self.cala.post_transactions(batch).await?;
        Ok(())
    }

    /// # Errors
    ///
    /// The hot account's balance is not that of so many postings.
    pub(crate) async fn must_hold(&self, postings: u32) -> Result<(), Failure> {
        let currency: Currency = CURRENCY.parse()?;
        let balance = self
            .cala
            .balances()
            .find(self.journal, self.hot, currency)
            .await?;
        let (found, expected) = (
            balance.details.settled.dr_balance - balance.details.settled.cr_balance,
            Decimal::from(postings) * Decimal::from(AMOUNT),
        );
        if found != expected {
            return Err(format!(
                "the hot account stands at {found} after {postings} postings of {AMOUNT}: \
                 {expected} was expected"
            )
            .into());
        }
        Ok(())
    }

    fn params(&self, posting: u32) -> Result<Params, Failure> {
        let turn = usize::try_from(posting)? % self.counterparties.len();
        let counterparty = self.counterparties.get(turn).ok_or("no counterparty")?;
        let mut params = Params::new();
        params.insert("counterparty", *counterparty);
        params.insert("external_id", format!("bench-{posting}"));
        Ok(params)
    }
}

/// A pool with its connections open, so that none is opened while it is measured.
async fn pool(database: &str, connections: u32) -> Result<PgPool, Failure> {
    Ok(PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        // More tasks than connections wait for their turn; that is no failure.
        .acquire_timeout(Duration::from_secs(600))
        .connect(database)
        .await?)
}

fn account(id: AccountId, code: &str) -> NewAccount {
    NewAccount::builder().id(id).code(code).name(code).build()
}

fn template(journal: JournalId, hot: AccountId) -> Result<NewTxTemplate, Failure> {
    let param = |name: &str, kind| {
        NewParamDefinition::builder()
            .name(name)
            .r#type(kind)
            .build()
    };
    let entry = |direction: &str, account: String| {
        NewTxTemplateEntry::builder()
            .entry_type(format!("'BENCH_{direction}'"))
            .account_id(account)
            .layer("SETTLED")
            .direction(direction)
            .units(format!("decimal('{AMOUNT}')"))
            .currency(format!("'{CURRENCY}'"))
            .build()
    };
    Ok(NewTxTemplate::builder()
        .id(TxTemplateId::new())
        .code(TEMPLATE)
        .params(vec![
            param("counterparty", ParamDataType::Uuid)?,
            param("external_id", ParamDataType::String)?,
        ])
        .transaction(
            NewTxTemplateTransaction::builder()
                .effective("date()")
                .journal_id(format!("uuid('{journal}')"))
                .external_id("params.external_id")
                .build()?,
        )
        .entries(vec![
            entry("DEBIT", format!("uuid('{hot}')"))?,
            entry("CREDIT", "params.counterparty".to_owned())?,
        ])
        .build())
}
