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

/// Tells whoever asks how it sees him (RFC 8489), and from another address if he wants (RFC 5780). Its
/// messages are written by hand and share nothing with the agent that reads them.
#[derive(Debug)]
pub struct StunServer {
    /// What it listens on: one address, or two addresses with two ports each.
    addresses: Vec<SocketAddr>,
    is_silent: bool,
    keeps_its_address: bool,
    asked: u64,
    out: VecDeque<Output>,
}

impl StunServer {
    /// Listens on `address`, an address of its host.
    pub fn new(address: SocketAddr) -> Self {
        Self::listening(vec![address])
    }

    /// Listens on both addresses of its host with both of their ports, which are not the same.
    pub fn with_other(address: SocketAddr, other: SocketAddr) -> Self {
        let ips = [address.ip(), other.ip()];
        let ports = [address.port(), other.port()];
        let all = ips.into_iter().flat_map(|ip| {
            let with = move |port| SocketAddr::new(ip, port);
            ports.into_iter().map(with)
        });
        Self::listening(all.collect())
    }

    fn listening(addresses: Vec<SocketAddr>) -> Self {
        let open = |(index, bind): (usize, &SocketAddr)| Output::Open {
            link: link(index),
            how: Open::Udp {
                bind: *bind,
                class: Class::Signalling,
                multicast: None,
            },
        };
        let out = addresses.iter().enumerate().map(open).collect();
        Self {
            addresses,
            is_silent: false,
            keeps_its_address: false,
            asked: 0,
            out,
        }
    }

    /// Answers nobody from here on, or everybody again.
    pub const fn set_silent(&mut self, is_silent: bool) {
        self.is_silent = is_silent;
    }

    /// Answers from where it was asked from here on, whatever the question says.
    pub const fn keep_its_address(&mut self) {
        self.keeps_its_address = true;
    }

    /// How many questions came.
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    fn datagram(&mut self, to: LinkId, from: SocketAddr, request: &[u8]) {
        // RFC 8489, 5: a Binding request.
        if request.len() < 20 || request[..2] != [0, 1] || request[4..8] != COOKIE {
            return;
        }
        self.asked += 1;
        let at = (0..self.addresses.len()).find(|index| link(*index) == to);
        let Some(at) = at.filter(|_| !self.is_silent) else {
            return;
        };
        let transaction = &request[4..20];
        // RFC 5780, 7.2; the only attribute that it looks for stands first.
        let change = match request[20..] {
            [0, 3, 0, 4, _, _, _, flags, ..] => usize::from(flags >> 1 & 3),
            _ => 0,
        };
        if change != 0 && self.addresses.len() == 1 {
            // RFC 5780, 6.1: 420, with what is not known (RFC 8489, 14.8, 14.13).
            let error = [0, 9, 0, 4, 0, 0, 4, 20, 0, 0x0a, 0, 2, 0, 3, 0, 0];
            let mut answer = vec![1, 0x11, 0, error.len() as u8];
            answer.extend(transaction);
            answer.extend(error);
            return self.send(at, from, answer);
        }
        let mut body = attribute(0x20, from, transaction);
        // The index has a bit for the address and one for the port, as the flags have.
        let other = at ^ 3;
        if let Some(other) = self.addresses.get(other) {
            body.extend(attribute(0x802c, *other, &[0; 16]));
        }
        let mut answer = vec![1, 1, 0, body.len() as u8];
        answer.extend(transaction);
        answer.extend(body);
        let source = match self.keeps_its_address {
            true => at,
            false => at ^ change,
        };
        self.send(source, from, answer);
    }

    fn send(&mut self, source: usize, to: SocketAddr, answer: Vec<u8>) {
        self.out.push_back(Output::Transmit {
            link: link(source),
            from: None,
            to,
            payload: Bytes::from(answer),
        });
    }
}

/// An address under a mask (RFC 8489, 14.2), or none (14.1).
fn attribute(kind: u16, address: SocketAddr, mask: &[u8]) -> Vec<u8> {
    let port = address.port() ^ u16::from_be_bytes([mask[0], mask[1]]);
    let (family, ip) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = kind.to_be_bytes().to_vec();
    value.extend([0, ip.len() as u8 + 4, 0, family]);
    value.extend(port.to_be_bytes());
    value.extend(ip.iter().zip(mask).map(|(a, b)| a ^ b));
    value
}

fn link(index: usize) -> LinkId {
    LinkId::from_parts(index as u32, index as u32)
}

impl Node for StunServer {
    fn handle(&mut self, _now: Instant, input: Input) {
        if let Input::Datagram {
            link,
            from,
            payload,
            ..
        } = input
        {
            self.datagram(link, from, &payload);
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
