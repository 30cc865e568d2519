//! Another network: addresses come and go under a running agent (APP-20).
//!
//! In this order, each step told by the event in brackets:
//!
//! 1. At once: what was bound to an address that is gone is closed, for nothing can come by it any more;
//!    after a sleep, so is every connection that we opened, for whoever was at its end has given it up
//!    (`SIPAccountRegistrationFlowDidFail`, if a registrar reached us by it). What names meant is
//!    forgotten (DNM-09).
//! 2. When interfaces and name servers have kept still for [`Limits::network_settle`](super::Limits), the
//!    agent listens on the new addresses; when all of that is open, the application is told
//!    (`NetworkConditionsDidChange`).
//! 3. The account registers from its new address (`SIPAccountRegistrationWillRefresh`, `…DidSucceed`),
//!    and takes its old one back if the registrar still has it.
//! 4. What it publishes is published again, by the new way (`SIPPublicationChangedState`).
//! 5. Subscriptions are renewed, ours by SUBSCRIBE, those of peers by NOTIFY, which makes our new Contact
//!    the peer's target (RFC 6665, 4.4.1); ours that had no report yet, or wait to be tried again, are made
//!    anew (`SIPSubscriptionGotNotify`, `SIPIncomingSubscriptionNotifyDidSucceed`).
//! 6. Live sessions offer anew, in the order of their ids, which moves their media and makes our new
//!    Contact the peer's target (RFC 3261, 12.2.1.1; the events of a renegotiation).
//!
//! The steps 3 to 6 are begun at once and in this order, and do not wait for each other's answers: a
//! registrar that is slow must not keep a call silent.

use super::{Child, UserAgent, life::addresses_of};
use crate::{
    event::{AgentEvent, Event},
    session::SessionInput,
    stream::StreamInput,
};
use base::{Deadline, Transport};
use sip::AccountId;
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// What has changed, and how far we have followed.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// When the interfaces have kept still for long enough.
    settled: Option<Instant>,
    /// New sockets that have neither opened nor failed.
    opening: usize,
    ip: bool,
    /// Something that sessions may use is gone.
    must_move: bool,
    dns: bool,
    name_servers: Vec<SocketAddr>,
}

impl Network {
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        Some(Deadline::new(self.settled?, "network"))
    }
}

impl UserAgent {
    /// The interfaces are others than before.
    pub(super) fn interfaces_changed(&mut self) {
        let wanted = addresses_of(&self.life, &self.interfaces);
        let bound = self.life.bound();
        let is_there = |ip: &IpAddr| {
            let mut interfaces = self.interfaces.iter();
            ip.is_loopback() || interfaces.any(|interface| interface.address == *ip)
        };
        // An address that is only not the preferred one any more still does its work.
        let gone: Vec<IpAddr> = bound.iter().copied().filter(|ip| !is_there(ip)).collect();
        if gone.is_empty() && wanted.iter().all(|ip| bound.contains(ip)) {
            return;
        }
        for ip in gone {
            self.network.must_move = true;
            self.links.lose_address(ip);
            self.touch(Child::Links);
        }
        self.network.ip = true;
        self.await_network();
    }

    /// The machine was asleep: connections and bindings are probably gone, whatever the addresses say.
    pub(super) fn resumed(&mut self) {
        if self.life.is_running() {
            self.links.lose_connections();
            self.touch(Child::Links);
            self.network.ip = true;
            self.network.must_move = true;
            self.await_network();
        }
    }

    /// The name servers are others than before.
    pub(super) fn name_servers_known(&mut self, servers: &[SocketAddr]) {
        let is_first = self.network.name_servers.is_empty();
        if self.network.name_servers == servers {
            return;
        }
        self.network.name_servers = servers.to_vec();
        if !is_first && self.life.is_running() {
            self.network.dns = true;
            self.await_network();
        }
    }

    fn await_network(&mut self) {
        self.network.settled = self.now.checked_add(self.config.limits.network_settle);
        self.touch(Child::Life);
    }

    /// Goes on with the change when it is due.
    pub(super) fn network_due(&mut self) {
        if self.network.settled.is_none_or(|at| at > self.now) {
            return;
        }
        self.network.settled = None;
        if !self.life.is_running() {
            return;
        }
        let bound = self.life.bound();
        let wanted = addresses_of(&self.life, &self.interfaces);
        let new: Vec<IpAddr> = wanted
            .into_iter()
            .filter(|ip| !bound.contains(ip))
            .collect();
        self.network.opening += self.listen_on(&new);
        self.network_opened(0);
    }

    /// So many of the new sockets are there, or cannot be.
    pub(super) fn network_opened(&mut self, count: usize) {
        self.network.opening = self.network.opening.saturating_sub(count);
        let changed = self.network.ip || self.network.dns;
        if !changed || self.network.opening > 0 || self.network.settled.is_some() {
            return;
        }
        let ip = std::mem::take(&mut self.network.ip);
        let dns = std::mem::take(&mut self.network.dns);
        let listening = self.life.listening();
        if ip && listening.is_empty() {
            // Nowhere to go; the next interface brings us here again.
            self.network.dns |= dns;
            return;
        }
        let mut changed = Vec::new();
        changed.extend(ip.then_some("ip"));
        changed.extend(dns.then_some("dns"));
        self.notify(Event::Agent(AgentEvent::NetworkConditionsDidChange {
            changed,
            listening,
        }));
        if ip && std::mem::take(&mut self.network.must_move) {
            self.move_accounts();
            self.move_subscriptions();
            self.move_sessions();
        }
    }

    /// Tells the peers of an account by what they reach us from here on: the steps 5 and 6.
    pub(super) fn renew_contacts(&mut self, account: AccountId) {
        if !self.life.is_running() {
            return;
        }
        self.move_subscriptions();
        for id in self.sessions.keys() {
            let entry = self.sessions.get(id);
            if entry.is_some_and(|entry| entry.account == Some(account)) {
                self.session_input(id, SessionInput::Moved);
            }
        }
    }

    fn move_sessions(&mut self) {
        for id in self.sessions.keys() {
            let Some(entry) = self.sessions.get(id) else {
                continue;
            };
            let streams = entry.session.streams();
            let call = entry
                .invitation
                .and_then(|invitation| self.endpoint.info(invitation));
            let peer = call.and_then(|call| call.peer).map(|peer| peer.ip());
            let local = self.local_address_for(peer);
            for stream in streams {
                self.stream_input(stream, StreamInput::LocalAddress(local));
            }
            self.session_input(id, SessionInput::Moved);
        }
    }

    /// Listens on these addresses; returns how many sockets are asked for.
    pub(super) fn listen_on(&mut self, addresses: &[IpAddr]) -> usize {
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let mut count = 0;
        for &address in addresses {
            for transport in transports {
                count += usize::from(self.listen_at(address, transport));
            }
        }
        count
    }

    /// Listens on another port at once, which is followed like another network.
    pub(super) fn listen_elsewhere(&mut self, addresses: &[IpAddr], transport: Transport) {
        for &address in addresses {
            self.network.opening += usize::from(self.listen_at(address, transport));
        }
        self.network.ip = true;
        self.network.must_move = true;
        // What was closed is to be told, too.
        self.touch(Child::Links);
        self.await_network();
    }

    /// Asks for a socket, if there is a port for it.
    fn listen_at(&mut self, address: IpAddr, transport: Transport) -> bool {
        let port = match transport {
            Transport::Udp => self.config.udp_port,
            Transport::Tcp => self.config.tcp_port,
            Transport::Tls => self.config.tls.and_then(|tls| tls.listen),
            Transport::Ws | Transport::Wss => None,
        };
        let Some(port) = port else { return false };
        let bind = SocketAddr::new(address, port);
        let link = self.links.listen(self.now, transport, bind);
        self.life.expect(link, address);
        self.touch(Child::Links);
        true
    }
}
