//! Campaigns: their terms and their life.
//!
//! | file | is about |
//! |---|---|
//! | `stage` | the stages, and what leads from one to the next |
//! | `ending` | how it ends: what each of the later steps asks for |

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Decision, Put, Refusal, Rejection, World, payment::MoneyAccount, posting, share::ShareClass,
};
use crate::{
    id::{CampaignId, ShareClassId},
    money::{Amount, Currency},
};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// The word that the database keeps.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value of a word.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(super) use words;

mod ending;
mod stage;

pub use ending::{Cleared, Paid, Purchase};
pub(super) use ending::{complete_purchase, conclude, suspend};
pub use stage::{Stage, StageEvent};

words! {
    /// Who bears the fees when a campaign fails.
    FeeBearer {
        /// Not decided.
        Undecided = "undecided",
        /// An underwriter.
        Underwriter = "underwriter",
        /// Members, as a disclosed charge.
        MembersDisclosed = "members_disclosed",
    }
}

/// Terms as a caller proposes them; amounts in the campaign's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsDraft {
    /// The currency that the caller named, the same in all three amounts.
    pub currency: Currency,
    /// The terms; the version is not looked at.
    pub terms: Terms,
}

/// The terms of the offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// From 1.
    pub version: i32,
    /// What the purchase is expected to cost.
    pub target: Amount,
    /// The least with which it goes ahead.
    pub minimum: Amount,
    /// The most that is accepted.
    pub maximum: Amount,
    /// When pledging and paying end.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// The least number of paying members, 0 for none.
    pub minimum_members: i32,
    /// Who bears the fees of a failure.
    pub fee_bearer: FeeBearer,
    /// The underwriter, or the charge as disclosed.
    pub fee_bearer_note: String,
    /// Days from available to cleared: cards and wallets.
    pub card_clearing_days: i32,
    /// Days from available to cleared: direct debits.
    pub direct_debit_clearing_days: i32,
    /// Days from available to cleared: bank transfers.
    pub bank_transfer_clearing_days: i32,
}

/// Two years: longer than any scheme lets a payer take money back.
const MOST_CLEARING_DAYS: i32 = 730;

impl Terms {
    fn check(&self, now: OffsetDateTime) -> Result<(), Refusal> {
        let contradictory = |problem: &str| {
            Err(Refusal::TermsContradictory {
                problem: problem.to_owned(),
            })
        };
        if !self.minimum.is_positive() {
            return contradictory("the minimum must be more than nothing");
        }
        if self.minimum > self.target {
            return contradictory("the minimum is more than the target");
        }
        if self.target > self.maximum {
            return contradictory("the target is more than the maximum");
        }
        if self.minimum_members < 0 {
            return contradictory("the headcount minimum is negative");
        }
        let days = [
            self.card_clearing_days,
            self.direct_debit_clearing_days,
            self.bank_transfer_clearing_days,
        ];
        if days
            .iter()
            .any(|days| !(0..=MOST_CLEARING_DAYS).contains(days))
        {
            return contradictory("clearing takes from 0 to 730 days");
        }
        if self.deadline <= now {
            return Err(Refusal::DeadlinePassed {
                deadline: self.deadline,
            });
        }
        Ok(())
    }
}

/// One acquisition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What it is called in public.
    pub display_name: String,
    /// What is to be bought, and why.
    pub description: String,
    /// Its one currency.
    pub currency: Currency,
    /// Where it is in its life.
    pub stage: Stage,
    /// The stage to which it goes back, while it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_from: Option<Stage>,
    /// The terms in force.
    pub terms: Terms,
    /// Its share classes, in the order of their ids.
    pub share_classes: Vec<ShareClass>,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it first took money.
    #[serde(with = "time::serde::rfc3339::option")]
    pub opened_at: Option<OffsetDateTime>,
    /// The change that last touched it.
    pub changed_by: i64,
    /// Its provider and bank accounts; not part of what its history keeps.
    #[serde(skip)]
    pub money_accounts: Vec<MoneyAccount>,
}

impl Campaign {
    /// The class of an id.
    #[must_use]
    pub fn share_class(&self, id: ShareClassId) -> Option<&ShareClass> {
        self.share_classes.iter().find(|class| class.id == id)
    }

    /// The most that one member may hold, in money: the maxima of all classes
    /// together (domain.md §5, invariant 8). Nothing when a class has none, or
    /// when there are no classes.
    #[must_use]
    pub fn member_cap(&self) -> Option<Amount> {
        if self.share_classes.is_empty() {
            return None;
        }
        let most = |class: &ShareClass| {
            (class.maximum_per_member > 0)
                .then(|| class.price.checked_mul(class.maximum_per_member))
                .flatten()
        };
        let maxima: Option<Vec<Amount>> = self.share_classes.iter().map(most).collect();
        maxima.map(|maxima| maxima.into_iter().sum())
    }

    /// The stage by which arriving money is taken: that of a suspended campaign is the
    /// one it goes back to.
    #[must_use]
    pub fn taking_stage(&self) -> Stage {
        self.suspended_from.unwrap_or(self.stage)
    }

    /// True while money becomes application money.
    pub(super) fn takes_money(&self) -> bool {
        self.taking_stage().takes_money()
    }

    /// True once nothing can be pledged or paid any more: what is promised runs out.
    #[must_use]
    pub fn offer_is_over(&self) -> bool {
        let stage = self.taking_stage();
        !stage.is_before_open() && !stage.takes_money()
    }

    /// The class of money that names none: the only one there is.
    #[must_use]
    pub fn only_class(&self) -> Option<ShareClassId> {
        match self.share_classes.as_slice() {
            [class] => Some(class.id),
            _ => None,
        }
    }

    pub(super) fn must_be(&self, currency: Currency) -> Result<(), Refusal> {
        if currency == self.currency {
            Ok(())
        } else {
            Err(Refusal::CurrencyMismatch {
                given: currency,
                expected: self.currency,
            })
        }
    }

    pub(super) fn refuse(&self, problem: &str) -> Refusal {
        Refusal::CampaignStage {
            stage: self.stage,
            problem: problem.to_owned(),
        }
    }

    pub(super) fn must_take_signatures(&self) -> Result<(), Refusal> {
        match self.stage.takes_signatures() {
            true => Ok(()),
            false => Err(self.refuse("it takes no signatures")),
        }
    }

    pub(super) fn must_take_pledges(&self, now: OffsetDateTime) -> Result<(), Refusal> {
        if !self.stage.takes_pledges() {
            return Err(self.refuse("it takes no pledges"));
        }
        if self.terms.deadline <= now {
            return Err(Refusal::DeadlinePassed {
                deadline: self.terms.deadline,
            });
        }
        Ok(())
    }

    pub(super) fn must_have_opened(&self) -> Result<(), Refusal> {
        match self.opened_at {
            Some(_) => Ok(()),
            None => Err(self.refuse("it has never opened, so it takes no money")),
        }
    }

    fn must_be_before_open(&self, problem: &str) -> Result<(), Refusal> {
        match self.stage.is_before_open() {
            true => Ok(()),
            false => Err(self.refuse(problem)),
        }
    }
}

pub(super) fn create(
    world: &World,
    display_name: &str,
    description: &str,
    currency: Currency,
    draft: &TermsDraft,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    if world.campaign.is_some() {
        return Err(Refusal::AlreadyExists {
            what: "the campaign".to_owned(),
        }
        .into());
    }
    let campaign = Campaign {
        id: world.id,
        display_name: display_name.to_owned(),
        description: description.to_owned(),
        currency,
        stage: Stage::Draft,
        suspended_from: None,
        terms: Terms {
            version: 1,
            ..draft.terms.clone()
        },
        share_classes: Vec::new(),
        created_at: now,
        opened_at: None,
        changed_by: world.next_change(),
        money_accounts: Vec::new(),
    };
    campaign.must_be(draft.currency)?;
    campaign.terms.check(now)?;
    Ok(Decision::of([
        Put::Campaign(campaign.clone()),
        Put::Terms(campaign.terms),
    ]))
}

pub(super) fn update(
    world: &World,
    display_name: Option<&String>,
    description: Option<&String>,
    expected_change: Option<i64>,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    if expected_change.is_some_and(|expected| expected != campaign.changed_by) {
        return Err(Refusal::EtagMismatch {
            current: campaign.changed_by.to_string(),
        }
        .into());
    }
    let mut updated = campaign.clone();
    updated.display_name = display_name.unwrap_or(&campaign.display_name).clone();
    updated.description = description.unwrap_or(&campaign.description).clone();
    updated.changed_by = world.next_change();
    Ok(Decision::of([Put::Campaign(updated)]))
}

pub(super) fn revise_terms(
    world: &World,
    draft: &TermsDraft,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_be_before_open("its terms stand")?;
    campaign.must_be(draft.currency)?;
    draft.terms.check(now)?;
    let mut revised = campaign.clone();
    revised.terms = Terms {
        version: campaign.terms.version + 1,
        ..draft.terms.clone()
    };
    revised.changed_by = world.next_change();
    let terms = revised.terms.clone();
    Ok(Decision::of([Put::Campaign(revised), Put::Terms(terms)]).because(reason))
}

pub(super) fn add_share_class(
    world: &World,
    class: &ShareClass,
    currency: Currency,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_be_before_open("its share classes stand")?;
    campaign.must_be(currency)?;
    class.check()?;
    let same_name = |other: &&ShareClass| other.display_name == class.display_name;
    if campaign.share_classes.iter().find(same_name).is_some() {
        return Err(Refusal::AlreadyExists {
            what: format!("a share class \"{}\"", class.display_name),
        }
        .into());
    }
    let mut extended = campaign.clone();
    extended.share_classes.push(class.clone());
    extended.share_classes.sort_by_key(|class| class.id);
    extended.changed_by = world.next_change();
    let entry = posting::shares_authorised(class, now)?;
    Ok(Decision::of([Put::Campaign(extended), Put::ShareClass(class.clone())]).posting(entry))
}

pub(super) fn move_along(
    world: &World,
    event: StageEvent,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let stage = campaign
        .stage
        .next(event)
        .ok_or_else(|| campaign.refuse(&format!("{event:?} is not its next step")))?;
    ending::must_allow(world, event, now)?;
    let mut moved = campaign.clone();
    moved.stage = stage;
    moved.changed_by = world.next_change();
    if stage == Stage::Open {
        if campaign.terms.fee_bearer == FeeBearer::Undecided {
            return Err(Refusal::FeeBearerRequired.into());
        }
        if campaign.terms.deadline <= now {
            return Err(Refusal::DeadlinePassed {
                deadline: campaign.terms.deadline,
            }
            .into());
        }
        moved.opened_at = Some(now);
    }
    Ok(Decision::of([Put::Campaign(moved)]).because(reason))
}
