//! Sessions and requests: how they begin, and how they leave the tables.

use super::{
    Child, Connect, ConnectError, OptionsError, SessionId, StreamId, UserAgent, accounts::Profile,
    settle::session::warning_header, transfer::Referred,
};
use crate::{
    event::Particulars,
    session::{DescriptionError, IncomingCall, Session, SessionError, Warning, parse_description},
    stream::{Direction, Offered, Refusal, StreamEnv, Streams},
};
use base::scan::is_token;
use sip::{
    AccountId, HeaderName, Headers, InvitationId, Invite, Options, RequestId, Status, Uri,
    header::{Address, Parse as _, Replaces},
    usage::invitation::{Incoming, reserved},
};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// A session and what the agent knows of it.
#[derive(Debug)]
pub(super) struct SessionEntry {
    pub(super) session: Session,
    /// Who calls or is called; `None` where the agent has no account.
    pub(super) account: Option<AccountId>,
    /// It stands in the worklist.
    pub(super) touched: bool,
    pub(super) invitation: Option<InvitationId>,
    /// The call to make when the streams are prepared.
    pub(super) invite: Option<Box<Invite>>,
    /// The peer of another session has asked for it.
    pub(super) referred: Option<Referred>,
}

impl UserAgent {
    pub(super) fn apply_connect(&mut self, call: Connect) -> Result<SessionId, ConnectError> {
        if !self.life.is_running() {
            return Err(ConnectError::NotRunning);
        }
        if call.streams.is_empty() {
            return Err(ConnectError::NoStreams);
        }
        let limits = &self.config.limits;
        if self.session_count >= limits.sessions || call.streams.len() > limits.streams_per_session
        {
            return Err(ConnectError::TooMany);
        }
        let profile = self
            .accounts
            .profile(call.account)
            .ok_or(ConnectError::UnknownAccount)?;
        let account = profile.id;
        let local = self.local_address_for(self.address_of(&profile, &call.to));
        let sender = self.sender(&profile, local, call.anonymous);
        let invite = invite_of(&profile, &call, sender)?;
        let participants = [profile.identity(local).uri, call.to.clone()];
        let id = self.sessions.next_key();
        let tie_breaker = self.rng.u64();
        let mut made = Vec::with_capacity(call.streams.len());
        for spec in &call.streams {
            let env = self.stream_env(id, Direction::Outgoing, local, tie_breaker, &participants);
            match self.registry.create(self.now, env, spec) {
                Ok(stream) => made.push(self.streams.insert(id, stream)),
                Err(error) => {
                    for stream in made {
                        self.remove_stream(stream);
                    }
                    return Err(error.into());
                }
            }
        }
        let origin = sdp::Origin::new(self.origin_id(), local);
        let limits = self.config.limits.session.clone();
        let mut session = Session::outgoing(self.now, id, origin, limits, &mut self.streams, &made);
        session.allow_redirects(call.redirects, invite.request_uri.clone());
        self.insert_session(session, account, None, Some(Box::new(invite)));
        Ok(id)
    }

    /// Somebody calls.
    pub(super) fn incoming_call(&mut self, invitation: InvitationId, call: Incoming) {
        let is_full = self.session_count >= self.config.limits.sessions;
        if !self.life.is_running() || is_full || self.is_congested {
            // RFC 3261, 21.5.4: without a time it is no better than a 500.
            let mut headers = Headers::new();
            headers.push(HeaderName::RetryAfter, RETRY_AFTER);
            return self.refuse_call_with(invitation, Status::SERVICE_UNAVAILABLE, &headers);
        }
        let account = self.accounts.find(&call.request_uri);
        if let Some(id) = account
            && let Some(account) = self.accounts.account(id)
            && let Some(mut call) = self.endpoint.invitation(invitation)
        {
            call.set_account(id, account.credentials.clone());
        }
        let id = self.sessions.next_key();
        let local = self.local_address_for(Some(call.peer.ip()));
        let participants = [call.from.uri.clone(), call.to.uri.clone()];
        let mut refusal = None;
        let lines = match &call.offer {
            Some(description) => match parse_description(description) {
                Ok(offer) => self.offered_streams(id, local, &participants, &offer, &mut refusal),
                Err(error) => {
                    let status = match error {
                        DescriptionError::NotSdp => Status::UNSUPPORTED_MEDIA_TYPE,
                        DescriptionError::Malformed(_) => Status::BAD_REQUEST,
                        DescriptionError::Negotiation(_) => Status::NOT_ACCEPTABLE_HERE,
                    };
                    return self.refuse_call(invitation, status, Some(error.to_string()));
                }
            },
            None => self.streams_without_offer(id, local, &participants),
        };
        if lines.iter().all(Option::is_none) {
            let warning = refusal.map_or("no stream is acceptable", |refusal| refusal.warning);
            let warning = Some(warning.to_owned());
            return self.refuse_call(invitation, Status::NOT_ACCEPTABLE_HERE, warning);
        }
        let origin = sdp::Origin::new(self.origin_id(), local);
        let limits = self.config.limits.session.clone();
        let call = IncomingCall {
            dialog: call.dialog,
            offer: call.offer.map(|description| description.body),
            lines,
            is_confidential: call.transport.is_secure(),
            is_reliable: self.config.sip.reliable.is_usable(&call.headers),
            particulars: Particulars::of(call.caller, &call.headers, self.config.trusts(call.peer)),
            replaces: call
                .replaces
                .and_then(|replaced| self.invitations.get(&replaced).copied()),
        };
        let session = Session::incoming(self.now, id, origin, limits, &mut self.streams, call);
        self.insert_session(session, account, Some(invitation), None);
    }

    pub(super) fn apply_options(
        &mut self,
        account: Option<AccountId>,
        to: Uri,
    ) -> Result<RequestId, OptionsError> {
        if !self.life.is_running() {
            return Err(OptionsError::NotRunning);
        }
        let profile = self
            .accounts
            .profile(account)
            .ok_or(OptionsError::UnknownAccount)?;
        let local = self.local_address_for(self.address_of(&profile, &to));
        let mut options = Options::new(profile.identity(local), Address::new(to));
        options.route = profile.route();
        options.credentials.clone_from(&profile.account.credentials);
        options.account = profile.id;
        let id = self.endpoint.options(self.now, options);
        self.touch(Child::Endpoint);
        id.map_err(|_| OptionsError::Refused)
    }

    /// Lets a session do something with its streams.
    pub(super) fn with_session(
        &mut self,
        id: SessionId,
        act: impl FnOnce(&mut Session, Instant, &mut Streams) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        let entry = self
            .sessions
            .get_mut(id)
            .ok_or(SessionError::UnknownSession)?;
        let result = act(&mut entry.session, self.now, &mut self.streams);
        self.touch(Child::Session(id));
        self.collect_touched();
        result
    }

    /// Takes a session out of the tables, with the streams that it still has.
    pub(super) fn remove_session(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.remove(id) else {
            return;
        };
        self.session_count -= 1;
        self.timers.set(Child::Session(id), None);
        if let Some(invitation) = entry.invitation {
            self.invitations.remove(&invitation);
        }
        for stream in entry.session.all_streams() {
            self.remove_stream(stream);
        }
        self.coverage.merge(entry.session.coverage());
    }

    pub(super) fn forget_invitation(&mut self, invitation: InvitationId) {
        let session = self.invitations.remove(&invitation);
        if let Some(entry) = session.and_then(|id| self.sessions.get_mut(id)) {
            entry.invitation = None;
        }
    }

    fn insert_session(
        &mut self,
        session: Session,
        account: Option<AccountId>,
        invitation: Option<InvitationId>,
        invite: Option<Box<Invite>>,
    ) {
        let id = self.sessions.insert(SessionEntry {
            session,
            account,
            touched: false,
            invitation,
            invite,
            referred: None,
        });
        self.session_count += 1;
        if let Some(invitation) = invitation {
            self.invitations.insert(invitation, id);
        }
        self.touch(Child::Session(id));
        self.collect_touched();
    }

    fn refuse_call(&mut self, invitation: InvitationId, status: Status, warning: Option<String>) {
        self.refuse_call_with(
            invitation,
            status,
            &warning_header(warning.map(Warning::miscellaneous)),
        );
    }

    fn refuse_call_with(&mut self, invitation: InvitationId, status: Status, headers: &Headers) {
        if let Some(mut call) = self.endpoint.invitation(invitation)
            && let Err(error) = call.reject(self.now, status, None, headers)
        {
            tracing::debug!(%error, "the call is over already");
        }
        self.touch(Child::Endpoint);
    }

    /// For every m-line of an offer the stream that took it; if one was refused, the first reason.
    fn offered_streams(
        &mut self,
        session: SessionId,
        local: IpAddr,
        participants: &[Uri; 2],
        offer: &sdp::Session,
        first: &mut Option<Refusal>,
    ) -> Vec<Option<StreamId>> {
        let tie_breaker = self.rng.u64();
        let limit = self.config.limits.streams_per_session;
        let mut lines = Vec::with_capacity(offer.media.len());
        for index in 0..offer.media.len() {
            // RFC 3264, 6: port 0 asks for nothing.
            if index >= limit || offer.media[index].is_disabled() {
                lines.push(None);
                continue;
            }
            let env = self.stream_env(
                session,
                Direction::Incoming,
                local,
                tie_breaker,
                participants,
            );
            lines.push(match self.registry.offered(self.now, &env, offer, index) {
                Offered::Taken(stream) => Some(self.streams.insert(session, stream)),
                Offered::Refused(refusal) => {
                    tracing::debug!(index, refusal.warning, "m-line refused");
                    first.get_or_insert(refusal);
                    None
                }
                Offered::NotMine => None,
            });
        }
        lines
    }

    /// What we propose to a caller who leaves the offer to us (SES-17).
    fn streams_without_offer(
        &mut self,
        session: SessionId,
        local: IpAddr,
        participants: &[Uri; 2],
    ) -> Vec<Option<StreamId>> {
        let tie_breaker = self.rng.u64();
        let mut lines = Vec::new();
        for spec in self.config.streams_without_offer.clone() {
            let env = self.stream_env(
                session,
                Direction::Outgoing,
                local,
                tie_breaker,
                participants,
            );
            match self.registry.create(self.now, env, &spec) {
                Ok(stream) => lines.push(Some(self.streams.insert(session, stream))),
                Err(error) => tracing::debug!(spec.kind, %error, "no stream to propose"),
            }
        }
        lines
    }

    fn stream_env(
        &mut self,
        session: SessionId,
        direction: Direction,
        local_address: IpAddr,
        tie_breaker: u64,
        participants: &[Uri; 2],
    ) -> StreamEnv {
        StreamEnv {
            id: self.streams.next_id(),
            session,
            direction,
            rng: self.rng.fork(),
            clock: self.clock,
            settings: Arc::clone(&self.config.media),
            credentials: self.credentials.clone(),
            tie_breaker,
            interfaces: Arc::clone(&self.interfaces),
            participants: participants.clone(),
            local_address,
        }
    }

    /// A number for `o=`: positive in the 63 bits that every peer can read.
    fn origin_id(&mut self) -> u64 {
        self.rng.u64() >> 2
    }

    /// Where a URI leads, if that can be said without asking.
    pub(super) fn address_of(&self, profile: &Profile<'_>, uri: &Uri) -> Option<IpAddr> {
        let next = profile.account.outbound_proxy.as_ref().unwrap_or(uri);
        self.resolver.addresses(&next.host()?).first().copied()
    }
}

/// The INVITE of a call.
fn invite_of(
    profile: &Profile<'_>,
    call: &Connect,
    (from, mut private): (Address, Headers),
) -> Result<Invite, ConnectError> {
    let mut to = Address::new(call.to.clone());
    to.display.clone_from(&call.display_name);
    let mut invite = Invite::new(from, to);
    invite.route = profile.route();
    invite.credentials.clone_from(&profile.account.credentials);
    invite.account = profile.id;
    if let Some(text) = &call.replaces {
        Replaces::parse(text.as_bytes()).map_err(|_| ConnectError::Replaces)?;
    }
    invite.replaces.clone_from(&call.replaces);
    if let Some(subject) = &call.subject {
        invite.headers.push(HeaderName::Subject, subject.as_str());
    }
    for (name, value) in &call.headers {
        let is_token = !name.is_empty() && name.bytes().all(is_token);
        if !is_token || value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(ConnectError::Header(name.clone()));
        }
        invite.headers.push(name.as_str(), value.as_str());
    }
    if let Some(name) = reserved(&invite.headers) {
        return Err(ConnectError::Header(name.as_str().to_owned()));
    }
    for own in [HeaderName::Privacy, HeaderName::PPreferredIdentity] {
        if invite.headers.contains(own) {
            private.remove(own);
        }
    }
    for field in private.iter() {
        invite.headers.push(field.name, field.value);
    }
    Ok(invite)
}

/// Seconds until a caller may try again whom we have no room for: a call of usual length ends, and
/// slow applications catch up.
const RETRY_AFTER: &str = "30";
