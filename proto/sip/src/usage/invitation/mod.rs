//! Calls: INVITE and all that belongs to it (RFC 3261, 13 to 15).

mod ack;
mod bye;
mod cancel;
pub mod command;
mod end;
pub mod event;
mod info;
mod info_request;
mod interval;
mod leg;
mod prack;
pub mod redirect;
mod reinvite;
mod replaces;
mod request;
pub mod state;
mod timer;
mod uac;
mod uas;
mod update;

pub use command::{
    AnswerError, InfoError, Invite, InviteError, OfferError, RespondError, reserved,
};
pub use event::{EndCause, Incoming, Info, InvitationEvent, Originator};
pub use info_request::InfoRequest;
pub(crate) use interval::refusal as interval_refusal;
pub use redirect::RedirectTarget;
#[cfg(test)]
pub(crate) use reinvite::is_fatal;
pub use state::{Coverage, Signal, State};
pub(crate) use uac::{COMPLETED_ELSEWHERE, routed};

use super::{Progress, way::OwnWay};

use crate::{
    AccountId, DialogId, FlowId, HeaderName, Headers, IdentityId, InvitationId, Method, Request,
    Status, TransactionId, Uri,
    answer::Answer,
    attempt::{AttemptId, Contact, Draft, Withdrawal},
    auth::{Authentication, Credentials, Keyring, Origin, Refusal, Tries},
    config::Config,
    dialog::{Dialog, DialogKey},
    header::Address,
    message::{Description, Unacceptable},
    offer_answer::OfferAnswer,
    reliable::{Demand, Outstanding},
    transaction::Path,
};
use base::{Deadline, Rng, earliest};
use end::Ending;
use interval::Grant;
use leg::Leg;
use prack::Held;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A call: the user agent core of RFC 3261, 13 to 15, for one INVITE, all its dialogs and all
/// requests inside them.
///
/// It is a part of the endpoint, which finds it by tags and transactions, hands it what arrives,
/// and carries out its effects. It lives until nothing of it can arrive any more, which is later
/// than its last event.
#[derive(Debug)]
pub(crate) struct Invitation {
    /// The endpoint has it on its worklist.
    pub(crate) is_touched: bool,
    /// The endpoint counts it among those that wait for the ACK of a 2xx.
    pub(crate) is_counted: bool,
    state: State,
    is_outgoing: bool,
    call_id: Box<str>,
    local_tag: Box<str>,
    local: Address,
    remote: Address,
    request_uri: Uri,
    contact: Contact,
    /// Our INVITE, as long as it can make dialogs.
    invite: Option<Box<Request>>,
    /// Requests of ours of which something can still come.
    requests: Vec<Sent>,
    next_tag: u32,
    /// INVITEs of the peer that are unanswered or whose final response lacks its ACK.
    served: Vec<Served>,
    legs: Vec<Leg>,
    confirmed: Option<DialogId>,
    /// The offer and answer of our INVITE, to be copied for each dialog it makes.
    exchange: OfferAnswer,
    /// Our offer in it.
    offered: Option<Description>,
    ringing: Option<Ringing>,
    expires: Option<Instant>,
    ending: Option<Ending>,
    /// When the application is told that the call is over, whatever is outstanding.
    give_up: Option<Instant>,
    identity: Option<IdentityId>,
    keyring: Keyring,
    /// The call that ends when this one is accepted.
    replaces: Option<InvitationId>,
    /// Whose realms these are.
    account: Option<AccountId>,
    authentication: Authentication,
    /// Who can challenge our requests.
    own_way: OwnWay,
    /// Why the last challenge was not answered, or the last success not believed.
    refusal: Option<Refusal>,
    /// The way of the last message.
    path: Option<Path>,
    /// A connection or socket that leads straight to the peer.
    direct: Option<(FlowId, SocketAddr)>,
    remote_user_agent: Option<String>,
    /// Draws delays and client nonces.
    rng: Rng,
    config: Arc<Config>,
    effects: VecDeque<Effect>,
}

/// A request of ours that is not over.
#[derive(Debug)]
struct Sent {
    tag: u32,
    kind: Kind,
    /// Its CSeq number.
    number: u32,
    attempt: Option<AttemptId>,
    /// When it first went on the way that it took last.
    sent_at: Option<Instant>,
    /// The outcome is known; repeated 2xx may still come.
    is_answered: bool,
    /// Who can challenge it.
    origin: Origin,
    tries: Tries,
    /// What the ACK of its 2xx has to show again (RFC 3261, 22.1).
    credentials: Headers,
    /// The session interval that it asks for, in seconds.
    interval: Option<u32>,
    /// How often it went again with another interval or without an extension.
    amendments: u8,
}

/// What a request of ours is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Invite,
    Reinvite(DialogId),
    Prack(DialogId),
    Update(DialogId),
    Info(DialogId),
    /// Of the 2xx to our INVITE with this number.
    Ack(DialogId, u32),
    Bye(DialogId),
}

/// An INVITE of the peer.
#[derive(Debug)]
struct Served {
    server: TransactionId,
    dialog: DialogId,
    number: u32,
    is_first: bool,
    stage: Stage,
    /// Our final response, once there is one.
    status: Status,
    /// Its Contact becomes the target with our 2xx (RFC 6141, 4.6).
    contact: Headers,
    /// What its sender says of reliable provisional responses.
    demand: Demand,
    /// Ours that were sent reliably.
    outstanding: Option<Box<Outstanding>>,
    /// What our 2xx will say of the session timer.
    grant: Option<Grant>,
    /// Our 2xx, while it waits for PRACK.
    held: Option<Held>,
    /// Our 2xx offers, and its ACK has to answer.
    offers: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Waits for our answer.
    Pending,
    /// Has our 2xx, which is repeated at `next`, then after `interval`, until ACK or `until`.
    Accepted {
        next: Instant,
        interval: Duration,
        until: Instant,
    },
    /// Has our 300 to 699, whose ACK the transaction waits for.
    Refused,
}

/// The provisional response that is repeated while the call rings.
#[derive(Debug)]
struct Ringing {
    at: Instant,
    answer: Answer,
}

/// What an invitation wants done, in the order of its causes.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Send a request; what becomes of it is told by `handle_progress` under `tag`.
    Request { tag: u32, draft: Box<Draft> },
    /// The result of a request is not wanted any more; for the reason that CANCEL gives.
    Withdraw(AttemptId, Withdrawal, Option<Box<str>>),
    /// Send an ACK again.
    Resend(AttemptId),
    /// Forget an ACK.
    Drop(AttemptId),
    /// Answer a request of the peer.
    Respond(TransactionId, Box<Answer>),
    /// Send a 2xx again.
    Repeat(TransactionId),
    /// Requests with these tags are mine.
    Dialog { dialog: DialogId, key: DialogKey },
    /// They are no more.
    DialogOver(DialogId),
    /// End this call: mine has taken its place.
    Replace(InvitationId),
    /// Count a step of the table.
    Step(State, Signal),
    /// Tell the application.
    Event(InvitationEvent),
}

/// A request of the peer, as it arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) server: TransactionId,
    pub(crate) path: Path,
    pub(crate) peer: SocketAddr,
    /// No proxy stood between.
    pub(crate) is_direct: bool,
    /// Who sent it, if a guard asked.
    pub(crate) caller: Option<String>,
    /// The call that it takes the place of.
    pub(crate) replaces: Option<InvitationId>,
    pub(crate) description: Result<Option<Description>, Unacceptable>,
}

impl Invitation {
    /// Takes the next effect.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let accepted = self.served.iter().filter_map(|served| match served.stage {
            Stage::Accepted { next, until, .. } => Some(next.min(until)),
            Stage::Pending | Stage::Refused => None,
        });
        let reliable = self
            .served
            .iter()
            .filter_map(|served| served.outstanding.as_ref()?.poll_timeout());
        let clocks = self.legs.iter().filter_map(Leg::clock_timeout);
        earliest([
            (clocks.min(), "session timer"),
            (accepted.min(), "2xx without ACK"),
            (reliable.min(), "provisional response without PRACK"),
            (self.ringing.as_ref().map(|ringing| ringing.at), "ringing"),
            (self.expires, "expires"),
            (self.give_up, "end"),
        ])
    }

    /// Fires what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.repeat_ringing(now);
        self.check_expiry(now);
        self.repeat_accepted(now);
        self.repeat_reliable(now);
        self.check_clocks(now);
        if self.give_up.is_some_and(|at| at <= now) {
            self.release();
        }
    }

    /// True if nothing of it can arrive any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Disconnected
            && self.effects.is_empty()
            && self.requests.is_empty()
            && self.served.is_empty()
    }

    /// Gives back the room of queues that a call at rest does not need: most calls are.
    pub(crate) fn tidy(&mut self) {
        if self.requests.is_empty() && self.served.is_empty() && self.effects.is_empty() {
            self.requests = Vec::new();
            self.served = Vec::new();
            self.effects = VecDeque::new();
            self.legs.shrink_to_fit();
        }
    }

    /// True while a 2xx of ours waits for its ACK.
    pub(crate) fn lacks_ack(&self) -> bool {
        self.served
            .iter()
            .any(|served| matches!(served.stage, Stage::Accepted { .. }))
    }

    /// True while a final response of ours to this INVITE waits for its ACK.
    pub(crate) fn awaits_ack(&self, server: TransactionId) -> bool {
        self.served
            .iter()
            .any(|served| served.server == server && served.stage != Stage::Pending)
    }

    /// True if the call needs this connection.
    pub(crate) fn holds(&self, flow: FlowId) -> bool {
        self.state != State::Disconnected && self.path.is_some_and(|path| path.flow == flow)
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) fn local_tag(&self) -> &str {
        &self.local_tag
    }

    pub(crate) const fn contact(&self) -> &Contact {
        &self.contact
    }

    /// The account whose call this is, and what it knows of its realms.
    pub(crate) fn keyring(&mut self) -> Option<(AccountId, &mut Keyring)> {
        Some((self.account?, &mut self.keyring))
    }

    /// The account whose call this is.
    pub(crate) const fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// A peer calls for this account.
    pub(crate) fn set_account(&mut self, account: AccountId, credentials: Vec<Credentials>) {
        self.account = Some(account);
        self.contact.account = Contact::shown(Some(account), &self.local);
        self.keyring = Keyring::preferring(credentials, self.config.prefer_strongest);
    }

    /// Who answers challenges.
    pub(crate) fn credentials(&self) -> &[Credentials] {
        self.keyring.credentials()
    }

    /// The dialog that others may share.
    pub(crate) fn live_dialog(&self) -> Option<DialogId> {
        let alive = |leg: &&Leg| leg.is_alive();
        let confirmed = self.confirmed.and_then(|id| self.leg(id));
        confirmed.filter(alive).map(|leg| leg.id)
    }

    /// The state of one of its dialogs.
    pub(crate) fn dialog(&self, id: DialogId) -> Option<&Dialog> {
        self.leg(id).map(|leg| &leg.dialog)
    }

    /// The state of one of its dialogs, for who shares it.
    pub(crate) fn dialog_mut(&mut self, id: DialogId) -> Option<&mut Dialog> {
        self.leg_mut(id).map(|leg| &mut leg.dialog)
    }

    /// Another usage of the dialog has found that it is no more (RFC 5057, 5.1).
    pub(crate) fn handle_dialog_gone(&mut self, now: Instant, id: DialogId, status: Status) {
        if self.confirmed == Some(id) {
            let mut ending = Ending::remote(EndCause::DialogGone);
            ending.status = Some(status);
            ending.reason = Some(status.phrase().to_owned());
            self.end_by(now, ending);
            self.check_release();
        }
    }

    /// The peer was heard in one of its dialogs: on which way (RFC 5626, 5.3: the connection that it used
    /// last; the one before may be that of an address that it has lost). All usages of a dialog take the
    /// same, so that no request passes another one with a later number.
    pub(crate) fn heard_on(&mut self, path: Path, direct: Option<(FlowId, SocketAddr)>) {
        self.path = Some(path);
        self.direct = direct.or(self.direct);
    }

    pub(crate) const fn path(&self) -> Option<Path> {
        self.path
    }

    /// True if the peer's INVITE waits for a final response.
    pub(crate) fn is_refusable(&self) -> bool {
        self.pending().is_some_and(|served| served.is_first)
    }

    pub(crate) fn dialog_ids(&self) -> impl Iterator<Item = DialogId> + '_ {
        self.legs.iter().map(|leg| leg.id)
    }

    /// All that can be asked of it; our Contact is the endpoint's to add.
    pub(crate) fn info(&self) -> Info {
        let confirmed = self.confirmed.and_then(|id| self.leg(id));
        let early = self.legs.first().filter(|_| !self.is_outgoing);
        let clock = confirmed.and_then(|leg| leg.clock.as_deref());
        let remote_tag = confirmed.or(early).and_then(|leg| leg.dialog.remote_tag());
        Info {
            state: self.state,
            is_outgoing: self.is_outgoing,
            call_id: self.call_id.to_string(),
            local: self.local.clone(),
            local_tag: self.local_tag.to_string(),
            remote: self.remote.clone(),
            remote_tag: remote_tag.map(str::to_owned),
            request_uri: self.request_uri.clone(),
            remote_target: confirmed.map(|leg| leg.dialog.remote_target().clone()),
            transport: self.path.map(|path| path.transport),
            peer: self.path.map(|path| path.to),
            local_contact: None,
            remote_user_agent: self.remote_user_agent.clone(),
            dialogs: self
                .legs
                .iter()
                .filter(|leg| leg.is_alive())
                .map(|leg| leg.id)
                .collect(),
            confirmed: self.confirmed,
            session_interval: clock.map(|clock| Duration::from_secs(clock.interval.into())),
            is_refresher: clock.is_some_and(|clock| clock.is_refresher),
        }
    }

    /// Takes a step of the table and tells it; false if the pair moves nothing.
    fn step(&mut self, signal: Signal, why: Why<'_>) -> bool {
        let prev = self.state;
        let Some(next) = state::next(prev, signal) else {
            return false;
        };
        self.effects.push_back(Effect::Step(prev, signal));
        self.state = next;
        // A state that stays is news only with a further provisional response (INV-13).
        let is_news = prev != next || matches!(signal, Signal::Provisional | Signal::Ring);
        let is_past = prev == next && matches!(next, State::Disconnecting | State::Disconnected);
        if is_news && !is_past {
            self.tell(InvitationEvent::StateChanged {
                prev,
                state: next,
                method: why.method.cloned(),
                code: why.status,
                reason: why.reason.map(str::to_owned),
            });
        }
        true
    }

    /// Tells the application, unless it was told that the call is over.
    fn tell(&mut self, event: InvitationEvent) {
        let is_told = self.ending.as_ref().is_some_and(|ending| ending.is_told);
        if !is_told {
            self.effects.push_back(Effect::Event(event));
        }
    }

    /// Remembers who the peer says it is (SES-47).
    fn note_user_agent(&mut self, headers: &Headers) {
        let value = headers
            .get(HeaderName::UserAgent)
            .or_else(|| headers.get(HeaderName::Server));
        if let Some(value) = value
            && self.remote_user_agent.as_deref().map(str::as_bytes) != Some(value)
        {
            self.remote_user_agent = Some(String::from_utf8_lossy(value).into_owned());
        }
    }

    fn leg(&self, id: DialogId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    fn leg_mut(&mut self, id: DialogId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }
}

/// What a step of the table is told with (INV-13).
#[derive(Clone, Copy, Default)]
struct Why<'a> {
    method: Option<&'a Method>,
    status: Option<Status>,
    reason: Option<&'a str>,
}
