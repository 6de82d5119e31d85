//! Accounts at providers and banks.

use crate::{
    app::Written,
    domain::{
        Action, Snapshot,
        payment::{Channel, MoneyAccount},
    },
    grpc::{
        Api, ApiError, Call,
        fields::{name, outside_id, slug, wire},
        pb,
    },
    id::{CampaignId, MoneyAccountId},
};

pub(super) fn money_account_of(campaign: CampaignId, account: &MoneyAccount) -> pb::MoneyAccount {
    pb::MoneyAccount {
        name: name(campaign, "moneyAccounts", account.id),
        kind: wire(
            pb::MoneyAccountKind::from_str_name,
            "MONEY_ACCOUNT_KIND_",
            account.channel.word(),
        ),
        institution: account.institution.clone(),
        external_id: account.external_id.clone(),
        currency_code: account.currency.code().to_owned(),
        livemode: account.livemode,
    }
}

pub(super) fn written_account(campaign: CampaignId, written: &Written) -> Option<pb::MoneyAccount> {
    written
        .answer
        .snapshots
        .iter()
        .find_map(|snapshot| match snapshot {
            Snapshot::MoneyAccount(account) => Some(money_account_of(campaign, account)),
            _ => None,
        })
}

impl Api {
    /// Reads what asks for an account.
    pub(super) async fn registration(
        &self,
        call: &Call,
        channel: Channel,
        campaign: &str,
        institution: &str,
        external_id: &str,
        livemode: bool,
    ) -> Result<(CampaignId, Action), ApiError> {
        let campaign = call.campaign("campaign", campaign)?;
        let account = MoneyAccount {
            id: MoneyAccountId::mint(),
            channel,
            institution: slug("institution", institution)?,
            external_id: outside_id("external_id", external_id)?,
            currency: self.app.currency(campaign).await?,
            livemode,
        };
        Ok((campaign, Action::RegisterMoneyAccount { account }))
    }
}
