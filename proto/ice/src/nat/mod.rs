//! How the address translators on the way to a STUN server behave (RFC 5780), and the class that RFC
//! 3489 would put them in.

mod report;
#[cfg(test)]
mod tests;

pub use report::{Class, Filtering, Mapping, Report};

use crate::stun::{self, Attribute, AttributeType, Message, Method, TransactionId, Writer};
use base::{Deadline, Rng, earliest};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Asks one server from one socket (RFC 5780, 4.2 to 4.4).
///
/// Give it a socket that nothing was sent from before (RFC 5780, 4.1), and every datagram that comes to
/// it; send what [`poll_output`](Self::poll_output) says; wake it when
/// [`poll_timeout`](Self::poll_timeout) says. It says [`Output::Done`] once, last, after three silences
/// of [`Config`] at most. Who may send is found out before how we are mapped: that sends to the server's
/// other address, and lets it in.
///
/// The server chooses where the tests of the mapping go; it gets no more of them than to itself.
#[derive(Debug)]
pub struct Discovery {
    config: Config,
    rng: Rng,
    report: Report,
    running: Vec<Request>,
    /// When the port is asked to change, if nothing has come from the other address.
    next: Option<Instant>,
    /// What the tests of filters have brought.
    change_both: Option<Answer>,
    change_port: Option<Answer>,
    /// How the server's other address sees us.
    elsewhere: Option<SocketAddr>,
    is_done: bool,
    out: VecDeque<Output>,
}

/// How long a server is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Between a request and its first repetition (RFC 8489, 6.2.1); doubled each time.
    pub rto: Duration,
    /// How often a request is sent.
    pub transmissions: u32,
    /// How long is waited after the last time. With the others it makes the 9.5 s of RFC 3489, 9.3: the
    /// 39.5 s of RFC 8489 are too long where silence is an answer.
    pub last_wait: Duration,
    /// Between the first requests of two tests (RFC 5780, 5: not more than ten a second).
    pub pace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rto: Duration::from_millis(500),
            transmissions: 5,
            last_wait: Duration::from_secs(2),
            pace: Duration::from_millis(100),
        }
    }
}

/// What a discovery wants from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// To whom.
        to: SocketAddr,
        /// What.
        payload: Bytes,
    },
    /// It is over, and says and wants no more.
    Done(Result<Report, DiscoveryError>),
}

/// Why nothing was found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The server does not serve us.
    #[error("the STUN server answers with error {0}")]
    Refused(u16),
    /// It answers, but not what was asked.
    #[error("the STUN server does not say how it sees us")]
    NoAddress,
    /// Somebody on the way says that it cannot be reached.
    #[error("the STUN server cannot be reached")]
    Unreachable,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Test {
    /// Is there anybody (RFC 5780, 4.2)?
    Connectivity,
    /// Answer from the other address and port (4.4, II).
    ChangeBoth,
    /// Answer from the other port (4.4, III).
    ChangePort,
    /// How does the other address see us (4.3, II)?
    OtherAddress,
    /// And its other port (4.3, III)?
    OtherPort,
}

/// What a test of filters has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Came,
    Silence,
    /// From where it should not have come, or an error: the server cannot do it.
    Unable,
}

#[derive(Debug)]
struct Request {
    test: Test,
    id: TransactionId,
    to: SocketAddr,
    /// From where the answer must come.
    from: SocketAddr,
    message: Bytes,
    sent: u32,
    rto: Duration,
    next: Instant,
}

impl Discovery {
    /// Asks `server` from the socket at `local`, of the same family. `local` must be the address of an
    /// interface: with an unspecified one every translator would seem to be there.
    pub fn new(
        now: Instant,
        config: Config,
        local: SocketAddr,
        server: SocketAddr,
        rng: Rng,
    ) -> Self {
        let mut discovery = Self {
            config,
            rng,
            report: Report {
                local,
                server,
                other: None,
                mapped: None,
                mapping: None,
                filtering: None,
            },
            running: Vec::new(),
            next: None,
            change_both: None,
            change_port: None,
            elsewhere: None,
            is_done: false,
            out: VecDeque::new(),
        };
        discovery.ask(now, Test::Connectivity, server, server);
        discovery
    }

    /// Takes a datagram that came to the socket. What is no answer to a request of ours is ignored.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else {
            return;
        };
        let is_answer = matches!(message.class(), stun::Class::Success | stun::Class::Error);
        if !is_answer || message.method() != Method::BINDING {
            return;
        }
        // A server that does not change its address answers from where it was asked.
        let asked = |request: &Request| {
            request.id == message.transaction() && (from == request.from || from == request.to)
        };
        let Some(at) = self.running.iter().position(asked) else {
            return;
        };
        let request = self.running.swap_remove(at);
        self.answered(now, request.test, from == request.from, &message);
    }

    /// The system says that a datagram to `to` did not arrive (ICMP).
    pub fn handle_undeliverable(&mut self, now: Instant, to: SocketAddr) {
        let Some(at) = self.running.iter().position(|request| request.to == to) else {
            return;
        };
        match self.running.swap_remove(at).test {
            Test::Connectivity => self.done(Err(DiscoveryError::Unreachable)),
            test @ (Test::ChangeBoth | Test::ChangePort) => {
                self.filters(now, test, Answer::Unable);
            }
            Test::OtherAddress | Test::OtherPort => self.finish(),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.next = None;
            if let Some(other) = self.report.other {
                let server = self.report.server;
                let from = SocketAddr::new(server.ip(), other.port());
                self.ask(now, Test::ChangePort, server, from);
            }
        }
        let most = self.config.transmissions;
        let silent: Vec<Test> = self
            .running
            .extract_if(.., |request| request.next <= now && request.sent >= most)
            .map(|request| request.test)
            .collect();
        for test in silent {
            self.silence(now, test);
        }
        for request in &mut self.running {
            // RFC 8489, 6.2.1.
            if request.next <= now {
                request.sent += 1;
                request.rto *= 2;
                request.next = now
                    + match request.sent < most {
                        true => request.rto,
                        false => self.config.last_wait,
                    };
                self.out.push_back(Output::Transmit {
                    to: request.to,
                    payload: request.message.clone(),
                });
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let running = self.running.iter().map(|request| request.next).min();
        earliest([(running, "NAT test"), (self.next, "NAT test pacing")])
    }

    /// What to send and, once, what was found.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn ask(&mut self, now: Instant, test: Test, to: SocketAddr, from: SocketAddr) {
        let mut id = [0; 12];
        self.rng.fill(&mut id);
        let id = TransactionId(id);
        let mut writer = Writer::new(stun::Class::Request, Method::BINDING, id);
        // RFC 5780, 7.2.
        let change = match test {
            Test::ChangeBoth => Some([0, 0, 0, CHANGE_IP | CHANGE_PORT]),
            Test::ChangePort => Some([0, 0, 0, CHANGE_PORT]),
            Test::Connectivity | Test::OtherAddress | Test::OtherPort => None,
        };
        if let Some(change) = change {
            writer = writer.attribute(&Attribute::Other(AttributeType::CHANGE_REQUEST, &change));
        }
        let message = writer.finish();
        self.out.push_back(Output::Transmit {
            to,
            payload: message.clone(),
        });
        self.running.push(Request {
            test,
            id,
            to,
            from,
            message,
            sent: 1,
            rto: self.config.rto,
            next: now + self.config.rto,
        });
    }

    fn answered(&mut self, now: Instant, test: Test, is_from_there: bool, message: &Message<'_>) {
        let is_success = message.class() == stun::Class::Success && is_understood(message);
        let mapped = message.mapped_address().filter(|mapped| {
            is_success && mapped.is_ipv4() == self.report.local.is_ipv4() && mapped.port() != 0
        });
        match test {
            Test::Connectivity => match mapped {
                Some(mapped) => {
                    self.report.mapped = Some(mapped);
                    self.report.other = other(message, self.report.server);
                    self.connected(now);
                }
                None => self.done(Err(refusal(message))),
            },
            Test::ChangeBoth | Test::ChangePort => {
                let answer = match is_success && is_from_there {
                    true => Answer::Came,
                    false => Answer::Unable,
                };
                self.filters(now, test, answer);
            }
            Test::OtherAddress => {
                if mapped == self.report.mapped {
                    self.report.mapping = Some(Mapping::EndpointIndependent);
                    return self.finish();
                }
                self.elsewhere = mapped;
                match (mapped, self.report.other) {
                    (Some(_), Some(other)) => self.ask(now, Test::OtherPort, other, other),
                    _ => self.finish(),
                }
            }
            Test::OtherPort => {
                if mapped.is_some() {
                    self.report.mapping = Some(match mapped == self.elsewhere {
                        true => Mapping::AddressDependent,
                        false => Mapping::AddressAndPortDependent,
                    });
                }
                self.finish();
            }
        }
    }

    fn silence(&mut self, now: Instant, test: Test) {
        match test {
            Test::ChangeBoth | Test::ChangePort => self.filters(now, test, Answer::Silence),
            // Without a first answer UDP is blocked; without the others nobody can say more.
            Test::Connectivity | Test::OtherAddress | Test::OtherPort => self.finish(),
        }
    }

    /// There is a server, and we know how it sees us.
    fn connected(&mut self, now: Instant) {
        // RFC 5780, 4.3: who sees himself is not translated.
        if self.report.mapped == Some(self.report.local) {
            self.report.mapping = Some(Mapping::Direct);
        }
        match self.report.other {
            Some(other) => {
                self.ask(now, Test::ChangeBoth, self.report.server, other);
                self.next = now.checked_add(self.config.pace);
            }
            // RFC 5780, 4.3: one address tells no more.
            None => self.finish(),
        }
    }

    /// RFC 5780, 4.4. The two tests send to the same address, so that neither helps the other.
    fn filters(&mut self, now: Instant, test: Test, answer: Answer) {
        match test {
            Test::ChangeBoth => self.change_both = Some(answer),
            _ => self.change_port = Some(answer),
        }
        self.report.filtering = match (self.change_both, self.change_port) {
            (Some(Answer::Came), _) => Some(Filtering::EndpointIndependent),
            (Some(Answer::Silence), Some(Answer::Came)) => Some(Filtering::AddressDependent),
            (Some(Answer::Silence), Some(Answer::Silence)) => {
                Some(Filtering::AddressAndPortDependent)
            }
            (Some(Answer::Unable), _) | (Some(_), Some(Answer::Unable)) => None,
            (None, _) | (Some(Answer::Silence), None) => return,
        };
        self.running.clear();
        self.next = None;
        match (self.report.mapping, self.report.other) {
            (None, Some(other)) => {
                let to = SocketAddr::new(other.ip(), self.report.server.port());
                self.ask(now, Test::OtherAddress, to, to);
            }
            _ => self.finish(),
        }
    }

    fn finish(&mut self) {
        self.done(Ok(self.report));
    }

    fn done(&mut self, result: Result<Report, DiscoveryError>) {
        if !std::mem::replace(&mut self.is_done, true) {
            self.running.clear();
            self.next = None;
            self.out.push_back(Output::Done(result));
        }
    }
}

/// RFC 8489, 6.3: a response with something that must be understood, and is not, has failed. What old
/// servers say is understood here.
fn is_understood(message: &Message<'_>) -> bool {
    let old = [
        AttributeType::SOURCE_ADDRESS,
        AttributeType::CHANGED_ADDRESS,
    ];
    message.unknown().all(|kind| old.contains(&kind))
}

/// Where the server says that it can be asked, too: of another address and another port, or the tests
/// would say nothing (RFC 5780, 6).
fn other(message: &Message<'_>, server: SocketAddr) -> Option<SocketAddr> {
    let other = match message.attribute(AttributeType::OTHER_ADDRESS) {
        Some(Attribute::OtherAddress(other)) => other,
        _ => match message.attribute(AttributeType::CHANGED_ADDRESS)? {
            Attribute::ChangedAddress(other) => other,
            _ => return None,
        },
    };
    let ip = other.ip();
    let is_useful = other.is_ipv4() == server.is_ipv4()
        && ip != server.ip()
        && other.port() != server.port()
        && other.port() != 0;
    let is_there =
        !ip.is_unspecified() && !ip.is_multicast() && ip.is_loopback() == server.ip().is_loopback();
    (is_useful && is_there).then_some(other)
}

fn refusal(message: &Message<'_>) -> DiscoveryError {
    match message.attribute(AttributeType::ERROR_CODE) {
        Some(Attribute::ErrorCode(error)) if message.class() == stun::Class::Error => {
            DiscoveryError::Refused(error.code)
        }
        _ => DiscoveryError::NoAddress,
    }
}

/// RFC 5780, 7.2.
const CHANGE_IP: u8 = 4;
const CHANGE_PORT: u8 = 2;
