//! The states of a session (requirements 4.1), and which inputs each of them has seen.

use serde::{Deserialize, Serialize};

/// What an input does to the state: columns as [`State::ALL`] has them, with one stream, and with a
/// peer that plays by the rules.
///
/// `Confirmed` and `Answered` alone start nothing: a call stands when the ACK is there and the stream
/// runs, whichever comes last.
#[cfg(test)]
#[rustfmt::skip]
pub(super) const TABLE: [(InputKind, [Next; 8]); 28] = {
    use InputKind as I;
    use Next::{Refused as X, Stay as o, To};
    const ACC: Next = To(State::Accepting);
    const CON: Next = To(State::Connected);
    const PRO: Next = To(State::SendingProposal);
    const CAN: Next = To(State::CancellingProposal);
    const END: Next = To(State::Terminating);
    const FIN: Next = To(State::Terminated);
    [
        //                     outgoing incoming accepting connected proposing cancelling terminating terminated
        (I::Ring,             [X,       o,       X,        X,        X,        X,         X,          X]),
        (I::Progress,         [X,       o,       X,        X,        X,        X,         X,          X]),
        (I::Accept,           [X,       ACC,     X,        X,        X,        X,         X,          X]),
        (I::Reject,           [X,       END,     X,        X,        X,        X,         X,          X]),
        (I::End,              [END,     END,     END,      END,      END,      END,       o,          o]),
        (I::Hold,             [o,       o,       o,        PRO,      o,        o,         X,          X]),
        (I::Unhold,           [o,       o,       o,        o,        o,        o,         X,          X]),
        (I::RequestProposal,  [X,       X,       X,        PRO,      X,        X,         X,          X]),
        (I::CancelProposal,   [X,       X,       X,        X,        CAN,      X,         X,          X]),
        (I::Provisional,      [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::Offered,          [o,       o,       o,        o,        CON,      CON,       o,          o]),
        (I::OfferRequested,   [o,       o,       o,        PRO,      o,        PRO,       o,          o]),
        (I::OfferWithdrawn,   [o,       o,       o,        o,        CON,      CON,       o,          o]),
        // What is cancelled and agreed on all the same is brought back as soon as the INVITE is over.
        (I::Answered,         [o,       o,       o,        o,        CON,      CON,       o,          o]),
        (I::OfferFailed,      [o,       o,       o,        o,        CON,      CON,       o,          o]),
        (I::Confirmed,        [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::Acknowledged,     [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::DialogEnded,      [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::CallEnded,        [FIN,     FIN,     FIN,      FIN,      FIN,      FIN,       FIN,        o]),
        (I::StreamPrepared,   [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::StreamStarted,    [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::StreamFailed,     [END,     END,     END,      END,      END,      END,       o,          o]),
        (I::StreamEnded,      [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::Renegotiate,      [o,       o,       o,        PRO,      o,        o,         o,          o]),
        (I::Timeout,          [o,       o,       o,        o,        o,        o,         o,          o]),
        (I::Transfer,         [X,       X,       X,        o,        X,        X,         X,          X]),
        (I::Refer,            [X,       X,       X,        o,        o,        o,         X,          X]),
        (I::Referral,         [o,       o,       o,        o,        o,        o,         o,          o]),
    ]
};

/// Where an input leads.
#[cfg(test)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// The state stays, whatever else happens.
    Stay,
    /// A command that this state does not allow (GEN-06).
    Refused,
    /// Another state.
    To(State),
}

/// Where a session stands (SES-01).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// We call; the peer has not accepted, or the streams do not run yet.
    Outgoing,
    /// The peer calls and waits for the application.
    Incoming,
    /// The application accepted; the ACK or the streams are missing.
    Accepting,
    /// The call stands, no proposal runs.
    Connected,
    /// The call stands, our offer is on its way, or our wish for one.
    SendingProposal,
    /// The application has taken our offer back, and the peer has not said whether in time.
    CancellingProposal,
    /// The end was said, the answer is missing.
    Terminating,
    /// Over.
    Terminated,
}

impl State {
    /// All states, in the order of a call's life.
    pub const ALL: [Self; 8] = [
        Self::Outgoing,
        Self::Incoming,
        Self::Accepting,
        Self::Connected,
        Self::SendingProposal,
        Self::CancellingProposal,
        Self::Terminating,
        Self::Terminated,
    ];

    /// The name of the documents (`sending_proposal`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Accepting => "accepting",
            Self::Connected => "connected",
            Self::SendingProposal => "sending_proposal",
            Self::CancellingProposal => "cancelling_proposal",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }

    /// True before the call stands: its end is a `DidFail` (SES-60).
    pub const fn is_before_start(self) -> bool {
        matches!(self, Self::Outgoing | Self::Incoming | Self::Accepting)
    }

    /// True from the start of the call on, until its end is said.
    pub const fn is_up(self) -> bool {
        matches!(
            self,
            Self::Connected | Self::SendingProposal | Self::CancellingProposal
        )
    }

    /// True while a proposal of ours runs.
    pub(super) const fn is_proposing(self) -> bool {
        matches!(self, Self::SendingProposal | Self::CancellingProposal)
    }

    /// True while the application can still do something with the session.
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Terminating | Self::Terminated)
    }
}

/// What a session is told, by kind: the columns of its table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum InputKind {
    Ring,
    Progress,
    Accept,
    Reject,
    End,
    Hold,
    Unhold,
    RequestProposal,
    CancelProposal,
    Provisional,
    Offered,
    OfferRequested,
    OfferWithdrawn,
    Answered,
    OfferFailed,
    Confirmed,
    Acknowledged,
    DialogEnded,
    CallEnded,
    StreamPrepared,
    StreamStarted,
    StreamFailed,
    StreamEnded,
    Renegotiate,
    Timeout,
    Transfer,
    Refer,
    Referral,
}

impl InputKind {
    pub(crate) const ALL: [Self; 28] = [
        Self::Ring,
        Self::Progress,
        Self::Accept,
        Self::Reject,
        Self::End,
        Self::Hold,
        Self::Unhold,
        Self::RequestProposal,
        Self::CancelProposal,
        Self::Provisional,
        Self::Offered,
        Self::OfferRequested,
        Self::OfferWithdrawn,
        Self::Answered,
        Self::OfferFailed,
        Self::Confirmed,
        Self::Acknowledged,
        Self::DialogEnded,
        Self::CallEnded,
        Self::StreamPrepared,
        Self::StreamStarted,
        Self::StreamFailed,
        Self::StreamEnded,
        Self::Renegotiate,
        Self::Timeout,
        Self::Transfer,
        Self::Refer,
        Self::Referral,
    ];
}

/// Which (state, input) pairs happened: one bit each. The simulator prints those that no scenario
/// reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Coverage([u32; State::ALL.len()]);

impl Coverage {
    pub(crate) fn note(&mut self, state: State, input: InputKind) {
        self.0[state as usize] |= 1 << input as u32;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    /// All pairs with whether they happened.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (String, bool)> {
        State::ALL.into_iter().flat_map(move |state| {
            InputKind::ALL.into_iter().map(move |input| {
                let seen = self.0[state as usize] & (1 << input as u32) != 0;
                (format!("session {} {input:?}", state.name()), seen)
            })
        })
    }
}
