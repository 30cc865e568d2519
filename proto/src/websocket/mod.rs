//! WebSockets as machines of bytes (RFC 6455), the client's side, for SIP (RFC 7118).
//!
//! One SIP message is one WebSocket message. No extension is offered, so none is in use.

mod frame;
mod handshake;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use handshake::accept;

use base::{HostPort, Rng};
use bytes::{Bytes, BytesMut};
use frame::{Cutter, Opcode};
use handshake::{Expected, MAX_RESPONSE, Refused};
use std::collections::VecDeque;

/// Why a WebSocket was closed (RFC 6455, 7.4), or refused: then the status of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// In order.
    pub const NORMAL: Self = Self(1000);
    /// The server or the page goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// What came is no WebSocket.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A close frame without a code; never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// A message above the limit.
    pub const TOO_BIG: Self = Self(1009);
}

/// What a WebSocket heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The server speaks SIP by WebSockets: messages can be written.
    Opened,
    /// One message, whatever its frames were.
    Message(Bytes),
    /// Nothing follows; `None` if it was closed in order.
    Over(Option<CloseCode>),
}

/// The client's side of one WebSocket.
///
/// Feed it what comes by [`receive`](Self::receive), messages by [`write`](Self::write), and the levels
/// of what went out by [`sent`](Self::sent); take what to send by [`take_bytes`](Self::take_bytes) after
/// each. It has no timers: who opened the link bounds the handshake and knows when it is idle.
///
/// It holds at most one message of [`MAX_MESSAGE`] bytes and what the last `receive` brought.
#[derive(Debug)]
pub struct WebSocket {
    state: State,
    cutter: Cutter,
    /// The frames of the message that is coming, if it has begun.
    message: Option<BytesMut>,
    rng: Rng,
    out: Vec<u8>,
    outgoing: Outgoing,
}

#[derive(PartialEq, Eq, Debug)]
enum State {
    Opening(Expected),
    Open,
    /// Our close frame is out, theirs is awaited.
    Closing,
    Over,
}

/// Levels of what was written: bytes that the system takes are messages that it has taken.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: u64,
    /// What the system has taken of them.
    taken: u64,
    messages: u64,
    /// Where in the bytes which level of messages ends; at most one for each message that the system has
    /// not taken.
    ends: VecDeque<(u64, u64)>,
}

impl WebSocket {
    /// Asks the server at `host` for a WebSocket at `path`.
    pub fn new(host: &HostPort, path: &str, mut rng: Rng) -> Self {
        let (expected, request) = handshake::request(host, path, &mut rng);
        Self {
            state: State::Opening(expected),
            cutter: Cutter::default(),
            message: None,
            rng,
            out: request.into_bytes(),
            outgoing: Outgoing::default(),
        }
    }

    /// Takes what came; says what is in it, in order.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        if self.state == State::Over {
            return heard;
        }
        self.cutter.push(bytes);
        if let State::Opening(expected) = &self.state {
            // What follows the response is bounded by what one `receive` brings.
            let response = &self.cutter.rest()[..];
            let response = &response[..response.len().min(MAX_RESPONSE)];
            match expected.read(response) {
                Ok(None) => return heard,
                Ok(Some(length)) => {
                    let _ = self.cutter.rest().split_to(length);
                    self.state = State::Open;
                    heard.push(Heard::Opened);
                }
                Err(Refused(code)) => {
                    self.state = State::Over;
                    heard.push(Heard::Over(Some(CloseCode(code))));
                    return heard;
                }
            }
        }
        while self.state != State::Over {
            let room = MAX_MESSAGE - self.message.as_ref().map_or(0, BytesMut::len);
            match self.cutter.poll(room) {
                Ok(Some(frame)) => self.take(frame, &mut heard),
                Ok(None) => break,
                Err(code) => self.fail(code, &mut heard),
            }
        }
        heard
    }

    fn take(&mut self, frame: frame::Frame, heard: &mut Vec<Heard>) {
        let payload = frame.payload;
        match (frame.opcode, &mut self.message) {
            (Opcode::Ping, _) => {
                // RFC 6455, 5.5.3: who asks faster than it reads need not have every answer.
                let waiting = self.outgoing.bytes - self.outgoing.taken + self.out.len() as u64;
                if self.state == State::Open && waiting < MAX_WAITING {
                    self.frame(Opcode::Pong, &payload);
                }
            }
            (Opcode::Pong, _) => {}
            (Opcode::Close, _) => self.closed(&payload, heard),
            // RFC 6455, 5.4: a message ends before the next begins.
            (Opcode::Text | Opcode::Binary, Some(_)) | (Opcode::Continuation, None) => {
                self.fail(CloseCode::PROTOCOL_ERROR, heard);
            }
            // A text that is no UTF-8 is a SIP message with another body: RFC 6455, 8.1 would close the
            // connection, which helps nobody. What SIP makes of it decides.
            (Opcode::Text | Opcode::Binary, None) => match frame.is_final {
                true => heard.push(Heard::Message(payload)),
                false => self.message = Some(BytesMut::from(&payload[..])),
            },
            (Opcode::Continuation, Some(message)) => {
                message.extend_from_slice(&payload);
                if frame.is_final {
                    let message = self.message.take().unwrap_or_default();
                    heard.push(Heard::Message(message.freeze()));
                }
            }
        }
    }

    /// RFC 6455, 5.5.1: a close frame is answered by one.
    fn closed(&mut self, payload: &[u8], heard: &mut Vec<Heard>) {
        let code = match *payload {
            [] => CloseCode::NO_STATUS,
            [_] => CloseCode::PROTOCOL_ERROR,
            [a, b, ..] => CloseCode(u16::from_be_bytes([a, b])),
        };
        if self.state == State::Open {
            let echo = payload.get(..2).unwrap_or_default().to_vec();
            self.frame(Opcode::Close, &echo);
        }
        self.state = State::Over;
        let is_orderly = matches!(
            code,
            CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS
        );
        heard.push(Heard::Over((!is_orderly).then_some(code)));
    }

    /// RFC 6455, 7.1.7
    fn fail(&mut self, code: CloseCode, heard: &mut Vec<Heard>) {
        if self.state == State::Open {
            self.frame(Opcode::Close, &code.0.to_be_bytes());
        }
        self.state = State::Over;
        heard.push(Heard::Over(Some(code)));
    }

    /// Writes one message: text if it is that, as RFC 7118, 4.2 leaves open. Before the handshake and
    /// after the end there is nobody to write to.
    pub fn write(&mut self, message: &[u8]) {
        if self.state != State::Open {
            return;
        }
        let opcode = match std::str::from_utf8(message) {
            Ok(_) => Opcode::Text,
            Err(_) => Opcode::Binary,
        };
        self.frame(opcode, message);
        let levels = &mut self.outgoing;
        levels.messages += message.len() as u64;
        let end = levels.bytes + self.out.len() as u64;
        levels.ends.push_back((end, levels.messages));
    }

    /// Tells the server that nothing follows.
    pub fn close(&mut self) {
        if self.state == State::Open {
            self.frame(Opcode::Close, &CloseCode::NORMAL.0.to_be_bytes());
            self.state = State::Closing;
        }
    }

    /// Takes what is to be sent.
    pub fn take_bytes(&mut self) -> Option<Bytes> {
        if self.out.is_empty() {
            return None;
        }
        self.outgoing.bytes += self.out.len() as u64;
        Some(std::mem::take(&mut self.out).into())
    }

    /// Takes the level of bytes that the system has taken; returns the level of messages if it rose.
    pub fn sent(&mut self, total: u64) -> Option<u64> {
        let levels = &mut self.outgoing;
        levels.taken = levels.taken.max(total.min(levels.bytes));
        let mut level = None;
        while let Some(&(bytes, messages)) = self.outgoing.ends.front() {
            if bytes > total {
                break;
            }
            level = Some(messages);
            self.outgoing.ends.pop_front();
        }
        level
    }

    /// True when nothing more will be heard.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        // RFC 6455, 5.3: fresh, and not to be guessed.
        let mut mask = [0; 4];
        self.rng.fill(&mut mask);
        frame::write(&mut self.out, opcode, payload, mask);
    }
}

/// Above so many bytes that the system has not taken, pings are not answered.
const MAX_WAITING: u64 = 64 * 1024;
/// The largest message: the longest head of SIP with the longest body.
pub const MAX_MESSAGE: usize = sip::message::MAX_HEAD + sip::message::MAX_BODY;
