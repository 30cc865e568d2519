//! One dialog of a call.

use super::{
    info::Channel,
    interval::{Clock, Grant},
};
use crate::{
    DialogId, HeaderName, Headers, Method, Response, TransactionId, dialog::Dialog,
    message::Description, offer_answer::OfferAnswer, reliable::Received,
};

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
    /// The INVITE and the number of the provisional response that waits for our PRACK, because that has
    /// to carry an answer.
    pub(super) owes_prack: Option<(u32, u32)>,
    /// The INVITE and the number of a provisional response of ours whose PRACK is slower than the ACK.
    pub(super) late_prack: Option<(u32, u32)>,
    /// The reliable provisional responses that came.
    pub(super) received: Option<Received>,
    /// The peer takes UPDATE, as far as it has said.
    pub(super) allows_update: bool,
    /// INFO, both ways.
    pub(super) info: Option<Box<Channel>>,
    /// What keeps the session alive.
    pub(super) clock: Option<Box<Clock>>,
    /// The longest Min-SE that the path has asked for, in seconds.
    pub(super) min_se: u32,
    /// The highest CSeq number of a re-INVITE or UPDATE of ours that has its 2xx.
    accepted: u32,
    /// A request of the peer whose offer the application has to answer.
    pub(super) asked: Option<Asked>,
    /// Our description as it was last agreed, and the one before while an offer of ours runs.
    pub(super) local: Option<Description>,
    pub(super) proposed: Option<Description>,
}

/// A PRACK or UPDATE of the peer that offers.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) server: TransactionId,
    pub(super) is_prack: bool,
    /// Its Contact becomes the target with our 2xx.
    pub(super) contact: Headers,
    /// What our 2xx will say of the session timer; `Some(None)` ends it.
    pub(super) grant: Option<Option<Grant>>,
}

impl Asked {
    pub(super) const fn prack(server: TransactionId) -> Self {
        Self {
            server,
            is_prack: true,
            contact: Headers::new(),
            grant: None,
        }
    }
}

/// What a provisional response of the peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Not to be acknowledged.
    Plain,
    /// The next reliable one, with its number.
    Next(u32),
    /// Repeated, out of order, or of no dialog: not to be looked at.
    Stale,
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
            owes_prack: None,
            late_prack: None,
            received: None,
            allows_update: false,
            info: None,
            clock: None,
            min_se: 0,
            accepted: 0,
            asked: None,
            local: None,
            proposed: None,
        }
    }

    /// Notes what the peer can do.
    pub(super) fn note_abilities(&mut self, headers: &Headers) {
        if headers.contains(HeaderName::Allow) {
            self.allows_update = headers.has_token(HeaderName::Allow, Method::Update.as_str());
        }
        Channel::note(&mut self.info, headers);
    }

    /// Our offer was answered: it is what stands.
    pub(super) fn settle_local(&mut self) {
        if let Some(proposed) = self.proposed.take() {
            self.local = Some(proposed);
        }
    }

    /// True until we or the peer have said BYE.
    pub(super) const fn is_alive(&self) -> bool {
        matches!(self.stage, Stage::Early | Stage::Confirmed)
    }

    /// Notes a 2xx to a re-INVITE or UPDATE of ours. False if one to a later request came before it: the peer took
    /// them in order (RFC 3261, 12.2.2), so what it said of target and interval there is its last word.
    pub(super) fn note_accepted(&mut self, response: &Response) -> bool {
        let number = response.headers.cseq().map_or(0, |cseq| cseq.number);
        let is_latest = number >= self.accepted;
        self.accepted = self.accepted.max(number);
        is_latest
    }
}
