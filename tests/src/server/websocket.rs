//! A SIP server behind a WebSocket (RFC 6455, RFC 7118): frames by hand, and misbehaving on demand.

use base::{Deadline, Key as _};
use bytes::{Bytes, BytesMut};
use data_encoding::BASE64;
use sha1::{Digest as _, Sha1};
use sip::Message;
use sipsimple::agent::{Class, Input, LinkId, Open, Output};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};

use crate::node::Node;

type Answer = Box<dyn FnMut(&Message) -> Vec<Bytes>>;

/// A server that takes WebSockets and answers each message as the test says.
pub struct WebServer {
    sockets: BTreeMap<LinkId, Socket>,
    links: u32,
    answer: Answer,
    received: Vec<Bytes>,
    /// Requests for a WebSocket, as they came.
    requests: Vec<String>,
    refusal: Option<&'static str>,
    pongs: usize,
    out: VecDeque<Output>,
}

#[derive(Debug, Default)]
struct Socket {
    is_open: bool,
    buffer: BytesMut,
}

impl std::fmt::Debug for WebServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebServer")
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

impl WebServer {
    /// Listens on `bind`, an address of its host.
    pub fn new(bind: SocketAddr, answer: impl FnMut(&Message) -> Vec<Bytes> + 'static) -> Self {
        let mut server = Self {
            sockets: BTreeMap::new(),
            links: 0,
            answer: Box::new(answer),
            received: Vec::new(),
            requests: Vec::new(),
            refusal: None,
            pongs: 0,
            out: VecDeque::new(),
        };
        let link = server.next_link();
        let class = Class::Signalling;
        let how = Open::Listen { bind, class };
        server.out.push_back(Output::Open { link, how });
        server
    }

    /// Refuses WebSockets from now on with this status line, or takes them again.
    pub fn set_refusal(&mut self, refusal: Option<&'static str>) {
        self.refusal = refusal;
    }

    /// What came so far, one for each message.
    pub fn take_received(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.received)
    }

    /// The handshakes so far.
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// How many pings were answered.
    pub const fn pongs(&self) -> usize {
        self.pongs
    }

    /// Sends one message to every client, cut into frames of at most `longest` bytes, with a ping
    /// between them.
    pub fn send(&mut self, message: &[u8], longest: usize) {
        let mut bytes = Vec::new();
        let pieces: Vec<&[u8]> = message.chunks(longest).collect();
        for (n, piece) in pieces.iter().enumerate() {
            let is_last = n + 1 == pieces.len();
            let opcode = if n == 0 { 0x1 } else { 0x0 };
            frame(&mut bytes, opcode | if is_last { 0x80 } else { 0 }, piece);
            if !is_last {
                frame(&mut bytes, 0x89, b"alive?");
            }
        }
        self.send_raw(bytes);
    }

    /// Closes every WebSocket in order, with a code.
    pub fn close(&mut self, code: u16) {
        let mut bytes = Vec::new();
        frame(&mut bytes, 0x88, &code.to_be_bytes());
        self.send_raw(bytes);
    }

    /// Sends these very bytes to every client.
    pub fn send_raw(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let open = self.sockets.iter().filter(|(_, socket)| socket.is_open);
        let links: Vec<LinkId> = open.map(|(link, _)| *link).collect();
        for link in links {
            self.write(link, bytes.clone());
        }
    }

    fn write(&mut self, link: LinkId, payload: Bytes) {
        self.out.push_back(Output::Write { link, payload });
    }

    fn next_link(&mut self) -> LinkId {
        self.links += 1;
        LinkId::from_parts(0, self.links)
    }

    fn bytes(&mut self, link: LinkId, payload: &[u8]) {
        let more = payload.len() as u32;
        self.out.push_back(Output::Receive { link, more });
        let Some(socket) = self.sockets.get_mut(&link) else {
            return;
        };
        socket.buffer.extend_from_slice(payload);
        if !socket.is_open {
            self.shake_hands(link);
        }
        while let Some((first, payload)) = self.next_frame(link) {
            self.take(link, first, payload);
        }
    }

    /// RFC 6455, 4.2.2
    fn shake_hands(&mut self, link: LinkId) {
        let Some(socket) = self.sockets.get_mut(&link) else {
            return;
        };
        let end = socket
            .buffer
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        let Some(end) = end else { return };
        let request = socket.buffer.split_to(end + 4);
        let request = String::from_utf8_lossy(&request).into_owned();
        let lines = request.lines();
        let key = lines.filter_map(|line| line.split_once(": "));
        let key = key.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let key = key.map(|(_, value)| value.to_owned()).next();
        let response = match (self.refusal, key) {
            (None, Some(key)) => {
                socket.is_open = true;
                let mut hash = Sha1::new();
                hash.update(key);
                hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
                format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
                     Sec-WebSocket-Protocol: sip\r\n\r\n",
                    BASE64.encode(&hash.finalize())
                )
            }
            (refusal, _) => format!(
                "HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n",
                refusal.unwrap_or("400 Bad Request")
            ),
        };
        self.requests.push(request);
        self.write(link, response.into());
    }

    /// RFC 6455, 5.2: what a client sends is masked.
    fn next_frame(&mut self, link: LinkId) -> Option<(u8, Bytes)> {
        let socket = self
            .sockets
            .get_mut(&link)
            .filter(|socket| socket.is_open)?;
        let buffer = &mut socket.buffer;
        let (&first, &second) = (buffer.first()?, buffer.get(1)?);
        assert!(second & 0x80 != 0, "a frame of a client that is not masked");
        let (at, length) = match second & 0x7f {
            126 => {
                let length = buffer.get(2..4)?;
                (4, usize::from(u16::from_be_bytes([length[0], length[1]])))
            }
            127 => {
                let length = buffer.get(2..10)?.try_into().ok()?;
                (10, u64::from_be_bytes(length) as usize)
            }
            short => (2, usize::from(short)),
        };
        if buffer.len() < at + 4 + length {
            return None;
        }
        let frame = buffer.split_to(at + 4 + length);
        let (mask, masked) = frame[at..].split_at(4);
        let payload = masked.iter().zip(mask.iter().cycle());
        let payload: Vec<u8> = payload.map(|(byte, mask)| byte ^ mask).collect();
        Some((first, payload.into()))
    }

    fn take(&mut self, link: LinkId, first: u8, payload: Bytes) {
        match first {
            // One SIP message in one frame.
            0x81 | 0x82 => {
                let answers = match Message::parse(payload.clone()) {
                    Ok(message) => (self.answer)(&message),
                    // RFC 5626, 4.4.1: line ends.
                    Err(_) if payload == "\r\n\r\n" => vec![Bytes::from_static(b"\r\n")],
                    Err(_) => Vec::new(),
                };
                self.received.push(payload);
                for answer in answers {
                    let mut bytes = Vec::new();
                    frame(&mut bytes, 0x81, &answer);
                    self.write(link, bytes.into());
                }
            }
            0x8a => self.pongs += 1,
            0x88 => {
                self.sockets.remove(&link);
                self.out.push_back(Output::Finish { link });
            }
            first => panic!("a frame of a client that begins with {first:#x}"),
        }
    }
}

impl Node for WebServer {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Accepted { connection, .. } => {
                let link = self.next_link();
                self.sockets.insert(link, Socket::default());
                self.out.push_back(Output::Adopt { connection, link });
            }
            Input::Bytes { link, payload } => self.bytes(link, &payload),
            Input::Closed { link, .. } => {
                self.sockets.remove(&link);
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

/// A frame of a server: not masked.
fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}
