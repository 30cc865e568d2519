//! A TURN server.

use crate::node::Node;
use base::{Deadline, Key as _};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use sipsimple::agent::{Class as Traffic, Input, LinkId, Open, Output};
use sipsimple::ice::stun::{
    Attribute, AttributeType, Class, ErrorCode, Integrity, Key, Message, Method, Protection,
    TransactionId, Writer,
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Lends addresses to whoever knows a password (RFC 8656), over UDP and TCP, and tells everybody how it
/// sees him. It is written on the message layer of `ice` alone, and does wrong on demand.
#[derive(Debug)]
pub struct TurnServer {
    address: SocketAddr,
    users: BTreeMap<String, String>,
    nonce: u32,
    links: u32,
    /// Connections: from where, and what has come of a message that is not whole.
    streams: BTreeMap<LinkId, (SocketAddr, BytesMut)>,
    allocations: BTreeMap<Client, Allocation>,
    next_port: u16,
    /// What the next requests are refused with.
    refusals: VecDeque<(Method, u16)>,
    /// Where 300 sends to.
    alternate: Option<SocketAddr>,
    lifetime: u32,
    granted: u64,
    relayed: u64,
    out: VecDeque<Output>,
}

/// Whom an allocation is for: the five-tuple, since we have one address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Client {
    Datagrams(SocketAddr),
    Stream(LinkId, SocketAddr),
}

/// An address that is lent.
#[derive(Debug)]
struct Allocation {
    link: LinkId,
    address: SocketAddr,
    transaction: TransactionId,
    until: Instant,
    permissions: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
}

impl TurnServer {
    /// Listens on `address`, an address of its host, where it lends ports, too.
    pub fn new(address: SocketAddr) -> Self {
        let mut server = Self {
            address,
            users: BTreeMap::new(),
            nonce: 1,
            links: 0,
            streams: BTreeMap::new(),
            allocations: BTreeMap::new(),
            next_port: FIRST_PORT,
            refusals: VecDeque::new(),
            alternate: None,
            lifetime: 600,
            granted: 0,
            relayed: 0,
            out: VecDeque::new(),
        };
        // The first one is the socket of all clients over UDP.
        server.open(Open::Udp {
            bind: address,
            class: Traffic::Signalling,
            multicast: None,
        });
        server.open(Open::Listen {
            bind: address,
            class: Traffic::Signalling,
        });
        server
    }

    /// Adds a user.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), password.to_owned());
        self
    }

    /// Grants allocations for so many seconds.
    #[must_use]
    pub const fn with_lifetime(mut self, seconds: u32) -> Self {
        self.lifetime = seconds;
        self
    }

    /// Takes no nonce of before any more (438).
    pub const fn expire_nonces(&mut self) {
        self.nonce += 1;
    }

    /// Forgets all allocations, as a restart does (437).
    pub fn forget(&mut self) {
        for (_, allocation) in std::mem::take(&mut self.allocations) {
            let link = allocation.link;
            self.out.push_back(Output::Close { link });
        }
    }

    /// Refuses the next request of a method that is proved.
    pub fn refuse(&mut self, method: Method, code: u16) {
        self.refusals.push_back((method, code));
    }

    /// Says with the next 300 to ask there.
    pub const fn set_alternate(&mut self, server: SocketAddr) {
        self.alternate = Some(server);
    }

    /// How many addresses are lent now.
    pub fn lent(&self) -> usize {
        self.allocations.len()
    }

    /// How many addresses were lent so far.
    pub const fn granted(&self) -> u64 {
        self.granted
    }

    /// How many packets went through, either way.
    pub const fn relayed(&self) -> u64 {
        self.relayed
    }

    fn open(&mut self, how: Open) -> LinkId {
        let link = LinkId::from_parts(0, self.links);
        self.links += 1;
        self.out.push_back(Output::Open { link, how });
        link
    }

    fn say(&mut self, client: Client, payload: Bytes) {
        self.out.push_back(match client {
            Client::Datagrams(to) => Output::Transmit {
                link: LinkId::from_parts(0, 0),
                from: None,
                to,
                payload,
            },
            Client::Stream(link, _) => Output::Write { link, payload },
        });
    }

    fn message(&mut self, now: Instant, client: Client, bytes: &[u8]) {
        if bytes.first().is_some_and(|first| first >> 6 == 1) {
            return self.channel_data(now, client, bytes);
        }
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => {
                let answer = answer(&message, Class::Success)
                    .attribute(&Attribute::XorMappedAddress(client.address()));
                self.say(client, answer.finish());
            }
            (Class::Request, _) => {
                let response = self.request(now, client, &message);
                self.say(client, response);
            }
            (Class::Indication, Method::SEND) => {
                let peer = message.attribute(AttributeType::XOR_PEER_ADDRESS);
                let data = message.attribute(AttributeType::DATA);
                if let (Some(Attribute::XorPeerAddress(peer)), Some(Attribute::Data(data))) =
                    (peer, data)
                {
                    self.send(now, client, peer, data);
                }
            }
            _ => {}
        }
    }

    /// RFC 8489, 9.2.4: who knows the password gets what he asks for.
    fn request(&mut self, now: Instant, client: Client, message: &Message<'_>) -> Bytes {
        let nonce = format!("nonce-{}", self.nonce);
        let challenge = |code| {
            refusal(message, code)
                .attribute(&Attribute::Realm(REALM))
                .attribute(&Attribute::Nonce(&nonce))
                .finish()
        };
        let user = match message.attribute(AttributeType::USERNAME) {
            Some(Attribute::Username(user)) => self.users.get_key_value(user),
            _ => None,
        };
        let Some((user, password)) = user else {
            return challenge(401);
        };
        let key = Key::long_term(user, REALM, password);
        if message.integrity(Protection::Sha1, &key) != Integrity::Right {
            return challenge(401);
        }
        if message.attribute(AttributeType::NONCE) != Some(Attribute::Nonce(&nonce)) {
            return challenge(438);
        }
        let refused = self
            .refusals
            .iter()
            .position(|(method, _)| *method == message.method());
        let refused = refused.and_then(|at| self.refusals.remove(at));
        let outcome = match refused {
            Some((_, code)) => Err(code),
            None => self.grant(now, client, message),
        };
        let writer = match outcome {
            Ok(writer) => writer,
            Err(code) => match self.alternate {
                Some(server) if code == 300 => {
                    refusal(message, code).attribute(&Attribute::AlternateServer(server))
                }
                _ => refusal(message, code),
            },
        };
        writer.integrity(Protection::Sha1, &key).finish()
    }

    fn grant(
        &mut self,
        now: Instant,
        client: Client,
        message: &Message<'_>,
    ) -> Result<Writer, u16> {
        self.allocations
            .retain(|_, allocation| allocation.until > now);
        let lifetime = match message.attribute(AttributeType::LIFETIME) {
            Some(Attribute::Lifetime(seconds)) => seconds.min(self.lifetime),
            _ => self.lifetime,
        };
        let until = now + Duration::from_secs(lifetime.into());
        let success = answer(message, Class::Success);
        if message.method() == Method::ALLOCATE {
            let relayed = self.allocate(client, until, message.transaction())?;
            return Ok(success
                .attribute(&Attribute::XorRelayedAddress(relayed))
                .attribute(&Attribute::XorMappedAddress(client.address()))
                .attribute(&Attribute::Lifetime(lifetime)));
        }
        let allocation = self.allocations.get_mut(&client).ok_or(437_u16)?;
        let peer = match message.attribute(AttributeType::XOR_PEER_ADDRESS) {
            Some(Attribute::XorPeerAddress(peer)) => Some(peer),
            _ => None,
        };
        match (message.method(), peer) {
            (Method::REFRESH, _) if lifetime == 0 => {
                let link = allocation.link;
                self.out.push_back(Output::Close { link });
                self.allocations.remove(&client);
                Ok(success.attribute(&Attribute::Lifetime(0)))
            }
            (Method::REFRESH, _) => {
                allocation.until = until;
                Ok(success.attribute(&Attribute::Lifetime(lifetime)))
            }
            (Method::CREATE_PERMISSION, Some(peer)) => {
                allocation.permissions.insert(peer.ip(), now + PERMISSION);
                Ok(success)
            }
            (Method::CHANNEL_BIND, Some(peer)) => {
                let Some(Attribute::ChannelNumber(number)) =
                    message.attribute(AttributeType::CHANNEL_NUMBER)
                else {
                    return Err(400);
                };
                // RFC 8656, 12.2: one peer a number, one number a peer.
                let other = |(known, (address, until)): (&u16, &(SocketAddr, Instant))| {
                    *until > now && (*known == number) != (*address == peer)
                };
                if allocation.channels.iter().any(other) {
                    return Err(400);
                }
                allocation.channels.insert(number, (peer, now + CHANNEL));
                allocation.permissions.insert(peer.ip(), now + PERMISSION);
                Ok(success)
            }
            _ => Err(400),
        }
    }

    /// RFC 8656, 7.2; a request that is repeated gets the same address.
    fn allocate(
        &mut self,
        client: Client,
        until: Instant,
        transaction: TransactionId,
    ) -> Result<SocketAddr, u16> {
        if let Some(known) = self.allocations.get(&client) {
            return match known.transaction == transaction {
                true => Ok(known.address),
                false => Err(437),
            };
        }
        let address = SocketAddr::new(self.address.ip(), self.next_port);
        self.next_port += 1;
        let link = self.open(Open::Udp {
            bind: address,
            class: Traffic::Voice,
            multicast: None,
        });
        let allocation = Allocation {
            link,
            address,
            transaction,
            until,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
        };
        self.allocations.insert(client, allocation);
        self.granted += 1;
        Ok(address)
    }

    /// RFC 8656, 11.2 and 12.6: who has no permission hears nothing.
    fn send(&mut self, now: Instant, client: Client, peer: SocketAddr, data: &[u8]) {
        let Some(allocation) = self.allocations.get(&client) else {
            return;
        };
        let may = allocation.permissions.get(&peer.ip());
        if allocation.until > now && may.is_some_and(|until| *until > now) {
            self.relayed += 1;
            self.out.push_back(Output::Transmit {
                link: allocation.link,
                from: None,
                to: peer,
                payload: Bytes::copy_from_slice(data),
            });
        }
    }

    fn channel_data(&mut self, now: Instant, client: Client, mut bytes: &[u8]) {
        if bytes.len() < 4 {
            return;
        }
        let (number, length) = (bytes.get_u16(), usize::from(bytes.get_u16()));
        let channel = self
            .allocations
            .get(&client)
            .and_then(|allocation| allocation.channels.get(&number).copied());
        if let (Some((peer, until)), Some(data)) = (channel, bytes.get(..length))
            && until > now
        {
            self.send(now, client, peer, data);
        }
    }

    /// A peer has sent something to an address that we lend.
    fn heard(&mut self, now: Instant, link: LinkId, peer: SocketAddr, data: &[u8]) {
        let found = self
            .allocations
            .iter()
            .find(|(_, allocation)| allocation.link == link);
        let Some((&client, allocation)) = found else {
            return;
        };
        let may = allocation.permissions.get(&peer.ip());
        if allocation.until <= now || may.is_none_or(|until| *until <= now) {
            return;
        }
        let channel = allocation
            .channels
            .iter()
            .find(|(_, (address, until))| *address == peer && *until > now);
        let payload = match channel {
            Some((&number, _)) => {
                let mut framed = BytesMut::new();
                framed.put_u16(number);
                framed.put_u16(data.len() as u16);
                framed.put_slice(data);
                if matches!(client, Client::Stream(..)) {
                    framed.put_bytes(0, data.len().next_multiple_of(4) - data.len());
                }
                framed.freeze()
            }
            None => Writer::new(
                Class::Indication,
                Method::DATA,
                TransactionId([self.nonce as u8; 12]),
            )
            .attribute(&Attribute::XorPeerAddress(peer))
            .attribute(&Attribute::Data(data))
            .finish(),
        };
        self.relayed += 1;
        self.say(client, payload);
    }

    fn bytes(&mut self, now: Instant, link: LinkId, bytes: &[u8]) {
        let more = bytes.len() as u32;
        self.out.push_back(Output::Receive { link, more });
        let Some((peer, buffer)) = self.streams.get_mut(&link) else {
            return;
        };
        let client = Client::Stream(link, *peer);
        buffer.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while buffer.len() >= 4 {
            let length = usize::from(u16::from_be_bytes([buffer[2], buffer[3]]));
            // RFC 8489, 6.2.2 and RFC 8656, 12.5.
            let length = match buffer[0] >> 6 {
                0 => 20 + length,
                _ => 4 + length.next_multiple_of(4),
            };
            if buffer.len() < length {
                break;
            }
            whole.push(buffer.split_to(length));
        }
        for message in whole {
            self.message(now, client, &message);
        }
    }
}

impl Client {
    const fn address(self) -> SocketAddr {
        match self {
            Self::Datagrams(address) | Self::Stream(_, address) => address,
        }
    }
}

fn answer(message: &Message<'_>, class: Class) -> Writer {
    Writer::new(class, message.method(), message.transaction())
}

fn refusal(message: &Message<'_>, code: u16) -> Writer {
    let reason = "";
    answer(message, Class::Error).attribute(&Attribute::ErrorCode(ErrorCode { code, reason }))
}

impl Node for TurnServer {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Datagram {
                link,
                from,
                payload,
                ..
            } => match link == LinkId::from_parts(0, 0) {
                true => self.message(now, Client::Datagrams(from), &payload),
                false => self.heard(now, link, from, &payload),
            },
            Input::Accepted {
                connection, peer, ..
            } => {
                let link = LinkId::from_parts(0, self.links);
                self.links += 1;
                self.streams.insert(link, (peer, BytesMut::new()));
                self.out.push_back(Output::Adopt { connection, link });
            }
            Input::Bytes { link, payload } => self.bytes(now, link, &payload),
            Input::Closed { link, .. } => {
                if let Some((peer, _)) = self.streams.remove(&link)
                    && let Some(lent) = self.allocations.remove(&Client::Stream(link, peer))
                {
                    let link = lent.link;
                    self.out.push_back(Output::Close { link });
                }
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        None
    }
}

const REALM: &str = "relay";
/// Of addresses that are lent.
const FIRST_PORT: u16 = 49_152;
/// RFC 8656, 9.
const PERMISSION: Duration = Duration::from_secs(300);
/// RFC 8656, 12.
const CHANNEL: Duration = Duration::from_secs(600);
