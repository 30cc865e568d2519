//! Redirection: the callee is said to be elsewhere (RFC 3261, 8.1.3.4), and the application decides.

use super::{CallCommand, InputKind, Session, SessionError, State, accept::phrase};
use crate::{
    event::{Originator, SessionEvent},
    stream::Streams,
};
use sip::{Headers, RedirectTarget, Uri};
use std::time::Instant;

/// How often a call may be redirected, where it has been, and where it may go.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    left: u8,
    tried: Vec<Uri>,
    /// The redirection that waits for the application's word.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    response: (u16, String),
    words: String,
    targets: Vec<RedirectTarget>,
}

/// Why a redirection is not followed; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// No redirection of this session waits for a word.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The target is none of those that [`GotRedirect`](SessionEvent::GotRedirect) has named, has been tried, or
    /// is less secure than where the call was going (RFC 3261, 26.2.2: a `sips` call stays one).
    #[error("not a target of this call")]
    NoTarget,
    /// Only targets in other domains are left: name the one that is meant.
    #[error("only targets in other domains are left")]
    OtherDomain,
}

impl Session {
    /// Lets a call to `to` be redirected so many times.
    pub(crate) fn allow_redirects(&mut self, redirects: u8, to: Uri) {
        self.redirects.left = redirects;
        self.redirects.tried.push(to);
    }

    /// True if its INVITE may be needed again.
    pub(crate) const fn may_be_redirected(&self) -> bool {
        self.redirects.left > 0
    }

    /// A 3xx ended the invitation.
    pub(super) fn redirected(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        response: (u16, String),
        words: String,
        headers: &Headers,
    ) {
        self.has_call = false;
        if !self.state.is_live() {
            return self.call_is_over();
        }
        let targets = RedirectTarget::all(headers);
        self.push(SessionEvent::GotRedirect {
            code: response.0,
            reason: response.1.clone(),
            targets: targets.clone(),
        });
        let usable = |target: &RedirectTarget| self.redirects.takes(&target.uri);
        let may_follow = self.state == State::Outgoing && self.redirects.left > 0;
        if may_follow && targets.iter().any(usable) {
            // What an early dialog had agreed on went with it.
            self.branch = None;
            self.forks.clear();
            self.timers.answer = None;
            self.timers.redirect = Some(now + self.limits.redirect);
            self.redirects.waiting = Some(Waiting {
                response,
                words,
                targets,
            });
        } else {
            let (code, reason) = response;
            self.fail(now, streams, Originator::Remote, code, reason, words);
        }
    }

    /// Calls again, where the redirection says: the target that is named or, if none is, the preferred one in a
    /// domain where the call has been.
    pub(crate) fn follow_redirect(
        &mut self,
        now: Instant,
        target: Option<&Uri>,
    ) -> Result<(), RedirectError> {
        self.in_state(&[State::Outgoing])?;
        let wrong_state = RedirectError::Session(self.wrong_state());
        let waiting = self.redirects.waiting.as_ref().ok_or(wrong_state)?;
        let mut usable = waiting
            .targets
            .iter()
            .map(|waiting| &waiting.uri)
            .filter(|uri| self.redirects.takes(uri));
        let found = match target {
            Some(target) => usable
                .find(|uri| uri.equivalent(target))
                .ok_or(RedirectError::NoTarget)?,
            None => usable
                .find(|uri| self.redirects.knows_domain_of(uri))
                .ok_or(RedirectError::OtherDomain)?,
        };
        let to = found.clone();
        let Some(offer) = self.descriptions.offered() else {
            return Err(wrong_state);
        };
        self.redirects.waiting = None;
        self.hints = None;
        self.redirects.left -= 1;
        self.redirects.tried.push(to.clone());
        self.timers.redirect = None;
        self.timers.answer = Some(now + self.limits.answer);
        self.has_call = true;
        self.push_call(CallCommand::Invite {
            offer,
            to: Some(to),
        });
        Ok(())
    }

    /// Sends the caller of this session elsewhere (RFC 3261, 21.3).
    ///
    /// # Errors
    ///
    /// Only in state incoming, only a code of 300 to 399, and not without a target.
    pub(crate) fn redirect(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        code: u16,
        targets: Vec<Uri>,
    ) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::Reject);
        self.in_state(&[State::Incoming])?;
        if !(300..400).contains(&code) {
            return Err(SessionError::BadCode);
        }
        if targets.is_empty() {
            return Err(SessionError::NoTarget);
        }
        self.push_call(CallCommand::Reject {
            code,
            reason: None,
            warning: None,
            contacts: targets,
        });
        let failure = "user request".to_owned();
        self.fail(now, streams, Originator::Local, code, phrase(code), failure);
        Ok(())
    }

    /// The application has said nothing in time.
    pub(super) fn redirect_timed_out(&mut self, now: Instant, streams: &mut Streams) {
        if let Some(waiting) = self.redirects.waiting.take() {
            let (code, reason) = waiting.response;
            let words = waiting.words;
            self.fail(now, streams, Originator::Remote, code, reason, words);
        }
    }
}

impl Redirects {
    /// RFC 3261, 8.1.3.4: no target twice in a call; 26.2.2: what was secure stays so.
    fn takes(&self, uri: &Uri) -> bool {
        let was_secure = self.tried.iter().any(Uri::is_secure);
        let is_new = !self.tried.iter().any(|tried| tried.equivalent(uri));
        is_new && (uri.is_secure() || !was_secure)
    }

    fn knows_domain_of(&self, uri: &Uri) -> bool {
        let host = uri.host();
        host.is_some() && self.tried.iter().any(|tried| tried.host() == host)
    }
}
