//! When an account registers, and when again (ACC-37).

use super::retry_after;
use crate::event::AccountEvent;
use base::{Deadline, Rng};
use sip::{
    RegistrationEvent, RegistrationId, Uri,
    refresh::Backoff,
    usage::registration::{Registered, State},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What the policy wants.
#[derive(Debug)]
pub(crate) enum RegisteringDo {
    /// Register: begin, or again.
    Register,
    /// Remove the binding.
    Unregister,
    /// Tell peers another Contact: the GRUU that they know leads nowhere any more.
    Renew,
    /// Tell the application.
    Tell(AccountEvent),
}

/// Keeps an account registered while that is wanted.
///
/// Feed it wishes, the events of its registration, and time at
/// [`poll_timeout`](Self::poll_timeout); it says [`RegisteringDo`]s.
#[derive(Debug)]
pub(crate) struct Registering {
    is_wanted: bool,
    id: Option<RegistrationId>,
    state: State,
    retry_at: Option<Instant>,
    backoff: Backoff,
    rng: Rng,
    /// The last answer was a success.
    is_registered: bool,
    service_route: Vec<Uri>,
    /// The registrar has given us a GRUU.
    has_gruu: bool,
    out: VecDeque<RegisteringDo>,
}

impl Registering {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            is_wanted: false,
            id: None,
            state: State::Unregistered,
            retry_at: None,
            backoff: Backoff::new(),
            rng: rng.fork(),
            is_registered: false,
            service_route: Vec::new(),
            has_gruu: false,
            out: VecDeque::new(),
        }
    }

    pub(crate) const fn id(&self) -> Option<RegistrationId> {
        self.id
    }

    pub(crate) const fn set_id(&mut self, id: RegistrationId) {
        self.id = Some(id);
    }

    /// The account shall be registered from now on; at once, whatever failed before.
    pub(crate) fn register(&mut self) {
        self.is_wanted = true;
        self.retry_at = None;
        self.out.push_back(RegisteringDo::Register);
    }

    /// Registers once more from another address, if that is wanted.
    pub(crate) fn move_on(&mut self) {
        if self.is_wanted {
            self.register();
        }
    }

    /// It shall not be any more.
    pub(crate) fn unregister(&mut self) {
        self.is_wanted = false;
        self.retry_at = None;
        if self.id.is_some() {
            self.out.push_back(RegisteringDo::Unregister);
        }
    }

    /// The way that the registrar wants our requests to take (RFC 3608).
    pub(crate) fn service_route(&self) -> &[Uri] {
        &self.service_route
    }

    /// ACC-16.
    pub(crate) const fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// True if no server holds anything of it, as far as is known.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.state == State::Unregistered
    }

    pub(crate) fn handle_event(
        &mut self,
        now: Instant,
        id: RegistrationId,
        event: RegistrationEvent,
    ) {
        let told = match event {
            RegistrationEvent::StateChanged {
                previous, state, ..
            } => {
                self.state = state;
                match (previous, state) {
                    (State::Unregistered, State::Registering) => AccountEvent::WillRegister,
                    (State::Registered, State::Registering) => {
                        AccountEvent::RegistrationWillRefresh
                    }
                    _ => return,
                }
            }
            RegistrationEvent::Answered {
                code,
                reason,
                registrar,
                ..
            } => AccountEvent::RegistrationGotAnswer {
                code: code.code(),
                reason,
                registration: id,
                registrar,
            },
            RegistrationEvent::Succeeded(registered) => self.succeeded(*registered),
            RegistrationEvent::FlowFailed {
                registrar,
                retry_after,
            } => AccountEvent::RegistrationFlowDidFail {
                registrar,
                retry_after: retry_after.as_secs_f64(),
            },
            // The second try is on its way.
            RegistrationEvent::Delayed(_) => return,
            RegistrationEvent::Failed(failed) => {
                self.forget();
                let wait = retry_after(&failed, &mut self.backoff, &mut self.rng);
                let wait = self.is_wanted.then_some(wait);
                self.retry_at = wait.and_then(|wait| now.checked_add(wait));
                AccountEvent::RegistrationDidFail {
                    error: failed.to_string(),
                    code: failed.code().code(),
                    is_authentication: failed.is_unauthorized(),
                    retry_after: wait.as_ref().map(Duration::as_secs_f64),
                }
            }
            RegistrationEvent::Ended => {
                self.forget();
                AccountEvent::RegistrationDidEnd { registration: id }
            }
            RegistrationEvent::NotEnded(failed) => {
                self.forget();
                AccountEvent::RegistrationDidNotEnd {
                    code: failed.code().code(),
                    reason: failed.reason(),
                    registration: id,
                }
            }
            // The endpoint knows no other.
            _ => return,
        };
        self.out.push_back(RegisteringDo::Tell(told));
    }

    fn succeeded(&mut self, registered: Registered) -> AccountEvent {
        self.backoff.succeed();
        self.retry_at = None;
        self.is_registered = true;
        let text = |uri: &Uri| uri.as_str().to_owned();
        let event = AccountEvent::RegistrationDidSucceed {
            contact_header: text(&registered.contact),
            contact_header_list: registered.bindings.iter().map(|b| text(&b.uri)).collect(),
            expires: registered.expires.as_secs(),
            registrar: registered.registrar,
            public_gruu: registered.public_gruu.as_ref().map(text),
            temporary_gruu: registered.temporary_gruu.as_ref().map(text),
            associated_uris: registered.associated.iter().map(text).collect(),
        };
        self.service_route = registered.service_route;
        self.has_gruu = registered.public_gruu.is_some();
        event
    }

    /// What the registrar said counts no more.
    fn forget(&mut self) {
        self.is_registered = false;
        self.service_route.clear();
        // RFC 5627, 4.4
        if std::mem::take(&mut self.has_gruu) {
            self.out.push_back(RegisteringDo::Renew);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<RegisteringDo> {
        self.out.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.retry_at
            .map(|at| Deadline::new(at, "next registration"))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            self.out.push_back(RegisteringDo::Register);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Key as _;
    use sip::{Failed, Headers, Status};

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    fn now() -> Instant {
        Instant::now()
    }

    fn refused(code: Status, retry: Option<u32>) -> RegistrationEvent {
        let mut headers = Headers::new();
        if let Some(seconds) = retry {
            headers.push(sip::HeaderName::RetryAfter, seconds);
        }
        RegistrationEvent::Failed(Failed::Refused {
            code,
            reason: code.phrase().to_owned(),
            headers,
            refusal: None,
        })
    }

    /// ACC-37, and RFC 5626, 4.5 for what is not said there.
    #[test]
    fn acc_37_what_failed_is_tried_again_later_and_later() {
        let (now, id) = (now(), RegistrationId::from_parts(1, 1));
        let mut registering = Registering::new(&mut Rng::from_seed([4; 32]));
        registering.register();
        assert!(matches!(
            registering.poll_output(),
            Some(RegisteringDo::Register)
        ));
        let mut wait = |code, retry| {
            registering.handle_event(now, id, refused(code, retry));
            let at = registering.poll_timeout().expect("another try").at;
            at.duration_since(now).as_secs()
        };
        assert!((60..=120).contains(&wait(Status::UNAUTHORIZED, None)));
        assert!((60..=120).contains(&wait(Status::INTERVAL_TOO_BRIEF, None)));
        assert!((15..=30).contains(&wait(Status::REQUEST_TIMEOUT, None)));
        assert!((30..=60).contains(&wait(Status::SERVICE_UNAVAILABLE, None)));
        assert_eq!(wait(Status::SERVICE_UNAVAILABLE, Some(900)), 900);
        while registering.poll_output().is_some() {}
        let due = registering.poll_timeout().unwrap().at;
        registering.handle_timeout(due);
        assert!(matches!(
            registering.poll_output(),
            Some(RegisteringDo::Register)
        ));
        // Nobody wants it any more.
        registering.unregister();
        registering.handle_event(now, id, refused(Status::FORBIDDEN, None));
        assert_eq!(registering.poll_timeout(), None);
    }
}
