//! TURN: a server that knows the password and may say anything, over datagrams and over a stream that is cut
//! anywhere.

use bytes::Bytes;
use ice::{
    stun::{
        Attribute, AttributeType, Class, ErrorCode, Key, Message, Method, Protection,
        TransactionId, Writer,
    },
    turn::{Client, Config, Framer, Output},
};
use sipsimple::base::Rng;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Cuts the input into steps: what the application wants, answers with any code, nonce and lifetime under ids of
/// the client, data of peers, bytes as they are, time. The first byte says how the server is spoken with.
///
/// # Panics
/// The client panics, says what cannot be read, hears somebody whom it did not let in, goes on after its end,
/// answers at length, or has no end.
pub fn turn(data: &[u8]) {
    let mut world = World::new(data.first().copied().unwrap_or_default());
    let mut rest = data.get(1..).unwrap_or_default();
    while let [what, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        world.step(*what, bytes);
    }
    // The server says nothing any more: giving the address back has its time, too.
    world.client.release(world.now);
    world.drain();
    world.wait(Duration::from_secs(60));
    assert!(world.is_lost, "{:?}", world.client);
}

struct World {
    client: Client,
    config: Config,
    framer: Framer,
    /// What comes by the stream can be cut into messages.
    is_whole: bool,
    now: Instant,
    /// Requests of the client, the latest last.
    asked: Vec<Bytes>,
    /// Who may be heard.
    permitted: BTreeSet<IpAddr>,
    is_allocated: bool,
    is_lost: bool,
    sent: usize,
}

impl World {
    fn new(kind: u8) -> Self {
        let mut config = Config::new("alice", PASSWORD);
        config.is_stream = kind & 1 != 0;
        config.is_v6 = kind & 2 != 0;
        config.peers = PEERS;
        let mut world = Self {
            client: Client::new(config.clone(), Rng::from_seed([4; 32])),
            config,
            framer: Framer::default(),
            is_whole: true,
            now: Instant::now(),
            asked: Vec::new(),
            permitted: BTreeSet::new(),
            is_allocated: false,
            is_lost: false,
            sent: 0,
        };
        world.client.allocate(world.now);
        world.drain();
        world
    }

    fn step(&mut self, what: u8, bytes: &[u8]) {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        match what % 8 {
            0 => self.act(what >> 3, bytes),
            1 => self.say(bytes, what >> 3),
            kind @ (2 | 3) => {
                if let Some(answer) = self.answer(kind == 3, bytes) {
                    self.say(&answer, what >> 3);
                }
            }
            4 => {
                let data = Writer::new(Class::Indication, Method::DATA, TransactionId([1; 12]))
                    .attribute(&Attribute::XorPeerAddress(self.peer(byte(0))))
                    .attribute(&Attribute::Data(bytes))
                    .finish();
                self.say(&data, what >> 3);
            }
            5 => {
                let mut data = vec![0x40, byte(0) % 8, 0, byte(1)];
                data.extend(bytes);
                self.say(&data, what >> 3);
            }
            6 => self.wait(Duration::from_millis(u64::from(byte(0)) * 20)),
            _ if byte(0) == u8::MAX => self.client.release(self.now),
            _ => self.wait(Duration::from_secs(u64::from(byte(0)) * 4)),
        }
        self.drain();
    }

    /// The application wants something for a peer.
    fn act(&mut self, what: u8, bytes: &[u8]) {
        let peer = self.peer(bytes.first().copied().unwrap_or_default());
        let done = match what % 3 {
            0 => self.client.permit(self.now, peer),
            1 => self.client.bind(self.now, peer),
            _ => self.client.send(self.now, peer, bytes),
        };
        if done.is_ok() {
            assert!(self.client.is_allocated());
            self.permitted.insert(peer.ip());
        }
    }

    /// A response to one of the last requests, proved or not: its bytes choose which, the proof, and what it
    /// says.
    fn answer(&self, refuses: bool, bytes: &[u8]) -> Option<Bytes> {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let at = usize::from(byte(0)) % self.asked.len().max(1);
        let request = self.asked.iter().nth_back(at)?;
        let request = Message::parse(request).ok()?;
        let class = if refuses {
            Class::Error
        } else {
            Class::Success
        };
        let mut writer = Writer::new(class, request.method(), request.transaction());
        let nonce = (byte(3) % 16).to_string();
        if refuses {
            let code = match usize::from(byte(2)) {
                known if known < CODES.len() => CODES[known],
                other => 300 + other as u16,
            };
            writer = writer.attribute(&Attribute::ErrorCode(ErrorCode { code, reason: "" }));
            if byte(3) & 0x10 == 0 {
                writer = writer.attribute(&Attribute::Nonce(&nonce));
            }
            if byte(3) & 0x20 == 0 {
                let realm = if byte(3) & 0x40 == 0 { "here" } else { "there" };
                writer = writer.attribute(&Attribute::Realm(realm));
            }
            if byte(3) & 0x80 != 0 {
                writer = writer.attribute(&Attribute::AlternateServer(self.peer(9)));
            }
        } else {
            // Of all sizes alike, and none.
            let lifetime = u32::MAX.checked_shr(u32::from(byte(2))).unwrap_or_default();
            writer = writer.attribute(&Attribute::Lifetime(lifetime));
            let relayed = match byte(3) % 4 {
                0 | 1 => Some(self.peer(8)),
                2 => Some(address(!self.config.is_v6, 8)),
                _ => None,
            };
            if let Some(relayed) = relayed {
                writer = writer.attribute(&Attribute::XorRelayedAddress(relayed));
            }
            writer = writer.attribute(&Attribute::XorMappedAddress(self.peer(7)));
        }
        // Proved by what the client has proved itself with.
        let realm = match request.attribute(AttributeType::REALM) {
            Some(Attribute::Realm(realm)) => realm,
            _ => "",
        };
        let password = match byte(1) % 4 {
            0 | 1 if !realm.is_empty() => Some(PASSWORD),
            2 => Some("guessed"),
            _ => None,
        };
        if let Some(password) = password {
            let key = Key::long_term("alice", realm, password);
            writer = writer.integrity(Protection::Sha1, &key);
        }
        Some(writer.finish())
    }

    /// The server says something; by a stream in two pieces, or not to its end.
    fn say(&mut self, bytes: &[u8], cut: u8) {
        if !self.config.is_stream {
            return self.hear(&Bytes::copy_from_slice(bytes));
        }
        let mut bytes = bytes.to_vec();
        let is_data = bytes.first().is_some_and(|first| first >> 6 == 1);
        if is_data && cut & 1 == 0 {
            // RFC 8656, 12.5.
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
        let is_lost = cut == CUT;
        for piece in [first, if is_lost { &[] } else { second }] {
            self.framer.push(piece);
            while self.is_whole {
                match self.framer.poll() {
                    Ok(Some(message)) => {
                        assert!(message.len() >= 4, "{message:?}");
                        self.hear(&message);
                    }
                    Ok(None) => break,
                    // Whoever holds the stream closes it.
                    Err(_) => self.is_whole = false,
                }
            }
        }
    }

    fn hear(&mut self, message: &Bytes) {
        let before = self.sent;
        self.client.handle_message(self.now, message);
        self.drain();
        // A request, or what waited for a permission.
        assert!(self.sent - before <= 1 + PEERS * self.config.waiting);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.client.poll_timeout()
            && deadline.at <= until
        {
            self.now = self.now.max(deadline.at);
            self.client.handle_timeout(self.now);
            self.drain();
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next.at > self.now), "{next:?}");
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            assert!(!self.is_lost, "nothing follows the end: {output:?}");
            match output {
                Output::Transmit(bytes) => self.look(bytes),
                Output::Allocated { relayed, .. } => {
                    assert!(!self.is_allocated, "one address");
                    assert_eq!(relayed.is_ipv6(), self.config.is_v6);
                    self.is_allocated = true;
                }
                Output::Data { peer, .. } => assert!(self.permitted.contains(&peer.ip())),
                Output::Forbidden { peer, .. } => assert!(self.permitted.remove(&peer)),
                Output::Lost(_) => {
                    self.is_lost = true;
                    assert!(!self.client.is_allocated());
                    assert_eq!(self.client.poll_timeout(), None);
                }
                _ => {}
            }
        }
    }

    /// What goes to the server can be cut from a stream, and read.
    fn look(&mut self, bytes: Bytes) {
        self.sent += 1;
        let mut framer = Framer::default();
        framer.push(&bytes);
        let piece = framer.poll().expect("STUN or channel data");
        let piece = match self.config.is_stream {
            true => piece.expect("a whole message"),
            false => bytes.clone(),
        };
        if let [0x40..=0x4f, _, high, low, data @ ..] = &piece[..] {
            assert!(self.is_allocated);
            assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), data.len());
            return;
        }
        let message = Message::parse(&piece).expect("what we write can be read");
        if message.class() == Class::Request {
            self.asked.push(bytes);
            let over = self.asked.len().saturating_sub(MOST);
            self.asked.drain(..over);
        }
    }

    fn peer(&self, n: u8) -> SocketAddr {
        // Now and then of the wrong family.
        address(self.config.is_v6 != (n > 250), n)
    }
}

/// Several of one host.
fn address(is_v6: bool, n: u8) -> SocketAddr {
    let (host, port) = (n % 16 / 2, 4_000 + u16::from(n % 16));
    match is_v6 {
        true => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)], port).into(),
        false => ([192, 0, 2, host], port).into(),
    }
}

/// What a client has a rule for.
const CODES: [u16; 12] = [300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 508];
const PASSWORD: &str = "secret";
const PEERS: usize = 4;
/// Requests that are remembered.
const MOST: usize = 8;
/// Of a piece that is cut here the rest never comes.
const CUT: u8 = 31;
