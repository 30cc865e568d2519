//! Call transfer: what the application can ask for, and what of it stands between sessions
//! (requirements 12; RFC 5589).

use super::{Child, Command, Connect, ConnectError, SessionId, UserAgent};
use crate::{
    session::{SessionError, TransferInfo, TransferMisuse},
    stream::StreamSpec,
};
use serde::Serialize;
use sip::{
    IncomingReferralId, Refer, ReferralId, Status, Uri,
    header::{Address, Value as _},
    usage::referral::IncomingRefer,
};
use std::{collections::BTreeMap, time::Instant};

/// Whose sessions the REFERs are that run.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// Ours.
    pub(super) outgoing: BTreeMap<ReferralId, SessionId>,
    /// Those of peers.
    pub(super) incoming: BTreeMap<IncomingReferralId, Incoming>,
}

/// A REFER of a peer.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The session that it came in.
    pub(super) session: SessionId,
    /// What it asks for, until that is decided.
    pub(super) refer: Option<Box<IncomingRefer>>,
    /// The session ends when the peer knows that the new one stands.
    pub(super) is_done: bool,
}

/// A session that was made because a peer has asked for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Referred {
    pub(super) referral: IncomingReferralId,
    /// In which session it was asked for.
    pub(super) by: SessionId,
    /// What its failure is reported as, if not as what it was.
    pub(super) failure: Option<Status>,
}

/// Why a transfer cannot be begun, accepted or rejected; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// There is no such session, it does not stand, or the status code is none that refuses.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// One transfer at a time (XFR-06).
    #[error("a transfer runs already")]
    Running,
    /// Without a session to replace it takes a target.
    #[error("no target")]
    NoTarget,
    /// The session to replace is unknown, has no dialog, or is the one that is transferred.
    #[error("this session cannot be replaced")]
    Replaced,
    /// No transfer waits for a decision.
    #[error("no transfer waits for a decision")]
    NoTransfer,
    /// The transfer that runs is ours: the peer decides (GEN-06).
    #[error("the peer decides about this transfer")]
    WrongDirection,
    /// Too many requests already, or a target that cannot be referred to.
    #[error("the endpoint refuses")]
    Refused,
    /// The new call cannot be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl From<TransferMisuse> for TransferError {
    fn from(misuse: TransferMisuse) -> Self {
        match misuse {
            TransferMisuse::Session(error) => Self::Session(error),
            TransferMisuse::Running => Self::Running,
            TransferMisuse::NoTransfer => Self::NoTransfer,
            TransferMisuse::WrongDirection => Self::WrongDirection,
        }
    }
}

impl UserAgent {
    /// Asks the peer of a session to call somebody else (SES-35): `target` (blind, XFR-01), or, with a
    /// session to replace, the peer of that one, who then ends it (attended, XFR-02); where `target` is
    /// left out, that peer is called at its Contact. Told by `TransferNewOutgoing`, `TransferDidStart`,
    /// `TransferGotProgress` and then `TransferDidEnd`, after which the session ends, or
    /// `TransferDidFail`, after which it goes on.
    ///
    /// # Errors
    ///
    /// See [`TransferError`]: only a session in state connected, one transfer at a time.
    pub fn transfer(
        &mut self,
        now: Instant,
        session: SessionId,
        target: Option<Uri>,
        replaced: Option<SessionId>,
    ) -> Result<(), TransferError> {
        let command = |target: &Option<Uri>| Command::Transfer {
            session,
            target: target.clone(),
            replaced,
        };
        self.perform(now, command, target, |agent, target| {
            agent.apply_transfer(session, target, replaced)
        })
    }

    /// Does what the peer of a session asks for (SES-36): calls the one whom it names, with these
    /// streams, and reports to it (XFR-04). Returns the new session; when it stands, the old one ends.
    ///
    /// # Errors
    ///
    /// See [`TransferError`]: only after `TransferNewIncoming`, once.
    pub fn accept_transfer(
        &mut self,
        now: Instant,
        session: SessionId,
        streams: Vec<StreamSpec>,
    ) -> Result<SessionId, TransferError> {
        let command = |streams: &Vec<StreamSpec>| Command::AcceptTransfer {
            session,
            streams: streams.clone(),
        };
        self.perform(now, command, streams, |agent, streams| {
            agent.apply_accept_transfer(session, streams)
        })
    }

    /// Declines what the peer of a session asks for (SES-37): it is told `code`, 300 to 699; 486 if it is
    /// left out (XFR-09).
    ///
    /// # Errors
    ///
    /// See [`TransferError`]: only after `TransferNewIncoming`, once, and only a code that refuses.
    pub fn reject_transfer(
        &mut self,
        now: Instant,
        session: SessionId,
        code: Option<u16>,
        reason: Option<&str>,
    ) -> Result<(), TransferError> {
        let command = |_: &()| Command::RejectTransfer {
            session,
            code,
            reason: reason.map(str::to_owned),
        };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_reject_transfer(session, code, reason)
        })
    }

    fn apply_transfer(
        &mut self,
        id: SessionId,
        target: Option<Uri>,
        replaced: Option<SessionId>,
    ) -> Result<(), TransferError> {
        let entry = self.sessions.get_mut(id);
        let entry = entry.ok_or(SessionError::UnknownSession)?;
        entry.session.may_transfer()?;
        // In this state there is an invitation.
        let invitation = entry.invitation.ok_or(SessionError::UnknownSession)?;
        let account = entry.account;
        let call = match replaced {
            Some(replaced) => {
                let other = self.sessions.get(replaced).filter(|_| replaced != id);
                let other = other.and_then(|entry| entry.invitation);
                Some(other.ok_or(TransferError::Replaced)?)
            }
            None => None,
        };
        let info = call.and_then(|call| self.endpoint.info(call));
        let peer = info.as_ref().and_then(|info| info.remote_target.clone());
        if call.is_some() && peer.is_none() {
            return Err(TransferError::Replaced);
        }
        let target = target.or(peer).ok_or(TransferError::NoTarget)?;
        let source = self.endpoint.info(invitation).map(|info| info.local.uri);
        let source = source.ok_or(SessionError::UnknownSession)?;
        let mut refer = Refer::in_call(invitation, Address::new(target.clone()));
        refer.replaces = call;
        let profile = account.and_then(|id| self.accounts.profile(Some(id)));
        refer.route = profile.map_or_else(Vec::new, |profile| profile.route());
        let referral = self.endpoint.refer(self.now, refer);
        let referral = referral.map_err(|_| TransferError::Refused)?;
        self.touch(Child::Endpoint);
        self.transfers.outgoing.insert(referral, id);
        let transfer = TransferInfo::outgoing(target, info.map(|info| info.call_id));
        if let Some(entry) = self.sessions.get_mut(id) {
            entry.session.begin_transfer(self.now, transfer, source);
        }
        self.touch(Child::Session(id));
        Ok(())
    }

    fn apply_accept_transfer(
        &mut self,
        id: SessionId,
        streams: Vec<StreamSpec>,
    ) -> Result<SessionId, TransferError> {
        let (referral, refer) = self.undecided(id)?;
        let mut call = Connect::new(refer.refer_to.uri.clone(), streams);
        call.display_name.clone_from(&refer.refer_to.display);
        call.replaces.clone_from(&refer.replaces);
        // Who was asked calls; the default account if that one is gone.
        let account = self.sessions.get(id).and_then(|entry| entry.account);
        call.account = account.filter(|&id| self.accounts.account(id).is_some());
        // RFC 3892, 2.2. What else Refer-To wants in the INVITE is a stranger's wish, and left out.
        if let Some(by) = &refer.referred_by {
            let mut value = Vec::new();
            by.write_to(&mut value);
            let value = String::from_utf8_lossy(&value).into_owned();
            call.headers.push(("Referred-By".to_owned(), value));
        }
        let new = self.apply_connect(call)?;
        if let Some(entry) = self.sessions.get_mut(new) {
            entry.referred = Some(Referred {
                referral,
                by: id,
                failure: None,
            });
        }
        self.decided(referral);
        self.with_transfer(id, |session| session.transfer_accepted(new));
        Ok(new)
    }

    fn apply_reject_transfer(
        &mut self,
        id: SessionId,
        code: Option<u16>,
        reason: Option<&str>,
    ) -> Result<(), TransferError> {
        let (referral, _) = self.undecided(id)?;
        let status = match code {
            None => Status::BUSY_HERE,
            Some(code) => Status::new(code)
                .filter(|status| status.is_failure())
                .ok_or(SessionError::BadCode)?,
        };
        self.decided(referral);
        self.report_referral(referral, status, reason);
        let reason = reason.unwrap_or_else(|| status.phrase()).to_owned();
        self.with_transfer(id, |session| {
            session.transfer_failed(status.code(), reason);
        });
        Ok(())
    }

    /// What waits for the decision of the application.
    fn undecided(
        &self,
        id: SessionId,
    ) -> Result<(IncomingReferralId, &IncomingRefer), TransferError> {
        let entry = self.sessions.get(id);
        let entry = entry.ok_or(SessionError::UnknownSession)?;
        entry.session.undecided_transfer()?;
        let mut all = self.transfers.incoming.iter();
        all.find_map(|(referral, incoming)| {
            let refer = incoming.refer.as_deref()?;
            (incoming.session == id).then_some((*referral, refer))
        })
        .ok_or(TransferError::NoTransfer)
    }

    fn decided(&mut self, referral: IncomingReferralId) {
        if let Some(incoming) = self.transfers.incoming.get_mut(&referral) {
            incoming.refer = None;
        }
    }
}
