//! The resolver: lookups, the queries that they need, and the name servers that are asked.

mod exchange;
mod id;
mod lookup;
mod probe;
mod query;
mod servers;
#[cfg(test)]
mod tests;

pub use id::{ExchangeId, LookupId};

use crate::{
    Data, Found, LookupError, Name, QueryError, Question, Request, cache::Cache, hosts::Hosts,
};
use base::{Deadline, Host, Rng, Table, Timers};
use bytes::Bytes;
use exchange::Exchange;
use id::QueryId;
use lookup::Lookup;
use query::Query;
use serde::{Deserialize, Serialize};
use servers::Servers;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// How names are looked up. All has defaults; none of them names a server of anybody (DNM-08).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// How long one server may take to answer one query, repetitions included; then the next is asked
    /// (DNL-12).
    pub timeout: Duration,
    /// How long one lookup may take, over all its queries and all servers (DNL-12). What was found until
    /// then is the result.
    pub lifetime: Duration,
    /// After how long the same datagram goes to the same server again: it may have been lost.
    pub resend: Duration,
    /// Name servers to ask when those of the system do not work; none by default. With a probe domain
    /// they take the place of the others as a whole (DNM-03), without one they are asked last.
    pub fallback: Vec<SocketAddr>,
    /// A domain with NAPTR records and SRV records for `_sip._udp`, by which name servers are proven
    /// (DNM-02); none by default: nothing is probed, and the system's servers are used as they are.
    pub probe: Option<String>,
    /// Look for the name servers of a domain first (NS), and ask them for what is in their zone; the others are
    /// asked where those do not answer (DNL-02). Off by default: it costs two more questions, and many
    /// networks let nobody pass to other name servers than their own.
    pub authoritative: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            lifetime: Duration::from_secs(15),
            resend: Duration::from_secs(1),
            fallback: Vec::new(),
            probe: None,
            authoritative: false,
        }
    }
}

/// What happens to a resolver.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// What [`Output::Open`] asked for is there.
    Opened {
        /// Which.
        exchange: ExchangeId,
    },
    /// A datagram came.
    Datagram {
        /// To which socket.
        exchange: ExchangeId,
        /// From where.
        from: SocketAddr,
        /// What.
        payload: Bytes,
    },
    /// Bytes came over a connection, cut anywhere.
    Bytes {
        /// Over which.
        exchange: ExchangeId,
        /// What.
        payload: Bytes,
    },
    /// A datagram did not arrive, a socket cannot be opened, or a connection has ended.
    Failed {
        /// Which.
        exchange: ExchangeId,
    },
    /// The deadline of [`Resolver::poll_timeout`] has come; harmless at any other time.
    Timeout,
}

/// What a resolver wants.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Open a socket of its own for these words with a name server: for datagrams on a port that nobody
    /// can guess (RFC 5452, 9.2), or a connection. Answered by `Opened` or `Failed`.
    Open {
        /// Its id from now on.
        exchange: ExchangeId,
        /// The name server.
        server: SocketAddr,
        /// A connection (RFC 7766).
        stream: bool,
    },
    /// Send this to the server: a datagram, or bytes of the connection.
    Send {
        /// Over which.
        exchange: ExchangeId,
        /// What.
        payload: Bytes,
    },
    /// Close the socket; its id is dead.
    Close {
        /// Which.
        exchange: ExchangeId,
    },
    /// Tell the owner.
    Event(Event),
}

/// What a resolver tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A lookup is over; its id is dead.
    Done {
        /// Which.
        lookup: LookupId,
        /// What it found.
        result: Result<Found, LookupError>,
    },
    /// A query of a lookup is over (DNL-15).
    Trace(Trace),
    /// Which name servers are used from now on (DNM-06, DNM-07).
    NameServers {
        /// The servers, in the order in which they are asked.
        servers: Vec<SocketAddr>,
        /// The first time.
        first: bool,
    },
}

/// One query of a lookup, with its end (DNL-15).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Trace {
    /// Whose.
    pub lookup: LookupId,
    /// What was asked.
    pub question: Question,
    /// What came of it.
    pub answer: Result<Vec<Data>, QueryError>,
    /// The operation that asked ([`Request::operation`]).
    pub operation: &'static str,
    /// The service that it looks for.
    pub service: Option<&'static str>,
    /// The URI or host that it looks for.
    pub subject: String,
    /// The servers that were asked, in order; none if the answer was known.
    pub servers: Vec<SocketAddr>,
}

/// What a resolver holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Lookups under way.
    pub lookups: usize,
    /// Queries under way.
    pub queries: usize,
    /// Sockets open.
    pub exchanges: usize,
}

/// Finds servers by DNS without touching a socket.
///
/// Feed it lookups by [`lookup`](Self::lookup), the facts of the system, and [`Input`]s; it says
/// [`Output`]s by [`poll_output`](Self::poll_output), to be carried out in their order; wake it with
/// [`Input::Timeout`] at [`poll_timeout`](Self::poll_timeout). Equal questions of several lookups are
/// asked once. A server that did not answer is asked last for half a minute.
#[derive(Debug)]
pub struct Resolver {
    config: Config,
    rng: Rng,
    hosts: Hosts,
    cache: Cache,
    servers: Servers,
    lookups: Table<LookupId, Lookup>,
    queries: Table<QueryId, Query>,
    /// Queries that a further lookup may join.
    by_question: BTreeMap<Question, QueryId>,
    /// Queries that wait for a socket.
    queue: VecDeque<QueryId>,
    exchanges: Table<ExchangeId, Exchange>,
    timers: Timers<Child>,
    out: VecDeque<Output>,
}

/// What has a deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Child {
    Lookup(LookupId),
    Query(QueryId),
    Probe,
}

impl Resolver {
    /// Makes a resolver that knows no server. Ids of queries and the order among servers come from `rng`.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self {
            servers: Servers::new(&config),
            config,
            rng,
            hosts: Hosts::default(),
            cache: Cache::default(),
            lookups: Table::new(),
            queries: Table::new(),
            by_question: BTreeMap::new(),
            queue: VecDeque::new(),
            exchanges: Table::new(),
            timers: Timers::new(),
            out: VecDeque::new(),
        }
    }

    /// Looks something up; always answered by [`Event::Done`], in this step if nothing must be asked.
    pub fn lookup(&mut self, now: Instant, request: Request) -> LookupId {
        self.begin(now, request)
    }

    /// Takes the name servers of the system, in their order. What was remembered is forgotten if they are
    /// others than before; with a probe domain they are proven first, while they are used.
    pub fn set_name_servers(&mut self, now: Instant, servers: Vec<SocketAddr>) {
        if self.servers.set_system(servers) {
            self.cache.clear();
            self.prove(now);
        }
    }

    /// Takes the hosts file.
    pub fn set_hosts(&mut self, lines: impl IntoIterator<Item = (String, IpAddr)>) {
        self.hosts = Hosts::new(lines);
    }

    /// The network is another one, or the machine slept (DNM-09): what was remembered of answers and of
    /// servers is forgotten, and the servers are proven again.
    pub fn network_changed(&mut self, now: Instant) {
        self.cache.clear();
        self.servers.forgive();
        self.prove(now);
    }

    /// Ends everything (DNM-05): sockets are closed, lookups that are under way are not answered.
    pub fn stop(&mut self) {
        for exchange in self.exchanges.keys() {
            self.close(exchange);
        }
        self.lookups = Table::new();
        self.queries = Table::new();
        self.by_question.clear();
        self.queue.clear();
        self.timers = Timers::new();
        self.servers.stop();
    }

    /// Takes what happened. Never fails, whatever the bytes.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        self.handle_timeout(now);
        match input {
            Input::Opened { exchange } => self.handle_opened(now, exchange),
            Input::Datagram {
                exchange,
                from,
                payload,
            } => self.handle_datagram(now, exchange, from, &payload),
            Input::Bytes { exchange, payload } => self.handle_bytes(now, exchange, &payload),
            Input::Failed { exchange } => self.handle_failed(now, exchange),
            Input::Timeout => {}
        }
    }

    /// Fires what is due, in the order of the deadlines.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((child, _)) = self.timers.pop_due(now) {
            match child {
                Child::Lookup(lookup) => self.handle_lookup_timeout(now, lookup),
                Child::Query(query) => self.handle_query_timeout(now, query),
                Child::Probe => self.handle_probe_timeout(now),
            }
        }
    }

    /// Takes the next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if self.out.is_empty() && self.out.capacity() > SHRINK_ABOVE {
            self.out.shrink_to(SHRINK_ABOVE);
        }
        output
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    /// The name servers that are used, in the order in which they are asked; those that did not answer
    /// lately are asked last.
    pub fn name_servers(&self) -> &[SocketAddr] {
        self.servers.active()
    }

    /// The addresses of a host that DNS is not asked for: those of the hosts file, and of an address its
    /// own.
    pub fn known_addresses(&self, host: &Host) -> Vec<IpAddr> {
        match host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(text) => {
                let name = Name::new(text).ok();
                let known = name.and_then(|name| self.hosts.addresses(&name));
                known.unwrap_or_default()
            }
        }
    }

    /// What is alive. The servers' proof is not counted: it goes on for ever.
    pub fn stats(&self) -> Stats {
        Stats {
            lookups: self.lookups.len(),
            queries: self.queries.len(),
            exchanges: self.exchanges.len(),
        }
    }

    /// How many answers are remembered.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }
}

/// A burst of outputs must not pin its memory for ever.
const SHRINK_ABOVE: usize = 64;
