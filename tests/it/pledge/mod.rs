//! Pledges: promises in the memo book, their bounds and their ends.

mod change;
mod end;
mod promise;

use pledgebook::grpc::pb::{self, PledgeState};

/// State, promise, paid and outstanding.
fn stands(pledge: &pb::Pledge) -> (PledgeState, String) {
    let amounts = [&pledge.amount, &pledge.paid, &pledge.outstanding];
    let amounts = amounts.map(|money| money.as_ref().unwrap().amount.as_str());
    (pledge.state(), amounts.join(" "))
}
