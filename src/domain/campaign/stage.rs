//! A campaign's stages, and what moves it from one to the next (domain.md §2).

use serde::{Deserialize, Serialize};

words! {
    /// Where a campaign is in its life.
    Stage {
        /// Being written.
        Draft = "draft",
        /// Takes signatures.
        Gathering = "gathering",
        /// Takes signatures and pledges.
        Pledging = "pledging",
        /// Takes signatures, pledges and money.
        Open = "open",
        /// Takes the money that is still on its way, and nothing new.
        Closing = "closing",
        /// Enough has cleared, from enough members.
        Succeeded = "succeeded",
        /// The purchase is being made.
        Completing = "completing",
        /// The thing is bought; shares are being allotted.
        Acquired = "acquired",
        /// All application money is shares or refundable.
        Allotted = "allotted",
        /// Too little was paid, or by too few.
        Failed = "failed",
        /// Given up.
        Cancelled = "cancelled",
        /// Enough was paid, and the purchase was lost.
        AcquisitionFailed = "acquisition_failed",
        /// Everybody's money is going back.
        Refunding = "refunding",
        /// Everybody's money has gone back, or came back from there.
        Refunded = "refunded",
        /// Over.
        Closed = "closed",
        /// Stopped for a while; it goes back to the stage that it came from.
        Suspended = "suspended",
    }
}

/// What moves a campaign along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageEvent {
    /// Signatures from now on.
    StartGathering,
    /// Pledges from now on.
    StartPledging,
    /// Money from now on.
    Open,
    /// Nothing new from now on.
    Close,
    /// Enough has cleared.
    Succeed,
    /// Enough will not clear.
    Fail,
    /// The purchase begins.
    StartCompleting,
    /// The purchase is made.
    Acquire,
    /// The purchase is lost.
    LoseAcquisition,
    /// All application money is shares or refundable.
    FinishAllotment,
    /// Given up.
    Cancel,
    /// The money goes back from now on.
    StartRefunding,
    /// The money has gone back.
    FinishRefunding,
    /// Nothing is left to be done.
    Archive,
}

impl Stage {
    /// The stage after an event; nothing when the event is not allowed here.
    /// Suspending and resuming are no steps: see `suspend`.
    #[must_use]
    pub const fn next(self, event: StageEvent) -> Option<Self> {
        use StageEvent as E;
        match (self, event) {
            (Self::Draft, E::StartGathering) => Some(Self::Gathering),
            (Self::Gathering, E::StartPledging) => Some(Self::Pledging),
            (Self::Pledging, E::Open) => Some(Self::Open),
            (Self::Open, E::Close) => Some(Self::Closing),
            (Self::Closing, E::Succeed) => Some(Self::Succeeded),
            (Self::Closing, E::Fail) => Some(Self::Failed),
            (Self::Succeeded, E::StartCompleting) => Some(Self::Completing),
            (Self::Completing, E::Acquire) => Some(Self::Acquired),
            (Self::Acquired, E::FinishAllotment) => Some(Self::Allotted),
            (Self::Allotted | Self::Refunded, E::Archive) => Some(Self::Closed),
            (Self::Refunding, E::FinishRefunding) => Some(Self::Refunded),
            (
                Self::Draft | Self::Gathering | Self::Pledging | Self::Open | Self::Closing,
                E::Cancel,
            ) => Some(Self::Cancelled),
            (Self::Succeeded | Self::Completing, E::LoseAcquisition) => {
                Some(Self::AcquisitionFailed)
            }
            (Self::Failed | Self::Cancelled | Self::AcquisitionFailed, E::StartRefunding) => {
                Some(Self::Refunding)
            }
            (
                Self::Draft,
                E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Gathering,
                E::StartGathering
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Pledging,
                E::StartGathering
                | E::StartPledging
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Open,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Closing,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Succeeded,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::Acquire
                | E::FinishAllotment
                | E::Cancel
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Completing,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::FinishAllotment
                | E::Cancel
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Acquired,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::Cancel
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Allotted | Self::Refunded,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::Cancel
                | E::StartRefunding
                | E::FinishRefunding,
            )
            | (
                Self::Failed | Self::Cancelled | Self::AcquisitionFailed,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::Cancel
                | E::FinishRefunding
                | E::Archive,
            )
            | (
                Self::Refunding,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::Cancel
                | E::StartRefunding
                | E::Archive,
            )
            | (
                Self::Closed | Self::Suspended,
                E::StartGathering
                | E::StartPledging
                | E::Open
                | E::Close
                | E::Succeed
                | E::Fail
                | E::StartCompleting
                | E::Acquire
                | E::LoseAcquisition
                | E::FinishAllotment
                | E::Cancel
                | E::StartRefunding
                | E::FinishRefunding
                | E::Archive,
            ) => None,
        }
    }

    /// True for the stages that can be suspended: those in which something goes on.
    #[must_use]
    pub const fn is_active(self) -> bool {
        match self {
            Self::Gathering
            | Self::Pledging
            | Self::Open
            | Self::Closing
            | Self::Succeeded
            | Self::Completing
            | Self::Acquired
            | Self::Refunding => true,
            Self::Draft
            | Self::Allotted
            | Self::Failed
            | Self::Cancelled
            | Self::AcquisitionFailed
            | Self::Refunded
            | Self::Closed
            | Self::Suspended => false,
        }
    }

    /// True once the offer has come to nothing: what is paid goes back, and costs are
    /// expenses.
    #[must_use]
    pub const fn is_abandoned(self) -> bool {
        match self {
            Self::Failed
            | Self::Cancelled
            | Self::AcquisitionFailed
            | Self::Refunding
            | Self::Refunded => true,
            Self::Draft
            | Self::Gathering
            | Self::Pledging
            | Self::Open
            | Self::Closing
            | Self::Succeeded
            | Self::Completing
            | Self::Acquired
            | Self::Allotted
            | Self::Closed
            | Self::Suspended => false,
        }
    }

    pub(super) const fn takes_signatures(self) -> bool {
        matches!(self, Self::Gathering | Self::Pledging | Self::Open)
    }

    pub(super) const fn takes_pledges(self) -> bool {
        matches!(self, Self::Pledging | Self::Open)
    }

    /// True while money becomes application money.
    pub(super) const fn takes_money(self) -> bool {
        matches!(self, Self::Open | Self::Closing)
    }

    pub(super) const fn is_before_open(self) -> bool {
        matches!(self, Self::Draft | Self::Gathering | Self::Pledging)
    }
}
