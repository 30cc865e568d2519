//! The sockets by which the kind of NAT is found out: one for each detection, on a port that nothing was
//! sent from before (RFC 5780, 4.1).

use super::{Link, LinkOutput, Links, Owner};
use crate::{
    edge::{Class, Open, Output},
    id::NatDetectionId,
};
use base::{LinkError, Transport};
use bytes::{Bytes, BytesMut};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// What happens to such a socket.
#[derive(Debug)]
pub(crate) enum DiscoveryInput {
    /// It is there.
    Opened(SocketAddr),
    /// Something came.
    Datagram { from: SocketAddr, payload: BytesMut },
    /// Something did not arrive.
    Undeliverable { to: SocketAddr },
    /// It could not be opened, or is gone.
    Closed(LinkError),
}

impl Links {
    /// Opens a socket at an address of ours; answered by `Opened` or `Closed`.
    pub(crate) fn open_discovery(&mut self, now: Instant, id: NatDetectionId, address: IpAddr) {
        let bind = SocketAddr::new(address, 0);
        let link = Link::new(Owner::Discovery(id), Transport::Udp, bind, now);
        let link = self.table.insert(link);
        self.discoveries.insert(id, link);
        let how = Open::Udp {
            bind,
            class: Class::Signalling,
            multicast: None,
        };
        self.edge(Output::Open { link, how });
    }

    /// Sends a datagram from it.
    pub(crate) fn send_discovery(&mut self, id: NatDetectionId, to: SocketAddr, payload: Bytes) {
        if let Some(&link) = self.discoveries.get(&id) {
            self.edge(Output::Transmit {
                link,
                from: None,
                to,
                payload,
            });
        }
    }

    /// Closes it at once.
    pub(crate) fn close_discovery(&mut self, id: NatDetectionId) {
        if let Some(&link) = self.discoveries.get(&id) {
            self.close(link);
        }
    }

    pub(super) fn discovery(&mut self, id: NatDetectionId, input: DiscoveryInput) {
        self.out.push_back(LinkOutput::Discovery(id, input));
    }
}
