//! What the service acknowledged, against what its ledger then says.

use crate::{
    cli::{
        Failure,
        client::{Clients, present},
    },
    grpc::pb,
    money::{Amount, Currency},
};

/// The sums that both sides know: of acknowledged calls, and of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Journal entries.
    pub entries: i64,
    /// 1000, the provider's balance, in the currency's smallest unit.
    pub provider: i64,
    /// 2100, share application money, in the smallest unit.
    pub held: i64,
    /// 2200, refunds payable, in the smallest unit.
    pub refundable: i64,
}

impl Books {
    /// Reads the ledger's side.
    pub(super) async fn read(
        clients: &Clients,
        campaign: &str,
        currency: Currency,
    ) -> Result<Self, Failure> {
        let request = pb::GetCoverageRequest {
            campaign: campaign.to_owned(),
            entry_number: 0,
        };
        let drawn = clients.reports().get_coverage(request).await?.into_inner();
        let mut books = Self {
            entries: present(drawn.head, "head")?.entry_number,
            ..Self::default()
        };
        for row in &drawn.rows {
            let amount = units(row.amount.as_ref(), currency)?;
            match row.code.as_str() {
                "1000" => books.provider = amount,
                "2100" => books.held = amount,
                "2200" => books.refundable = amount,
                code if amount != 0 => {
                    return Err(format!("account {code} has moved, and no call moved it").into());
                }
                _ => {}
            }
        }
        Ok(books)
    }

    /// Takes a payment in, as its answer told it.
    pub(super) fn payment(&mut self, gross: i64, held: i64, refundable: i64) {
        self.entries += 1;
        self.provider += gross;
        self.held += held;
        self.refundable += refundable;
    }

    /// Takes a fee in.
    pub(super) fn fee(&mut self, fee: i64) {
        self.entries += 1;
        self.provider -= fee;
    }
}

/// An amount of an answer in the smallest unit.
pub(super) fn units(money: Option<&pb::Money>, currency: Currency) -> Result<i64, Failure> {
    let money = money.ok_or("an answer came without its amount")?;
    Ok(Amount::parse(&money.amount, currency)?.units())
}
