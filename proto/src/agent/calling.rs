//! What the application can ask of a call besides its beginning and its end.

use super::{Child, Command, InformError, SessionId, UserAgent};
use crate::session::{RedirectError, SessionError};
use sip::{InfoRequest, Uri};
use std::time::Instant;

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
