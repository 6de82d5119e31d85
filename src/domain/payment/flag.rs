//! An announced dispute: an inquiry moves no money, and keeps it where it is.

use super::PaymentState;
use crate::{
    domain::{Decision, Put, Rejection, World, payment::Payment},
    id::PaymentId,
};

/// Flags a payment, or takes the flag away. Refused where there is nothing to keep: what
/// is allotted, sent back, or promised to a refund has its own ways.
pub(in crate::domain) fn flag(
    world: &World,
    id: PaymentId,
    flagged: bool,
    reason: &str,
) -> Result<Decision, Rejection> {
    world.campaign()?;
    let payment = world.payment(id)?;
    if payment.flagged == flagged {
        let already = if flagged {
            "it is flagged already"
        } else {
            "it is not flagged"
        };
        return Err(payment.refuse(already));
    }
    if flagged && (payment.state != PaymentState::Succeeded || !payment.free().is_positive()) {
        return Err(payment.refuse("none of its money is free to be kept"));
    }
    let flagged = Payment {
        flagged,
        ..payment.clone()
    };
    Ok(Decision::of([Put::Payment(flagged)]).because(reason))
}
