//! A small model of a campaign's money, written from domain.md §4 alone: no
//! accounts, no database, no code of the service. It says what each command must
//! be answered with when the commands come in a given order.

use std::collections::{BTreeMap, HashMap};

/// What a client asked, with the names that the service gave to what it made.
#[derive(Clone, Debug)]
pub enum Asked {
    Pledge {
        member: usize,
        amount: i64,
    },
    Amend {
        pledge: usize,
        amount: i64,
    },
    Cancel {
        pledge: usize,
    },
    Pay {
        object: usize,
        payer: Payer,
        amount: i64,
        bank: bool,
    },
    Fee {
        object: usize,
        movement: usize,
        amount: i64,
    },
    Fail {
        object: usize,
        amount: i64,
    },
    Match {
        object: usize,
        bank: bool,
        payer: Payer,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Payer {
    Pledge(usize),
    Member(usize),
    Nobody,
}

/// What the answer says, as text: equal for the service and the model.
pub type Said = String;

#[derive(Clone, Debug)]
struct Pledge {
    member: usize,
    amount: i64,
    paid: i64,
    closed: bool,
    errored: bool,
}

#[derive(Clone, Debug, Default)]
struct Payment {
    gross: i64,
    held: i64,
    refundable: i64,
    unallocated: i64,
    fee: Option<i64>,
    pledge: Option<usize>,
    lost: bool,
}

/// The campaign's maximum, in cents.
pub const MAXIMUM: i64 = 400_000;

/// The model. Pledges are known by the number that the client gave them; one
/// whose creation comes later in the order does not exist yet.
#[derive(Debug, Default)]
pub struct Model {
    pledges: HashMap<usize, Pledge>,
    payments: BTreeMap<(bool, usize), Payment>,
    fees: HashMap<usize, i64>,
    failed: HashMap<usize, bool>,
}

fn refused(reason: &str) -> Said {
    format!("refused {reason}")
}

impl Model {
    pub fn held(&self) -> i64 {
        self.payments.values().map(|payment| payment.held).sum()
    }

    pub fn refundable(&self) -> i64 {
        self.payments
            .values()
            .map(|payment| payment.refundable)
            .sum()
    }

    pub fn unallocated(&self) -> i64 {
        self.payments
            .values()
            .map(|payment| payment.unallocated)
            .sum()
    }

    pub fn outstanding(&self) -> i64 {
        let open = self.pledges.values().filter(|pledge| !pledge.closed);
        open.map(|pledge| pledge.amount - pledge.paid).sum()
    }

    /// What the command must be answered with; `number` is the client's for what it creates.
    pub fn answer(&mut self, number: usize, asked: &Asked) -> Said {
        match *asked {
            Asked::Pledge { member, amount } => {
                let pledge = Pledge {
                    member,
                    amount,
                    paid: 0,
                    closed: false,
                    errored: false,
                };
                self.pledges.insert(number, pledge);
                self.say_pledge(number)
            }
            Asked::Amend { pledge, amount } => {
                let Some(found) = self.pledges.get_mut(&pledge) else {
                    return refused("NOT_FOUND");
                };
                if found.closed || amount < found.paid {
                    return refused("PLEDGE_STATE");
                }
                if amount == found.amount {
                    return refused("INVALID_FIELD");
                }
                found.amount = amount;
                self.say_pledge(pledge)
            }
            Asked::Cancel { pledge } => {
                let Some(found) = self.pledges.get_mut(&pledge) else {
                    return refused("NOT_FOUND");
                };
                if found.closed || found.paid > 0 {
                    return refused("PLEDGE_STATE");
                }
                found.closed = true;
                format!("{} closed", self.say_pledge(pledge))
            }
            Asked::Pay {
                object,
                payer,
                amount,
                bank,
            } => self.pay((bank, object), payer, amount),
            Asked::Fee {
                object,
                movement,
                amount,
            } => self.fee(object, movement, amount),
            Asked::Fail { object, amount } => self.fail(object, amount),
            Asked::Match {
                object,
                bank,
                payer,
            } => {
                let Some(payment) = self.payments.get(&(bank, object)) else {
                    return refused("NOT_FOUND");
                };
                let amount = payment.unallocated;
                if amount == 0 {
                    return refused("PAYMENT_STATE");
                }
                let payment = Payment {
                    unallocated: 0,
                    ..payment.clone()
                };
                self.allocate((bank, object), payment, payer, amount)
            }
        }
    }

    fn pay(&mut self, object: (bool, usize), payer: Payer, amount: i64) -> Said {
        if let Some(payment) = self.payments.get(&object) {
            if payment.gross != amount {
                return refused("MOVEMENT_DIFFERS");
            }
            return "before".to_owned();
        }
        if self.failed.contains_key(&object.1) && !object.0 {
            // A failed attempt may still succeed.
            self.failed.insert(object.1, false);
        }
        let payment = Payment {
            gross: amount,
            ..Payment::default()
        };
        self.allocate(object, payment, payer, amount)
    }

    fn allocate(
        &mut self,
        object: (bool, usize),
        mut payment: Payment,
        payer: Payer,
        amount: i64,
    ) -> Said {
        let room = MAXIMUM - self.held();
        let taken = match payer {
            Payer::Nobody => {
                payment.unallocated = amount;
                self.payments.insert(object, payment);
                return self.say_payment(object);
            }
            Payer::Member(_) => amount.min(room),
            Payer::Pledge(number) => {
                let Some(pledge) = self.pledges.get_mut(&number) else {
                    return refused("NOT_FOUND");
                };
                payment.pledge = Some(number);
                let outstanding = if pledge.closed {
                    0
                } else {
                    pledge.amount - pledge.paid
                };
                let taken = amount.min(room).min(outstanding);
                pledge.paid += taken;
                if taken > 0 {
                    pledge.errored = false;
                }
                taken
            }
        };
        payment.held = taken;
        payment.refundable = amount - taken;
        self.payments.insert(object, payment);
        self.say_payment(object)
    }

    fn fee(&mut self, object: usize, movement: usize, amount: i64) -> Said {
        let Some(payment) = self.payments.get_mut(&(false, object)) else {
            return refused("NOT_FOUND");
        };
        if let Some(charged) = self.fees.get(&movement) {
            return if *charged == amount {
                "before".to_owned()
            } else {
                refused("MOVEMENT_DIFFERS")
            };
        }
        self.fees.insert(movement, amount);
        payment.fee = Some(payment.fee.unwrap_or(0) + amount);
        self.say_payment((false, object))
    }

    fn fail(&mut self, object: usize, amount: i64) -> Said {
        match self.payments.get_mut(&(false, object)) {
            None => match self.failed.get(&object) {
                Some(_) => "before".to_owned(),
                None => {
                    self.failed.insert(object, true);
                    "failed".to_owned()
                }
            },
            Some(payment) if payment.lost => "before".to_owned(),
            Some(payment) if payment.gross != amount => refused("MOVEMENT_DIFFERS"),
            Some(payment) => {
                payment.lost = true;
                let held = std::mem::take(&mut payment.held);
                payment.refundable = 0;
                payment.unallocated = 0;
                if let Some(pledge) = payment.pledge.and_then(|p| self.pledges.get_mut(&p)) {
                    pledge.paid -= held;
                    pledge.errored = !pledge.closed && pledge.paid == 0 && held > 0;
                }
                self.say_payment((false, object))
            }
        }
    }

    fn say_pledge(&self, number: usize) -> Said {
        let pledge = &self.pledges[&number];
        let _ = (pledge.member, pledge.errored);
        format!("pledge {} paid {}", pledge.amount, pledge.paid)
    }

    fn say_payment(&self, object: (bool, usize)) -> Said {
        let payment = &self.payments[&object];
        let fee = payment
            .fee
            .map_or_else(|| "-".to_owned(), |fee| fee.to_string());
        format!(
            "payment {} held {} refundable {} unallocated {} fee {fee}",
            payment.gross, payment.held, payment.refundable, payment.unallocated
        )
    }
}
