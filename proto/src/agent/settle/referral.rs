//! From referrals to the sessions that they are about, and from the sessions back to the peers who have
//! asked for them (XFR-04 … XFR-06).

use crate::{
    agent::{Child, SessionId, UserAgent, transfer::Incoming},
    event::SessionEvent,
    session::{Session, SessionInput, TransferInfo},
};
use sip::{
    Headers, IncomingReferralId, ReferralEvent, ReferralId, Status,
    uri::Scheme,
    usage::referral::{IncomingRefer, IncomingReferralEvent},
};

impl UserAgent {
    /// What became of a REFER of ours.
    pub(super) fn route_referral(&mut self, id: ReferralId, event: ReferralEvent) {
        let is_over = matches!(event, ReferralEvent::Ended { .. });
        if let Some(&session) = self.transfers.outgoing.get(&id) {
            self.session_input(session, SessionInput::Referral(event));
        }
        if is_over {
            self.transfers.outgoing.remove(&id);
        }
    }

    /// What became of a REFER of a peer.
    pub(super) fn route_incoming_referral(
        &mut self,
        id: IncomingReferralId,
        event: IncomingReferralEvent,
    ) {
        match event {
            IncomingReferralEvent::Incoming(refer) => self.transfer_requested(id, refer),
            IncomingReferralEvent::Ended { .. } => self.referral_over(id),
            // Whether a report was heard changes nothing.
            _ => {}
        }
    }

    /// The peer asks us to call somebody else: accepted at once, to be decided by the application (XFR-04).
    fn transfer_requested(&mut self, id: IncomingReferralId, refer: Box<IncomingRefer>) {
        let result = match self.judge(&refer) {
            Ok(session) => {
                let incoming = Incoming {
                    session,
                    refer: Some(refer),
                    is_done: false,
                };
                self.transfers.incoming.insert(id, incoming);
                self.touch(Child::Session(session));
                self.endpoint.accept_referral(self.now, id)
            }
            Err(status) => {
                let target = refer.refer_to.uri.as_str();
                self.log("endpoint", 4, format!("REFER to {target}: {status}"));
                let none = Headers::new();
                self.endpoint
                    .reject_referral(self.now, id, status, None, &none)
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "the REFER is over already");
        }
        self.touch(Child::Endpoint);
    }

    /// Whose session a REFER is about.
    ///
    /// # Errors
    ///
    /// The status that refuses it.
    fn judge(&mut self, refer: &IncomingRefer) -> Result<SessionId, Status> {
        // Strangers have no call to be transferred: a call is the user's to make. Who names one of ours
        // by Target-Dialog is no stranger (RFC 4538, 4).
        let session = refer.call.and_then(|call| self.invitations.get(&call));
        let session = *session.ok_or(Status::DECLINE)?;
        // Nor are requests of other kinds ours to send, or links to follow.
        let scheme = refer.refer_to.uri.scheme();
        if refer.method.is_some() || !matches!(scheme, Scheme::Sip | Scheme::Sips) {
            return Err(Status::DECLINE);
        }
        let entry = self.sessions.get_mut(session).ok_or(Status::DECLINE)?;
        let info = TransferInfo::incoming(refer);
        entry
            .session
            .transfer_requested(info, refer.from.uri.clone())?;
        Ok(session)
    }

    /// The peer is told no more.
    fn referral_over(&mut self, id: IncomingReferralId) {
        let Some(incoming) = self.transfers.incoming.remove(&id) else {
            return;
        };
        if incoming.is_done {
            self.end_transferred(incoming.session);
        } else if incoming.refer.is_some() {
            // Nobody has decided while the peer waited.
            let status = Status::REQUEST_TIMEOUT;
            self.with_transfer(incoming.session, |session| {
                session.transfer_failed(status.code(), status.phrase().to_owned());
            });
        }
    }

    /// Tells the peer who has asked for a session how it fares.
    pub(super) fn report_session(&mut self, id: SessionId, event: &SessionEvent) {
        let referred = self.sessions.get(id).and_then(|entry| entry.referred);
        let Some(referred) = referred else {
            return;
        };
        match event {
            SessionEvent::GotProvisionalResponse { code, reason } => {
                if let Some(status) = Status::new(*code) {
                    self.report_referral(referred.referral, status, Some(reason));
                }
            }
            SessionEvent::DidStart { .. } => {
                self.forget_referrer(id);
                self.with_transfer(referred.by, Session::transfer_succeeded);
                let incoming = self.transfers.incoming.get_mut(&referred.referral);
                let is_heard = incoming.map(|incoming| incoming.is_done = true).is_some();
                self.report_referral(referred.referral, Status::OK, None);
                if !is_heard {
                    self.end_transferred(referred.by);
                }
            }
            SessionEvent::DidFail { code, reason, .. } => {
                self.forget_referrer(id);
                let own = Status::new(*code).filter(|status| status.is_failure());
                let status = referred.failure.or(own);
                // XFR-04: a session that fails here has no code.
                let status = status.unwrap_or(Status::SERVER_INTERNAL_ERROR);
                let reason = match own == Some(status) && !reason.is_empty() {
                    true => reason.clone(),
                    false => status.phrase().to_owned(),
                };
                self.report_referral(referred.referral, status, Some(&reason));
                self.with_transfer(referred.by, |session| {
                    session.transfer_failed(status.code(), reason);
                });
            }
            _ => {}
        }
    }

    /// XFR-04: a name that leads nowhere is reported as 480.
    pub(super) fn lookup_failed(&mut self, session: SessionId) {
        let entry = self.sessions.get_mut(session);
        if let Some(referred) = entry.and_then(|entry| entry.referred.as_mut()) {
            referred.failure = Some(Status::TEMPORARILY_UNAVAILABLE);
        }
    }

    /// The session that has asked for a transfer, or was asked for one, waits for it no longer.
    pub(super) fn forget_transfer(&mut self, id: SessionId) {
        let ours = self.transfers.outgoing.iter();
        let ours = ours.filter(|(_, session)| **session == id);
        for referral in ours.map(|(referral, _)| *referral).collect::<Vec<_>>() {
            self.endpoint.forget_referral(self.now, referral);
        }
        let theirs = self.transfers.incoming.iter_mut();
        let undecided: Vec<_> = theirs
            .filter(|(_, incoming)| incoming.session == id)
            .filter_map(|(referral, incoming)| incoming.refer.take().map(|_| *referral))
            .collect();
        for referral in undecided {
            self.report_referral(referral, Status::REQUEST_TERMINATED, None);
        }
        self.touch(Child::Endpoint);
    }

    /// Reports to a peer; one that does not listen any more hears nothing.
    pub(in crate::agent) fn report_referral(
        &mut self,
        id: IncomingReferralId,
        status: Status,
        reason: Option<&str>,
    ) {
        if let Err(error) = self.endpoint.report_referral(self.now, id, status, reason) {
            tracing::debug!(%error, "the peer is not told");
        }
        self.touch(Child::Endpoint);
    }

    /// Lets a session know of its transfer, if it still lives.
    pub(in crate::agent) fn with_transfer(
        &mut self,
        id: SessionId,
        act: impl FnOnce(&mut Session),
    ) {
        if let Some(entry) = self.sessions.get_mut(id) {
            act(&mut entry.session);
            self.touch(Child::Session(id));
        }
    }

    fn forget_referrer(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.get_mut(id) {
            entry.referred = None;
        }
    }

    /// The new session stands: the old one ends (XFR-04).
    fn end_transferred(&mut self, id: SessionId) {
        // It may be over already.
        let _ = self.with_session(id, |session, now, streams| session.end(now, streams, None));
    }
}
