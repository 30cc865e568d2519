//! Where hosts are: what the endpoint, the streams and the application want to know, put to the resolver.

use super::{Listening, NatDetectionId, StreamId};
use crate::{
    event::{Event, LookupEvent, ResolverEvent},
    stream::Lookup,
};
use base::{Deadline, Host, HostPort, Rng, Target, Transport};
use dns::{Found, LookupId, Place, Reach, Request};
use sip::{LookupError, Uri};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asker {
    Endpoint(sip::LookupId),
    /// A stream, with its own number of the question.
    Stream(StreamId, u16),
    /// A detection of the kind of NAT.
    NatDetection(NatDetectionId),
    /// The application hears of it by events.
    Application,
}

/// What the resolver says.
#[derive(Debug)]
pub(super) enum Output {
    /// Targets for the endpoint, in the order in which they shall be tried.
    Endpoint(sip::LookupId, Result<Vec<Target>, LookupError>),
    /// The same for a stream.
    Stream(StreamId, u16, Result<Vec<Target>, LookupError>),
    /// The same for a detection.
    NatDetection(NatDetectionId, Result<Vec<Target>, LookupError>),
    /// For the application.
    Event(Event),
    /// For the sockets.
    Socket(dns::Output),
}

/// A [`dns::Resolver`] that knows who asked, and what we can speak. It is fed where we listen and what
/// the system tells.
#[derive(Debug)]
pub(super) struct Resolver {
    names: dns::Resolver,
    askers: BTreeMap<LookupId, Asker>,
    /// Configured name servers take the place of the system's.
    has_own_servers: bool,
    reach: Vec<Reach>,
    out: VecDeque<Output>,
}

impl Resolver {
    pub(super) fn new(
        now: Instant,
        config: dns::Config,
        name_servers: Vec<SocketAddr>,
        rng: Rng,
    ) -> Self {
        let mut names = dns::Resolver::new(config, rng);
        let has_own_servers = !name_servers.is_empty();
        if has_own_servers {
            names.set_name_servers(now, name_servers);
        }
        Self {
            names,
            askers: BTreeMap::new(),
            has_own_servers,
            reach: Vec::new(),
            out: VecDeque::new(),
        }
    }

    pub(super) fn set_hosts(&mut self, hosts: Vec<(String, IpAddr)>) {
        self.names.set_hosts(hosts);
    }

    pub(super) fn set_name_servers(&mut self, now: Instant, servers: Vec<SocketAddr>) {
        if !self.has_own_servers {
            self.names.set_name_servers(now, servers);
        }
    }

    /// DNM-09
    pub(super) fn network_changed(&mut self, now: Instant) {
        self.names.network_changed(now);
    }

    pub(super) fn set_listening(&mut self, listening: &[Listening]) {
        self.reach.clear();
        for at in listening {
            let known = |reach: &&mut Reach| reach.transport == at.transport;
            let (v4, v6) = (at.address.is_ipv4(), at.address.is_ipv6());
            match self.reach.iter_mut().find(known) {
                Some(reach) => {
                    reach.v4 |= v4;
                    reach.v6 |= v6;
                }
                None => self.reach.push(Reach::new(at.transport, v4, v6)),
            }
        }
        // The listeners come up in any order; ours is that of the transports.
        self.reach.sort_by_key(|reach| reach.transport);
    }

    /// Asks where a SIP URI is.
    pub(super) fn locate(&mut self, now: Instant, lookup: sip::LookupId, uri: &Uri) {
        match self.request_of(uri) {
            Ok(request) => {
                self.begin(now, request, Asker::Endpoint(lookup));
            }
            Err(error) => self.out.push_back(Output::Endpoint(lookup, Err(error))),
        }
    }

    /// Asks what a stream wants to know.
    pub(super) fn ask(&mut self, now: Instant, stream: StreamId, number: u16, what: &Lookup) {
        match self.request(what) {
            Ok(request) => {
                self.begin(now, request, Asker::Stream(stream, number));
            }
            Err(error) => self
                .out
                .push_back(Output::Stream(stream, number, Err(error))),
        }
    }

    /// Asks for the STUN server of a detection: by RFC 8489, 8, unless a port is given (ENG-34).
    pub(super) fn ask_stun(&mut self, now: Instant, detection: NatDetectionId, server: HostPort) {
        let (v4, v6) = self.families();
        let request = Request::Service {
            service: dns::Service::Stun,
            host: server.host,
            port: server.port,
            v4,
            v6,
        };
        self.begin(now, request, Asker::NatDetection(detection));
    }

    /// Asks what the application wants to know.
    pub(super) fn look_up(&mut self, now: Instant, what: &Lookup) -> Result<LookupId, LookupError> {
        let request = self.request(what)?;
        Ok(self.begin(now, request, Asker::Application))
    }

    /// The addresses of a host that can be said without asking.
    pub(super) fn addresses(&self, host: &Host) -> Vec<IpAddr> {
        self.names.known_addresses(host)
    }

    pub(super) fn stats(&self) -> dns::Stats {
        self.names.stats()
    }

    pub(super) fn name_servers(&self) -> Vec<SocketAddr> {
        self.names.name_servers().to_vec()
    }

    pub(super) fn handle_input(&mut self, now: Instant, input: dns::Input) {
        self.names.handle_input(now, input);
    }

    /// Ends all lookups without answer.
    pub(super) fn stop(&mut self) {
        self.names.stop();
        self.askers.clear();
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.names.poll_timeout()
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        Some(match self.names.poll_output()? {
            dns::Output::Event(dns::Event::Done { lookup, result }) => {
                match self.askers.remove(&lookup) {
                    Some(Asker::Endpoint(id)) => Output::Endpoint(id, targets(result)),
                    Some(Asker::Stream(stream, number)) => {
                        Output::Stream(stream, number, targets(result))
                    }
                    Some(Asker::NatDetection(id)) => Output::NatDetection(id, targets(result)),
                    Some(Asker::Application) | None => Output::Event(done(lookup, result)),
                }
            }
            dns::Output::Event(dns::Event::Trace(trace)) => Output::Event(traced(trace)),
            dns::Output::Event(dns::Event::NameServers { servers, first }) => {
                let nameservers = servers;
                Output::Event(Event::Resolver(match first {
                    true => ResolverEvent::DidInitialize { nameservers },
                    false => ResolverEvent::NameserversDidChange { nameservers },
                }))
            }
            output => Output::Socket(output),
        })
    }

    fn begin(&mut self, now: Instant, request: Request, asker: Asker) -> LookupId {
        let lookup = self.names.lookup(now, request);
        self.askers.insert(lookup, asker);
        lookup
    }

    fn request(&self, what: &Lookup) -> Result<Request, LookupError> {
        Ok(match what {
            Lookup::Host {
                name,
                port,
                transport,
            } => {
                let (v4, v6) = self.families();
                Request::Host {
                    host: name.clone(),
                    port: *port,
                    reach: Reach::new(*transport, v4, v6),
                }
            }
            Lookup::Service {
                service,
                host,
                port,
            } => {
                let (v4, v6) = self.families();
                Request::Service {
                    service: *service,
                    host: host.clone(),
                    port: *port,
                    v4,
                    v6,
                }
            }
            Lookup::Xcap { domain } => Request::Xcap {
                domain: domain.clone(),
            },
            Lookup::Sip { uri } => self.request_of(uri)?,
        })
    }

    fn request_of(&self, uri: &Uri) -> Result<Request, LookupError> {
        Ok(Request::Sip {
            place: place(uri)?,
            reach: self.reach.clone(),
        })
    }

    /// The families in which we have an address.
    fn families(&self) -> (bool, bool) {
        let v4 = self.reach.iter().any(|reach| reach.v4);
        let v6 = self.reach.iter().any(|reach| reach.v6);
        (v4, v6)
    }
}

/// What RFC 3263, 4 wants to know of a URI.
fn place(uri: &Uri) -> Result<Place, LookupError> {
    let HostPort { host, port } = uri.host_port().ok_or(LookupError::NotFound)?;
    let param = |name| uri.params().get(name).and_then(|param| param.value);
    let mut place = Place::new(host);
    // RFC 3263, 4: the TARGET is the maddr parameter if there is one.
    if let Some(maddr) = param("maddr") {
        place.host = maddr.parse().map_err(|_| LookupError::NotFound)?;
    }
    if let Some(name) = param("transport") {
        let transport = Transport::from_name(name.as_bytes());
        place.transport = Some(transport.ok_or(LookupError::NoTransport)?);
    }
    place.port = port;
    place.secure = uri.is_secure();
    Ok(place)
}

fn targets(result: Result<Found, dns::LookupError>) -> Result<Vec<Target>, LookupError> {
    match result {
        Ok(Found::Targets(targets)) => Ok(targets),
        Ok(Found::Uris(_)) => Err(LookupError::NotFound),
        Err(error) => Err(match error {
            dns::LookupError::TimedOut => LookupError::TimedOut,
            dns::LookupError::Refused | dns::LookupError::TooMany => LookupError::Refused,
            dns::LookupError::NoServer => LookupError::NoServer,
            dns::LookupError::NoTransport => LookupError::NoTransport,
            _ => LookupError::NotFound,
        }),
    }
}

fn done(lookup: LookupId, result: Result<Found, dns::LookupError>) -> Event {
    let event = match result {
        Ok(result) => LookupEvent::DidSucceed { result },
        Err(error) => LookupEvent::DidFail { error },
    };
    Event::Lookup(lookup, event)
}

fn traced(trace: dns::Trace) -> Event {
    let (answer, error) = match trace.answer {
        Ok(data) => (data.iter().map(ToString::to_string).collect(), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let event = LookupEvent::Trace {
        query_type: trace.question.kind,
        query_name: trace.question.name,
        answer,
        error,
        context: trace.operation,
        service: trace.service,
        uri: trace.subject,
        nameservers: trace.servers,
    };
    Event::Lookup(trace.lookup, event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::tests::world::origin;
    use base::Key as _;

    fn resolver(transports: &[Transport]) -> Resolver {
        let rng = Rng::from_seed([5; 32]);
        let mut resolver = Resolver::new(origin(), dns::Config::default(), Vec::new(), rng);
        resolver.set_hosts(vec![
            ("Host".to_owned(), [127, 0, 0, 1].into()),
            ("host".to_owned(), std::net::Ipv6Addr::LOCALHOST.into()),
        ]);
        let listening = |&transport| Listening {
            transport,
            address: ([127, 0, 0, 1], 5060).into(),
        };
        let listening: Vec<Listening> = transports.iter().map(listening).collect();
        resolver.set_listening(&listening);
        resolver
    }

    fn locate(transports: &[Transport], uri: &str) -> Result<Vec<String>, LookupError> {
        let mut resolver = resolver(transports);
        let id = sip::LookupId::from_parts(0, 1);
        resolver.locate(origin(), id, &uri.parse().unwrap());
        loop {
            match resolver.poll_output().unwrap() {
                Output::Endpoint(lookup, targets) => {
                    assert_eq!(lookup, id);
                    let text = |t: Target| format!("{} {} {}", t.transport, t.address, t.name);
                    return Ok(targets?.into_iter().map(text).collect());
                }
                Output::Event(Event::Lookup(..)) => {}
                output => panic!("{output:?}"),
            }
        }
    }

    #[test]
    fn numeric_hosts_and_the_hosts_file_are_found() {
        let both = &[Transport::Tcp, Transport::Udp][..];
        for (uri, expected) in [
            ("sip:a@192.0.2.1", "udp 192.0.2.1:5060 192.0.2.1"),
            (
                "sip:a@192.0.2.1:5070;transport=TCP",
                "tcp 192.0.2.1:5070 192.0.2.1",
            ),
            ("sip:HOST.:5070", "udp 127.0.0.1:5070 HOST."),
            (
                "sip:example.com;maddr=192.0.2.9",
                "udp 192.0.2.9:5060 example.com",
            ),
        ] {
            assert_eq!(locate(both, uri), Ok(vec![expected.to_owned()]), "{uri}");
        }
        assert_eq!(
            locate(&[Transport::Tcp], "sip:192.0.2.1").unwrap(),
            ["tcp 192.0.2.1:5060 192.0.2.1"]
        );
    }

    #[test]
    fn what_cannot_be_reached_is_said_why() {
        let both = &[Transport::Udp, Transport::Tcp][..];
        for (uri, error) in [
            ("sip:a@example.com", LookupError::NoServer),
            ("tel:+123", LookupError::NotFound),
            ("sip:a@192.0.2.1;transport=sctp", LookupError::NoTransport),
            ("sip:a@192.0.2.1;transport=tls", LookupError::NoTransport),
            ("sips:a@192.0.2.1", LookupError::NoTransport),
            ("sip:a@[2001:db8::1]", LookupError::NoTransport),
        ] {
            assert_eq!(locate(both, uri), Err(error), "{uri}");
        }
    }
}
