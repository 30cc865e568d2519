//! Ways that are kept open: which, for whom, and what happens when one is dead (RFC 5626, 4.4).

use super::{Endpoint, Output};
use crate::{FlowId, config::Pulse, id::UsageId};
use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

/// A connection with its peer, or a socket with one of its peers.
pub(crate) type Way = (FlowId, SocketAddr);

/// The ways that usages want kept open. Thousands may want the same, with few pauses among them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    by_usage: BTreeMap<UsageId, (Way, Pulse)>,
    /// How many want which pause.
    by_way: BTreeMap<Way, BTreeMap<Pulse, usize>>,
}

impl Kept {
    /// Notes what a usage wants; returns the ways that are kept otherwise than before.
    fn set(&mut self, usage: UsageId, wish: Option<(Way, Pulse)>) -> Vec<(Way, Option<Pulse>)> {
        let before = self.by_usage.get(&usage).copied();
        let mut ways: Vec<Way> = before.into_iter().chain(wish).map(|(way, _)| way).collect();
        ways.dedup();
        let old: Vec<Option<Pulse>> = ways.iter().map(|way| self.pulse(*way)).collect();
        if let Some((way, pulse)) = before {
            self.by_usage.remove(&usage);
            self.forget(way, pulse);
        }
        if let Some((way, pulse)) = wish {
            self.by_usage.insert(usage, (way, pulse));
            *self
                .by_way
                .entry(way)
                .or_default()
                .entry(pulse)
                .or_default() += 1;
        }
        let changes = ways.into_iter().zip(old).filter_map(|(way, old)| {
            let new = self.pulse(way);
            (new != old).then_some((way, new))
        });
        changes.collect()
    }

    fn forget(&mut self, way: Way, pulse: Pulse) {
        let Some(pulses) = self.by_way.get_mut(&way) else {
            return;
        };
        if let Some(count) = pulses.get_mut(&pulse) {
            *count -= 1;
            if *count == 0 {
                pulses.remove(&pulse);
            }
        }
        if pulses.is_empty() {
            self.by_way.remove(&way);
        }
    }

    /// The shortest pause that somebody wants; answered if anybody was promised that.
    fn pulse(&self, way: Way) -> Option<Pulse> {
        let pulses = self.by_way.get(&way)?.keys().copied();
        pulses.reduce(|a, b| Pulse {
            every: a.every.min(b.every),
            is_answered: a.is_answered || b.is_answered,
        })
    }
}

impl Endpoint {
    /// Asks to keep open what a usage wants kept open.
    pub(super) fn keep(&mut self, usage: UsageId, wish: Option<(Way, Pulse)>) {
        for ((flow, to), pulse) in self.kept.set(usage, wish) {
            // Of a flow that is gone nothing is kept.
            if self.flows.table.get(flow).is_some() {
                self.out.push_back(Output::KeepAlive { flow, to, pulse });
            }
        }
    }

    /// A peer of datagrams is not reached any more, or does not reach us.
    pub(super) fn handle_flow_failed(&mut self, now: Instant, flow: FlowId, to: SocketAddr) {
        for id in self.usages.keys() {
            if let Some(usage) = self.usages.get_mut(id)
                && usage.handle_flow_failed(now, flow, to)
            {
                self.touch_usage(id);
            }
        }
    }
}
