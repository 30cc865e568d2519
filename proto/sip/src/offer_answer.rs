//! The phases of offer and answer in one dialog: which message may carry which description, and what
//! a description that stands somewhere means (RFC 3261, 13.2.1 and 14; RFC 6337, table 1).
//!
//! Descriptions are opaque here; what they say is the business of `sdp::negotiate`.

use crate::Status;
use base::Rng;
use std::time::Duration;

/// Patterns 1 and 2 of RFC 6337, table 1, with unreliable previews (3.1.1) and glare (RFC 3261, 14).
/// Every legal step stands here; all others are errors that change nothing.
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
    // RFC 3261, 14.2: our INVITE, or our offer, is open: 491.
    (Phase::OfferSent, RECEIVE, Carrier::Invite, WITH, Phase::OfferSent, Err(Breach::Glare)),
    (Phase::OfferSent, RECEIVE, Carrier::Invite, NONE, Phase::OfferSent, Err(Breach::Glare)),
    (Phase::Previewed, RECEIVE, Carrier::Invite, WITH, Phase::Previewed, Err(Breach::Glare)),
    (Phase::Previewed, RECEIVE, Carrier::Invite, NONE, Phase::Previewed, Err(Breach::Glare)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Invite, WITH, Phase::OfferAwaited, Err(Breach::Glare)),
    (Phase::OfferAwaited, RECEIVE, Carrier::Invite, NONE, Phase::OfferAwaited, Err(Breach::Glare)),
    (Phase::AnswerAwaited, RECEIVE, Carrier::Invite, WITH, Phase::AnswerAwaited, Err(Breach::Glare)),
    (Phase::AnswerAwaited, RECEIVE, Carrier::Invite, NONE, Phase::AnswerAwaited, Err(Breach::Glare)),
    // RFC 3261, 14.2: theirs is open, and they send a second: 500.
    (Phase::OfferReceived, RECEIVE, Carrier::Invite, WITH, Phase::OfferReceived, Err(Breach::Overlap)),
    (Phase::OfferReceived, RECEIVE, Carrier::Invite, NONE, Phase::OfferReceived, Err(Breach::Overlap)),
    (Phase::OfferDue, RECEIVE, Carrier::Invite, WITH, Phase::OfferDue, Err(Breach::Overlap)),
    (Phase::OfferDue, RECEIVE, Carrier::Invite, NONE, Phase::OfferDue, Err(Breach::Overlap)),
    (Phase::AnswerDue, RECEIVE, Carrier::Invite, WITH, Phase::AnswerDue, Err(Breach::Overlap)),
    (Phase::AnswerDue, RECEIVE, Carrier::Invite, NONE, Phase::AnswerDue, Err(Breach::Overlap)),
];

/// Where the exchange of offer and answer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    /// Nothing is open: either side may offer.
    #[default]
    Idle,
    /// Our INVITE offered; the answer is due in the 2xx.
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
    /// Its INVITE crosses ours: answer 491.
    #[error("both sides offer at once")]
    Glare,
    /// It sent an INVITE before the last one was done: answer 500 with Retry-After.
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
    /// The status that refuses the INVITE, where the breach is one.
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
/// Feed every message of an INVITE transaction to [`send`](Self::send) before it goes out, and to
/// [`receive`](Self::receive) when it first arrives; retransmissions stay outside. It says what the
/// description means. It has no timers. An INVITE that forks has one copy per dialog: clone the
/// machine as it stood after the INVITE was sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OfferAnswer {
    phase: Phase,
}

impl OfferAnswer {
    /// Begins with nothing open.
    pub const fn new() -> Self {
        Self { phase: Phase::Idle }
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
        let row = row(self.phase, SEND, carrier, has_description).ok_or(WrongPhase(self.phase))?;
        self.phase = row.4;
        row.5.map_err(|_| WrongPhase(self.phase))
    }

    /// A message has arrived, with a description or without.
    ///
    /// What has no place in the phase (a provisional response after the answer, say) means nothing.
    ///
    /// # Errors
    ///
    /// The peer broke a rule. An INVITE is refused with the breach's status and leaves the open
    /// exchange alone; a missing description closes it.
    pub fn receive(&mut self, carrier: Carrier, has_description: bool) -> Result<Meaning, Breach> {
        match row(self.phase, RECEIVE, carrier, has_description) {
            Some(row) => {
                self.phase = row.4;
                row.5
            }
            None if has_description => Ok(Meaning::Ignored),
            None => Ok(Meaning::Nothing),
        }
    }

    /// Gives the open exchange up: the ACK that had to answer never came, or the session ends.
    pub const fn abandon(&mut self) {
        self.phase = Phase::Idle;
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
