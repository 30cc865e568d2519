//! Servers that answer as a test says.

use super::*;
use ::ice::stun::{
    Attribute, AttributeType, Class as Kind, ErrorCode, Key, Message, Method, Protection, Writer,
};

const RELAYED: &str = "192.0.2.1:49152";
const SERVER: &str = "192.0.2.1:3478";

#[expect(clippy::disallowed_methods, reason = "an origin for a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn target(transport: Transport) -> Target {
    Target {
        transport,
        address: address(SERVER),
        name: "relay.example".parse().unwrap(),
    }
}

/// The relays of one server, and the sockets that they have asked for.
struct Lab {
    relays: Relays,
    now: Instant,
    out: VecDeque<StreamOutput>,
    open: Vec<(Slot, Transport)>,
    closed: Vec<Slot>,
    told: Vec<Told>,
    /// What was sent of either component, and is not answered.
    sent: Vec<(Slot, Bytes)>,
}

impl Lab {
    fn new(uri: &str, resolved: Option<&[Target]>) -> Self {
        let mut server: crate::stream::TurnServer = uri.parse().unwrap();
        (server.username, server.password) = ("alice".into(), "secret".into());
        let settings = MediaSettings {
            turn_servers: vec![server],
            ..MediaSettings::default()
        };
        let mut lab = Self {
            relays: Relays::new(&Arc::new(settings), Rng::from_seed([3; 32])),
            now: start(),
            out: VecDeque::new(),
            open: Vec::new(),
            closed: Vec::new(),
            told: Vec::new(),
            sent: Vec::new(),
        };
        lab.relays.add(lab.now, 0, resolved);
        lab.step();
        lab
    }

    fn step(&mut self) {
        let locals = [IpAddr::from([192, 0, 2, 9])];
        self.relays.advance(self.now, &locals, &mut self.out);
        while let Some(told) = self.relays.poll(self.now, &mut self.out) {
            self.told.push(told);
        }
        while let Some(output) = self.out.pop_front() {
            match output {
                StreamOutput::Open { slot, how } => {
                    let transport = match how {
                        SlotOpen::Udp { .. } => Transport::Udp,
                        SlotOpen::Connect { .. } => Transport::Tcp,
                        SlotOpen::ConnectTls { name, .. } => {
                            assert_eq!(name, target(Transport::Tls).name);
                            Transport::Tls
                        }
                        other => panic!("{other:?}"),
                    };
                    self.open.push((slot, transport));
                }
                StreamOutput::Close { slot } => self.closed.push(slot),
                StreamOutput::Transmit { slot, payload, .. }
                | StreamOutput::Write { slot, payload } => self.sent.push((slot, payload)),
                StreamOutput::Receive { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn input(&mut self, slot: Slot, input: StreamInput) {
        self.relays
            .handle_input(self.now, slot, input, &mut self.out);
        self.step();
    }

    fn opened(&mut self, slot: Slot) {
        let (local, peer) = (address("192.0.2.9:4000"), None);
        self.input(slot, StreamInput::Opened { slot, local, peer });
        let room = 100_000;
        self.input(slot, StreamInput::Writable { slot, room });
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.relays.poll_timeout()
            && due.at <= until
        {
            self.now = self.now.max(due.at);
            self.relays.handle_timeout(self.now);
            self.step();
        }
        self.now = until;
    }

    /// Answers everything that was sent: the first request with a challenge, the next with `code`, 0 for a
    /// success.
    fn answer(&mut self, code: u16) {
        for _ in 0..4 {
            for (slot, request) in std::mem::take(&mut self.sent) {
                if let Some(answer) = answer(&request, code) {
                    let is_stream = self.open.contains(&(slot, Transport::Tcp));
                    let payload = BytesMut::from(&answer[..]);
                    let from = address(SERVER);
                    let input = match is_stream {
                        true => StreamInput::Bytes { slot, payload },
                        false => StreamInput::Datagram {
                            slot,
                            from,
                            payload,
                        },
                    };
                    self.input(slot, input);
                }
            }
        }
    }

    fn transports(&self) -> Vec<Transport> {
        self.open.iter().map(|(_, transport)| *transport).collect()
    }

    fn errors(&self) -> Vec<Option<String>> {
        let info = self.relays.info().into_iter();
        info.map(|relay| relay.error).collect()
    }
}

fn answer(request: &Bytes, code: u16) -> Option<Bytes> {
    let message = Message::parse(request).ok()?;
    let key = Key::long_term("alice", "realm", "secret");
    let respond = |class| Writer::new(class, message.method(), message.transaction());
    let refuse = |code| {
        let reason = "";
        respond(Kind::Error).attribute(&Attribute::ErrorCode(ErrorCode { code, reason }))
    };
    if message.class() != Kind::Request {
        return None;
    }
    if message.raw(AttributeType::USERNAME).is_none() || code == 401 {
        let challenge = refuse(401).attribute(&Attribute::Realm("realm"));
        return Some(challenge.attribute(&Attribute::Nonce("nonce")).finish());
    }
    let answer = match code {
        0 if message.method() == Method::ALLOCATE => respond(Kind::Success)
            .attribute(&Attribute::XorRelayedAddress(address(RELAYED)))
            .attribute(&Attribute::XorMappedAddress(address("203.0.113.5:61000"))),
        0 => respond(Kind::Success),
        _ => refuse(code).attribute(&Attribute::AlternateServer(address("192.0.2.2:3478"))),
    };
    Some(answer.integrity(Protection::Sha1, &key).finish())
}

/// A refusal of a nonce that is too old (RFC 8489, 9.2.4).
fn stale(request: &Bytes) -> Bytes {
    let message = Message::parse(request).unwrap();
    let (code, reason) = (438, "");
    Writer::new(Kind::Error, message.method(), message.transaction())
        .attribute(&Attribute::ErrorCode(ErrorCode { code, reason }))
        .attribute(&Attribute::Realm("realm"))
        .attribute(&Attribute::Nonce("another"))
        .finish()
}

/// RFC 5928, 3: UDP first, then TCP; who is silent is left behind, and closed when another one has worked.
#[test]
fn a_silent_transport_is_followed_by_the_next_one() {
    let mut lab = Lab::new("turn:192.0.2.1", Some(&[target(Transport::Udp)]));
    assert_eq!(lab.transports(), [Transport::Udp; 2]);
    for slot in [lab.open[0].0, lab.open[1].0] {
        lab.opened(slot);
    }
    lab.run(STAGGER - Duration::from_millis(1));
    assert_eq!(lab.open.len(), 2);
    lab.sent.clear();
    lab.run(Duration::from_millis(1));
    assert_eq!(lab.transports()[2..], [Transport::Tcp; 2]);
    for slot in [lab.open[2].0, lab.open[3].0] {
        lab.opened(slot);
    }
    lab.answer(0);
    let allocated = |told: &&Told| matches!(told, Told::Allocated { .. });
    assert_eq!(lab.told.iter().filter(allocated).count(), 2);
    assert_eq!(lab.closed, [lab.open[0].0, lab.open[1].0]);
    assert!(!lab.relays.is_trying() && !lab.relays.is_short());
    // Both sides of a slot's parity: RTP and RTCP.
    assert_eq!(lab.open[2].0.0 % 2, 0);
    assert_eq!(lab.open[3].0.0 % 2, 1);
}

/// What is named is what is used.
#[test]
fn a_transport_that_is_named_is_the_only_one() {
    for (uri, transport) in [
        ("turn:192.0.2.1?transport=udp", Transport::Udp),
        ("turn:192.0.2.1?transport=tcp", Transport::Tcp),
        ("turns:192.0.2.1", Transport::Tls),
    ] {
        let mut lab = Lab::new(uri, Some(&[target(Transport::Udp)]));
        lab.run(Duration::from_secs(1));
        assert_eq!(lab.transports(), [transport; 2], "{uri}");
    }
    let unknown = Lab::new("turn:nowhere.example", None);
    assert!(!unknown.relays.is_trying());
    assert_eq!(
        unknown.errors(),
        [NOT_FOUND, NOT_FOUND].map(|text| Some(text.to_owned()))
    );
}

/// RFC 8656, 7.4; RFC 8489, 9.2.5 and 10.
#[test]
fn a_refusal_leads_elsewhere_or_nowhere() {
    for (code, transports) in [
        (401, &[Transport::Udp][..]),
        (441, &[Transport::Udp]),
        // Once elsewhere, once from another port, and then as for all others.
        (300, &[Transport::Udp, Transport::Udp, Transport::Tcp]),
        (437, &[Transport::Udp, Transport::Udp, Transport::Tcp]),
        (486, &[Transport::Udp, Transport::Tcp]),
        (508, &[Transport::Udp, Transport::Tcp]),
    ] {
        let mut lab = Lab::new("turn:192.0.2.1", Some(&[target(Transport::Udp)]));
        let mut done = 0;
        while done < lab.open.len() {
            let (slot, transport) = lab.open[done];
            done += 1;
            lab.opened(slot);
            for attempt in &mut lab.relays.attempts {
                // The test's server is everywhere.
                attempt.target.address = address(SERVER);
            }
            lab.answer(code);
            assert!(lab.closed.contains(&slot), "{code} {transport}");
        }
        lab.step();
        let mut expected = transports.to_vec();
        expected.extend(transports);
        expected.sort_unstable();
        let mut tried = lab.transports();
        tried.sort_unstable();
        assert_eq!(tried, expected, "{code}");
        assert!(lab.told.is_empty() && !lab.relays.is_trying(), "{code}");
        assert!(lab.relays.poll_timeout().is_none(), "{code}");
    }
}

/// RFC 8656, 12.5 and 11: what comes over a connection is cut again; media that a connection has no room for
/// are dropped, and requests are not.
#[test]
fn a_connection_carries_data_both_ways_as_far_as_there_is_room() {
    let tcp = Some(&[target(Transport::Tcp)][..]);
    let mut lab = Lab::new("turn:192.0.2.1?transport=tcp", tcp);
    let slot = lab.open[0].0;
    lab.opened(slot);
    lab.answer(0);
    let peer = address("198.51.100.7:4000");
    lab.relays.bind(lab.now, slot, peer);
    lab.step();
    lab.answer(0);
    lab.relays.send(lab.now, slot, peer, b"hello");
    lab.step();
    assert_eq!(
        lab.sent.pop().unwrap().1[..],
        *b"\x40\x00\x00\x05hello\0\0\0"
    );
    lab.told.clear();
    let framed = b"\x40\x00\x00\x03abc\0\x40\x00\x00\x04defg";
    for part in [&framed[..5], &framed[5..]] {
        let payload = BytesMut::from(part);
        lab.input(slot, StreamInput::Bytes { slot, payload });
    }
    let heard = |told: &Told| match told {
        Told::Data {
            peer: from,
            payload,
            ..
        } => {
            assert_eq!(*from, peer);
            payload.to_vec()
        }
        other => panic!("{other:?}"),
    };
    let all: Vec<Vec<u8>> = lab.told.iter().map(heard).collect();
    assert_eq!(all, [b"abc".to_vec(), b"defg".to_vec()]);
    let room = 100_000;
    lab.input(slot, StreamInput::Writable { slot, room });
    for _ in 0..100 {
        lab.relays.send(lab.now, slot, peer, &[7; 1_000]);
        lab.step();
    }
    assert_eq!(lab.sent.len(), BACKLOG / 1_004 + 1);
    lab.sent.clear();
    lab.relays.bind(lab.now, slot, address("198.51.100.8:4000"));
    lab.step();
    assert_eq!(lab.sent.len(), 2);
    let payload = BytesMut::from(&b"\xffno STUN"[..]);
    lab.input(slot, StreamInput::Bytes { slot, payload });
    assert!(matches!(lab.told.last(), Some(Told::Gone { .. })));
}

/// RFC 8656, 8: what is lent is given back; what was not lent is only closed.
#[test]
fn all_is_given_back_at_the_end() {
    let mut lab = Lab::new("turn:192.0.2.1", Some(&[target(Transport::Udp)]));
    let (first, second) = (lab.open[0].0, lab.open[1].0);
    lab.opened(first);
    lab.answer(0);
    lab.opened(second);
    lab.sent.clear();
    lab.relays.settle(lab.now, &mut lab.out);
    lab.step();
    assert_eq!(lab.closed, [second]);
    assert_eq!(lab.errors(), [None, Some(LATE.to_owned())]);
    assert!(lab.relays.is_short());
    lab.relays.close(lab.now, &mut lab.out);
    lab.step();
    let (slot, request) = lab.sent[0].clone();
    let message = Message::parse(&request).unwrap();
    assert_eq!((slot, message.method()), (first, Method::REFRESH));
    let lifetime = message.attribute(AttributeType::LIFETIME);
    assert_eq!(lifetime, Some(Attribute::Lifetime(0)));
    assert!(lab.relays.is_leaving() && lab.closed == [second]);
    lab.answer(0);
    assert!(!lab.relays.is_leaving());
    assert_eq!(lab.closed, [second, first]);
}

/// RFC 8656, 8.1 and 8.3: what gives an address back is repeated with another nonce, and once if nobody answers; no
/// call waits for longer than that.
#[test]
fn rfc_8656_what_is_given_back_is_waited_for_a_second() {
    for is_stale in [true, false] {
        let mut lab = Lab::new("turn:192.0.2.1", Some(&[target(Transport::Udp)]));
        let first = lab.open[0].0;
        lab.opened(first);
        lab.answer(0);
        lab.relays.settle(lab.now, &mut lab.out);
        lab.step();
        lab.closed.clear();
        lab.relays.close(lab.now, &mut lab.out);
        lab.step();
        if is_stale {
            let (slot, request) = lab.sent.pop().unwrap();
            let payload = BytesMut::from(&stale(&request)[..]);
            let from = address(SERVER);
            let input = StreamInput::Datagram {
                slot,
                from,
                payload,
            };
            lab.input(slot, input);
            let (_, again) = lab.sent.pop().unwrap();
            let again = Message::parse(&again).unwrap();
            let nonce = again.attribute(AttributeType::NONCE);
            assert_eq!(nonce, Some(Attribute::Nonce("another")));
            assert!(lab.closed.is_empty());
        }
        lab.sent.clear();
        lab.run(Duration::from_millis(999));
        assert_eq!((lab.sent.len(), lab.closed.len()), (1, 0), "{is_stale}");
        lab.run(Duration::from_millis(1));
        assert_eq!(
            (lab.relays.is_leaving(), &lab.closed[..]),
            (false, &[first][..])
        );
        assert!(
            lab.told
                .iter()
                .all(|told| matches!(told, Told::Allocated { .. }))
        );
    }
}

/// RFC 8489, 6.2.1; an ICMP error and the end of a connection say at once that nobody is there.
#[test]
fn a_server_that_is_gone_is_told_once() {
    let mut lab = Lab::new("turn:192.0.2.1", Some(&[target(Transport::Udp)]));
    let slot = lab.open[0].0;
    lab.opened(slot);
    lab.answer(0);
    lab.told.clear();
    let gone = |error| StreamInput::Undeliverable {
        slot,
        to: address(SERVER),
        error,
    };
    lab.input(slot, gone(LinkError::TooLarge));
    assert!(lab.told.is_empty());
    lab.input(slot, gone(LinkError::Refused));
    lab.input(slot, gone(LinkError::Refused));
    assert!(matches!(lab.told[..], [Told::Gone { slot: lost }] if lost == slot));
    assert_eq!(lab.closed, [slot]);
}

/// What becomes of an address that is given back is no word about the next one.
#[test]
fn a_socket_that_closes_while_it_is_left_says_nothing_of_others() {
    let mut lab = Lab::new("turn:192.0.2.1", Some(&[target(Transport::Udp)]));
    let slot = lab.open[0].0;
    lab.opened(slot);
    lab.answer(0);
    lab.relays.close(lab.now, &mut lab.out);
    lab.relays.add(lab.now, 0, Some(&[target(Transport::Udp)]));
    let error = Some(LinkError::Reset);
    lab.input(slot, StreamInput::Closed { slot, error });
    assert_eq!(lab.errors(), [None, None]);
    assert!(!lab.relays.is_leaving() && lab.closed.contains(&slot));
}
