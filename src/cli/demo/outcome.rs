//! What has come of a campaign: who holds which shares, what went back to whom.

use std::{cmp::Reverse, collections::HashMap};

use super::{campaign::Playing, inbox::ONE_PAGE, offer::Ending};
use crate::{
    cli::{
        Failure,
        client::{amount_of, present},
        print,
        tables::{Sheet, grouped, words},
    },
    grpc::pb,
    money::Amount,
};

/// So much of a long list is shown.
const SHOWN: usize = 8;

impl Playing {
    /// All lots, the largest first.
    pub(super) async fn lots(&self) -> Result<Vec<pb::Lot>, Failure> {
        let request = pb::ListLotsRequest {
            campaign: self.name.clone(),
            page_size: ONE_PAGE,
            ..Default::default()
        };
        let listed = self.clients.shares().list_lots(request).await?;
        let mut lots = listed.into_inner().lots;
        lots.sort_by_key(|lot| (Reverse(lot.units), lot.certificate));
        Ok(lots)
    }

    /// What people are called, by member.
    fn names(&self) -> HashMap<&str, &str> {
        let members = self.known.members.iter();
        members
            .filter_map(|(person, member)| {
                let person = self.plan.people.get(*person)?;
                Some((member.as_str(), person.name.as_str()))
            })
            .collect()
    }

    fn units(&self, units: i64) -> String {
        self.told(Amount::of_units(units))
    }
}

/// Prints what came of a campaign.
pub(super) async fn say(playing: &Playing) -> Result<(), Failure> {
    match playing.plan.offer.ending {
        Ending::Bought { .. } => share_register(playing).await,
        Ending::PaidBack { .. } => refund_run(playing).await,
    }
}

fn more(shown: usize, of: usize, what: &str) {
    if of > shown {
        print(format_args!("… and {} more {what}.\n", of - shown));
    }
}

async fn share_register(playing: &Playing) -> Result<(), Failure> {
    let (lots, names) = (playing.lots().await?, playing.names());
    let share = &playing.plan.offer.share;
    print(format_args!(
        "SHARE REGISTER, the largest first · {} · {}\n",
        playing.plan.offer.title, share.title
    ));
    let mut sheet = Sheet::new(&[">Certificate", "Member", ">Shares", ">Nominal", ">Paid in"]);
    for lot in lots.iter().take(SHOWN) {
        let name = names.get(lot.member.as_str()).copied();
        sheet.row([
            lot.certificate.to_string(),
            name.unwrap_or(&lot.member).to_owned(),
            grouped(&lot.units.to_string()),
            playing.units(lot.units * share.nominal),
            playing.units(lot.units * share.price),
        ]);
    }
    let all: i64 = lots.iter().map(|lot| lot.units).sum();
    sheet.row([
        String::new(),
        format!("= {} certificates", lots.len()),
        grouped(&all.to_string()),
        playing.units(all * share.nominal),
        playing.units(all * share.price),
    ]);
    sheet.print();
    more(SHOWN, lots.len(), "certificates");
    Ok(())
}

/// An item of a refund run, with the refund that it made.
struct Sent {
    amount: Amount,
    who: String,
    rail: &'static str,
    refund: pb::Refund,
}

async fn refund_run(playing: &Playing) -> Result<(), Failure> {
    let run = playing.known.refund_run.clone();
    let run = run.ok_or("nothing was refunded")?;
    let mut sent = sent(playing, &run).await?;
    // By what everybody can see, since ids are others in every run.
    sent.sort_by(|a, b| {
        let key = |of: &Sent| (Reverse((of.refund.attempt, of.amount)), of.who.clone());
        key(a).cmp(&key(b))
    });
    print(format_args!(
        "REFUND RUN, the troublesome and the largest first · {}\n",
        playing.plan.offer.title
    ));
    let mut sheet = Sheet::new(&[
        "Member",
        ">Amount",
        "Rail",
        ">Attempt",
        "State",
        "Came back",
    ]);
    for item in sent.iter().take(SHOWN) {
        sheet.row([
            item.who.clone(),
            playing.told(item.amount),
            item.rail.to_owned(),
            item.refund.attempt.to_string(),
            words(item.refund.state().as_str_name(), "REFUND_STATE_"),
            item.refund.failure_code.clone(),
        ]);
    }
    sheet.print();
    more(SHOWN, sent.len(), "refunds");
    let of = |rail| {
        let amounts = sent.iter().filter(|item| item.rail == rail);
        let amounts: Vec<Amount> = amounts.map(|item| item.amount).collect();
        let count = amounts.len();
        format!(
            "{count} by {rail}, {}",
            playing.told(amounts.into_iter().sum())
        )
    };
    let all: Amount = sent.iter().map(|item| item.amount).sum();
    print(format_args!(
        "{} refunds, {} {}: {}; {}.\n",
        sent.len(),
        playing.plan.currency(),
        playing.told(all),
        of(PROVIDER),
        of(BANK),
    ));
    Ok(())
}

const PROVIDER: &str = "provider";
const BANK: &str = "bank";

/// The items of a run, each with its refund.
async fn sent(playing: &Playing, run: &str) -> Result<Vec<Sent>, Failure> {
    let request = pb::ListRefundsRequest {
        campaign: playing.name.clone(),
        page_size: ONE_PAGE,
        ..Default::default()
    };
    let refunds = playing.clients.refunds().list_refunds(request).await?;
    let refunds = refunds.into_inner().refunds.into_iter();
    let mut by_payment: HashMap<String, pb::Refund> = refunds
        .filter(|refund| refund.run == run)
        .map(|refund| (refund.payment.clone(), refund))
        .collect();
    let names = playing.names();
    let sent = playing.items(run).await?.into_iter().map(|item| {
        let refund = present(by_payment.remove(&item.payment), "refund")?;
        let who = names.get(item.member.as_str()).copied();
        Ok(Sent {
            amount: amount_of(&present(item.amount, "amount")?)?,
            who: who.unwrap_or("(nobody that is known)").to_owned(),
            rail: if refund.money_account == playing.bank_account {
                BANK
            } else {
                PROVIDER
            },
            refund,
        })
    });
    sent.collect()
}
