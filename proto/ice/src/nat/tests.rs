use super::*;

const LOCAL: &str = "192.0.2.1:5000";
const SERVER: &str = "198.51.100.1:3478";
const OTHER: &str = "198.51.100.2:3479";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A discovery, its time, and what it has sent and said.
struct World {
    discovery: Discovery,
    now: Instant,
    sent: VecDeque<(SocketAddr, Bytes)>,
    done: Option<Result<Report, DiscoveryError>>,
}

#[expect(clippy::disallowed_methods, reason = "an origin for a virtual clock")]
fn origin() -> Instant {
    Instant::now()
}

impl World {
    fn new() -> Self {
        let now = origin();
        let rng = Rng::from_seed([7; 32]);
        let discovery = Discovery::new(now, Config::default(), at(LOCAL), at(SERVER), rng);
        let mut world = Self {
            discovery,
            now,
            sent: VecDeque::new(),
            done: None,
        };
        world.drain();
        world
    }

    fn drain(&mut self) {
        while let Some(output) = self.discovery.poll_output() {
            match output {
                Output::Transmit { to, payload } => self.sent.push_back((to, payload)),
                Output::Done(result) => {
                    assert!(self.done.is_none(), "it ends once");
                    self.done = Some(result);
                }
            }
        }
    }

    /// The next request: to whom, and the flags of its CHANGE-REQUEST.
    fn request(&mut self) -> (SocketAddr, u8, Bytes) {
        let (to, request) = self.sent.pop_front().expect("it asks");
        // RFC 8489, 5; RFC 5780, 7.2.
        assert_eq!(request[..2], [0, 1]);
        let flags = match &request[20..] {
            [] => 0,
            [0, 3, 0, 4, 0, 0, 0, flags] => *flags,
            other => panic!("{other:?}"),
        };
        (to, flags, request)
    }

    fn hear(&mut self, from: &str, datagram: &[u8]) {
        self.discovery.handle_datagram(self.now, at(from), datagram);
        self.drain();
    }

    /// Lets time pass until the discovery is done with what runs; requests that are repeated are dropped.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.discovery.poll_timeout()
            && deadline.at <= until
        {
            self.now = self.now.max(deadline.at);
            self.discovery.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn report(&self) -> Report {
        self.done.expect("it is over").expect("it succeeds")
    }
}

/// RFC 8489, 14.2 and RFC 5780, 7.4, by hand.
fn answer(request: &[u8], mapped: &str, other: Option<(u16, &str)>) -> Vec<u8> {
    let plain = |address: SocketAddr| -> Vec<u8> {
        let SocketAddr::V4(address) = address else {
            panic!("{address}");
        };
        let mut value = vec![0, 1];
        value.extend(address.port().to_be_bytes());
        value.extend(address.ip().octets());
        value
    };
    let mut value = plain(at(mapped));
    for (byte, mask) in value[2..].iter_mut().zip([0x21, 0x12]) {
        *byte ^= mask;
    }
    for (byte, mask) in value[4..].iter_mut().zip([0x21, 0x12, 0xa4, 0x42]) {
        *byte ^= mask;
    }
    let mut body = vec![0, 0x20, 0, 8];
    body.extend(value);
    if let Some((kind, other)) = other {
        body.extend(kind.to_be_bytes());
        body.extend([0, 8]);
        body.extend(plain(at(other)));
    }
    let mut message = vec![1, 1, 0, body.len() as u8];
    message.extend(&request[4..20]);
    message.extend(body);
    message
}

const OTHER_ADDRESS: u16 = 0x802c;

/// What the outside does: how each of the server's addresses sees us, and which answers come in.
struct Outside {
    mapped: [&'static str; 3],
    both: bool,
    port: bool,
}

fn run(outside: &Outside) -> (Report, Duration) {
    let mut world = World::new();
    let begun = world.now;
    let (to, flags, request) = world.request();
    assert_eq!((to, flags), (at(SERVER), 0));
    let other = Some((OTHER_ADDRESS, OTHER));
    world.hear(SERVER, &answer(&request, outside.mapped[0], other));
    let (to, flags, request) = world.request();
    assert_eq!((to, flags), (at(SERVER), 6));
    if outside.both {
        world.hear(OTHER, &answer(&request, outside.mapped[0], other));
    } else {
        world.wait(Duration::from_millis(100));
        let (to, flags, request) = world.request();
        assert_eq!((to, flags), (at(SERVER), 2));
        if outside.port {
            let from = "198.51.100.1:3479";
            world.hear(from, &answer(&request, outside.mapped[0], other));
        }
        world.wait(Duration::from_millis(9_500));
        world
            .sent
            .retain(|(to, request)| *to != at(SERVER) || request.len() == 20);
    }
    // Where we are not translated there is nothing left to ask.
    for (n, from) in ["198.51.100.2:3478", OTHER].into_iter().enumerate() {
        if world.done.is_none() {
            let (to, flags, request) = world.request();
            assert_eq!((to, flags), (at(from), 0));
            world.hear(from, &answer(&request, outside.mapped[n + 1], other));
        }
    }
    assert!(world.sent.is_empty());
    assert!(world.discovery.poll_timeout().is_none());
    (world.report(), world.now - begun)
}

/// ENG-34, RFC 5780 4.3 and 4.4, RFC 3489 10.1: all that the tests can find.
#[test]
fn eng_34_each_behaviour_has_its_class() {
    use Filtering as F;
    use Mapping as M;
    const NAT: &str = "203.0.113.1:6000";
    const SECOND: &str = "203.0.113.1:6001";
    const THIRD: &str = "203.0.113.1:6002";
    for (mapped, mapping) in [
        ([LOCAL; 3], M::Direct),
        ([NAT; 3], M::EndpointIndependent),
        ([NAT, SECOND, SECOND], M::AddressDependent),
        ([NAT, SECOND, THIRD], M::AddressAndPortDependent),
    ] {
        for (both, port, filtering) in [
            (true, true, F::EndpointIndependent),
            (false, true, F::AddressDependent),
            (false, false, F::AddressAndPortDependent),
        ] {
            let (report, took) = run(&Outside { mapped, both, port });
            assert_eq!(report.mapped, Some(at(mapped[0])));
            assert_eq!(report.other, Some(at(OTHER)));
            assert_eq!(report.mapping, Some(mapping));
            assert_eq!(report.filtering, Some(filtering), "{mapping:?}");
            let class = match (mapping, filtering) {
                (M::Direct, F::EndpointIndependent) => Class::Open,
                (M::Direct, _) => Class::SymmetricFirewall,
                (M::EndpointIndependent, F::EndpointIndependent) => Class::FullCone,
                (M::EndpointIndependent, F::AddressDependent) => Class::RestrictedCone,
                (M::EndpointIndependent, _) => Class::PortRestrictedCone,
                _ => Class::Symmetric,
            };
            assert_eq!(report.class(), class);
            assert_eq!(both, took.is_zero(), "silence is waited for: {took:?}");
        }
    }
}

/// RFC 3489, 9.3: 9.5 s of silence, five requests with the same id.
#[test]
fn a_server_that_does_not_answer_is_blocked() {
    let mut world = World::new();
    world.wait(Duration::from_millis(9_499));
    assert_eq!(world.done, None);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.report().class(), Class::Blocked);
    assert_eq!(world.report().mapped, None);
    assert_eq!(world.sent.len(), 5);
    let first = world.sent[0].clone();
    assert!(world.sent.iter().all(|sent| *sent == first));
}

/// RFC 5780, 4.3: a server of one address tells that we are translated, or that we are not.
#[test]
fn one_address_tells_half_of_it() {
    for (mapped, mapping) in [(LOCAL, Some(Mapping::Direct)), ("203.0.113.1:6000", None)] {
        // None, and such as are of no use.
        for other in [
            None,
            Some("198.51.100.1:3479"),
            Some("198.51.100.2:3478"),
            Some("127.0.0.1:3479"),
            Some("224.0.0.1:3479"),
            Some("0.0.0.0:3479"),
            Some("198.51.100.2:0"),
        ] {
            let mut world = World::new();
            let (_, _, request) = world.request();
            let other = other.map(|other| (OTHER_ADDRESS, other));
            world.hear(SERVER, &answer(&request, mapped, other));
            let report = world.report();
            assert_eq!((report.mapped, report.other), (Some(at(mapped)), None));
            assert_eq!((report.mapping, report.filtering), (mapping, None));
            assert_eq!(report.class(), Class::Unknown);
            assert!(world.sent.is_empty());
        }
    }
}

/// RFC 3489, 11.2.3: an old server calls it CHANGED-ADDRESS.
#[test]
fn an_old_server_is_understood() {
    let mut world = World::new();
    let (_, _, request) = world.request();
    world.hear(SERVER, &answer(&request, LOCAL, Some((5, OTHER))));
    let (to, flags, _) = world.request();
    assert_eq!((to, flags), (at(SERVER), 6));
}

/// RFC 5780, 5: a server that does not change its address, or says that it cannot, leaves the filters
/// unknown; how we are mapped is found out all the same.
#[test]
fn a_server_that_does_not_change_leaves_the_filters_unknown() {
    for refuses in [false, true] {
        let mut world = World::new();
        let (_, _, request) = world.request();
        let other = Some((OTHER_ADDRESS, OTHER));
        world.hear(SERVER, &answer(&request, "203.0.113.1:6000", other));
        let (_, _, request) = world.request();
        let mut response = answer(&request, "203.0.113.1:6000", other);
        if refuses {
            // 420 (RFC 8489, 14.8).
            response.truncate(20);
            response[..4].copy_from_slice(&[1, 0x11, 0, 8]);
            response.extend([0, 9, 0, 4, 0, 0, 4, 20]);
        }
        world.hear(SERVER, &response);
        let (to, _, request) = world.request();
        assert_eq!(to, at("198.51.100.2:3478"));
        world.hear(
            "198.51.100.2:3478",
            &answer(&request, "203.0.113.1:6000", other),
        );
        let report = world.report();
        assert_eq!(report.filtering, None);
        assert_eq!(report.mapping, Some(Mapping::EndpointIndependent));
        assert_eq!(report.class(), Class::Unknown);
    }
}

#[test]
fn what_goes_wrong_is_said() {
    // 300 (Try Alternate): RFC 5780, 5 has it ignored; there is no other answer.
    for (number, said) in [(0, 300), (1, 301)] {
        let mut world = World::new();
        let (_, _, request) = world.request();
        let mut response = vec![1, 0x11, 0, 8];
        response.extend(&request[4..20]);
        response.extend([0, 9, 0, 4, 0, 0, 3, number]);
        world.hear(SERVER, &response);
        assert_eq!(world.done, Some(Err(DiscoveryError::Refused(said))));
    }
    let mut world = World::new();
    let (_, _, request) = world.request();
    let mut response = vec![1, 1, 0, 0];
    response.extend(&request[4..20]);
    world.hear(SERVER, &response);
    assert_eq!(world.done, Some(Err(DiscoveryError::NoAddress)));

    let mut world = World::new();
    world.discovery.handle_undeliverable(world.now, at(OTHER));
    world.drain();
    assert_eq!(world.done, None, "nothing was sent there");
    world.discovery.handle_undeliverable(world.now, at(SERVER));
    world.drain();
    assert_eq!(world.done, Some(Err(DiscoveryError::Unreachable)));
}

/// Answers of others, of other requests and of no use change nothing.
#[test]
fn forgeries_are_ignored() {
    let mut world = World::new();
    let (_, _, request) = world.request();
    let right = answer(&request, LOCAL, None);
    let mut other_id = right.clone();
    other_id[19] ^= 1;
    world.hear(SERVER, &other_id);
    world.hear(OTHER, &right);
    world.hear(SERVER, &request);
    world.hear(SERVER, &right[..27]);
    world.hear(SERVER, b"hello");
    assert_eq!(world.done, None);
    world.hear(SERVER, &right);
    assert_eq!(world.report().mapping, Some(Mapping::Direct));
    // It is over, whatever comes.
    world.hear(SERVER, &right);
    world.wait(Duration::from_secs(60));
    assert!(world.sent.is_empty());
}
