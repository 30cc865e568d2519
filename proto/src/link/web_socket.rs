//! Links that carry WebSockets: when one is asked for, and the messages that it brings (RFC 7118).

use super::{Link, LinkOutput, Links, Owner, Phase};
use crate::{edge::Output, id::LinkId};
use base::{Host, HostPort, Target};
use bytes::Bytes;
use sip::{
    FlowId,
    message::frame::{self, Noise},
};
use std::{net::SocketAddr, time::Instant};

impl Links {
    /// The link is connected, and its server has proven its name: asks for the WebSocket.
    pub(super) fn upgrade(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        let Some(host) = link.web_socket.clone() else {
            return;
        };
        link.phase = Phase::Upgrading { since: now };
        self.out.push_back(LinkOutput::Upgrade(id, host));
        self.rearm(id);
    }

    /// The server has agreed.
    pub(super) fn upgraded(&mut self, id: LinkId) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if !matches!(link.phase, Phase::Upgrading { .. }) {
            return;
        }
        link.phase = Phase::Open;
        let &mut Link { local, peer, .. } = link;
        if let Owner::Connection(Some(flow)) = link.owner {
            self.tell(sip::Input::FlowUp { flow, local, peer });
        }
        self.rearm(id);
    }

    /// One WebSocket message: one SIP message, whose length needs no Content-Length (RFC 7118, 4.2), or a
    /// sign of life (RFC 7118, 6).
    pub(super) fn web_message(
        &mut self,
        now: Instant,
        id: LinkId,
        (flow, from): (FlowId, SocketAddr),
        payload: &[u8],
    ) {
        // The filter gives the server its credit for frames; this is the level of messages.
        self.edge(Output::Receive {
            link: id,
            more: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        });
        match (frame::noise(payload), payload) {
            (Some(Noise::LineEnds), b"\r\n") => {
                self.pong(now, (id, from));
            }
            (Some(Noise::LineEnds), _) => {
                self.counters.keep_alives += 1;
                let pong = Bytes::from_static(b"\r\n");
                self.write(id, pong, self.limits.signalling_budget);
            }
            (Some(noise), _) => self.counters.count(noise),
            (None, _) => {
                let message = Bytes::copy_from_slice(payload);
                self.trace(id, false, from, &message);
                self.tell(sip::Input::Message {
                    flow,
                    from,
                    message,
                });
            }
        }
    }
}

/// What a WebSocket server is called in the handshake: the port only if it is not the usual one
/// (RFC 6455, 4.1).
pub(super) fn web_host(target: &Target) -> HostPort {
    let port = target.address.port();
    let port = (port != target.transport.default_port()).then_some(port);
    let host: Host = target.name.clone();
    HostPort::new(host, port)
}
