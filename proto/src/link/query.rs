//! The sockets of the resolver: one for every query that it sends to a name server.

use super::{Link, LinkOutput, Links, Owner};
use crate::{
    edge::{Class, Open, Output},
    id::LinkId,
};
use base::Transport;
use bytes::Bytes;
use dns::ExchangeId;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

impl Links {
    /// Opens a socket to a name server: for datagrams on a port that the system draws (RFC 5452, 9.2),
    /// or a connection. Answered by `Opened` or `Failed`.
    pub(crate) fn open_query(
        &mut self,
        now: Instant,
        exchange: ExchangeId,
        server: SocketAddr,
        stream: bool,
    ) {
        let class = Class::Signalling;
        let owner = Owner::Query(exchange);
        let any = match server.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let bind = SocketAddr::new(any, 0);
        let (transport, how) = match stream {
            false => {
                let multicast = None;
                let how = Open::Udp {
                    bind,
                    class,
                    multicast,
                };
                (Transport::Udp, how)
            }
            true => {
                let (from, to) = (None, server);
                (Transport::Tcp, Open::Connect { from, to, class })
            }
        };
        let mut link = Link::new(owner, transport, bind, now);
        link.peer = Some(server);
        let id = self.table.insert(link);
        self.queries.insert(exchange, id);
        self.edge(Output::Open { link: id, how });
    }

    /// Sends a query, or writes it to the connection.
    pub(crate) fn send_query(&mut self, exchange: ExchangeId, payload: Bytes) {
        let Some(&id) = self.queries.get(&exchange) else {
            return;
        };
        let Some((transport, Some(to))) =
            self.table.get(id).map(|link| (link.transport, link.peer))
        else {
            return;
        };
        match transport.is_reliable() {
            true => self.write(id, payload, self.limits.signalling_budget),
            false => self.edge(Output::Transmit {
                link: id,
                from: None,
                to,
                payload,
            }),
        }
    }

    /// Closes the socket of a query at once.
    pub(crate) fn close_query(&mut self, exchange: ExchangeId) {
        if let Some(&id) = self.queries.get(&exchange) {
            self.close(id);
        }
    }

    /// Bytes of a name server's connection came; it may send as many again: the resolver keeps one
    /// message at most.
    pub(super) fn query_bytes(&mut self, id: LinkId, exchange: ExchangeId, payload: Bytes) {
        self.edge(Output::Receive {
            link: id,
            more: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        });
        self.answer(dns::Input::Bytes { exchange, payload });
    }

    pub(super) fn answer(&mut self, input: dns::Input) {
        self.out.push_back(LinkOutput::Query(input));
    }
}
