//! The phases of offer and answer in one dialog: which message may carry which description, and what
//! a description that stands somewhere means (RFC 3261, 13.2.1 and 14; RFC 6337, table 1).
//!
//! Descriptions are opaque here; what they say is the business of `sdp::negotiate`.

use crate::Status;
use base::Rng;
use std::time::Duration;

/// All patterns of RFC 6337, table 1, with unreliable previews (3.1.1); of pattern 5 the receiving half
/// only, because an UPDATE says the same. Every legal step stands here; all others are errors that change
/// nothing, and the crossings of requests are [`OfferAnswer::receive`]'s.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Our INVITE offers, the 2xx answers.
    (Phase::Idle, SEND, Carrier::Invite, WITH, Phase::OfferSent, Ok(Meaning::Offer)),
    (Phase::OfferSent, RECEIVE, Carrier::Provisional, NONE, Phase::OfferSent, Ok(Meaning::Nothing)),
    (Phase::OfferSent, RECEIVE, Carrier::Provisional, WITH, Phase::Previewed, Ok(Meaning::Preview)),
    (Phase::OfferSent, RECEIVE, Carrier::Success, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::OfferSent, RECEIVE, Carrier::Success, NONE, Phase::Idle, Err(Breach::MissingAnswer)),
    (Phase::OfferSent, RECEIVE, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::OfferSent, RECEIVE, Carrier::Failure, WITH, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::Previewed, RECEIVE, Carrier::Provisional, NONE, Phase::Previewed, Ok(Meaning::Nothing)),
    (Phase::Previewed, RECEIVE, Carrier::Provisional, WITH, Phase::Previewed, Ok(Meaning::Preview)),
    (Phase::Previewed, RECEIVE, Carrier::Success, WITH, Phase::Idle, Ok(Meaning::Answer)),
    // The peer owes the answer in the 2xx, too; what it showed before is taken at its word.
    (Phase::Previewed, RECEIVE, Carrier::Success, NONE, Phase::Idle, Ok(Meaning::PreviewStands)),
    (Phase::Previewed, RECEIVE, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::Previewed, RECEIVE, Carrier::Failure, WITH, Phase::Idle, Ok(Meaning::Withdrawal)),
    // Our INVITE does not offer, the 2xx does, our ACK answers.
    (Phase::Idle, SEND, Carrier::Invite, NONE, Phase::OfferAwaited, Ok(Meaning::Nothing)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Provisional, NONE, Phase::OfferAwaited, Ok(Meaning::Nothing)),
    // RFC 3261, 13.2.1: an offer needs a reliable message.
    (Phase::OfferAwaited, RECEIVE, Carrier::Provisional, WITH, Phase::OfferAwaited, Ok(Meaning::Ignored)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Success, WITH, Phase::AnswerDue, Ok(Meaning::Offer)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Success, NONE, Phase::Idle, Err(Breach::MissingOffer)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Failure, WITH, Phase::Idle, Ok(Meaning::Ignored)),
    (Phase::AnswerDue, SEND, Carrier::Ack, WITH, Phase::Idle, Ok(Meaning::Answer)),
    // Their INVITE offers, our 2xx answers.
    (Phase::Idle, RECEIVE, Carrier::Invite, WITH, Phase::OfferReceived, Ok(Meaning::Offer)),
    (Phase::OfferReceived, SEND, Carrier::Provisional, NONE, Phase::OfferReceived, Ok(Meaning::Nothing)),
    (Phase::OfferReceived, SEND, Carrier::Provisional, WITH, Phase::OfferReceived, Ok(Meaning::Preview)),
    (Phase::OfferReceived, SEND, Carrier::Success, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::OfferReceived, SEND, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    // Their INVITE does not offer, our 2xx does, their ACK answers.
    (Phase::Idle, RECEIVE, Carrier::Invite, NONE, Phase::OfferDue, Ok(Meaning::Nothing)),
    (Phase::OfferDue, SEND, Carrier::Provisional, NONE, Phase::OfferDue, Ok(Meaning::Nothing)),
    (Phase::OfferDue, SEND, Carrier::Success, WITH, Phase::AnswerAwaited, Ok(Meaning::Offer)),
    (Phase::OfferDue, SEND, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::AnswerAwaited, RECEIVE, Carrier::Ack, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::AnswerAwaited, RECEIVE, Carrier::Ack, NONE, Phase::Idle, Err(Breach::MissingAnswer)),
    // With nothing open: late and repeated responses, and the ACK of the first pattern.
    (Phase::Idle, SEND, Carrier::Ack, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::Idle, RECEIVE, Carrier::Ack, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::Idle, RECEIVE, Carrier::Ack, WITH, Phase::Idle, Ok(Meaning::Ignored)),
    // Pattern 3: their reliable provisional response answers our INVITE.
    (Phase::OfferSent, RECEIVE, Carrier::Reliable, NONE, Phase::OfferSent, Ok(Meaning::Nothing)),
    (Phase::OfferSent, RECEIVE, Carrier::Reliable, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::Previewed, RECEIVE, Carrier::Reliable, NONE, Phase::Previewed, Ok(Meaning::Nothing)),
    (Phase::Previewed, RECEIVE, Carrier::Reliable, WITH, Phase::Idle, Ok(Meaning::Answer)),
    // Pattern 4: it offers, our PRACK answers. One without an offer breaks RFC 3262, 5, but only delays.
    (Phase::OfferAwaited, RECEIVE, Carrier::Reliable, NONE, Phase::OfferAwaited, Ok(Meaning::Nothing)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Reliable, WITH, Phase::PrackDue, Ok(Meaning::Offer)),
    (Phase::PrackDue, SEND, Carrier::Prack, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::PrackDue, RECEIVE, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::PrackDue, RECEIVE, Carrier::Failure, WITH, Phase::Idle, Ok(Meaning::Withdrawal)),
    // Pattern 3 from the other side: the answer is in our reliable response, our 2xx has none.
    (Phase::OfferReceived, SEND, Carrier::Reliable, NONE, Phase::OfferReceived, Ok(Meaning::Nothing)),
    (Phase::OfferReceived, SEND, Carrier::Reliable, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::Idle, SEND, Carrier::Provisional, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::Idle, SEND, Carrier::Reliable, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::Idle, SEND, Carrier::Success, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    (Phase::Idle, SEND, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Nothing)),
    // Pattern 4 from the other side. RFC 3262, 5: the first reliable response must offer.
    (Phase::OfferDue, SEND, Carrier::Reliable, WITH, Phase::PrackAwaited, Ok(Meaning::Offer)),
    (Phase::PrackAwaited, SEND, Carrier::Provisional, NONE, Phase::PrackAwaited, Ok(Meaning::Nothing)),
    (Phase::PrackAwaited, SEND, Carrier::Reliable, NONE, Phase::PrackAwaited, Ok(Meaning::Nothing)),
    (Phase::PrackAwaited, SEND, Carrier::Failure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::PrackAwaited, RECEIVE, Carrier::Prack, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::PrackAwaited, RECEIVE, Carrier::Prack, NONE, Phase::Idle, Err(Breach::MissingAnswer)),
    // Pattern 5: the PRACK of our answer offers again, its 2xx answers.
    (Phase::Idle, RECEIVE, Carrier::Prack, WITH, Phase::PrackReceived, Ok(Meaning::Offer)),
    (Phase::PrackReceived, SEND, Carrier::Provisional, NONE, Phase::PrackReceived, Ok(Meaning::Nothing)),
    (Phase::PrackReceived, SEND, Carrier::Reliable, NONE, Phase::PrackReceived, Ok(Meaning::Nothing)),
    (Phase::PrackReceived, SEND, Carrier::Failure, NONE, Phase::PrackReceived, Ok(Meaning::Nothing)),
    (Phase::PrackReceived, SEND, Carrier::PrackSuccess, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::PrackReceived, SEND, Carrier::PrackFailure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    // Pattern 6: UPDATE offers, its 2xx answers (RFC 3311), whether or not an INVITE runs.
    (Phase::Idle, SEND, Carrier::Update, WITH, Phase::UpdateSent, Ok(Meaning::Offer)),
    (Phase::UpdateSent, RECEIVE, Carrier::UpdateSuccess, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::UpdateSent, RECEIVE, Carrier::UpdateSuccess, NONE, Phase::Idle, Err(Breach::MissingAnswer)),
    (Phase::UpdateSent, RECEIVE, Carrier::UpdateFailure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::UpdateSent, SEND, Carrier::Provisional, NONE, Phase::UpdateSent, Ok(Meaning::Nothing)),
    (Phase::UpdateSent, SEND, Carrier::Reliable, NONE, Phase::UpdateSent, Ok(Meaning::Nothing)),
    (Phase::UpdateSent, SEND, Carrier::Failure, NONE, Phase::UpdateSent, Ok(Meaning::Nothing)),
    (Phase::UpdateSent, SEND, Carrier::Success, NONE, Phase::UpdateSent, Ok(Meaning::Nothing)),
    (Phase::Idle, RECEIVE, Carrier::Update, WITH, Phase::UpdateReceived, Ok(Meaning::Offer)),
    (Phase::UpdateReceived, SEND, Carrier::UpdateSuccess, WITH, Phase::Idle, Ok(Meaning::Answer)),
    (Phase::UpdateReceived, SEND, Carrier::UpdateFailure, NONE, Phase::Idle, Ok(Meaning::Withdrawal)),
    (Phase::UpdateReceived, SEND, Carrier::Provisional, NONE, Phase::UpdateReceived, Ok(Meaning::Nothing)),
    (Phase::UpdateReceived, SEND, Carrier::Reliable, NONE, Phase::UpdateReceived, Ok(Meaning::Nothing)),
    (Phase::UpdateReceived, SEND, Carrier::Failure, NONE, Phase::UpdateReceived, Ok(Meaning::Nothing)),
];

/// Where the exchange of offer and answer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    /// Nothing is open: either side may offer.
    #[default]
    Idle,
    /// Our INVITE offered; the answer is due in the 2xx, or in a reliable provisional response.
    OfferSent,
    /// As `OfferSent`, and an unreliable provisional response has shown the answer to come.
    Previewed,
    /// Our INVITE did not offer; the 2xx must.
    OfferAwaited,
    /// The 2xx to our INVITE offered; our ACK must answer.
    AnswerDue,
    /// Their INVITE offered; our 2xx must answer.
    OfferReceived,
    /// Their INVITE did not offer; our 2xx must.
    OfferDue,
    /// Our 2xx offered; their ACK must answer.
    AnswerAwaited,
    /// A reliable provisional response to our INVITE offered; our PRACK must answer.
    PrackDue,
    /// Our reliable provisional response offered; their PRACK must answer.
    PrackAwaited,
    /// Their PRACK offered; our 2xx to it must answer.
    PrackReceived,
    /// Our UPDATE offered; its 2xx must answer.
    UpdateSent,
    /// Their UPDATE offered; our 2xx to it must answer.
    UpdateReceived,
}

impl Phase {
    /// True if the offer that is open is ours, or ours to come.
    const fn is_ours(self) -> bool {
        matches!(
            self,
            Self::OfferSent
                | Self::Previewed
                | Self::OfferAwaited
                | Self::AnswerAwaited
                | Self::PrackAwaited
                | Self::UpdateSent
        )
    }
}

/// A message that may carry a description.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Carrier {
    /// INVITE, the first of the dialog or a later one.
    Invite,
    /// An unreliable 101 to 199 to INVITE.
    Provisional,
    /// A 2xx to INVITE.
    Success,
    /// A 300 to 699 to INVITE; also its timeout and whatever else ends it without a dialog.
    Failure,
    /// The ACK of a 2xx.
    Ack,
    /// A reliable 101 to 199 to INVITE (RFC 3262).
    Reliable,
    /// PRACK, where it acknowledges a response with a description.
    Prack,
    /// A 2xx to PRACK.
    PrackSuccess,
    /// A 300 to 699 to PRACK.
    PrackFailure,
    /// UPDATE (RFC 3311).
    Update,
    /// A 2xx to UPDATE.
    UpdateSuccess,
    /// A 300 to 699 to UPDATE, or what stands for it.
    UpdateFailure,
}

/// What a message means to the exchange.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Meaning {
    /// It has no part in it.
    Nothing,
    /// Its description is an offer.
    Offer,
    /// Its description is the answer.
    Answer,
    /// Its description shows the answer to come; the exchange stays open (RFC 6337, 3.1.1).
    Preview,
    /// It confirms the preview as the answer without repeating it.
    PreviewStands,
    /// Its description stands where none may, and counts for nothing.
    Ignored,
    /// The open offer is void: both sides return to what was agreed before (RFC 3261, 14.1).
    Withdrawal,
}

/// How a peer broke the rules.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum Breach {
    /// Its INVITE or offer crosses ours: answer 491.
    #[error("both sides offer at once")]
    Glare,
    /// It sent one before the last one was done: answer 500 with Retry-After.
    #[error("the last offer is still open")]
    Overlap,
    /// The message that had to answer did not: the session cannot go on, end it.
    #[error("the answer is missing")]
    MissingAnswer,
    /// The message that had to offer did not: the session cannot go on, end it.
    #[error("the offer is missing")]
    MissingOffer,
}

impl Breach {
    /// The status that refuses the request, where the breach is one.
    pub const fn status(self) -> Option<Status> {
        match self {
            Self::Glare => Some(Status::REQUEST_PENDING),
            Self::Overlap => Some(Status::SERVER_INTERNAL_ERROR),
            Self::MissingAnswer | Self::MissingOffer => None,
        }
    }
}

/// This side may not send such a message now; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not in phase {0:?}")]
pub struct WrongPhase(pub Phase);

/// The machine of one dialog's offer and answer (RFC 6337).
///
/// Feed every message that may carry a description to [`send`](Self::send) before it goes out, and to
/// [`receive`](Self::receive) when it first arrives; retransmissions stay outside. It says what the
/// description means. It has no timers. An INVITE that forks has one copy per dialog: clone the
/// machine as it stood after the INVITE was sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OfferAnswer {
    phase: Phase,
    invite: Running,
}

/// Whose INVITE has no final response. It outlives the exchange that it began if a reliable provisional
/// response answers, and keeps other INVITEs out, but not UPDATE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Running {
    #[default]
    Nobodys,
    Ours,
    Theirs,
}

impl OfferAnswer {
    /// Begins with nothing open.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            invite: Running::Nobodys,
        }
    }

    /// Where the exchange stands.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// A message is about to be sent, with a description or without.
    ///
    /// # Errors
    ///
    /// The message may not be sent in this phase, or not so; nothing has changed.
    pub fn send(&mut self, carrier: Carrier, has_description: bool) -> Result<Meaning, WrongPhase> {
        let wrong = WrongPhase(self.phase);
        if carrier == Carrier::Invite && self.invite != Running::Nobodys {
            return Err(wrong);
        }
        let found = row(self.phase, SEND, carrier, has_description);
        match carrier {
            Carrier::Success | Carrier::Failure if found.is_some() => {
                self.invite = Running::Nobodys;
            }
            Carrier::Invite if found.is_some() => self.invite = Running::Ours,
            _ => {}
        }
        let found = found.ok_or(wrong)?;
        self.phase = found.4;
        found.5.map_err(|_| wrong)
    }

    /// A message has arrived, with a description or without.
    ///
    /// What has no place in the phase (a provisional response after the answer, say) means nothing.
    ///
    /// # Errors
    ///
    /// The peer broke a rule. A request is refused with the breach's status and leaves the open
    /// exchange alone; a missing description closes it.
    pub fn receive(&mut self, carrier: Carrier, has_description: bool) -> Result<Meaning, Breach> {
        self.check_crossing(carrier, has_description)?;
        match carrier {
            Carrier::Invite => self.invite = Running::Theirs,
            Carrier::Success | Carrier::Failure => self.invite = Running::Nobodys,
            _ => {}
        }
        match row(self.phase, RECEIVE, carrier, has_description) {
            Some(row) => {
                self.phase = row.4;
                row.5
            }
            None if has_description => Ok(Meaning::Ignored),
            None => Ok(Meaning::Nothing),
        }
    }

    /// Gives the open exchange up: the message that had to answer never came, or the session ends.
    pub const fn abandon(&mut self) {
        self.phase = Phase::Idle;
    }

    /// INVITE needs a dialog without INVITE and without offer (RFC 3261, 14.2), an offer in UPDATE one
    /// without offer (RFC 3311, 5.2).
    fn check_crossing(&self, carrier: Carrier, has_description: bool) -> Result<(), Breach> {
        let is_open = self.phase != Phase::Idle;
        let (is_crossing, is_ours) = match carrier {
            Carrier::Invite => (
                is_open || self.invite != Running::Nobodys,
                self.phase.is_ours() || self.invite == Running::Ours,
            ),
            Carrier::Update => (is_open && has_description, self.phase.is_ours()),
            _ => return Ok(()),
        };
        match (is_crossing, is_ours) {
            (false, _) => Ok(()),
            (true, true) => Err(Breach::Glare),
            (true, false) => Err(Breach::Overlap),
        }
    }
}

/// Draws how long to wait before an INVITE that met 491 is sent again (RFC 3261, 14.1): 2.1 to 4 s for
/// the side that made the Call-ID, up to 2 s for the other, in steps of 10 ms.
pub fn glare_delay(rng: &mut Rng, owns_call_id: bool) -> Duration {
    let steps = match owns_call_id {
        true => 210 + rng.below(191),
        false => rng.below(201),
    };
    Duration::from_millis(u64::from(steps) * 10)
}

/// Draws the Retry-After of a 500 for an overlapping INVITE (RFC 3261, 14.2): 0 to 10 seconds.
pub fn overlap_retry_after(rng: &mut Rng) -> u32 {
    rng.below(11)
}

fn row(
    phase: Phase,
    direction: bool,
    carrier: Carrier,
    has_description: bool,
) -> Option<&'static Row> {
    TABLE
        .iter()
        .find(|row| (row.0, row.1, row.2, row.3) == (phase, direction, carrier, has_description))
}

/// Phase, direction, message, with a description or without, next phase, meaning.
type Row = (Phase, bool, Carrier, bool, Phase, Result<Meaning, Breach>);

const SEND: bool = true;
const RECEIVE: bool = false;
const WITH: bool = true;
const NONE: bool = false;

#[cfg(test)]
mod tests;
