//! One dialog of a call.

use crate::{DialogId, dialog::Dialog, message::Description, offer_answer::OfferAnswer};

/// A dialog with its exchange of offer and answer. A forked INVITE of ours has several.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: DialogId,
    pub(super) dialog: Dialog,
    pub(super) exchange: OfferAnswer,
    pub(super) stage: Stage,
    /// What an unreliable provisional response showed of the answer.
    pub(super) preview: Option<Description>,
    /// The number of the INVITE whose 2xx waits for our ACK, because that has to carry an answer.
    pub(super) owes_ack: Option<u32>,
}

/// Where the dialog of a leg stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    /// Made by a provisional response, or by an INVITE that is not accepted.
    Early,
    /// Confirmed by a 2xx, ours or the peer's.
    Confirmed,
    /// Another fork won, or the peer left early: a 2xx is to be acknowledged and left.
    Lost,
    /// A BYE of ours waits for the ACK (RFC 3261, 15).
    Closing,
    /// Our BYE is on its way.
    Left,
    /// No more.
    Over,
}

impl Leg {
    pub(super) const fn new(id: DialogId, dialog: Dialog, exchange: OfferAnswer) -> Self {
        Self {
            id,
            dialog,
            exchange,
            stage: Stage::Early,
            preview: None,
            owes_ack: None,
        }
    }

    /// True until we or the peer have said BYE.
    pub(super) const fn is_alive(&self) -> bool {
        matches!(self.stage, Stage::Early | Stage::Confirmed)
    }
}
