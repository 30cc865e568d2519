//! What is told to the peer, and what it tells (RFC 8839, 5; RFC 8838).

use super::{
    Agent, Chosen, Component, Credentials, Description, Remote, State, gather::Gathering,
    request::Early,
};
use crate::{Candidate, Kind, role::Role, stun::Key};
use std::{net::SocketAddr, time::Instant};

impl Agent {
    /// What to tell the peer: all that is known by now.
    pub fn local(&self) -> Description {
        Description {
            credentials: self.local.clone(),
            candidates: self
                .locals
                .iter()
                // What a peer has seen of us it knows (RFC 8445, 7.2.5.3.1).
                .filter(|local| local.candidate.kind != Kind::PeerReflexive)
                .filter(|local| !self.bases[local.base].is_gone)
                .map(|local| local.candidate.clone())
                .collect(),
            is_lite: false,
            is_trickling: self.state < State::Gathered,
            components: Component::MAX,
        }
    }

    /// Whose checks are taken, once the peer has told.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.remote.as_ref().map(|remote| &remote.credentials)
    }

    /// The candidate of ours at an address, those that only the peer has seen included.
    pub fn candidate(&self, component: Component, address: SocketAddr) -> Option<Candidate> {
        let mut all = self.locals.iter().map(|local| &local.candidate);
        all.find(|own| own.component == component && own.address == address)
            .cloned()
    }

    /// Takes what the peer told, and begins to check. The same credentials again add candidates; other
    /// ones are a restart of the peer (RFC 8839, 4.4.1.1.1), which the application answers by
    /// [`Agent::restart`] before.
    pub fn set_remote(&mut self, now: Instant, description: Description) {
        let is_same = self
            .remote
            .as_ref()
            .is_some_and(|remote| remote.credentials == description.credentials);
        if !is_same {
            self.forget_checks();
            self.remotes.clear();
            self.remote = Some(Remote {
                key: Key::short_term(&description.credentials.pwd),
                credentials: description.credentials,
                is_trickling: description.is_trickling,
                components: description.components,
            });
            // RFC 8445, 6.1.1: a lite peer never controls.
            if description.is_lite {
                self.set_role(Role::Controlling);
            }
            self.patience = now.checked_add(self.config.patience);
            self.set_state(State::Running);
        } else if let Some(remote) = &mut self.remote {
            remote.is_trickling &= description.is_trickling;
            remote.components = description.components;
        }
        // What carries nothing any more needs no consent.
        let is_left = |chosen: &Chosen| chosen.component <= description.components;
        self.selected.retain(is_left);
        for candidate in description.candidates {
            self.add_remote(candidate);
        }
        self.form_pairs(now);
        let early: Vec<Early> = self.early.drain(..).collect();
        for request in early {
            self.learn(now, &request);
        }
        self.schedule(now);
        self.conclude(now);
    }

    /// Takes candidates that came after the description (RFC 8838, 11); those that come when the peer has
    /// told all, or before it has told anything, are ignored (RFC 8838, 14).
    pub fn add_remote_candidates(
        &mut self,
        now: Instant,
        candidates: impl IntoIterator<Item = Candidate>,
    ) {
        let may_come = self
            .remote
            .as_ref()
            .is_some_and(|remote| remote.is_trickling);
        for candidate in candidates {
            match may_come {
                true => self.add_remote(candidate),
                false => self.ignored += 1,
            }
        }
        self.form_pairs(now);
        self.schedule(now);
        self.conclude(now);
    }

    /// No more candidates will come (RFC 8838, 14).
    pub fn end_of_candidates(&mut self, now: Instant) {
        if let Some(remote) = &mut self.remote {
            remote.is_trickling = false;
        }
        self.conclude(now);
    }

    /// Begins anew with other credentials (RFC 8445, 9). Packets go over the old pair until there is
    /// a new one. What the peer tells from here on is for the new checks.
    pub fn restart(&mut self, role: Role) {
        self.local = Credentials::random(&mut self.rng);
        self.local_key = Key::short_term(&self.local.pwd);
        self.remote = None;
        self.role = role;
        self.forget_checks();
        self.remotes.clear();
        self.early.clear();
        self.locals
            .retain(|local| local.candidate.kind != Kind::PeerReflexive);
        self.set_state(State::Gathered);
    }

    fn forget_checks(&mut self) {
        // What servers have not told by now comes too late for this checklist.
        self.gathering = Gathering::default();
        self.pairs.clear();
        self.triggered.clear();
        self.checks.clear();
        for chosen in &mut self.selected {
            chosen.is_current = false;
        }
        (self.next_check, self.patience) = (None, None);
        (self.decision, self.release) = (None, None);
    }

    fn add_remote(&mut self, candidate: Candidate) {
        let last = self.remote.as_ref().map(|remote| remote.components);
        if last.is_some_and(|last| candidate.component > last) {
            return;
        }
        let known = self.remotes.iter().position(|remote| {
            remote.address == candidate.address && remote.component == candidate.component
        });
        let Some(known) = known else {
            match self.remotes.len() < self.config.candidates {
                true => self.remotes.push(candidate),
                false => self.ignored += 1,
            }
            return;
        };
        // RFC 8445, 7.3.1.3: what a check has shown gets its name; duplicates are left out.
        let known = &mut self.remotes[known];
        if known.kind == Kind::PeerReflexive {
            known.foundation = candidate.foundation;
            known.kind = candidate.kind;
        }
    }
}
