//! How the application changes a call that stands.

use super::{Command, SessionId, UserAgent};
use crate::session::SessionError;
use std::time::Instant;

impl UserAgent {
    /// Puts a session on hold (SES-29): sending stops at once, the peer is told when the state allows.
    ///
    /// # Errors
    ///
    /// The session is unknown or over.
    pub fn hold(&mut self, now: Instant, session: SessionId) -> Result<(), SessionError> {
        let command = |_: &()| Command::Hold { session };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, now, table| session.hold(now, table))
        })
    }

    /// Takes a session off hold (SES-29).
    ///
    /// # Errors
    ///
    /// The session is unknown or over.
    pub fn unhold(&mut self, now: Instant, session: SessionId) -> Result<(), SessionError> {
        let command = |_: &()| Command::Unhold { session };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, now, table| session.unhold(now, table))
        })
    }

    /// Asks the peer to propose, by a re-INVITE without an offer (RFC 3261, 14.1): it offers all that it is willing
    /// to do now (RFC 6337, 5.2.5), and each stream of the session answers as it would answer any offer;
    /// further ones are refused. It brings a call together again whose ends have come to see it differently.
    ///
    /// It goes out as soon as no other INVITE runs. `SIPInvitationGotSDPUpdate` tells of the agreement,
    /// `GotRejectProposal` that the peer has refused, `HadProposalFailure` that it has offered nothing. An offer
    /// that nobody can live with ends the call (RFC 3261, 13.2.2.4).
    ///
    /// # Errors
    ///
    /// Only a session that stands, with no proposal running.
    pub fn request_proposal(
        &mut self,
        now: Instant,
        session: SessionId,
    ) -> Result<(), SessionError> {
        let command = |_: &()| Command::RequestProposal { session };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, now, table| {
                session.request_proposal(now, table)
            })
        })
    }

    /// Takes the proposal that runs back, by CANCEL (SES-27): `GotRejectProposal` with code 487 follows, and a
    /// hold or resumption that it said is not wished any more.
    ///
    /// Where the peer was faster and has agreed already, the call goes on, and another re-INVITE brings it back to
    /// what it was (SES-28: the document's source ends the call, BUG-27).
    ///
    /// # Errors
    ///
    /// Only a session whose own proposal runs, and once. What is offered because the peer has asked cannot be taken
    /// back.
    pub fn cancel_proposal(
        &mut self,
        now: Instant,
        session: SessionId,
    ) -> Result<(), SessionError> {
        let command = |_: &()| Command::CancelProposal { session };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, now, table| {
                session.cancel_proposal(now, table)
            })
        })
    }
}
