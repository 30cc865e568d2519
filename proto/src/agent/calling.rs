//! What the application can ask of a call besides its beginning and its end.

use super::{Child, Command, InformError, SessionId, SessionIntervalError, UserAgent};
use crate::session::{RedirectError, SessionError, Warning};
use sip::{
    HeaderName, Headers, InfoRequest, Uri,
    header::{Refresher, SessionExpires},
};
use std::time::{Duration, Instant};

impl UserAgent {
    /// Says something to the peer beside the call, by INFO (RFC 6086), after what was said before is answered;
    /// told by `DidProcessTransaction`.
    ///
    /// # Errors
    ///
    /// See [`InformError`].
    pub fn inform(
        &mut self,
        now: Instant,
        session: SessionId,
        info: InfoRequest,
    ) -> Result<(), InformError> {
        let command = |info: &InfoRequest| Command::Inform {
            session,
            info: info.clone(),
        };
        self.perform(now, command, info, |agent, info| {
            agent.apply_inform(session, info)
        })
    }

    /// Asks the peer that a session lasts `interval` without a refresh from here on, in whole seconds, and that
    /// `refresher` refreshes it: `Uac` are we, `Uas` is the peer, `None` leaves that to the peer (RFC 4028, 7.4). It
    /// goes out at once, by UPDATE, or by a re-INVITE with what was agreed to a peer that does not take UPDATE.
    ///
    /// `DidProcessTransaction` tells what became of it, and the `session_interval` and `is_refresher` of
    /// [`SessionInfo::call`](crate::session::SessionInfo::call) what is agreed: the peer may shorten the interval, and a
    /// proxy may make it longer. Where it is refused the session stays as it was.
    ///
    /// # Errors
    ///
    /// See [`SessionIntervalError`].
    pub fn change_session_interval(
        &mut self,
        now: Instant,
        session: SessionId,
        interval: Duration,
        refresher: Option<Refresher>,
    ) -> Result<(), SessionIntervalError> {
        let command = |_: &()| Command::ChangeSessionInterval {
            session,
            interval,
            refresher,
        };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_session_interval(session, interval, refresher)
        })
    }

    /// Follows a redirection: to `target`, which has to be one of those that `GotRedirect` has named, or, without
    /// one, to the preferred one in a domain where the call has been (RFC 3261, 8.1.3.4). No target is tried
    /// twice, and a `sips` call stays one. `target` is the application's word that a call may go to
    /// another domain; what that costs and who listens there, nobody has said.
    ///
    /// # Errors
    ///
    /// See [`RedirectError`].
    pub fn follow_redirect(
        &mut self,
        now: Instant,
        session: SessionId,
        target: Option<&Uri>,
    ) -> Result<(), RedirectError> {
        let command = |_: &()| Command::FollowRedirect {
            session,
            target: target.cloned(),
        };
        self.perform(now, command, (), |agent, ()| {
            let now = agent.now;
            let entry = agent.sessions.get_mut(session);
            let entry = entry.ok_or(SessionError::UnknownSession)?;
            entry.session.follow_redirect(now, target)?;
            agent.touch(Child::Session(session));
            Ok(())
        })
    }

    /// [Refuses](Self::reject) a call and says what is wrong with it (RFC 3261, 20.43): usual with 488 and 606.
    ///
    /// # Errors
    ///
    /// As there, and a warning that cannot be sent: its code is not 300 to 399, or its text is longer than
    /// 256 bytes or has control characters.
    pub fn reject_for(
        &mut self,
        now: Instant,
        session: SessionId,
        code: u16,
        reason: Option<&str>,
        warning: Option<Warning>,
    ) -> Result<(), SessionError> {
        let command = |warning: &Option<Warning>| Command::Reject {
            session,
            code,
            reason: reason.map(str::to_owned),
            warning: warning.clone(),
        };
        self.perform(now, command, warning, |agent, warning| {
            agent.with_session(session, |session, now, table| {
                session.reject(now, table, code, reason.map(str::to_owned), warning)
            })
        })
    }

    /// Sends the caller of a session elsewhere: refuses the call with a code of 300 to 399 (302: for now) and
    /// says where to call instead, the preferred one first (RFC 3261, 21.3).
    ///
    /// # Errors
    ///
    /// Only an incoming session that waits for an answer, only such a code, and not without a target.
    pub fn redirect(
        &mut self,
        now: Instant,
        session: SessionId,
        code: u16,
        targets: Vec<Uri>,
    ) -> Result<(), SessionError> {
        let command = |targets: &Vec<Uri>| Command::Redirect {
            session,
            code,
            targets: targets.clone(),
        };
        self.perform(now, command, targets, |agent, targets| {
            agent.with_session(session, |session, now, table| {
                session.redirect(now, table, code, targets)
            })
        })
    }

    fn apply_session_interval(
        &mut self,
        session: SessionId,
        interval: Duration,
        refresher: Option<Refresher>,
    ) -> Result<(), SessionIntervalError> {
        let timer = &self.config.sip.session_timer;
        if !timer.is_on {
            return Err(SessionIntervalError::Off);
        }
        let seconds = u32::try_from(interval.as_secs())
            .ok()
            .filter(|_| interval >= timer.min_se)
            .ok_or(SessionIntervalError::Interval)?;
        let unknown = SessionIntervalError::UnknownSession;
        let entry = self.sessions.get(session);
        let invitation = entry.and_then(|entry| entry.invitation).ok_or(unknown)?;
        let info = self.endpoint.info(invitation);
        let dialog = info.and_then(|info| info.confirmed).ok_or(unknown)?;
        let mut headers = Headers::new();
        headers.push(
            HeaderName::SessionExpires,
            SessionExpires { seconds, refresher },
        );
        let call = self.endpoint.invitation(invitation);
        let asked = call
            .ok_or(unknown)?
            .update(self.now, dialog, None, &headers);
        self.touch(Child::Endpoint);
        Ok(asked?)
    }

    pub(super) fn apply_inform(
        &mut self,
        session: SessionId,
        info: InfoRequest,
    ) -> Result<(), InformError> {
        let entry = self.sessions.get(session);
        let invitation = entry.and_then(|entry| entry.invitation);
        let invitation = invitation.ok_or(InformError::UnknownSession)?;
        let call = self.endpoint.invitation(invitation);
        let informed = call
            .ok_or(InformError::UnknownSession)?
            .inform(self.now, info);
        self.touch(Child::Endpoint);
        Ok(informed?)
    }
}
