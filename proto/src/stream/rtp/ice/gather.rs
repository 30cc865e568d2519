//! The addresses that a stream has: of interfaces, as STUN servers see them, and at relays (RFC 8445, 5.1.1).

use super::{
    ADDRESSES_A_SERVER, Component, FIRST_SLOT, FIRST_TURN, Ice, MAX_OTHERS, MAX_SERVERS, News,
    OPENING, Other, Phase, RTCP_COMPONENT, RTP_COMPONENT, Socket, slot_of,
};
use crate::{
    edge::Class,
    stream::{
        IcePolicy, Lookup, Slot, SlotOpen, StreamOutput,
        rtp::{RTCP, RTP, ports::Ports},
    },
};
use ::ice::State;
use base::{HostPort, Target, Transport};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

impl Ice {
    /// Opens a socket on each address beside `local`, and asks where the servers are. Called again it
    /// begins from nothing: what the peer told of the old addresses does not count any more.
    pub(crate) fn open(&mut self, now: Instant, local: IpAddr, out: &mut VecDeque<StreamOutput>) {
        self.close(now, out);
        // A peer that has agreed on ICE gets nothing until there is a pair again (RFC 7675, 5.1).
        self.since = None;
        (self.described, self.servers) = (Vec::new(), Vec::new());
        self.turn_servers.clear();
        self.is_stale = false;
        self.phase = Phase::Opening;
        self.deadline = now.checked_add(OPENING);
        let mut addresses: Vec<IpAddr> = Vec::new();
        for ip in self.usable() {
            if ip != local && !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
        addresses.truncate(match self.is_relay_only() {
            true => 0,
            false => MAX_OTHERS,
        });
        for address in addresses {
            for component in [RTP_COMPONENT, RTCP_COMPONENT] {
                let slot = slot_of(self.others.len());
                self.others.push(Other {
                    component,
                    state: Socket::Opening,
                });
                // RTP-15: with ICE, any port.
                out.push_back(StreamOutput::Open {
                    slot,
                    how: SlotOpen::Udp {
                        bind: SocketAddr::new(address, 0),
                        class: Class::Voice,
                    },
                });
            }
        }
        self.asked.clear();
        let is_stun = !self.is_relay_only();
        let settings = Arc::clone(&self.settings);
        let servers = settings.stun_servers.iter().take(MAX_SERVERS);
        for (server, number) in servers.filter(|_| is_stun).zip(0..) {
            self.ask(number, dns::Service::Stun, server, out);
        }
        let servers = settings.turn_servers.iter().take(MAX_SERVERS);
        for (server, number) in servers.zip(FIRST_TURN..) {
            let service = match server.is_secure() {
                true => dns::Service::Turns,
                false => dns::Service::Turn,
            };
            self.ask(number, service, &server.host, out);
        }
    }

    fn ask(
        &mut self,
        lookup: u16,
        service: dns::Service,
        server: &HostPort,
        out: &mut VecDeque<StreamOutput>,
    ) {
        self.asked.push(lookup);
        let what = Lookup::Service {
            service,
            host: server.host.clone(),
            port: server.port,
        };
        out.push_back(StreamOutput::Resolve { lookup, what });
    }

    /// True if the peer may learn the addresses of relays only.
    pub(crate) fn is_relay_only(&self) -> bool {
        self.settings.ice_policy == IcePolicy::RelayOnly
    }

    /// The addresses of interfaces that may be candidates.
    fn usable(&self) -> impl Iterator<Item = IpAddr> {
        let filter = &self.settings.ice_interfaces;
        let all = self.interfaces.iter();
        let taken = all.filter(|interface| filter.takes(interface));
        let addresses = taken.map(|interface| interface.address);
        addresses.filter(|ip| self.is_usable(*ip))
    }

    /// RFC 8445, 5.1.1.1: no loopback, nothing deprecated, no link-local addresses where there are others.
    fn is_usable(&self, ip: IpAddr) -> bool {
        let is_out = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => {
                // ::/96 and ::ffff:0:0/96 hold those of IPv4 (RFC 4291, 2.5.5), fec0::/10 those of sites
                // (RFC 3879).
                let [a, b, c, d, e, f, ..] = ip.segments();
                let has_v4 = [a, b, c, d, e] == [0; 5] && matches!(f, 0 | 0xffff);
                let is_site_local = a & 0xffc0 == 0xfec0;
                ip.is_unicast_link_local() || is_site_local || has_v4 && !ip.is_loopback()
            }
        };
        let is_loopback = ip.is_loopback() && !self.settings.ice_allow_loopback;
        !is_out && !is_loopback && !ip.is_unspecified() && !ip.is_multicast()
    }

    /// True for a socket that this has asked for.
    pub(crate) fn owns(&self, slot: Slot) -> bool {
        self.other(slot).is_some()
    }

    fn other(&self, slot: Slot) -> Option<usize> {
        let at = usize::from(slot.0).checked_sub(FIRST_SLOT)?;
        (at < self.others.len()).then_some(at)
    }

    /// A socket beside the pair is there.
    pub(crate) fn opened(&mut self, slot: Slot, local: SocketAddr) {
        if let Some(at) = self.other(slot) {
            self.others[at].state = Socket::Open(local);
        }
    }

    /// A socket beside the pair is not to be had, or gone: one candidate less.
    pub(crate) fn closed(&mut self, slot: Slot) {
        if let Some(at) = self.other(slot) {
            self.others[at].state = Socket::Closed;
        }
    }

    /// A server's addresses are known, or that there are none (BUG-01: its failure is its own).
    pub(crate) fn resolved(&mut self, lookup: u16, targets: Option<Vec<Target>>) {
        let Some(at) = self.asked.iter().position(|asked| *asked == lookup) else {
            return;
        };
        self.asked.swap_remove(at);
        match lookup.checked_sub(FIRST_TURN) {
            Some(server) => self.turn_servers.push((server.into(), targets)),
            None => {
                let addresses = targets.iter().flatten().map(|target| target.address);
                self.servers.extend(addresses.take(ADDRESSES_A_SERVER));
            }
        }
    }

    /// Asks the servers as soon as there is something to ask from.
    pub(in crate::stream::rtp) fn advance(
        &mut self,
        now: Instant,
        ports: &Ports,
        out: &mut VecDeque<StreamOutput>,
    ) {
        // What is late is not waited for, whatever else is.
        self.deadline = self.deadline.filter(|at| *at > now);
        let opens = |other: &Other| other.state == Socket::Opening;
        let is_incomplete = !self.asked.is_empty() || self.others.iter().any(opens);
        let is_waiting = self.deadline.is_some() && is_incomplete;
        if self.phase == Phase::Opening
            && !is_waiting
            && let Some((rtp, rtcp)) = ports.pair()
        {
            self.deadline = None;
            self.phase = Phase::Gathering;
            if self.is_usable(rtp.ip()) && !self.is_relay_only() {
                self.add_base(RTP_COMPONENT, rtp, RTP);
                self.add_base(RTCP_COMPONENT, rtcp, RTCP);
            }
            for at in 0..self.others.len() {
                if let Socket::Open(local) = self.others[at].state {
                    let component = self.others[at].component;
                    self.add_base(component, local, slot_of(at));
                }
            }
            self.gather(now);
        }
        if self.phase == Phase::Gathering {
            let locals = self.locals(ports.local());
            self.relays.advance(now, &locals, out);
        }
        self.drain(now, out);
    }

    /// RFC 8445, 5.1.1.2. A TURN server is a STUN server, too.
    fn gather(&mut self, now: Instant) {
        let mut turn_servers = std::mem::take(&mut self.turn_servers);
        // In the order of the settings, whoever was found first; and who was not found in time, too.
        let servers = self.settings.turn_servers.len().min(MAX_SERVERS);
        turn_servers.sort_by_key(|(server, _)| *server);
        for server in 0..servers {
            let found = turn_servers.iter().find(|(known, _)| *known == server);
            let targets = found.and_then(|(_, targets)| targets.as_deref());
            self.relays.add(now, server, targets);
            let datagrams = targets.into_iter().flatten();
            let datagrams = datagrams.filter(|target| target.transport == Transport::Udp);
            for target in datagrams.take(ADDRESSES_A_SERVER) {
                if !self.is_relay_only() && !self.servers.contains(&target.address) {
                    self.servers.push(target.address);
                }
            }
        }
        self.agent.await_relayed(self.relays.is_trying());
        self.agent.gather(now, &self.servers);
    }

    /// Our addresses that something may leave from, the one of signalling first.
    fn locals(&self, local: IpAddr) -> Vec<IpAddr> {
        std::iter::once(local).chain(self.usable()).collect()
    }

    fn add_base(&mut self, component: Component, local: SocketAddr, slot: Slot) {
        // RFC 8445, 5.1.2.1: the address that signalling uses first.
        let preference = u16::MAX - (self.bases.len() / 2) as u16;
        let base = self.agent.add_base(component, local, preference);
        self.bases.push((base, slot));
    }

    /// Says so when all is there that will be.
    pub(super) fn gathered(&mut self, now: Instant, out: &mut VecDeque<StreamOutput>) {
        if self.agent.state() < State::Gathered {
            return;
        }
        self.phase = Phase::Ready;
        self.relays.settle(now, out);
        let is_alone = self.is_relay_only() && self.bases.is_empty();
        self.news.push_back(match is_alone {
            true => News::NoRelay,
            false => News::Ready,
        });
    }
}
