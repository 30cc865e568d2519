//! A client and a server that is made for the purpose, and can do wrong.

use super::*;
use crate::stun::{
    Attribute, AttributeType, ErrorCode, Integrity, Protection, TransactionId, Writer,
};
use bytes::BytesMut;

const PEER: &str = "198.51.100.7:4000";
const RELAYED: &str = "192.0.2.1:49152";

#[expect(clippy::disallowed_methods, reason = "an origin for a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Both ends.
struct Line {
    client: Client,
    now: Instant,
    nonce: String,
    password: &'static str,
    /// What the next requests of a method are answered with instead.
    refusals: Vec<(Method, u16)>,
    is_silent: bool,
    lifetime: u32,
    /// Requests that were granted, by method, in their order.
    granted: Vec<Method>,
    /// Indications and channel data that came.
    relayed: Vec<(SocketAddr, Vec<u8>)>,
    channels: Vec<(u16, SocketAddr)>,
    told: Vec<Output>,
    sent: usize,
}

impl Line {
    fn new(config: Config) -> Self {
        Self {
            client: Client::new(config, Rng::from_seed([5; 32])),
            now: start(),
            nonce: "first".to_owned(),
            password: "secret",
            refusals: Vec::new(),
            is_silent: false,
            lifetime: 600,
            granted: Vec::new(),
            relayed: Vec::new(),
            channels: Vec::new(),
            told: Vec::new(),
            sent: 0,
        }
    }

    fn allocated() -> Self {
        let mut line = Self::new(Config::new("alice", "secret"));
        line.client.allocate(line.now);
        line.settle();
        assert!(line.client.is_allocated());
        line.told.clear();
        line
    }

    fn settle(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Transmit(bytes) => {
                    self.sent += 1;
                    if let Some(answer) = self.serve(&bytes)
                        && !self.is_silent
                    {
                        self.client.handle_message(self.now, &answer);
                    }
                }
                told => self.told.push(told),
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.client.poll_timeout()
            && deadline.at <= until
        {
            self.now = self.now.max(deadline.at);
            self.client.handle_timeout(self.now);
            self.settle();
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next.at > self.now), "{next:?}");
        }
        self.now = until;
    }

    fn serve(&mut self, bytes: &Bytes) -> Option<Bytes> {
        if bytes[0] >> 6 == 1 {
            let number = u16::from_be_bytes([bytes[0], bytes[1]]);
            let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            let (_, peer) = *self.channels.iter().find(|(known, _)| *known == number)?;
            self.relayed.push((peer, bytes[4..4 + length].to_vec()));
            return None;
        }
        let message = Message::parse(bytes).unwrap();
        let peer = match message.attribute(AttributeType::XOR_PEER_ADDRESS) {
            Some(Attribute::XorPeerAddress(peer)) => Some(peer),
            _ => None,
        };
        if message.class() == Class::Indication {
            if let Some(Attribute::Data(data)) = message.attribute(AttributeType::DATA) {
                self.relayed.push((peer.unwrap(), data.to_vec()));
            }
            return None;
        }
        let key = Key::long_term("alice", "example", self.password);
        let is_fresh =
            message.attribute(AttributeType::NONCE) == Some(Attribute::Nonce(&self.nonce));
        let respond = |class| Writer::new(class, message.method(), message.transaction());
        let refuse = |code| respond(Class::Error).attribute(&error(code));
        let challenge = |code| {
            refuse(code)
                .attribute(&Attribute::Realm("example"))
                .attribute(&Attribute::Nonce(&self.nonce))
                .finish()
        };
        match message.integrity(Protection::Sha1, &key) {
            Integrity::Right if is_fresh => {}
            Integrity::Right => return Some(challenge(438)),
            Integrity::Missing | Integrity::Wrong => return Some(challenge(401)),
        }
        let method = message.method();
        if let Some(at) = self
            .refusals
            .iter()
            .position(|(refused, _)| *refused == method)
        {
            let (_, code) = self.refusals.remove(at);
            let answer = refuse(code)
                .attribute(&Attribute::AlternateServer(address("192.0.2.99:3478")))
                .integrity(Protection::Sha1, &key);
            return Some(answer.finish());
        }
        self.granted.push(method);
        if let (Method::CHANNEL_BIND, Some(Attribute::ChannelNumber(number)), Some(peer)) = (
            method,
            message.attribute(AttributeType::CHANNEL_NUMBER),
            peer,
        ) && !self.channels.contains(&(number, peer))
        {
            self.channels.push((number, peer));
        }
        let mut answer = respond(Class::Success);
        if method == Method::ALLOCATE {
            answer = answer
                .attribute(&Attribute::XorRelayedAddress(address(RELAYED)))
                .attribute(&Attribute::XorMappedAddress(address("203.0.113.5:61000")));
        }
        if [Method::ALLOCATE, Method::REFRESH].contains(&method) {
            answer = answer.attribute(&Attribute::Lifetime(self.lifetime));
        }
        Some(answer.integrity(Protection::Sha1, &key).finish())
    }

    fn hear(&mut self, peer: &str, data: &[u8]) {
        let message = Writer::new(Class::Indication, Method::DATA, TransactionId([1; 12]))
            .attribute(&Attribute::XorPeerAddress(address(peer)))
            .attribute(&Attribute::Data(data))
            .finish();
        self.client.handle_message(self.now, &message);
        self.settle();
    }
}

fn error(code: u16) -> Attribute<'static> {
    Attribute::ErrorCode(ErrorCode { code, reason: "" })
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// RFC 8656, 7: the first request is challenged, the second one proves who we are.
#[test]
fn an_address_after_a_challenge() {
    let mut line = Line::new(Config::new("alice", "secret"));
    line.client.allocate(line.now);
    line.settle();
    let expected = Output::Allocated {
        relayed: address(RELAYED),
        mapped: Some(address("203.0.113.5:61000")),
    };
    assert_eq!((line.told.as_slice(), line.sent), (&[expected][..], 2));
}

#[test]
fn a_wrong_password_ends_it() {
    let mut line = Line::new(Config::new("alice", "wrong"));
    line.client.allocate(line.now);
    line.settle();
    assert_eq!(line.told, [Output::Lost(Lost::NotAuthenticated)]);
    assert_eq!((line.sent, line.client.poll_timeout()), (2, None));
}

/// RFC 8489, 9.2.5: the same request again with the new nonce, at any time.
#[test]
fn a_stale_nonce_costs_one_round() {
    let mut line = Line::allocated();
    for round in 0..10 {
        line.nonce = format!("nonce {round}");
        line.run(minutes(9));
        line.settle();
        assert!(line.client.is_allocated());
    }
    assert!(
        line.granted
            .iter()
            .filter(|method| **method == Method::REFRESH)
            .count()
            >= 9
    );
    // A server that finds every nonce stale is left.
    let mut line = Line::allocated();
    line.refusals = vec![(Method::REFRESH, 438); 20];
    line.run(minutes(10));
    assert!(
        matches!(line.told[..], [Output::Lost(_)]),
        "{:?}",
        line.told
    );
}

/// RFC 8656, 8, 9 and 12: ten, five and ten minutes.
#[test]
fn everything_is_kept_alive() {
    let mut line = Line::allocated();
    line.client.bind(line.now, address(PEER)).unwrap();
    line.settle();
    line.granted.clear();
    line.run(minutes(60));
    let count = |method| {
        line.granted
            .iter()
            .filter(|granted| **granted == method)
            .count()
    };
    assert_eq!(count(Method::REFRESH), 6);
    // A binding renews the permission, too.
    assert!((12..=16).contains(&count(Method::CREATE_PERMISSION)));
    assert_eq!(count(Method::CHANNEL_BIND), 6);
    assert_eq!(line.told, []);
}

#[test]
fn data_waits_for_its_permission_and_goes_by_channel_then() {
    let mut line = Line::allocated();
    line.is_silent = true;
    for n in 0..6 {
        line.client.send(line.now, address(PEER), &[n]).unwrap();
    }
    line.settle();
    assert_eq!(line.relayed, []);
    line.is_silent = false;
    line.run(Duration::from_secs(1));
    let last: Vec<Vec<u8>> = line.relayed.iter().map(|(_, data)| data.clone()).collect();
    assert_eq!(last, [[2], [3], [4], [5]], "the oldest went");
    line.client.bind(line.now, address(PEER)).unwrap();
    line.settle();
    line.client
        .send(line.now, address(PEER), b"by channel")
        .unwrap();
    line.settle();
    assert_eq!(
        line.relayed.last().unwrap(),
        &(address(PEER), b"by channel".to_vec())
    );
    // What comes back by it.
    let mut data = vec![0x40, 0, 0, 2, 8, 9];
    line.client
        .handle_message(line.now, &Bytes::from(data.clone()));
    line.settle();
    let payload = Bytes::from_static(&[8, 9]);
    assert_eq!(
        line.told,
        [Output::Data {
            peer: address(PEER),
            payload
        }]
    );
    // Numbers that nobody gave, and lengths that lie.
    line.told.clear();
    data[1] = 7;
    line.client
        .handle_message(line.now, &Bytes::from(data.clone()));
    (data[1], data[3]) = (0, 3);
    line.client.handle_message(line.now, &Bytes::from(data));
    line.settle();
    assert_eq!(line.told, []);
}

#[test]
fn only_who_was_let_in_is_heard() {
    let mut line = Line::allocated();
    line.hear(PEER, b"uninvited");
    assert_eq!(line.told, []);
    line.client.permit(line.now, address(PEER)).unwrap();
    line.settle();
    line.hear("198.51.100.7:9", b"any port of it");
    assert_eq!(line.told.len(), 1);
    line.refusals = vec![(Method::CREATE_PERMISSION, 403)];
    line.client.permit(line.now, address("10.0.0.1:5")).unwrap();
    line.settle();
    let peer = address("10.0.0.1:5").ip();
    assert_eq!(line.told[1..], [Output::Forbidden { peer, code: 403 }]);
    assert!(line.client.is_allocated());
}

/// RFC 8656, 10.2: what says nothing of the peer is no word against it. It is asked again, and what waits goes then;
/// what was given before lasts meanwhile.
#[test]
fn rfc_8656_a_permission_that_is_not_given_is_asked_for_again() {
    for code in [400, 500, 508] {
        let mut line = Line::allocated();
        line.refusals = vec![(Method::CREATE_PERMISSION, code)];
        line.client.send(line.now, address(PEER), b"waits").unwrap();
        line.settle();
        assert_eq!((line.told.len(), line.relayed.len()), (0, 0), "{code}");
        line.run(Duration::from_secs(10));
        assert_eq!(line.relayed, [(address(PEER), b"waits".to_vec())]);
        line.refusals = vec![(Method::CREATE_PERMISSION, code)];
        line.granted.clear();
        line.run(minutes(4));
        line.client.send(line.now, address(PEER), b"goes").unwrap();
        line.settle();
        assert_eq!((line.told.len(), line.relayed.len()), (0, 2), "{code}");
        // Before five minutes are over.
        line.run(Duration::from_secs(20));
        assert!(line.granted.contains(&Method::CREATE_PERMISSION), "{code}");
    }
    for code in [403, 443] {
        let mut line = Line::allocated();
        line.refusals = vec![(Method::CREATE_PERMISSION, code)];
        line.client.send(line.now, address(PEER), b"lost").unwrap();
        line.settle();
        let peer = address(PEER).ip();
        assert_eq!(line.told, [Output::Forbidden { peer, code }]);
        line.granted.clear();
        line.run(minutes(1));
        assert_eq!(line.granted, []);
    }
}

/// A binding that the server does not give leaves indications, whatever the code.
#[test]
fn without_a_channel_indications_go() {
    for code in [400, 403, 508] {
        let mut line = Line::allocated();
        line.refusals = vec![(Method::CHANNEL_BIND, code)];
        line.client.bind(line.now, address(PEER)).unwrap();
        line.settle();
        line.client.send(line.now, address(PEER), b"still").unwrap();
        line.settle();
        assert_eq!(line.relayed, [(address(PEER), b"still".to_vec())], "{code}");
        assert!(line.channels.is_empty() && line.told.is_empty());
    }
}

/// RFC 8656, 12.3: a server that takes a channel for an error to which it has agreed has lost count; the allocation
/// is given back.
#[test]
fn rfc_8656_a_channel_out_of_sync_ends_the_allocation() {
    for (code, is_over) in [(400, true), (403, false), (508, false)] {
        let mut line = Line::allocated();
        line.client.bind(line.now, address(PEER)).unwrap();
        line.settle();
        line.granted.clear();
        line.refusals = vec![(Method::CHANNEL_BIND, code)];
        line.run(Duration::from_secs(540));
        match is_over {
            true => {
                assert_eq!(line.told, [Output::Lost(Lost::OutOfSync)]);
                assert_eq!(line.granted.last(), Some(&Method::REFRESH));
                assert_eq!(line.client.poll_timeout(), None);
            }
            false => assert!(line.client.is_allocated() && line.told.is_empty(), "{code}"),
        }
    }
}

/// RFC 8489, 9.2.5; RFC 8656, 8.1: what gives the address back is repeated with the new nonce, too.
#[test]
fn rfc_8656_a_release_survives_a_stale_nonce() {
    let mut line = Line::allocated();
    line.nonce = "another".to_owned();
    line.client.release(line.now);
    line.settle();
    assert_eq!(line.granted.last(), Some(&Method::REFRESH));
    assert_eq!(line.told, [Output::Lost(Lost::Released)]);
}

/// RFC 8656, 7.4 and 8.3; RFC 8489, 10.
#[test]
fn every_way_to_have_no_address() {
    for (code, lost) in [
        (300, Lost::Redirected(address("192.0.2.99:3478"))),
        (437, Lost::Forgotten),
        (441, Lost::NotAuthenticated),
        (442, Lost::Refused(442)),
        (486, Lost::Refused(486)),
        (508, Lost::Refused(508)),
    ] {
        let mut line = Line::new(Config::new("alice", "secret"));
        line.refusals = vec![(Method::ALLOCATE, code)];
        line.client.allocate(line.now);
        line.settle();
        assert_eq!(line.told, [Output::Lost(lost)], "{code}");
        assert_eq!(line.client.poll_timeout(), None);
    }
    let mut line = Line::allocated();
    line.refusals = vec![(Method::REFRESH, 437)];
    line.run(minutes(10));
    assert_eq!(line.told, [Output::Lost(Lost::Forgotten)]);
    assert_eq!(
        line.client.send(line.now, address(PEER), b"x"),
        Err(CannotSend::NoAddress)
    );
}

#[test]
fn silence_is_borne_so_long() {
    for (is_stream, datagrams) in [(false, 7), (true, 1)] {
        let mut config = Config::new("alice", "secret");
        config.is_stream = is_stream;
        let mut line = Line::new(config);
        line.is_silent = true;
        line.client.allocate(line.now);
        line.settle();
        line.run(Duration::from_millis(39_499));
        assert_eq!(line.told, []);
        line.run(Duration::from_millis(1));
        assert_eq!(line.told, [Output::Lost(Lost::Silent)]);
        assert_eq!(line.sent, datagrams);
    }
    // A server that dies in the middle of it.
    let mut line = Line::allocated();
    line.is_silent = true;
    line.run(minutes(11));
    assert_eq!(line.told, [Output::Lost(Lost::Silent)]);
}

#[test]
fn it_is_given_back() {
    let mut line = Line::allocated();
    line.client.release(line.now);
    line.settle();
    assert_eq!(line.told, [Output::Lost(Lost::Released)]);
    assert_eq!(line.granted.last(), Some(&Method::REFRESH));
    assert_eq!(line.client.poll_timeout(), None);
    // With a server that is gone it ends, too.
    let mut line = Line::allocated();
    line.is_silent = true;
    line.client.release(line.now);
    line.settle();
    line.run(minutes(1));
    assert_eq!(line.told, [Output::Lost(Lost::Released)]);
}

#[test]
fn a_server_that_grants_nothing_is_not_asked_all_the_time() {
    let mut line = Line::new(Config::new("alice", "secret"));
    line.lifetime = 0;
    line.client.allocate(line.now);
    line.settle();
    line.sent = 0;
    line.run(Duration::from_secs(60));
    assert!(line.sent <= 60, "{}", line.sent);
}

#[test]
fn forged_answers_do_not_count() {
    let mut line = Line::allocated();
    line.is_silent = true;
    line.run(minutes(9));
    let id = line.client.requests[0].id;
    for code in [0, 437] {
        let class = if code == 0 {
            Class::Success
        } else {
            Class::Error
        };
        let forged = Writer::new(class, Method::REFRESH, id)
            .attribute(&error(code))
            .integrity(Protection::Sha1, &Key::short_term("guess"))
            .finish();
        line.client.handle_message(line.now, &forged);
        assert!(line.client.is_allocated());
        assert_eq!(line.client.requests.len(), 1);
    }
}

#[test]
fn peers_are_bounded() {
    let mut line = Line::allocated();
    for n in 0..64u16 {
        let peer = SocketAddr::from(([198, 51, 100, 1], 1_000 + n));
        line.client.permit(line.now, peer).unwrap();
    }
    let one_more = line.client.permit(line.now, address(PEER));
    assert_eq!(one_more, Err(CannotSend::TooManyPeers));
    let v6 = line.client.permit(line.now, address("[2001:db8::1]:5"));
    assert_eq!(v6, Err(CannotSend::NoAddress));
    let known = SocketAddr::from(([198, 51, 100, 1], 1_000));
    assert_eq!(
        line.client.send(line.now, known, &[0; 65_001]),
        Err(CannotSend::TooLarge)
    );
}

/// RFC 8656, 12.5: padded, however the stream is cut.
#[test]
fn streams_are_cut_into_messages() {
    let message = Writer::new(Class::Indication, Method::DATA, TransactionId([2; 12]))
        .attribute(&Attribute::Data(b"12345"))
        .finish();
    let data = channel::framed(0x4000, b"12345", true);
    assert_eq!((data.len(), &data[9..]), (12, &[0, 0, 0][..]));
    let stream = [&message[..], &data, &message, &data].concat();
    for cut in 1..stream.len() {
        let mut framer = Framer::default();
        let mut seen = Vec::new();
        for part in stream.chunks(cut) {
            framer.push(part);
            while let Some(message) = framer.poll().unwrap() {
                seen.push(message);
            }
        }
        assert_eq!(
            seen,
            [
                message.clone(),
                data.slice(..9),
                message.clone(),
                data.slice(..9)
            ]
        );
    }
    let mut framer = Framer::default();
    framer.push(&[0x80, 0, 0, 1, 2]);
    assert_eq!(framer.poll(), Err(TooLong));
}

#[test]
fn passwords_are_not_shown() {
    let line = Line::allocated();
    let shown = format!("{:?}", line.client);
    assert!(
        shown.contains("alice") && !shown.contains("secret"),
        "{shown}"
    );
}

proptest::proptest! {
    #[test]
    fn any_message_is_survived(
        messages in proptest::collection::vec(proptest::collection::vec(0u8.., 0..80), 0..20),
    ) {
        let mut line = Line::allocated();
        line.client.bind(line.now, address(PEER)).unwrap();
        line.settle();
        for message in messages {
            line.client.handle_message(line.now, &BytesMut::from(&message[..]).freeze());
            line.settle();
        }
        proptest::prop_assert!(line.client.is_allocated());
    }
}
