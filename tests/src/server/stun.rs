//! A STUN server.

use crate::node::Node;
use base::{Deadline, Key as _};
use bytes::Bytes;
use sipsimple::agent::{Class, Input, LinkId, Open, Output};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Tells whoever asks how it sees him (RFC 8489). Its messages are written by hand and share nothing with
/// the agent that reads them.
#[derive(Debug)]
pub struct StunServer {
    link: LinkId,
    is_silent: bool,
    asked: u64,
    out: VecDeque<Output>,
}

impl StunServer {
    /// Listens on `address`, an address of its host.
    pub fn new(address: SocketAddr) -> Self {
        let link = LinkId::from_parts(0, 0);
        let open = Output::Open {
            link,
            how: Open::Udp {
                bind: address,
                class: Class::Signalling,
                multicast: None,
            },
        };
        Self {
            link,
            is_silent: false,
            asked: 0,
            out: VecDeque::from([open]),
        }
    }

    /// Answers nobody from here on, or everybody again.
    pub const fn set_silent(&mut self, is_silent: bool) {
        self.is_silent = is_silent;
    }

    /// How many questions came.
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    fn datagram(&mut self, from: SocketAddr, request: &[u8]) {
        // RFC 8489, 5: a Binding request.
        if request.len() < 20 || request[..2] != [0, 1] || request[4..8] != COOKIE {
            return;
        }
        self.asked += 1;
        if self.is_silent {
            return;
        }
        let transaction = &request[4..20];
        let port = from.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
        let (family, address) = match from.ip() {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        // RFC 8489, 14.2.
        let mut value = vec![0, family];
        value.extend(port.to_be_bytes());
        value.extend(address.iter().zip(transaction).map(|(a, b)| a ^ b));
        let mut answer = vec![1, 1, 0, value.len() as u8 + 4];
        answer.extend(transaction);
        answer.extend([0, 0x20, 0, value.len() as u8]);
        answer.extend(value);
        self.out.push_back(Output::Transmit {
            link: self.link,
            from: None,
            to: from,
            payload: Bytes::from(answer),
        });
    }
}

impl Node for StunServer {
    fn handle(&mut self, _now: Instant, input: Input) {
        if let Input::Datagram { from, payload, .. } = input {
            self.datagram(from, &payload);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        None
    }
}

/// RFC 8489, 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
