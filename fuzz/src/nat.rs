//! Detection of the kind of NAT: a server that may say anything, from anywhere, at any time.

use bytes::Bytes;
use ice::{
    nat::{Class, Config, Discovery, Output},
    stun::Message,
};
use sipsimple::base::Rng;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Cuts the input into steps: answers to what was asked, datagrams as they are, ICMP, time.
///
/// # Panics
/// The discovery panics, does not come to an end, ends twice, or sends more than its tests take.
pub fn nat(data: &[u8]) {
    let now = Instant::now();
    let rng = Rng::from_seed([3; 32]);
    let mut world = World {
        discovery: Discovery::new(now, Config::default(), address(0), address(1), rng),
        now,
        asked: Vec::new(),
        sent: 0,
        is_done: false,
    };
    world.drain();
    let mut rest = data;
    while let [what, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        world.step(*what, bytes);
    }
    // Five silences of 9.5 s are the most that it bears.
    world.wait(Duration::from_secs(60));
    assert!(world.is_done, "{:?}", world.discovery);
    assert!(world.discovery.poll_timeout().is_none());
}

struct World {
    discovery: Discovery,
    now: Instant,
    asked: Vec<Bytes>,
    sent: u32,
    is_done: bool,
}

impl World {
    fn step(&mut self, what: u8, bytes: &[u8]) {
        let from = address(what >> 3);
        match what % 8 {
            0 => self.hear(from, bytes),
            1 => self
                .discovery
                .handle_undeliverable(self.now, address(what >> 3)),
            2 => {
                let time = bytes.first().copied().unwrap_or(1);
                self.wait(Duration::from_millis(u64::from(time) * 20));
            }
            // The class and attributes of the input under an id of ours.
            kind => {
                let at = usize::from(bytes.first().copied().unwrap_or_default());
                let Some(request) = self.asked.get(at % self.asked.len().max(1)) else {
                    return;
                };
                let body = bytes.get(1..).unwrap_or_default();
                let body = &body[..body.len() & !3];
                let class = if kind == 3 { 0x11 } else { 1 };
                let mut answer = vec![1, class, 0, body.len() as u8];
                answer.extend(&request[4..20]);
                answer.extend(body);
                self.hear(from, &answer);
            }
        }
        self.drain();
    }

    fn hear(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.discovery.handle_datagram(self.now, from, datagram);
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.discovery.poll_timeout()
            && deadline.at <= until
        {
            self.now = self.now.max(deadline.at);
            self.discovery.handle_timeout(self.now);
            self.drain();
            let next = self.discovery.poll_timeout();
            assert!(next.is_none_or(|next| next.at > self.now), "{next:?}");
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.discovery.poll_output() {
            assert!(!self.is_done, "nothing follows the end");
            match output {
                Output::Transmit { to, payload } => {
                    self.sent += 1;
                    // Five tests of five requests.
                    assert!(self.sent <= 25 && to.port() != 0);
                    Message::parse(&payload).expect("what we write can be read");
                    if !self.asked.contains(&payload) {
                        self.asked.push(payload);
                    }
                }
                Output::Done(result) => {
                    self.is_done = true;
                    if let Ok(report) = result {
                        let is_blocked = report.class() == Class::Blocked;
                        assert_eq!(is_blocked, report.mapped.is_none());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Ours, the server's, and others near to it: two addresses with two ports.
fn address(n: u8) -> SocketAddr {
    let host = if n == 0 { 1 } else { 7 + (n >> 1 & 1) };
    ([192, 0, 2, host], 3_478 + u16::from(n & 1)).into()
}
