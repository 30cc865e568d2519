//! Address translators between hosts: RFC 4787 for datagrams.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::{host::HostId, world::World};

/// On what something depends (RFC 4787, 4.1 and 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depends {
    /// On nobody outside.
    EndpointIndependent,
    /// On the address outside.
    Address,
    /// On the address and the port outside.
    AddressAndPort,
}

/// An address translator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nat {
    /// What the outside sees; no host may have it.
    pub address: IpAddr,
    /// When a socket inside gets another port outside (RFC 4787, 4.1).
    pub mapping: Depends,
    /// Who outside may answer (RFC 4787, 5).
    pub filtering: Depends,
    /// How long a binding lives that nothing leaves by; RFC 4787, REQ-5 wants two minutes.
    pub expiry: Duration,
    /// Hosts inside can reach each other by the outside's address (RFC 4787, 6).
    pub hairpin: bool,
}

impl Nat {
    /// What RFC 4787 recommends: endpoint-independent mapping, filtering by address, two minutes,
    /// hairpins.
    pub const fn new(address: IpAddr) -> Self {
        Self {
            address,
            mapping: Depends::EndpointIndependent,
            filtering: Depends::Address,
            expiry: Duration::from_secs(120),
            hairpin: true,
        }
    }
}

/// A translator at work.
#[derive(Debug)]
pub(crate) struct Translator {
    nat: Nat,
    inside: BTreeSet<HostId>,
    /// By the port outside.
    bindings: BTreeMap<u16, Binding>,
    next_port: u16,
}

#[derive(Debug)]
struct Binding {
    inside: SocketAddr,
    /// For whom it is, as far as the mapping depends on that.
    towards: Option<SocketAddr>,
    /// To whom something left.
    peers: BTreeSet<SocketAddr>,
    last: Instant,
}

impl Depends {
    /// What of an address counts.
    fn part(self, of: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::EndpointIndependent => None,
            Self::Address => Some(SocketAddr::new(of.ip(), 0)),
            Self::AddressAndPort => Some(of),
        }
    }
}

impl Translator {
    /// How a datagram from inside is seen outside.
    fn outwards(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let expiry = self.nat.expiry;
        self.bindings
            .retain(|_, binding| now.saturating_duration_since(binding.last) < expiry);
        let towards = self.nat.mapping.part(to);
        let known = self
            .bindings
            .iter()
            .find(|(_, binding)| (binding.inside, binding.towards) == (from, towards))
            .map(|(port, _)| *port);
        let port = known.unwrap_or_else(|| {
            // A port that was in use lately is not given again soon.
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            self.next_port
        });
        let binding = self.bindings.entry(port).or_insert_with(|| Binding {
            inside: from,
            towards,
            peers: BTreeSet::new(),
            last: now,
        });
        binding.peers.insert(to);
        binding.last = now;
        SocketAddr::new(self.nat.address, port)
    }

    /// Who inside gets a datagram from outside; nobody if it is filtered.
    fn inwards(&self, now: Instant, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        let binding = self.bindings.get(&port)?;
        let lives = now.saturating_duration_since(binding.last) < self.nat.expiry;
        let filtering = self.nat.filtering;
        let mut peers = binding.peers.iter();
        let may = peers.any(|peer| filtering.part(*peer) == filtering.part(from));
        (lives && may).then_some(binding.inside)
    }
}

impl World {
    /// Puts hosts behind an address translator, for datagrams: their own addresses of its family are not
    /// known outside any more. Connections are not translated.
    ///
    /// # Panics
    ///
    /// A host has the translator's address.
    pub fn set_nat(&mut self, nat: Nat, inside: &[HostId]) {
        assert!(
            self.owner(nat.address).is_none(),
            "{} is a host's",
            nat.address
        );
        self.nats().push(Translator {
            nat,
            inside: inside.iter().copied().collect(),
            bindings: BTreeMap::new(),
            next_port: FIRST_PORT,
        });
    }

    /// Puts a firewall before a host that lets no datagrams pass, or takes it away again. Connections pass.
    pub fn set_datagrams_blocked(&mut self, host: HostId, blocked: bool) {
        self.note(
            host,
            if blocked {
                "datagrams blocked"
            } else {
                "datagrams pass"
            },
        );
        let firewalls = self.firewalls();
        match blocked {
            true => firewalls.insert(host),
            false => firewalls.remove(&host),
        };
    }

    /// Lets a translator forget all bindings, as its restart does.
    pub fn forget_bindings(&mut self, address: IpAddr) {
        for translator in self.nats() {
            if translator.nat.address == address {
                translator.bindings.clear();
            }
        }
    }

    /// How a datagram of `host` travels: from where it seems to come, and who gets it; `None` if a
    /// translator keeps it.
    pub(crate) fn translate(
        &mut self,
        host: HostId,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let owner = self.owner(to.ip());
        let firewalls = self.firewalls();
        let is_blocked = |host: &HostId| firewalls.contains(host);
        if owner != Some(host) && (is_blocked(&host) || owner.as_ref().is_some_and(is_blocked)) {
            return None;
        }
        if self.nats().is_empty() {
            return Some((from, to));
        }
        let now = self.now();
        // A translator knows nothing of the other family.
        let is_v4 = to.is_ipv4();
        let has = |translator: &Translator, host: &HostId| {
            translator.nat.address.is_ipv4() == is_v4 && translator.inside.contains(host)
        };
        let mine = |translator: &Translator| has(translator, &host);
        let stays = |translator: &Translator| owner.is_some_and(|owner| has(translator, &owner));
        let mut from = from;
        if let Some(own) = self.nats().iter_mut().find(|own| mine(own) && !stays(own)) {
            if own.nat.address == to.ip() && !own.nat.hairpin {
                return None;
            }
            from = own.outwards(now, from, to);
        }
        if let Some(other) = self
            .nats()
            .iter()
            .find(|other| other.nat.address == to.ip())
        {
            return Some((from, other.inwards(now, from, to.port())?));
        }
        let is_hidden = self.nats().iter().any(|other| stays(other) && !mine(other));
        (!is_hidden).then_some((from, to))
    }
}

/// Where translators begin: far from the ports of hosts.
const FIRST_PORT: u16 = 50_000;
