//! A query: one question, asked of one server after the other.

use super::{
    Child, Resolver,
    id::{Asker, ExchangeId, QueryId},
};
use crate::{
    Name, QueryError, Question,
    known::Answer,
    wire::{MAX_ALIASES, Reply, Said},
};
use base::{Deadline, earliest};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A question under way.
#[derive(Debug)]
pub(super) struct Query {
    question: Question,
    /// The name that is asked for now: the question's, or what it is an alias of.
    name: Name,
    aliases: usize,
    /// How many seconds the answer lives, as far as the aliases tell.
    ttl: u32,
    askers: Vec<Asker>,
    /// Not asked yet.
    servers: VecDeque<SocketAddr>,
    asked: Vec<SocketAddr>,
    /// How long each may take.
    timeout: Duration,
    stage: Stage,
    worst: Option<QueryError>,
}

#[derive(Debug)]
enum Stage {
    /// Waits for a socket.
    Queued,
    Asking {
        exchange: ExchangeId,
        server: SocketAddr,
        give_up: Option<Instant>,
        resend: Option<Instant>,
    },
}

impl Resolver {
    /// Asks the servers that are in use, after those that are named, or joins who asks already.
    pub(super) fn query(
        &mut self,
        now: Instant,
        question: Question,
        first: Vec<SocketAddr>,
        asker: Asker,
    ) {
        if let Some(id) = self.by_question.get(&question)
            && let Some(query) = self.queries.get_mut(*id)
        {
            query.askers.push(asker);
            return;
        }
        let servers = self.servers.in_order(now, first);
        let timeout = self.config.timeout;
        let id = self.insert_query(&question, servers, timeout, asker);
        self.by_question.insert(question, id);
        self.start_query(now, id);
    }

    /// Asks these servers and no other, whatever is known.
    pub(super) fn query_of(
        &mut self,
        now: Instant,
        question: &Question,
        servers: Vec<SocketAddr>,
        timeout: Duration,
    ) {
        let id = self.insert_query(question, servers, timeout, Asker::Probe);
        self.start_query(now, id);
    }

    fn insert_query(
        &mut self,
        question: &Question,
        servers: Vec<SocketAddr>,
        timeout: Duration,
        asker: Asker,
    ) -> QueryId {
        self.queries.insert(Query {
            question: question.clone(),
            name: question.name.clone(),
            aliases: 0,
            ttl: u32::MAX,
            askers: vec![asker],
            servers: servers.into(),
            asked: Vec::new(),
            timeout,
            stage: Stage::Queued,
            worst: None,
        })
    }

    fn start_query(&mut self, now: Instant, id: QueryId) {
        match self.exchanges.len() < MAX_EXCHANGES {
            true => self.ask_next(now, id),
            false => self.queue.push_back(id),
        }
    }

    /// An asker does not wait any more; the query ends with its last. Returns the servers that were asked.
    pub(super) fn abandon(
        &mut self,
        now: Instant,
        question: &Question,
        asker: Asker,
    ) -> Vec<SocketAddr> {
        let Some(&id) = self.by_question.get(question) else {
            return Vec::new();
        };
        let Some(query) = self.queries.get_mut(id) else {
            return Vec::new();
        };
        query.askers.retain(|other| *other != asker);
        let asked = query.asked.clone();
        if query.askers.is_empty() {
            self.drop_query(now, id);
        }
        asked
    }

    /// Ends the queries of the servers' proof.
    pub(super) fn abandon_probe(&mut self, now: Instant) {
        for id in self.queries.keys() {
            let is_probe = |query: &Query| query.askers == [Asker::Probe];
            if self.queries.get(id).is_some_and(is_probe) {
                self.drop_query(now, id);
            }
        }
    }

    /// The datagram of a query went out.
    pub(super) fn sent(&mut self, now: Instant, id: QueryId) {
        let again = now.checked_add(self.config.resend);
        if let Some(Query {
            stage: Stage::Asking { resend, .. },
            ..
        }) = self.queries.get_mut(id)
        {
            *resend = again;
        }
        self.rearm(id);
    }

    pub(super) fn handle_query_timeout(&mut self, now: Instant, id: QueryId) {
        let Some(query) = self.queries.get_mut(id) else {
            return;
        };
        let Stage::Asking {
            exchange,
            server,
            give_up,
            resend,
        } = &mut query.stage
        else {
            return;
        };
        if give_up.is_some_and(|at| at <= now) {
            let server = *server;
            query.note(QueryError::TimedOut);
            self.servers.suspect(now, server);
            return self.ask_next(now, id);
        }
        if resend.is_some_and(|at| at <= now) {
            *resend = now.checked_add(self.config.resend);
            let exchange = *exchange;
            self.send(exchange);
        }
        self.rearm(id);
    }

    /// A server answered.
    pub(super) fn replied(&mut self, now: Instant, id: QueryId, reply: &Reply) {
        let Some(query) = self.queries.get_mut(id) else {
            return;
        };
        if let Stage::Asking { server, .. } = query.stage {
            self.servers.trust(server);
        }
        let asked = Question::new(query.name.clone(), query.question.kind);
        match reply.says(&asked) {
            Said::Records(data, ttl) => {
                let ttl = ttl.min(query.ttl);
                self.conclude(now, id, Ok(data), Some(ttl));
            }
            Said::NoName(ttl) => {
                let ttl = ttl.map(|ttl| ttl.min(query.ttl));
                self.conclude(now, id, Err(QueryError::NoName), ttl);
            }
            Said::NoRecords(ttl) => {
                let ttl = ttl.map(|ttl| ttl.min(query.ttl));
                self.conclude(now, id, Err(QueryError::NoRecords), ttl);
            }
            Said::Alias(name, ttl) => {
                query.aliases += 1;
                query.ttl = query.ttl.min(ttl);
                query.name = name;
                match (query.aliases <= MAX_ALIASES, &query.stage) {
                    (true, Stage::Asking { server, .. }) => {
                        let server = *server;
                        self.ask_server(now, id, server, false);
                    }
                    _ => self.conclude(now, id, Err(QueryError::Failed), None),
                }
            }
            Said::Failure => {
                query.note(QueryError::Failed);
                self.ask_next(now, id);
            }
            Said::Refusal => {
                query.note(QueryError::Refused);
                self.ask_next(now, id);
            }
        }
    }

    /// A server cannot be reached, or says what makes no sense.
    pub(super) fn failed(&mut self, now: Instant, id: QueryId) {
        let Some(query) = self.queries.get_mut(id) else {
            return;
        };
        query.note(QueryError::Failed);
        if let Stage::Asking { server, .. } = query.stage {
            self.servers.suspect(now, server);
        }
        self.ask_next(now, id);
    }

    /// The answer does not fit into a datagram (RFC 7766, 5), or the datagrams cannot be trusted.
    pub(super) fn ask_by_stream(&mut self, now: Instant, id: QueryId, server: SocketAddr) {
        self.ask_server(now, id, server, true);
    }

    /// Goes on with the next server, or ends without answer.
    fn ask_next(&mut self, now: Instant, id: QueryId) {
        let Some(query) = self.queries.get_mut(id) else {
            return;
        };
        match query.servers.pop_front() {
            Some(server) => {
                query.asked.push(server);
                self.ask_server(now, id, server, false);
            }
            None => {
                let error = query.worst.unwrap_or(QueryError::NoServer);
                self.conclude(now, id, Err(error), None);
            }
        }
    }

    /// Asks one server, which has the whole time of a server from now on.
    fn ask_server(&mut self, now: Instant, id: QueryId, server: SocketAddr, stream: bool) {
        let Some(query) = self.queries.get_mut(id) else {
            return;
        };
        let question = Question::new(query.name.clone(), query.question.kind);
        let give_up = now.checked_add(query.timeout);
        let stage = std::mem::replace(&mut query.stage, Stage::Queued);
        if let Stage::Asking { exchange, .. } = stage {
            self.close(exchange);
        }
        let exchange = self.open(id, question, server, stream);
        if let Some(query) = self.queries.get_mut(id) {
            query.stage = Stage::Asking {
                exchange,
                server,
                give_up,
                resend: None,
            };
        }
        self.rearm(id);
    }

    /// Ends a query: remembers the answer for so many seconds, and hands it to all who wait.
    fn conclude(&mut self, now: Instant, id: QueryId, answer: Answer, ttl: Option<u32>) {
        let Some(query) = self.drop_query(now, id) else {
            return;
        };
        let is_probe = query.askers == [Asker::Probe];
        if let (false, Some(ttl)) = (is_probe, ttl) {
            let question = query.question.clone();
            self.cache.insert(now, question, answer.clone(), ttl);
        }
        for asker in query.askers {
            match asker {
                Asker::Lookup(lookup) => {
                    self.answered(now, lookup, &query.question, &answer, &query.asked);
                }
                Asker::Probe => self.probed(now, &answer),
            }
        }
    }

    /// Takes a query out of every table; its socket is free for the next.
    fn drop_query(&mut self, now: Instant, id: QueryId) -> Option<Query> {
        let query = self.queries.remove(id)?;
        if self.by_question.get(&query.question) == Some(&id) {
            self.by_question.remove(&query.question);
        }
        self.timers.set(Child::Query(id), None);
        match query.stage {
            Stage::Asking { exchange, .. } => self.close(exchange),
            Stage::Queued => self.queue.retain(|queued| *queued != id),
        }
        if self.exchanges.len() < MAX_EXCHANGES
            && let Some(next) = self.queue.pop_front()
        {
            self.ask_next(now, next);
        }
        Some(query)
    }

    fn rearm(&mut self, id: QueryId) {
        let deadline = self.queries.get(id).and_then(Query::deadline);
        self.timers.set(Child::Query(id), deadline);
    }
}

impl Query {
    fn note(&mut self, error: QueryError) {
        self.worst = self.worst.max(Some(error));
    }

    fn deadline(&self) -> Option<Deadline> {
        match &self.stage {
            Stage::Queued => None,
            Stage::Asking {
                give_up, resend, ..
            } => earliest([
                (*give_up, "timeout of a name server"),
                (*resend, "query again"),
            ]),
        }
    }
}

/// Sockets open at a time; further queries wait. Guessing gets easier with every one (RFC 5452, 5).
const MAX_EXCHANGES: usize = 64;
