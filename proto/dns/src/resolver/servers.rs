//! Which name servers are used, and which of them were silent.

use super::{Config, probe::Proof};
use crate::Name;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(super) struct Servers {
    /// The system's (DNM-02).
    pub(super) system: Vec<SocketAddr>,
    /// The configured ones (DNM-03).
    pub(super) fallback: Vec<SocketAddr>,
    /// Those in use.
    active: Vec<SocketAddr>,
    /// Those that did not answer, and until when they are asked last.
    suspects: Vec<(SocketAddr, Instant)>,
    /// What the servers must know.
    pub(super) domain: Option<Name>,
    pub(super) proof: Proof,
    /// What the owner has heard of.
    told: Option<Vec<SocketAddr>>,
}

impl Servers {
    pub(super) fn new(config: &Config) -> Self {
        let mut fallback = config.fallback.clone();
        fallback.truncate(MAX_SERVERS);
        let domain = config.probe.as_deref();
        let mut servers = Self {
            system: Vec::new(),
            fallback,
            active: Vec::new(),
            suspects: Vec::new(),
            domain: domain.and_then(|domain| Name::new(domain).ok()),
            proof: Proof::Resting { until: None },
            told: None,
        };
        servers.use_system();
        servers
    }

    /// Takes the system's servers; false if they are the same as before.
    pub(super) fn set_system(&mut self, mut servers: Vec<SocketAddr>) -> bool {
        servers.truncate(MAX_SERVERS);
        if self.system == servers && self.told.is_some() {
            return false;
        }
        self.system = servers;
        self.use_system();
        true
    }

    /// Uses the system's servers.
    pub(super) fn use_system(&mut self) {
        let mut servers = self.system.clone();
        if self.domain.is_none() {
            // Nobody finds out whether the system's servers work, so the others stand behind them.
            let others = self.fallback.iter();
            servers.extend(others.filter(|server| !self.system.contains(server)));
        }
        self.active = servers;
    }

    /// Uses the configured servers.
    pub(super) fn use_fallback(&mut self) {
        self.active.clone_from(&self.fallback);
    }

    /// The servers in use, if the owner has not heard of them; true if they are the first.
    pub(super) fn take_news(&mut self) -> Option<(Vec<SocketAddr>, bool)> {
        if self.told.as_ref() == Some(&self.active) {
            return None;
        }
        let first = self.told.replace(self.active.clone()).is_none();
        Some((self.active.clone(), first))
    }

    pub(super) fn active(&self) -> &[SocketAddr] {
        &self.active
    }

    /// The servers as they are to be asked now, behind those that are named: the silent ones last.
    pub(super) fn in_order(&self, now: Instant, first: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let is_suspect = |server: &SocketAddr| {
            let mut suspects = self.suspects.iter();
            suspects.any(|(suspect, until)| suspect == server && now < *until)
        };
        let mut servers = first;
        for server in &self.active {
            if !servers.contains(server) {
                servers.push(*server);
            }
        }
        servers.sort_by_key(is_suspect);
        servers
    }

    /// A server did not answer.
    pub(super) fn suspect(&mut self, now: Instant, server: SocketAddr) {
        self.trust(server);
        if self.suspects.len() >= 2 * MAX_SERVERS {
            self.suspects.remove(0);
        }
        self.suspects.push((server, now + SUSPICION));
    }

    /// A server answered.
    pub(super) fn trust(&mut self, server: SocketAddr) {
        self.suspects.retain(|(suspect, _)| *suspect != server);
    }

    pub(super) fn forgive(&mut self) {
        self.suspects.clear();
    }

    pub(super) fn stop(&mut self) {
        self.proof = Proof::Resting { until: None };
    }
}

/// More than any system has: the C library reads three.
const MAX_SERVERS: usize = 8;
/// How long a silent server is asked last: a restart or a change of the network takes that long.
const SUSPICION: Duration = Duration::from_secs(30);
