//! One query with one server: a socket, an id, and what comes back.

use super::{
    Output, Resolver,
    id::{ExchangeId, QueryId},
};
use crate::{
    Question,
    wire::{self, Reply},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::{net::SocketAddr, time::Instant};

/// A query on its way to one server.
#[derive(Debug)]
pub(super) struct Exchange {
    query: QueryId,
    server: SocketAddr,
    stream: bool,
    is_open: bool,
    /// What was asked, to compare the reply with.
    question: Question,
    id: u16,
    /// What goes out; a datagram may go again.
    payload: Bytes,
    /// What came over the connection.
    buffer: BytesMut,
    /// Datagrams that were no answer of ours.
    wrong: u32,
}

impl Resolver {
    /// Opens a socket to ask one server.
    pub(super) fn open(
        &mut self,
        query: QueryId,
        question: Question,
        server: SocketAddr,
        stream: bool,
    ) -> ExchangeId {
        // RFC 5452, 9.2: an id from a source that cannot be guessed, a new one for every try.
        let id = (self.rng.u32() >> 16) as u16;
        let mut payload = wire::query(id, &question);
        if stream {
            // RFC 1035, 4.2.2
            let mut framed = BytesMut::with_capacity(payload.len() + 2);
            framed.put_u16(u16::try_from(payload.len()).expect("a query of one name is short"));
            framed.put_slice(&payload);
            payload = framed.freeze();
        }
        let exchange = self.exchanges.insert(Exchange {
            query,
            server,
            stream,
            is_open: false,
            question,
            id,
            payload,
            buffer: BytesMut::new(),
            wrong: 0,
        });
        self.out.push_back(Output::Open {
            exchange,
            server,
            stream,
        });
        exchange
    }

    pub(super) fn close(&mut self, exchange: ExchangeId) {
        if self.exchanges.remove(exchange).is_some() {
            self.out.push_back(Output::Close { exchange });
        }
    }

    pub(super) fn handle_opened(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(id) else {
            return;
        };
        if std::mem::replace(&mut exchange.is_open, true) {
            return;
        }
        let (query, stream) = (exchange.query, exchange.stream);
        self.send(id);
        if !stream {
            self.sent(now, query);
        }
    }

    /// Sends the query, or sends it again.
    pub(super) fn send(&mut self, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.get(id).filter(|exchange| exchange.is_open) {
            let payload = exchange.payload.clone();
            self.out.push_back(Output::Send {
                exchange: id,
                payload,
            });
        }
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        id: ExchangeId,
        from: SocketAddr,
        payload: &[u8],
    ) {
        let Some(exchange) = self.exchanges.get_mut(id) else {
            return;
        };
        let (query, server) = (exchange.query, exchange.server);
        // RFC 5452, 9.1: address, port, id and question must be those of the query.
        let reply = Reply::parse(payload).ok();
        let reply = reply.filter(|reply| from == server && exchange.is_answered_by(reply));
        match reply {
            Some(reply) if reply.is_truncated => self.ask_by_stream(now, query, server),
            Some(reply) => self.replied(now, query, &reply),
            // Somebody guesses, or the server is broken: whoever answers over a connection has proven
            // where it is (RFC 5452, 9.3).
            None => {
                exchange.wrong += 1;
                if exchange.wrong >= MAX_WRONG {
                    self.ask_by_stream(now, query, server);
                }
            }
        }
    }

    pub(super) fn handle_bytes(&mut self, now: Instant, id: ExchangeId, payload: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(id) else {
            return;
        };
        let room = MAX_STREAM.saturating_sub(exchange.buffer.len());
        let taken = payload.get(..room).unwrap_or(payload);
        exchange.buffer.extend_from_slice(taken);
        let Some((head, rest)) = exchange.buffer.split_first_chunk::<2>() else {
            return;
        };
        let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*head))) else {
            return;
        };
        let reply = Reply::parse(message).ok();
        let reply = reply.filter(|reply| !reply.is_truncated && exchange.is_answered_by(reply));
        let query = exchange.query;
        match reply {
            Some(reply) => self.replied(now, query, &reply),
            None => self.failed(now, query),
        }
    }

    pub(super) fn handle_failed(&mut self, now: Instant, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.get(id) {
            let query = exchange.query;
            self.failed(now, query);
        }
    }
}

impl Exchange {
    fn is_answered_by(&self, reply: &Reply) -> bool {
        let is_same = match &reply.question {
            Some(question) => *question == self.question,
            // A server that did not understand the query repeats nothing; it is believed that it failed.
            None => !reply.is_success(),
        };
        reply.id == self.id && is_same
    }
}

/// Wrong datagrams to one query before it goes over a connection: more than the retransmissions and the
/// copies of one answer, fewer than a guesser needs.
const MAX_WRONG: u32 = 16;
/// The longest message and its length (RFC 1035, 4.2.2).
const MAX_STREAM: usize = 2 + 65_535;
