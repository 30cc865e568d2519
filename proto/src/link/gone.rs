//! Links that are closed because the ground under them is gone: an address, a transport, a night.

use super::{Links, Owner, Phase};
use base::{LinkError, Transport};
use std::net::IpAddr;

impl Links {
    /// An address of ours is gone: closes what we listen on there, and the connections from there.
    /// Streams close their sockets themselves.
    pub(crate) fn lose_address(&mut self, ip: IpAddr) {
        for id in self.table.keys() {
            let lost = self.table.get(id).is_some_and(|link| {
                let is_bound = matches!(
                    link.owner,
                    Owner::Socket(_) | Owner::Listener | Owner::Connection(_) | Owner::Discovery(_)
                );
                let is_up = !matches!(link.phase, Phase::Opening { .. } | Phase::Finishing { .. });
                is_bound && is_up && link.local.ip() == ip
            });
            if lost {
                self.fail(id, LinkError::AddressGone);
            }
        }
    }

    /// Closes what listens on a transport, and its connections if they are not wanted any more either.
    pub(crate) fn stop(&mut self, transport: Transport, with_connections: bool) {
        for id in self.table.keys() {
            let is_meant = self.table.get(id).is_some_and(|link| {
                let is_finishing = matches!(link.phase, Phase::Finishing { .. });
                link.transport == transport
                    && match link.owner {
                        Owner::Socket(_) | Owner::Listener => true,
                        Owner::Connection(_) => with_connections && !is_finishing,
                        Owner::Slot(..)
                        | Owner::SlotListener(..)
                        | Owner::Query(_)
                        | Owner::Discovery(_)
                        | Owner::Nobody => false,
                    }
            });
            if is_meant {
                self.fail(id, LinkError::AddressGone);
            }
        }
    }

    /// The machine slept: closes the signalling connections that we opened. Whoever was at their other
    /// end has given them up, and our kernel would find out by the next write. Those that peers opened
    /// are theirs to open again.
    pub(crate) fn lose_connections(&mut self) {
        for id in self.table.keys() {
            let is_ours = self
                .table
                .get(id)
                .is_some_and(|link| matches!(link.owner, Owner::Connection(_)) && !link.accepted);
            if is_ours {
                self.fail(id, LinkError::Reset);
            }
        }
    }
}
