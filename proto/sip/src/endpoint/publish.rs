//! Commands for publications.

use super::{Endpoint, RequestError, register::usage_of, settle::named};
use crate::{
    PublicationId,
    message::Description,
    usage::{
        AnyUsage,
        publication::{Publication, Publisher, State},
    },
};
use std::time::{Duration, Instant};

impl Endpoint {
    /// Makes a publication; nothing is sent before there is content
    /// ([`publish`](PublicationMut::publish)).
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn add_publication(
        &mut self,
        now: Instant,
        publication: Publication,
    ) -> Result<PublicationId, RequestError> {
        let now = self.advance(now);
        self.admit(
            &publication.address.uri,
            publication.route.is_empty(),
            &publication.headers,
        )?;
        let account = publication.account;
        let publisher = Publisher::new(publication, &self.config, &mut self.rng);
        let id = self.start_usage(AnyUsage::Publication(Box::new(publisher)), account);
        self.settle(now);
        Ok(named(id))
    }

    /// A publication, to look at it and to act on it; `None` once it is removed.
    pub fn publication(&mut self, id: PublicationId) -> Option<PublicationMut<'_>> {
        self.publisher(id)
            .is_some()
            .then_some(PublicationMut { endpoint: self, id })
    }

    fn publisher(&mut self, id: PublicationId) -> Option<&mut Publisher> {
        match self.usages.get_mut(usage_of(id))? {
            AnyUsage::Publication(publisher) => Some(publisher),
            _ => None,
        }
    }
}

/// A publication, borrowed from its endpoint. Every command settles the endpoint before it returns.
#[derive(Debug)]
pub struct PublicationMut<'a> {
    endpoint: &'a mut Endpoint,
    id: PublicationId,
}

impl PublicationMut<'_> {
    /// The state (PUB-02).
    pub fn state(&mut self) -> State {
        self.endpoint
            .publisher(self.id)
            .map_or(State::Unpublished, |publisher| publisher.state())
    }

    /// How long is asked for (PUB-02).
    pub fn expires(&mut self) -> Duration {
        self.endpoint
            .publisher(self.id)
            .map_or(Duration::ZERO, |publisher| publisher.expires())
    }

    /// Says how long to ask for from the next request on (PUB-02).
    pub fn set_expires(&mut self, now: Instant, expires: Duration) {
        self.perform(now, |publisher| publisher.set_expires(expires));
    }

    /// Publishes content, or other content in its place (PUB-03); after the answer that is awaited, if
    /// there is one.
    pub fn publish(&mut self, now: Instant, content: Description) {
        self.perform(now, |publisher| publisher.publish(content));
    }

    /// Removes what is published (PUB-04); after the answer that is awaited, if there is one.
    pub fn unpublish(&mut self, now: Instant) {
        self.perform(now, Publisher::unpublish);
    }

    /// Removes what is published, and then the publication: its id is dead after the last event.
    pub fn remove(self, now: Instant) {
        let Self { endpoint, id } = self;
        PublicationMut { endpoint, id }.perform(now, Publisher::remove);
    }

    fn perform(&mut self, now: Instant, command: impl FnOnce(&mut Publisher)) {
        let now = self.endpoint.advance(now);
        // Time alone may have ended it.
        if let Some(publisher) = self.endpoint.publisher(self.id) {
            command(publisher);
            self.endpoint.touch_usage(usage_of(self.id));
        }
        self.endpoint.settle(now);
    }
}
