//! What an owner and an application can ask of an endpoint.

use super::{
    Availability, Endpoint,
    flow::{self, Flow},
    settle::named,
};
use crate::{
    AccountId, DialogId, FlowId, HeaderName, Headers, InvitationId, RequestId, Status,
    auth::Credentials,
    config,
    header::{Parse as _, Replaces},
    id::Party,
    message::Description,
    uri::Scheme,
    usage::{
        AnyUsage,
        invitation::{
            AnswerError, Info, InfoError, InfoRequest, Invitation, Invite, InviteError, OfferError,
            RespondError, State, reserved,
        },
        options::{Options, Query},
    },
};
use base::Transport;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Instant};

/// Why a flow cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddFlowError {
    /// `0.0.0.0` and `::` are no addresses that a peer can answer to: name the address of an interface.
    #[error("the local address is unspecified")]
    Unspecified,
    /// A connection has a peer, a socket for datagrams has none.
    #[error("a peer is missing, or one too many")]
    Peer,
    /// Too many connections; see [`Limits`](super::Limits).
    #[error("too many connections")]
    TooMany,
}

/// Why OPTIONS cannot be sent. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Only `sip` and `sips` URIs can be asked without a proxy.
    #[error("a URI of this scheme cannot be asked")]
    Scheme,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(HeaderName),
    /// The endpoint is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

impl Endpoint {
    /// Brings a flow that nobody asked for: a local socket for datagrams (no `peer`), or a connection
    /// that was accepted. Messages can be sent over it at once.
    ///
    /// `local` stands in our Via and Contact, so it must be an address at which the peer reaches us: of a
    /// socket that is bound to all addresses, that of the interface. A second interface is a second flow.
    ///
    /// # Errors
    ///
    /// See [`AddFlowError`].
    pub fn add_flow(
        &mut self,
        now: Instant,
        transport: Transport,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) -> Result<FlowId, AddFlowError> {
        let now = self.advance(now);
        if local.ip().is_unspecified() {
            return Err(AddFlowError::Unspecified);
        }
        if transport.is_reliable() != peer.is_some() {
            return Err(AddFlowError::Peer);
        }
        if transport.is_reliable() && self.flows.connections() >= self.config.limits.flows {
            return Err(AddFlowError::TooMany);
        }
        // Nobody needs what a peer opens to somebody who is leaving.
        let idle = match self.is_shutting_down {
            true => self.config.idle_accepted.min(self.config.idle_opened),
            false => self.config.idle_accepted,
        };
        let idle = transport.is_reliable().then_some(idle);
        let id = self.flows.insert(Flow {
            transport,
            local,
            peer,
            state: flow::State::Up,
            proven: None,
            waiting: Vec::new(),
            used: now,
            idle,
        });
        self.arm_flow(id);
        self.settle(now);
        Ok(id)
    }

    /// Names an address where connections are accepted: our Via and Contact on connections show its
    /// port instead of the connection's own.
    pub fn add_listener(&mut self, transport: Transport, local: SocketAddr) {
        self.flows.add_listener(transport, local);
    }

    /// Forgets such an address.
    pub fn remove_listener(&mut self, transport: Transport, local: SocketAddr) {
        self.flows.remove_listener(transport, local);
    }

    /// Calls somebody.
    ///
    /// # Errors
    ///
    /// See [`InviteError`].
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<InvitationId, InviteError> {
        let now = self.advance(now);
        if let Some(name) = reserved(&invite.headers) {
            return Err(InviteError::Reserved(name));
        }
        if invite.route.is_empty()
            && !matches!(invite.request_uri.scheme(), Scheme::Sip | Scheme::Sips)
        {
            return Err(InviteError::Scheme);
        }
        let replaces = invite.replaces.as_deref();
        if replaces.is_some_and(|text| Replaces::parse(text.as_bytes()).is_err()) {
            return Err(InviteError::Replaces);
        }
        if self.is_shutting_down {
            return Err(InviteError::ShuttingDown);
        }
        if self.calls >= self.config.limits.invitations {
            return Err(InviteError::TooMany);
        }
        let mut rng = self.rng.fork();
        let id = self.insert_invitation(Invitation::outgoing(invite, &self.config, &mut rng));
        self.settle(now);
        Ok(id)
    }

    /// A call, to look at it and to act on it; `None` once nothing of it is left.
    pub fn invitation(&mut self, id: InvitationId) -> Option<InvitationMut<'_>> {
        self.invitations
            .contains(id)
            .then_some(InvitationMut { endpoint: self, id })
    }

    /// What a call knows of itself and its peer (INV-03); `None` once nothing of it is left.
    pub fn info(&self, id: InvitationId) -> Option<Info> {
        let invitation = self.invitations.get(id)?;
        let mut info = invitation.info();
        info.local_contact = invitation.path().and_then(|path| {
            let here = self.flows.address_of(path.flow)?;
            let contact = invitation.contact();
            let contact = self.contact_on(contact, path.transport, &here, false)?;
            Some(contact.contact.uri)
        });
        Some(info)
    }

    /// The way of the last message of a call.
    pub fn transport(&self, id: InvitationId) -> Option<Transport> {
        Some(self.invitations.get(id)?.path()?.transport)
    }

    /// All calls that are alive, lingering ones included, in the order of their places.
    pub fn invitations(&self) -> impl Iterator<Item = InvitationId> + '_ {
        self.invitations.iter().map(|(id, _)| id)
    }

    /// Asks a peer what it can do (RFC 3261, 11.1).
    ///
    /// # Errors
    ///
    /// See [`OptionsError`].
    pub fn options(&mut self, now: Instant, options: Options) -> Result<RequestId, OptionsError> {
        let now = self.advance(now);
        if let Some(name) = reserved(&options.headers) {
            return Err(OptionsError::Reserved(name));
        }
        if options.route.is_empty()
            && !matches!(options.request_uri.scheme(), Scheme::Sip | Scheme::Sips)
        {
            return Err(OptionsError::Scheme);
        }
        if self.is_shutting_down {
            return Err(OptionsError::ShuttingDown);
        }
        let account = options.account;
        let query = Query::new(options, &self.config, &mut self.rng);
        let id = self.start_usage(AnyUsage::Options(Box::new(query)), account);
        self.settle(now);
        Ok(named(id))
    }

    /// Says what INVITE gets from here on, and with it OPTIONS outside calls (RFC 3261, 11.2).
    pub const fn set_availability(&mut self, availability: Availability) {
        self.availability = availability;
    }

    /// Says to which users requests outside of dialogs may go: the user parts of their Request-URIs,
    /// without escapes. To others goes 404 (RFC 3261, 8.2.2.1); a URI that names no user means whoever
    /// is here. `None` asks nobody for his name, as an endpoint does that has no users.
    pub fn set_users(&mut self, users: Option<BTreeSet<String>>) {
        self.users = users;
    }

    /// Changes what peers may send in INFO. Calls that exist go on with what they have told.
    pub fn set_info(&mut self, info: config::Info) {
        Arc::make_mut(&mut self.config).info = info;
    }

    /// Ends all calls, subscriptions and reports, takes back registrations and publications, and refuses
    /// whatever comes with 503. Connections close when they have been idle
    /// for `Config::idle_opened`; the endpoint is done when [`stats`](Self::stats) are all zero.
    pub fn shutdown(&mut self, now: Instant) {
        let now = self.advance(now);
        self.is_shutting_down = true;
        for id in self.invitations.keys() {
            if let Some(invitation) = self.invitations.get_mut(id) {
                // Already ended is ended.
                let _ = invitation.end(
                    now,
                    Some(Status::TEMPORARILY_UNAVAILABLE),
                    None,
                    &Headers::new(),
                );
            }
            self.touch(id);
        }
        for id in self.usages.keys() {
            if let Some(usage) = self.usages.get_mut(id) {
                usage.shut_down(now);
            }
            self.touch_usage(id);
        }
        self.settle(now);
        for id in self.flows.table.keys() {
            if let Some(flow) = self.flows.table.get_mut(id) {
                flow.idle = flow.idle.map(|idle| idle.min(self.config.idle_opened));
            }
            self.arm_flow(id);
        }
    }
}

/// A call, borrowed from its endpoint. Every command settles the endpoint before it returns.
#[derive(Debug)]
pub struct InvitationMut<'a> {
    endpoint: &'a mut Endpoint,
    id: InvitationId,
}

impl InvitationMut<'_> {
    /// What the call knows of itself and its peer (INV-03); `None` once nothing of it is left.
    pub fn info(&self) -> Option<Info> {
        self.endpoint.info(self.id)
    }

    /// The state (INV-13).
    pub fn state(&self) -> State {
        self.endpoint
            .invitations
            .get(self.id)
            .map_or(State::Disconnected, |invitation| invitation.state())
    }

    /// Says for which of our accounts a peer calls: its credentials answer those who challenge our
    /// requests in this call.
    pub fn set_account(&mut self, account: AccountId, credentials: Vec<Credentials>) {
        if let Some(invitation) = self.endpoint.invitations.get_mut(self.id) {
            invitation.set_account(account, credentials);
            self.endpoint.share_realms(Party::Invitation(self.id));
        }
    }

    /// Rings: answers an INVITE with 180.
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn ring(&mut self, now: Instant) -> Result<(), RespondError> {
        self.provisional(now, Status::RINGING, None, Headers::new(), None)
    }

    /// Answers an INVITE or a re-INVITE provisionally, 101 to 199 (INV-07). A description is a preview
    /// of the answer, which the 2xx must repeat (RFC 3261, 13.2.1).
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn provisional(
        &mut self,
        now: Instant,
        code: Status,
        reason: Option<String>,
        headers: Headers,
        preview: Option<Description>,
    ) -> Result<(), RespondError> {
        self.perform(now, |invitation, now| {
            invitation.provisional(now, code, reason, headers, preview)
        })
    }

    /// Accepts an INVITE (INV-08), or a re-INVITE: `description` answers the peer's offer, or is ours
    /// if there was none.
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn accept(
        &mut self,
        now: Instant,
        description: Description,
        headers: Headers,
    ) -> Result<(), RespondError> {
        self.perform(now, |invitation, now| {
            invitation.accept(now, Status::OK, headers, Some(description))
        })
    }

    /// Refuses an INVITE with 300 to 699.
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn reject(
        &mut self,
        now: Instant,
        code: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), RespondError> {
        self.perform(now, |invitation, now| match invitation.is_refusable() {
            true => invitation.end(now, Some(code), reason, headers),
            false => Err(RespondError::WrongState(invitation.state())),
        })
    }

    /// Ends the call with what its state asks for (INV-09): CANCEL, which waits for a provisional
    /// response; 603 to an INVITE that is not answered; BYE, which waits for the ACK of our 2xx
    /// (RFC 3261, 15). `headers` go into BYE or the refusal, of them Reason (RFC 3326) also into CANCEL; it is
    /// repeated in `Ended`.
    /// Ending a call again does nothing.
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn end(&mut self, now: Instant, headers: &Headers) -> Result<(), RespondError> {
        self.perform(now, |invitation, now| {
            invitation.end(now, None, None, headers)
        })
    }

    /// Offers (INV-11): a re-INVITE, or the 2xx to a re-INVITE that asked for an offer. `None` sends a
    /// re-INVITE that asks the peer to offer.
    ///
    /// Session-Expires among `headers` asks for another interval or refresher than the session has
    /// (RFC 4028, 7.4).
    ///
    /// # Errors
    ///
    /// See [`OfferError`].
    pub fn offer(
        &mut self,
        now: Instant,
        description: Option<Description>,
        headers: &Headers,
    ) -> Result<(), OfferError> {
        self.perform(now, |invitation, now| {
            invitation.offer(now, description, headers)
        })
    }

    /// Sends UPDATE in a dialog (RFC 3311): with an offer, or without one to tell the peer our Contact
    /// again. A confirmed dialog whose peer does not take UPDATE gets a re-INVITE instead, without an
    /// offer of its own one with what was agreed. `Answered` or `OfferFailed` follows an offer.
    ///
    /// Session-Expires among `headers` asks for another interval or refresher than the session has
    /// (RFC 4028, 7.4).
    ///
    /// # Errors
    ///
    /// See [`OfferError`].
    pub fn update(
        &mut self,
        now: Instant,
        dialog: DialogId,
        description: Option<Description>,
        headers: &Headers,
    ) -> Result<(), OfferError> {
        self.perform(now, |invitation, now| {
            invitation.update(now, dialog, description, headers)
        })
    }

    /// Sends INFO (RFC 6086) in the confirmed dialog, after those before it are answered; `Transaction`
    /// says what became of it.
    ///
    /// # Errors
    ///
    /// See [`InfoError`].
    pub fn inform(&mut self, now: Instant, info: InfoRequest) -> Result<(), InfoError> {
        self.perform(now, |invitation, _| invitation.inform(info))
    }

    /// Takes a running re-INVITE back by CANCEL. `OfferFailed` with 487 follows, or `Answered` if the
    /// answer was faster (SES-28).
    ///
    /// # Errors
    ///
    /// See [`OfferError`].
    pub fn cancel_offer(&mut self, now: Instant) -> Result<(), OfferError> {
        self.perform(now, |invitation, _| invitation.cancel_offer())
    }

    /// Answers the peer's offer: in the 2xx to its INVITE or re-INVITE, or in the ACK of the 2xx that
    /// offered.
    ///
    /// # Errors
    ///
    /// See [`AnswerError`].
    pub fn answer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        description: Description,
    ) -> Result<(), AnswerError> {
        self.perform(now, |invitation, now| {
            invitation.answer(now, dialog, description)
        })
    }

    /// Refuses the peer's offer: a re-INVITE gets `code` (300 to 699) with a Warning. An offer in a 2xx
    /// cannot be refused: it is acknowledged, and the call ended (RFC 3261, 13.2.2.4).
    ///
    /// # Errors
    ///
    /// See [`AnswerError`].
    pub fn refuse(
        &mut self,
        now: Instant,
        dialog: DialogId,
        code: Status,
        warning: Option<&str>,
    ) -> Result<(), AnswerError> {
        self.perform(now, |invitation, now| {
            invitation.refuse(now, dialog, code, warning)
        })
    }

    fn perform<R>(&mut self, now: Instant, command: impl FnOnce(&mut Invitation, Instant) -> R) -> R
    where
        R: Ended,
    {
        let now = self.endpoint.advance(now);
        // Time alone may have ended it.
        let Some(invitation) = self.endpoint.invitations.get_mut(self.id) else {
            return R::ended();
        };
        let result = command(invitation, now);
        self.endpoint.touch(self.id);
        self.endpoint.settle(now);
        result
    }
}

/// What a command says of a call that is no more.
trait Ended {
    fn ended() -> Self;
}

impl Ended for Result<(), RespondError> {
    fn ended() -> Self {
        Err(RespondError::WrongState(State::Disconnected))
    }
}

impl Ended for Result<(), OfferError> {
    fn ended() -> Self {
        Err(OfferError::WrongState(State::Disconnected))
    }
}

impl Ended for Result<(), InfoError> {
    fn ended() -> Self {
        Err(InfoError::WrongState(State::Disconnected))
    }
}

impl Ended for Result<(), AnswerError> {
    fn ended() -> Self {
        Err(AnswerError::NoOffer)
    }
}
