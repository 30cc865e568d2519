//! A peer that says what the test wrote by hand.

use base::{Deadline, Transport};
use bytes::Bytes;
use sip::Message;
use sipsimple::agent::{Input, LinkId, Output};
use std::{net::SocketAddr, time::Instant};

use super::wire::{Flow, Heard, Wire};
use crate::node::Node;

/// A message that a [`Peer`] got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// Over what.
    pub transport: Transport,
    /// From where.
    pub from: SocketAddr,
    /// The connection, for streams.
    pub link: Option<LinkId>,
    /// The bytes.
    pub bytes: Bytes,
}

type Answer = Box<dyn FnMut(&Message, &Received) -> Vec<Bytes>>;

/// A SIP element without a mind: it sends the bytes that the test wrote, answers as the test says and
/// keeps what it gets. It knows no transactions, no dialogs and no timers.
pub struct Peer {
    wire: Wire,
    answer: Option<Answer>,
    received: Vec<Received>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("wire", &self.wire)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// Listens on `address`, an address of its host, over UDP and TCP.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            wire: Wire::new(address),
            answer: None,
            received: Vec::new(),
        }
    }

    /// Answers every message that parses with what `answer` returns, over the way that it came.
    pub fn set_answer(&mut self, answer: impl FnMut(&Message, &Received) -> Vec<Bytes> + 'static) {
        self.answer = Some(Box::new(answer));
    }

    /// Sends these very bytes; over TCP on the connection to `to`, which is made if there is none.
    pub fn send(&mut self, transport: Transport, to: SocketAddr, bytes: impl Into<Bytes>) {
        self.wire.send(transport, to, None, bytes.into());
    }

    /// What came so far.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// Takes what came since the last time.
    pub fn take_received(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }

    fn message(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        let received = Received {
            at: now,
            transport: flow.transport,
            from: flow.peer,
            link: flow.link,
            bytes,
        };
        if let Some(answer) = &mut self.answer
            && let Ok(message) = Message::parse(received.bytes.clone())
        {
            for bytes in answer(&message, &received) {
                self.wire.send(flow.transport, flow.peer, flow.link, bytes);
            }
        }
        self.received.push(received);
    }
}

impl Node for Peer {
    fn handle(&mut self, now: Instant, input: Input) {
        self.wire.handle(input);
        while let Some(heard) = self.wire.poll_heard() {
            if let Heard::Message(flow, bytes) = heard {
                self.message(now, flow, bytes);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.wire.poll_output()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        None
    }
}
