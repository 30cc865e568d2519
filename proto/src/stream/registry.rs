//! Which factory makes which stream (STR-14, STR-15).

use super::{MediaStream, Offered, StreamEnv, StreamError, StreamFactory, StreamSpec};
use std::{fmt, time::Instant};

/// The factories of an agent, by falling priority.
pub(crate) struct Registry {
    factories: Vec<Box<dyn StreamFactory>>,
}

impl Registry {
    /// Takes the factories of the configuration; of two with equal priority the first is asked first.
    pub(crate) fn new(mut factories: Vec<Box<dyn StreamFactory>>) -> Self {
        factories.sort_by_key(|factory| std::cmp::Reverse(factory.priority()));
        Self { factories }
    }

    /// The factory of a kind.
    pub(crate) fn factory(&self, kind: &str) -> Option<&dyn StreamFactory> {
        let factory = self
            .factories
            .iter()
            .find(|factory| factory.kind() == kind)?;
        Some(factory.as_ref())
    }

    /// Makes a stream that the application wants.
    pub(crate) fn create(
        &self,
        now: Instant,
        env: StreamEnv,
        spec: &StreamSpec,
    ) -> Result<Box<dyn MediaStream>, StreamError> {
        let factory = self.factory(&spec.kind).ok_or(StreamError::UnknownKind)?;
        factory.create(now, env, &spec.options)
    }

    /// Asks one factory after the other whether it takes an m-line (STR-02).
    pub(crate) fn offered(
        &self,
        now: Instant,
        env: &StreamEnv,
        remote: &sdp::Session,
        index: usize,
    ) -> Offered {
        for factory in &self.factories {
            match factory.from_sdp(now, env.clone(), remote, index) {
                Offered::NotMine => {}
                taken_or_refused => return taken_or_refused,
            }
        }
        Offered::NotMine
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.factories.iter().map(|factory| factory.kind()))
            .finish()
    }
}
