//! Commands for registrations.

use super::{Endpoint, settle::named};
use crate::{
    AccountId, HeaderName, Headers, RegistrationId, Uri,
    id::UsageId,
    uri::Scheme,
    usage::{
        AnyUsage,
        invitation::reserved,
        registration::{Registrar, Registration, State},
    },
};
use base::Key;
use std::time::{Duration, Instant};

/// Why a registration, a publication or a message cannot be begun. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many already; see [`Limits`](super::Limits).
    #[error("too many requests")]
    TooMany,
    /// Only `sip` and `sips` URIs can be asked without a proxy.
    #[error("a URI of this scheme cannot be asked")]
    Scheme,
    /// A header that the stack writes itself.
    #[error("{0:?} cannot be given")]
    Reserved(HeaderName),
    /// RFC 3428, 8: larger than what may go over ways that nobody knows.
    #[error("too large for a message outside of a session")]
    TooLarge,
    /// The endpoint is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

impl Endpoint {
    /// Registers (RGN-03), and keeps the binding alive until it is told otherwise.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn register(
        &mut self,
        now: Instant,
        registration: Registration,
    ) -> Result<RegistrationId, RequestError> {
        let now = self.advance(now);
        self.admit(
            &registration.registrar,
            registration.route.is_empty(),
            &registration.headers,
        )?;
        let account = registration.account;
        let registrar = Registrar::new(registration, &self.config, &mut self.rng);
        let id = self.start_usage(AnyUsage::Registration(Box::new(registrar)), account);
        self.settle(now);
        Ok(named(id))
    }

    /// A registration, to look at it and to act on it; `None` once it is removed.
    pub fn registration(&mut self, id: RegistrationId) -> Option<RegistrationMut<'_>> {
        self.registrar(id)
            .is_some()
            .then_some(RegistrationMut { endpoint: self, id })
    }

    fn registrar(&mut self, id: RegistrationId) -> Option<&mut Registrar> {
        match self.usages.get_mut(usage_of(id))? {
            AnyUsage::Registration(registrar) => Some(registrar),
            _ => None,
        }
    }

    /// Says whether a request of a usage can be begun.
    pub(super) fn admit(
        &self,
        to: &Uri,
        is_direct: bool,
        headers: &Headers,
    ) -> Result<(), RequestError> {
        if let Some(name) = reserved(headers) {
            return Err(RequestError::Reserved(name));
        }
        if is_direct && !matches!(to.scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(RequestError::Scheme);
        }
        if self.is_shutting_down {
            return Err(RequestError::ShuttingDown);
        }
        if self.usages.len() >= self.config.limits.usages {
            return Err(RequestError::TooMany);
        }
        Ok(())
    }

    /// Starts a usage with what its account knows.
    pub(super) fn start_usage(&mut self, usage: AnyUsage, account: Option<AccountId>) -> UsageId {
        let id = self.insert_usage(usage);
        if account.is_some() {
            self.share_realms(crate::id::Party::Usage(id));
        }
        id
    }
}

/// The place that an id names.
pub(super) fn usage_of(id: impl Key) -> UsageId {
    let (generation, index) = id.parts();
    UsageId::from_parts(generation, index)
}

/// A registration, borrowed from its endpoint. Every command settles the endpoint before it returns.
#[derive(Debug)]
pub struct RegistrationMut<'a> {
    endpoint: &'a mut Endpoint,
    id: RegistrationId,
}

impl RegistrationMut<'_> {
    /// The state (RGN-02).
    pub fn state(&mut self) -> State {
        self.look(Registrar::state).unwrap_or(State::Unregistered)
    }

    /// How long is asked for (RGN-02).
    pub fn expires(&mut self) -> Duration {
        self.look(Registrar::expires).unwrap_or_default()
    }

    /// How long the registrar has granted; `None` while there is no binding (RGN-02).
    pub fn expires_received(&mut self) -> Option<Duration> {
        self.look(Registrar::expires_received).flatten()
    }

    /// Our Contact, as it was registered.
    pub fn contact(&mut self) -> Option<Uri> {
        self.look(|registrar| registrar.bound().cloned()).flatten()
    }

    /// Says how long to ask for from the next refresh on (RGN-02).
    pub fn set_expires(&mut self, now: Instant, expires: Duration) {
        self.perform(now, |registrar| registrar.set_expires(expires));
    }

    /// Registers, or refreshes at once (RGN-03); after the answer that is awaited, if there is one
    /// (RGN-05).
    pub fn register(&mut self, now: Instant) {
        self.perform(now, Registrar::register);
    }

    /// Removes our binding (RGN-04); after the answer that is awaited, if there is one (RGN-05). Of what
    /// was asked for while an answer is awaited, the last counts.
    pub fn unregister(&mut self, now: Instant) {
        self.perform(now, Registrar::unregister);
    }

    /// Removes all bindings of the address of record, those of other devices too (`Contact: *`).
    pub fn unregister_all(&mut self, now: Instant) {
        self.perform(now, Registrar::unregister_all);
    }

    /// Removes our binding if there is one, and then the registration: its id is dead after the last
    /// event.
    pub fn remove(self, now: Instant) {
        let Self { endpoint, id } = self;
        RegistrationMut { endpoint, id }.perform(now, Registrar::remove);
    }

    fn look<R>(&mut self, look: impl FnOnce(&Registrar) -> R) -> Option<R> {
        self.endpoint
            .registrar(self.id)
            .map(|registrar| look(registrar))
    }

    fn perform(&mut self, now: Instant, command: impl FnOnce(&mut Registrar)) {
        let now = self.endpoint.advance(now);
        // Time alone may have ended it.
        if let Some(registrar) = self.endpoint.registrar(self.id) {
            command(registrar);
            self.endpoint.touch_usage(usage_of(self.id));
        }
        self.endpoint.settle(now);
    }
}
