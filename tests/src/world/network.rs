//! What the world keeps of its network: who owns which address, links, connections, chance.

use base::Timers;
use sipsimple::agent::LinkId;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use super::{Reaction, World};
use crate::{
    Cut, HostId, Limits, Path,
    link::Link,
    nat::Translator,
    tcp::Tcp,
    udp::{Judge, OnWire, Verdict},
};

impl World {
    pub(crate) fn owner(&self, address: IpAddr) -> Option<HostId> {
        self.owners.get(&address).copied()
    }

    pub(crate) const fn owners(&mut self) -> &mut BTreeMap<IpAddr, HostId> {
        &mut self.owners
    }

    pub(crate) const fn deadlines(&mut self) -> &mut Timers<HostId> {
        &mut self.deadlines
    }

    pub(crate) fn link(&mut self, from: HostId, to: HostId) -> &mut Link {
        let (path, rng) = (&self.default_path, &mut self.rng);
        self.links.entry((from, to)).or_insert_with(|| {
            let path = if from == to {
                // The loopback interface loses nothing.
                Path {
                    latency: LOOPBACK,
                    mtu: 65_536,
                    ..Path::ideal()
                }
            } else {
                path.clone()
            };
            Link::new(path, rng.fork())
        })
    }

    pub(crate) fn is_cut(&mut self, from: HostId, to: HostId) -> bool {
        self.link(from, to).cut || self.link(to, from).cut
    }

    pub(crate) const fn nats(&mut self) -> &mut Vec<Translator> {
        &mut self.nats
    }

    pub(crate) const fn firewalls(&mut self) -> &mut BTreeSet<HostId> {
        &mut self.firewalls
    }

    /// All sockets of a multicast group's port.
    pub(crate) fn members(&self, port: u16) -> Vec<(HostId, LinkId)> {
        self.hosts()
            .flat_map(|(id, host)| {
                host.udp
                    .shared(port)
                    .into_iter()
                    .map(move |link| (id, link))
            })
            .collect()
    }

    pub(crate) const fn next_packet(&mut self) -> u64 {
        self.packets += 1;
        self.packets
    }

    pub(crate) fn set_judge(&mut self, judge: Option<Judge>) {
        self.judge = judge;
    }

    pub(crate) fn judge(&mut self, on_wire: &OnWire<'_>) -> Verdict {
        let judge = self.judge.as_mut();
        judge.map_or(Verdict::Pass, |judge| judge(on_wire))
    }

    pub(crate) const fn is_tracing(&self) -> bool {
        self.tracing
    }

    pub(crate) fn reactions(&self) -> &[Reaction] {
        &self.reactions
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn cut(&self) -> Cut {
        self.cut
    }

    pub(crate) fn add_tcp(&mut self, tcp: Tcp) -> u64 {
        self.next_connection += 1;
        self.connections.insert(self.next_connection, tcp);
        self.next_connection
    }

    pub(crate) fn tcp(&mut self, id: u64) -> Option<&mut Tcp> {
        self.connections.get_mut(&id)
    }

    pub(crate) fn remove_tcp(&mut self, id: u64) {
        self.connections.remove(&id);
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = (u64, &Tcp)> {
        self.connections.iter().map(|(&id, tcp)| (id, tcp))
    }

    /// The size of a segment: mostly large, sometimes a few bytes, sometimes one.
    pub(crate) fn random_cut(&mut self, most: usize) -> usize {
        let bound = match self.cut_rng.below(10) {
            0 => 1,
            1..=3 => 16,
            4..=6 => 200,
            _ => 1_460,
        };
        let len = 1 + self.cut_rng.below(bound) as usize;
        len.min(most)
    }

    /// How long data waits for the runtime to read it: sometimes long enough to be joined by more.
    pub(crate) fn read_delay(&mut self) -> Duration {
        match self.cut_rng.below(4) {
            0 => Duration::from_micros(u64::from(self.cut_rng.below(2_000))),
            _ => Duration::ZERO,
        }
    }
}

const LOOPBACK: Duration = Duration::from_micros(50);
