//! Call transfer, as a session sees it (requirements 12): we ask the peer to call somebody else, or
//! the peer asks us.
//!
//! The REFER, its reports and the new call are the agent's business; the session knows which side asked,
//! how far it is, and tells the application.

use super::{InputKind, Session, SessionError, SessionOutput, State};
use crate::{
    event::SessionEvent,
    id::SessionId,
    stream::{Direction, Streams},
};
use serde::Serialize;
use sip::{
    ReferralEvent, Status, Uri,
    usage::referral::{IncomingRefer, ReferralEnd},
};
use std::time::{Duration, Instant};

/// How far a transfer has come (XFR-08); before the first there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TransferState {
    /// Asked for, and not answered.
    Starting,
    /// Accepted: the transferee calls.
    Started,
    /// The new call stands.
    Ended,
    /// Refused, or the new call failed. This call stays as it was.
    Failed,
}

/// What is known of the latest transfer of a session (SES-50, XFR-03).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct TransferInfo {
    /// Outgoing if we have asked, incoming if the peer has.
    pub direction: Direction,
    /// How far it has come.
    pub state: TransferState,
    /// Who shall be called.
    pub destination: Uri,
    /// Who asks, as Referred-By says it (RFC 3892): untrusted.
    pub referred_by: Option<Uri>,
    /// The dialog that the new call takes the place of at its receiver, as Replaces has it (RFC 3891).
    pub replaced_dialog_id: Option<String>,
    /// The new call, where it is ours to make.
    pub session: Option<SessionId>,
}

impl TransferInfo {
    /// One that we ask for.
    pub(crate) const fn outgoing(destination: Uri, replaced_dialog_id: Option<String>) -> Self {
        Self {
            direction: Direction::Outgoing,
            state: TransferState::Starting,
            destination,
            referred_by: None,
            replaced_dialog_id,
            session: None,
        }
    }

    /// One that the peer asks for.
    pub(crate) fn incoming(refer: &IncomingRefer) -> Self {
        Self {
            direction: Direction::Incoming,
            state: TransferState::Starting,
            destination: refer.refer_to.uri.clone(),
            referred_by: refer.referred_by.as_ref().map(|by| by.uri.clone()),
            replaced_dialog_id: refer.replaces.clone(),
            session: None,
        }
    }

    /// Neither side waits for it any more.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, TransferState::Ended | TransferState::Failed)
    }
}

/// What the application asked for in a state that does not allow it; nothing has changed (GEN-06).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TransferMisuse {
    /// The call does not stand.
    Session(SessionError),
    /// Another one runs: one at a time (XFR-06).
    Running,
    /// None waits for a decision.
    NoTransfer,
    /// It is ours: the peer decides.
    WrongDirection,
}

impl Session {
    /// Whether we may ask the peer for a transfer: only in connected, one at a time (XFR-06).
    pub(crate) fn may_transfer(&mut self) -> Result<(), TransferMisuse> {
        self.seen.note(self.state, InputKind::Transfer);
        self.in_state(&[State::Connected])
            .map_err(TransferMisuse::Session)?;
        match self.transfer_is_running() {
            true => Err(TransferMisuse::Running),
            false => Ok(()),
        }
    }

    /// We have asked the peer (SES-35, SES-70).
    pub(crate) fn begin_transfer(&mut self, now: Instant, info: TransferInfo, source: Uri) {
        self.push(SessionEvent::TransferNewOutgoing {
            transfer_destination: info.destination.clone(),
            transfer_source: source,
        });
        self.transfer = Some(Box::new(info));
        self.timers.transfer = now.checked_add(PATIENCE);
    }

    /// The peer asks us (SES-73). The call must stand, and one transfer at a time is enough (XFR-05).
    ///
    /// # Errors
    ///
    /// The status that refuses it.
    pub(crate) fn transfer_requested(
        &mut self,
        info: TransferInfo,
        source: Uri,
    ) -> Result<(), Status> {
        self.seen.note(self.state, InputKind::Refer);
        if !self.state.is_up() || self.transfer_is_running() {
            return Err(Status::TEMPORARILY_UNAVAILABLE);
        }
        self.push(SessionEvent::TransferNewIncoming {
            transfer_destination: info.destination.clone(),
            transfer_source: source,
            referred_by: info.referred_by.clone(),
            replaced_dialog_id: info.replaced_dialog_id.clone(),
        });
        self.transfer = Some(Box::new(info));
        Ok(())
    }

    /// The transfer that waits for the application's decision.
    pub(crate) fn undecided_transfer(&self) -> Result<&TransferInfo, TransferMisuse> {
        match self.transfer.as_deref() {
            Some(info) if info.state != TransferState::Starting => Err(TransferMisuse::NoTransfer),
            Some(info) if info.direction == Direction::Outgoing => {
                Err(TransferMisuse::WrongDirection)
            }
            Some(info) => Ok(info),
            None => Err(TransferMisuse::NoTransfer),
        }
    }

    /// The new call is being made (SES-36, SES-71).
    pub(crate) fn transfer_accepted(&mut self, session: SessionId) {
        if let Some(info) = &mut self.transfer {
            info.session = Some(session);
        }
        self.transfer_starts();
    }

    /// The new call stands; this one ends when the peer knows it.
    pub(crate) fn transfer_succeeded(&mut self) {
        if self.close_transfer(TransferState::Ended) {
            self.push(SessionEvent::TransferDidEnd);
        }
    }

    /// It came to nothing; this call stays as it was (SES-72).
    pub(crate) fn transfer_failed(&mut self, code: u16, reason: String) {
        if self.close_transfer(TransferState::Failed) {
            self.push(SessionEvent::TransferDidFail { code, reason });
        }
    }

    /// What became of our REFER (XFR-06).
    pub(super) fn handle_referral(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        event: ReferralEvent,
    ) {
        self.seen.note(self.state, InputKind::Referral);
        if !self.transfer_is_running() {
            return;
        }
        match event {
            ReferralEvent::Accepted { .. } => self.transfer_starts(),
            ReferralEvent::Progress { code, reason } => {
                self.transfer_starts();
                self.push(SessionEvent::TransferGotProgress {
                    code: code.code(),
                    reason,
                });
            }
            ReferralEvent::Ended {
                outcome: ReferralEnd::Succeeded,
                ..
            } => {
                self.transfer_succeeded();
                // RFC 5589, 6.1: the call has served its purpose. If the transferee ends it as well, that is
                // a crossing like any other.
                // No state refuses it.
                let _ = self.end(now, streams, None);
            }
            // RFC 4488: the peer does it and will not say how it went; so the call is left to it.
            ReferralEvent::Ended {
                outcome: ReferralEnd::Unreported,
                ..
            } => self.transfer_succeeded(),
            ReferralEvent::Ended { code, reason, .. } => {
                // A report that says "trying" is no reason to have failed.
                let failed = code.filter(|code| code.is_failure());
                let code = failed.unwrap_or(Status::REQUEST_TIMEOUT);
                let reason = reason.filter(|_| failed.is_some());
                let reason = reason.unwrap_or_else(|| code.phrase().to_owned());
                self.transfer_failed(code.code(), reason);
            }
            _ => {}
        }
    }

    /// Nobody has said in time what became of it (XFR-06).
    pub(super) fn transfer_timed_out(&mut self) {
        self.out.push_back(SessionOutput::ForgetTransfer);
        let status = Status::REQUEST_TIMEOUT;
        self.transfer_failed(status.code(), status.phrase().to_owned());
    }

    /// The call ends while a transfer is not over. What the transferee has begun goes on, and has events
    /// of its own; what waits for our decision is refused. What we have asked for is not called off: its
    /// SUBSCRIBE and the BYE could pass each other, and the later number would make the earlier one void.
    pub(super) fn forsake_transfer(&mut self) {
        let Some(info) = self.transfer.as_ref().filter(|info| !info.is_over()) else {
            return;
        };
        if info.session.is_none() {
            if info.direction == Direction::Incoming {
                self.out.push_back(SessionOutput::ForgetTransfer);
            }
            let status = Status::REQUEST_TERMINATED;
            self.transfer_failed(status.code(), "Session Ended".to_owned());
        }
    }

    /// The latest transfer.
    pub(super) fn transfer_info(&self) -> Option<TransferInfo> {
        self.transfer.as_deref().cloned()
    }

    fn transfer_is_running(&self) -> bool {
        self.transfer.as_ref().is_some_and(|info| !info.is_over())
    }

    fn transfer_starts(&mut self) {
        let waits = |info: &&mut Box<TransferInfo>| info.state == TransferState::Starting;
        if let Some(info) = self.transfer.as_mut().filter(waits) {
            info.state = TransferState::Started;
            self.push(SessionEvent::TransferDidStart);
        }
    }

    /// False if it is over already.
    fn close_transfer(&mut self, state: TransferState) -> bool {
        self.timers.transfer = None;
        let running = self.transfer.as_mut().filter(|info| !info.is_over());
        running.map(|info| info.state = state).is_some()
    }
}

/// XFR-06: for the outcome of a transfer that we have asked for.
const PATIENCE: Duration = Duration::from_secs(90);
