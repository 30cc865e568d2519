//! The session machine: a call with its streams (requirements 4), over one invitation.
//!
//! What it is: the middleware's Session. It keeps the phases of the negotiation and knows of media
//! only what [`MediaStream`](crate::stream::MediaStream) says (SES-02). Feed it the events of its invitation, the news
//! of its streams and the application's wishes; it says commands for the invitation and events for
//! the application. Wake it at `poll_timeout`.

mod accept;
mod agreement;
mod call;
mod connect;
mod description;
mod early;
mod end;
mod hold;
mod line;
mod proposal;
mod redirect;
mod state;
#[cfg(test)]
mod tests;
mod transfer;
mod warning;
mod words;

pub use call::SessionInfo;
pub use state::State;
pub use transfer::{TransferInfo, TransferState};
pub use warning::Warning;

pub(crate) use accept::IncomingCall;
pub(crate) use call::CallCommand;
pub(crate) use description::{DescriptionError, parse as parse_description};
pub use redirect::RedirectError;
pub(crate) use state::{Coverage, InputKind};
pub(crate) use transfer::TransferMisuse;

use crate::{
    event::{Hints, Originator, SessionEvent, StreamEvent},
    id::{SessionId, StreamId},
    stream::{Direction, StreamError, Streams},
};
use base::{Deadline, earliest};
use bytes::Bytes;
use description::Descriptions;
use hold::HoldState;
use line::Line;
use proposal::Proposal;
use redirect::Redirects;
use serde::{Deserialize, Serialize};
use sip::{Description, DialogId, InvitationEvent, ReferralEvent};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// One call.
#[derive(Debug)]
pub(crate) struct Session {
    id: SessionId,
    direction: Direction,
    state: State,
    limits: Limits,
    /// One entry an m-line, in the order of the descriptions.
    lines: Vec<Line>,
    descriptions: Descriptions,
    /// The dialog whose answer the streams follow.
    branch: Option<DialogId>,
    confirmed: Option<DialogId>,
    /// The signalling goes over secured links, as far as we see.
    is_confidential: bool,
    acknowledged: bool,
    /// The application accepted before all streams were prepared.
    accepting: bool,
    /// The answer that goes before the one of the 2xx.
    early: early::Early,
    /// The offer of the INVITE, until it is answered.
    offered: Option<Bytes>,
    /// The answers of the early dialogs of our INVITE.
    forks: Vec<(DialogId, Description)>,
    /// There is an invitation: its end is waited for.
    has_call: bool,
    proposal: Proposal,
    hold: HoldState,
    redirects: Redirects,
    /// Streams that were told to end and have not said that they did.
    closing: Vec<StreamId>,
    /// The session that ends when this one is accepted.
    replaces: Option<SessionId>,
    /// The latest transfer.
    transfer: Option<Box<TransferInfo>>,
    /// What the peer's final response said besides its code.
    hints: Option<Box<Hints>>,
    /// What the application will be told at the end.
    ending: Option<end::Ending>,
    timers: Timers,
    seen: Coverage,
    out: VecDeque<SessionOutput>,
}

/// How long a session waits, and how much it takes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// For streams to prepare, before they are described with what is there.
    pub prepare: Duration,
    /// For streams to start after the negotiation (SES-12).
    pub start: Duration,
    /// For the final answer to our INVITE (SES-11).
    pub answer: Duration,
    /// For the answer to BYE or CANCEL before the application is told that it is over (SES-34).
    pub end: Duration,
    /// For the final answer to a re-INVITE before it is cancelled (SES-31).
    pub proposal: Duration,
    /// For streams to close.
    pub close: Duration,
    /// For the application to say whether a redirection is followed.
    pub redirect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            prepare: Duration::from_secs(10),
            start: Duration::from_secs(15),
            answer: Duration::from_secs(90),
            end: Duration::from_secs(1),
            proposal: Duration::from_secs(5),
            close: Duration::from_secs(5),
            redirect: Duration::from_secs(60),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Timers {
    prepare: Option<Instant>,
    start: Option<Instant>,
    answer: Option<Instant>,
    end: Option<Instant>,
    proposal: Option<Instant>,
    retry: Option<Instant>,
    transfer: Option<Instant>,
    close: Option<Instant>,
    redirect: Option<Instant>,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum SessionInput {
    /// By its invitation.
    Call(InvitationEvent),
    /// By one of its streams.
    Stream(StreamId, StreamNews),
    /// What became of the transfer that we have asked for.
    Referral(ReferralEvent),
    /// Its offer, or its wish for one, did not leave: another INVITE stands in its way.
    OfferHeldBack {
        /// When it may be tried again.
        retry: Option<Instant>,
    },
    /// Our address is another one: the peer must hear of it.
    Moved,
    /// A deadline has come.
    Timeout,
}

/// What a stream tells its session.
#[derive(Debug)]
pub(crate) enum StreamNews {
    Prepared,
    Started,
    Failed(StreamError),
    Ended,
    Renegotiate { prepare: bool },
}

/// What a session wants.
#[derive(Debug)]
pub(crate) enum SessionOutput {
    /// From its invitation.
    Call(CallCommand),
    /// The application to know.
    Event(SessionEvent),
    /// The application to know of a stream.
    StreamEvent(StreamId, StreamEvent),
    /// Nothing more of the transfer that runs.
    ForgetTransfer,
    /// A stream removed from the table.
    Remove(StreamId),
    /// Itself removed; last output.
    Ended,
}

/// A command that the state of the session does not allow; nothing has changed (GEN-06).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such session, or no more.
    #[error("no such session")]
    UnknownSession,
    /// Not in this state.
    #[error("not in state {0:?}")]
    WrongState(State),
    /// A stream is named that the session does not propose.
    #[error("no such stream")]
    UnknownStream,
    /// A status code outside of the range that the command allows.
    #[error("status code out of range")]
    BadCode,
    /// The protocol of a reason is no token.
    #[error("not a reason")]
    BadReason,
    /// A Warning with a code outside of 300 to 399, or a text that cannot be sent.
    #[error("not a warning")]
    BadWarning,
    /// No stream is left.
    #[error("no streams")]
    NoStreams,
    /// The streams have been answered in a 183: once, and all that it accepted.
    #[error("answered before")]
    AlreadyAnswered,
    /// The caller leaves the offer to us and takes it in the 2xx only (RFC 3261, 13.2.1).
    #[error("the caller takes no reliable provisional responses")]
    Unreliable,
    /// A redirection names nobody to call instead.
    #[error("no target is named")]
    NoTarget,
}

impl Session {
    fn new(
        id: SessionId,
        direction: Direction,
        state: State,
        origin: sdp::Origin,
        limits: Limits,
    ) -> Self {
        Self {
            id,
            direction,
            state,
            limits,
            lines: Vec::new(),
            descriptions: Descriptions::new(origin),
            branch: None,
            confirmed: None,
            is_confidential: false,
            acknowledged: false,
            accepting: false,
            early: early::Early::default(),
            offered: None,
            forks: Vec::new(),
            has_call: false,
            proposal: Proposal::default(),
            hold: HoldState::default(),
            redirects: Redirects::default(),
            closing: Vec::new(),
            replaces: None,
            transfer: None,
            hints: None,
            ending: None,
            timers: Timers::default(),
            seen: Coverage::default(),
            out: VecDeque::new(),
        }
    }

    /// Says whether the signalling goes over a secured link.
    pub(crate) const fn set_confidential(&mut self, is_confidential: bool) {
        self.is_confidential = is_confidential;
    }

    /// Takes what happened.
    pub(crate) fn handle_input(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        input: SessionInput,
    ) {
        match input {
            SessionInput::Call(event) => self.handle_call(now, streams, event),
            SessionInput::Stream(id, news) => self.handle_stream(now, streams, id, news),
            SessionInput::Referral(event) => self.handle_referral(now, streams, event),
            SessionInput::OfferHeldBack { retry } => self.offer_held_back(now, streams, retry),
            SessionInput::Moved => {
                self.seen.note(self.state, InputKind::Renegotiate);
                // Streams may need new sockets; and an offer refreshes the target for both sides
                // (RFC 3261, 12.2), even if nothing in it has changed.
                self.proposal.need(true);
                self.try_propose(now, streams);
            }
            SessionInput::Timeout => self.handle_timeout(now, streams),
        }
    }

    fn handle_stream(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        id: StreamId,
        news: StreamNews,
    ) {
        self.seen.note(self.state, news.kind());
        match news {
            StreamNews::Prepared => {
                if let Some(line) = self.line_of(id) {
                    line.is_prepared = true;
                    self.push_stream(id, StreamEvent::DidInitialize);
                    self.advance_preparation(now, streams);
                }
            }
            StreamNews::Started => {
                if let Some(line) = self.line_of(id).filter(|line| !line.is_running) {
                    line.is_running = true;
                    self.push_stream(id, StreamEvent::DidStart);
                    self.try_start(now, streams);
                }
            }
            StreamNews::Failed(error) => self.stream_failed(now, streams, id, error),
            StreamNews::Ended => self.stream_ended(id),
            StreamNews::Renegotiate { prepare } => {
                self.proposal.need(prepare);
                self.try_propose(now, streams);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant, streams: &mut Streams) {
        self.seen.note(self.state, InputKind::Timeout);
        let due = |timer: &mut Option<Instant>| timer.take_if(|at| *at <= now).is_some();
        if due(&mut self.timers.prepare) {
            self.prepared(now, streams);
        }
        if due(&mut self.timers.answer) {
            self.answer_timed_out(now, streams);
        }
        if due(&mut self.timers.start) {
            self.start_timed_out(now, streams);
        }
        if due(&mut self.timers.proposal) {
            // SES-31; the answer may still win the race, and then counts (BUG-27).
            self.push_call(CallCommand::CancelOffer);
        }
        if due(&mut self.timers.retry) {
            self.try_propose(now, streams);
        }
        if due(&mut self.timers.transfer) {
            self.transfer_timed_out();
        }
        if due(&mut self.timers.redirect) {
            self.redirect_timed_out(now, streams);
        }
        if due(&mut self.timers.end) {
            // SES-34: the application waits no longer; the invitation goes on in the endpoint.
            self.tell_end();
        }
        if due(&mut self.timers.close) {
            self.close_timed_out();
        }
    }

    /// Says when `handle_input(now, …, SessionInput::Timeout)` is wanted.
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let timers = &self.timers;
        earliest([
            (timers.prepare, "session streams prepare"),
            (timers.answer, "session answer"),
            (timers.start, "session streams start"),
            (timers.proposal, "session proposal"),
            (timers.retry, "session proposal retry"),
            (timers.transfer, "session transfer"),
            (timers.redirect, "session redirect"),
            (timers.end, "session end"),
            (timers.close, "session streams close"),
        ])
    }

    /// Says what the session wants; drained after every call.
    pub(crate) fn poll_output(&mut self) -> Option<SessionOutput> {
        self.out.pop_front()
    }

    /// Which (state, input) pairs this session has seen.
    pub(crate) fn coverage(&self) -> Coverage {
        self.seen
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            let prev_state = self.state.name();
            tracing::debug!(session = %self.id, prev_state, state = state.name());
            self.state = state;
            self.push(SessionEvent::ChangedState {
                prev_state,
                state: state.name(),
            });
        }
    }

    fn push(&mut self, event: SessionEvent) {
        self.out.push_back(SessionOutput::Event(event));
    }

    fn push_stream(&mut self, id: StreamId, event: StreamEvent) {
        self.out.push_back(SessionOutput::StreamEvent(id, event));
    }

    fn push_call(&mut self, command: CallCommand) {
        self.out.push_back(SessionOutput::Call(command));
    }

    fn wrong_state(&self) -> SessionError {
        SessionError::WrongState(self.state)
    }
}

impl StreamNews {
    const fn kind(&self) -> InputKind {
        match self {
            Self::Prepared => InputKind::StreamPrepared,
            Self::Started => InputKind::StreamStarted,
            Self::Failed(_) => InputKind::StreamFailed,
            Self::Ended => InputKind::StreamEnded,
            Self::Renegotiate { .. } => InputKind::Renegotiate,
        }
    }
}

impl From<Direction> for Originator {
    /// Who began a session of this direction.
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Incoming => Self::Remote,
            Direction::Outgoing => Self::Local,
        }
    }
}
