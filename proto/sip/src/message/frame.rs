//! Cutting messages out of streams, and telling them from the noise of everyday.

use super::{
    MAX_BODY, MAX_HEAD,
    line::{find_line_end, next_line},
};
use crate::{ErrorKind, HeaderName, ParseError};
use base::scan::{is_token, number};
use bytes::{Buf, Bytes, BytesMut};

/// Cuts the messages out of one stream (RFC 3261, 18.3).
///
/// Feed it with [`push`](Self::push) what arrives, cut anywhere, then call [`poll`](Self::poll) until it says
/// nothing. What it says does not depend on where the stream was cut. It has no timer: the owner of the
/// connection decides how long a slow sender may take.
///
/// It holds at most the longest head and body ([`MAX_HEAD`], [`MAX_BODY`]) and what the last `push` brought.
/// Messages are copies of their own, so that none pins the buffer.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    state: State,
}

/// What a stream carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// One message with its body; not parsed but as far as to find its length.
    Message(Bytes),
    /// Two line ends: the peer wants to know whether the connection lives (RFC 5626, 4.4.1). Answer CRLF.
    ///
    /// It comes behind a [`Pong`](Self::Pong) for the first of the two, since nobody can know that another follows.
    Ping,
    /// A line end: the answer to a ping of ours, if one is open.
    Pong,
}

/// Why nothing more can be read from a stream: where the next message begins is unknown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// SIP, but not to be framed: if [`salvage`](super::salvage()) makes something of `head`, answer
    /// [`error.status()`](ParseError::status), then close.
    #[error("{error}")]
    Message {
        /// What is wrong.
        error: ParseError,
        /// Start line and headers, as far as they came.
        head: Bytes,
    },
    /// Not SIP: close without a word.
    #[error("noise: {0:?}")]
    Noise(Noise),
}

/// What arrives on SIP ports and is not SIP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Noise {
    /// A datagram without a byte.
    Empty,
    /// Nothing but line ends: keeps a NAT binding alive.
    LineEnds,
    /// Nothing but zeros: the same, as some proxies do it.
    Zeros,
    /// STUN (RFC 8489): a keep-alive that wants an answer, where this side is asked to give one.
    Stun,
    /// A TLS record: somebody mistook the port.
    Tls,
    /// HTTP: somebody mistook the protocol.
    Http,
    /// Anything else.
    Garbage,
}

#[derive(Debug, Default)]
enum State {
    /// Between messages; `line_end`: an odd number of line ends came since the last one.
    #[default]
    Between,
    LineEnd,
    /// Inside start line and headers, of which so many bytes were looked at.
    Head {
        scanned: usize,
        start_line_seen: bool,
    },
    /// Waiting for a message of so many bytes.
    Body {
        total: usize,
    },
    /// An error was reported.
    Dead,
}

impl Framer {
    /// Makes a framer for a fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what arrived; after an error it is thrown away.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Dead) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// How many bytes are held.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Says what the stream carries; `None` if more must arrive first, and for ever after an error.
    ///
    /// # Errors
    ///
    /// See [`FrameError`].
    pub fn poll(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            match self.state {
                State::Between | State::LineEnd => match self.buffer[..] {
                    [b'\r', b'\n', ..] => {
                        self.buffer.advance(2);
                        let second = matches!(self.state, State::LineEnd);
                        self.state = if second {
                            State::Between
                        } else {
                            State::LineEnd
                        };
                        return Ok(Some(if second { Frame::Ping } else { Frame::Pong }));
                    }
                    // RFC 3261, 7.5, and some end lines with LF only.
                    [b'\n', ..] => self.buffer.advance(1),
                    [] | [b'\r'] => return Ok(None),
                    [first, ..] => {
                        if let Some(noise) = noise_by_first_byte(first) {
                            return Err(self.die_of_noise(noise));
                        }
                        self.state = State::Head {
                            scanned: 0,
                            start_line_seen: false,
                        };
                    }
                },
                State::Head {
                    scanned,
                    start_line_seen,
                } => match self.scan_head(scanned, start_line_seen)? {
                    true => {}
                    false => return Ok(None),
                },
                State::Body { total } => {
                    if self.buffer.len() < total {
                        return Ok(None);
                    }
                    let message = Bytes::copy_from_slice(&self.buffer[..total]);
                    self.buffer.advance(total);
                    if self.buffer.is_empty() && self.buffer.capacity() > USUAL_BUFFER {
                        self.buffer = BytesMut::new();
                    }
                    self.state = State::Between;
                    return Ok(Some(Frame::Message(message)));
                }
                State::Dead => return Ok(None),
            }
        }
    }

    /// Looks for the end of the head from `at` on; false if it has not arrived.
    fn scan_head(&mut self, mut at: usize, mut start_line_seen: bool) -> Result<bool, FrameError> {
        let limit = self.buffer.len().min(MAX_HEAD);
        while let Some(len) = self.buffer[at..limit].iter().position(|&b| b == b'\n') {
            let line_end = at + len;
            if !start_line_seen {
                if let Some(noise) = noise_by_line(&self.buffer[..line_end]) {
                    return Err(self.die_of_noise(noise));
                }
                start_line_seen = true;
            }
            let empty = match self.buffer[line_end + 1..limit] {
                [b'\n', ..] => Some(1),
                [b'\r', b'\n', ..] => Some(2),
                // What follows decides, and has not arrived.
                [] | [b'\r'] if self.buffer.len() < MAX_HEAD => {
                    self.state = State::Head {
                        scanned: line_end,
                        start_line_seen,
                    };
                    return Ok(false);
                }
                _ => None,
            };
            if let Some(empty) = empty {
                let head = line_end + 1 + empty;
                let length =
                    content_length(&self.buffer[..head]).map_err(|error| self.die(error, head))?;
                self.state = State::Body {
                    total: head + length,
                };
                return Ok(true);
            }
            at = line_end + 1;
        }
        if self.buffer.len() >= MAX_HEAD {
            let error = ParseError::new(ErrorKind::HeadTooLarge, "length of the headers", MAX_HEAD);
            return Err(self.die(error, MAX_HEAD));
        }
        self.state = State::Head {
            scanned: limit,
            start_line_seen,
        };
        Ok(false)
    }

    fn die(&mut self, error: ParseError, head: usize) -> FrameError {
        let head = Bytes::copy_from_slice(&self.buffer[..head]);
        self.end();
        FrameError::Message { error, head }
    }

    fn die_of_noise(&mut self, noise: Noise) -> FrameError {
        self.end();
        FrameError::Noise(noise)
    }

    fn end(&mut self) {
        self.state = State::Dead;
        self.buffer = BytesMut::new();
    }
}

/// Tells a datagram of a SIP port from everyday noise; `None` if it may be SIP.
pub fn noise(datagram: &[u8]) -> Option<Noise> {
    let Some(&first) = datagram.first() else {
        return Some(Noise::Empty);
    };
    if datagram.iter().all(|&b| b == 0) {
        return Some(Noise::Zeros);
    }
    let Some(start) = datagram.iter().position(|&b| !matches!(b, b'\r' | b'\n')) else {
        return Some(Noise::LineEnds);
    };
    // RFC 5626, 8 and RFC 8489, 5: two zero bits, then the cookie; older STUN has a length that fits.
    let stun = first & 0xc0 == 0
        && datagram.len() >= 20
        && (datagram[4..8] == [0x21, 0x12, 0xa4, 0x42]
            || (first < 2
                && usize::from(u16::from_be_bytes([datagram[2], datagram[3]])) + 20
                    == datagram.len()));
    if stun {
        return Some(Noise::Stun);
    }
    if let Some(noise) = noise_by_first_byte(datagram[start]) {
        return Some(noise);
    }
    let line = datagram[start..]
        .split(|&b| b == b'\n')
        .next()
        .unwrap_or_default();
    // RFC 4475, 3.1.2.16 and others: a start line that is wrong still wants its 400, so only HTTP is told apart.
    noise_by_line(line).filter(|noise| *noise == Noise::Http)
}

fn noise_by_first_byte(first: u8) -> Option<Noise> {
    match first {
        0x16 => Some(Noise::Tls),
        0..=3 => Some(Noise::Stun),
        _ if !is_token(first) => Some(Noise::Garbage),
        _ => None,
    }
}

fn noise_by_line(line: &[u8]) -> Option<Noise> {
    let has = |text: &[u8]| {
        line.windows(text.len())
            .any(|window| window.eq_ignore_ascii_case(text))
    };
    if has(b"SIP/") {
        None
    } else if has(b"HTTP/") {
        Some(Noise::Http)
    } else {
        Some(Noise::Garbage)
    }
}

/// Finds Content-Length among the headers, which end with an empty line.
fn content_length(head: &[u8]) -> Result<usize, ParseError> {
    let mut found = None;
    let mut at = find_line_end(head, 0)?.next;
    while at < head.len() {
        let Ok(line) = next_line(head, at) else {
            // Not a header. The message can still be framed, and is answered when it is parsed.
            at = find_line_end(head, at)?.next;
            continue;
        };
        let Some(line) = line else { break };
        at = line.next;
        if line.received.known != Some(HeaderName::ContentLength) {
            continue;
        }
        let value = head[line.received.value..line.received.value_end].trim_ascii();
        let start = line.received.start;
        let length = number(value, u64::from(u32::MAX));
        let length =
            length.map_err(|error| ParseError::number(error, "Content-Length", start))? as usize;
        if length > MAX_BODY {
            return Err(ParseError::new(ErrorKind::BodyTooLarge, "body", start));
        }
        if found.replace(length).is_some_and(|old| old != length) {
            return Err(ParseError::new(
                ErrorKind::Repeated,
                "Content-Length",
                start,
            ));
        }
    }
    // RFC 3261, 18.3: mandatory on streams.
    found.ok_or(ParseError::new(ErrorKind::Missing, "Content-Length", 0))
}

/// An idle connection keeps no larger buffer.
const USUAL_BUFFER: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 5\r\n\r\nhello";

    fn run(chunks: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            loop {
                match framer.poll() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => {
                        framer.push(MESSAGE);
                        assert_eq!(framer.poll(), Ok(None), "dead after an error");
                        assert_eq!(framer.buffered(), 0);
                        return (frames, Some(error));
                    }
                }
            }
        }
        (frames, None)
    }

    fn error_of(stream: &[u8]) -> FrameError {
        run(&[stream]).1.expect("an error")
    }

    fn kind_of(stream: &[u8]) -> ErrorKind {
        match error_of(stream) {
            FrameError::Message { error, .. } => error.kind,
            FrameError::Noise(noise) => panic!("{noise:?}"),
        }
    }

    #[test]
    fn messages_pings_and_pongs() {
        let stream = [
            b"\r\n\r\n",
            MESSAGE,
            MESSAGE,
            b"\r\n",
            MESSAGE,
            b"\n\n\r\n\r\n\r\n",
        ]
        .concat();
        let message = Frame::Message(Bytes::from_static(MESSAGE));
        let expected = vec![
            Frame::Pong,
            Frame::Ping,
            message.clone(),
            message.clone(),
            Frame::Pong,
            message,
            Frame::Pong,
            Frame::Ping,
            Frame::Pong,
        ];
        assert_eq!(run(&[&stream]), (expected, None));
    }

    #[test]
    fn a_message_waits_for_its_body() {
        let (frames, error) = run(&[&MESSAGE[..MESSAGE.len() - 1]]);
        assert_eq!((frames, error), (vec![], None));
    }

    #[test]
    fn length_is_folded_compact_doubled_and_never_guessed() {
        let framed = |head: &str| {
            run(&[format!("OPTIONS sip:a@b SIP/2.0\r\n{head}\r\n\r\nhello").as_bytes()])
                .0
                .len()
        };
        assert_eq!(framed("Content-Length:\r\n 5"), 1);
        assert_eq!(framed("CONTENT-LENGTH \t: 0005 "), 1);
        assert_eq!(framed("l: 5\r\nContent-Length: 5"), 1);
        assert_eq!(framed("no header\r\nl: 5"), 1);
        let kind =
            |head: &str| kind_of(format!("OPTIONS sip:a@b SIP/2.0\r\n{head}\r\n\r\n").as_bytes());
        assert_eq!(kind("To: x"), ErrorKind::Missing);
        assert_eq!(kind("l: 5\r\nl: 6"), ErrorKind::Repeated);
        assert_eq!(kind("l: -1"), ErrorKind::Syntax);
        assert_eq!(kind("l: 1\r\n 2"), ErrorKind::Syntax);
        assert_eq!(kind("l: 1048577"), ErrorKind::BodyTooLarge);
        assert_eq!(kind("l: 99999999999999999999999"), ErrorKind::OutOfRange);
    }

    #[test]
    fn the_head_comes_back_for_an_answer() {
        let stream = b"OPTIONS sip:a@b SIP/2.0\r\nTo: x\r\n\r\nmore";
        let FrameError::Message { head, error } = error_of(stream) else {
            panic!("an error of a message");
        };
        assert_eq!(head, stream[..stream.len() - 4]);
        assert_eq!(error.status(), crate::Status::BAD_REQUEST);
    }

    #[test]
    fn a_head_ends_within_its_limit() {
        let head = |len: usize| {
            let mut head = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\nX: ".to_vec();
            head.resize(len - 4, b'x');
            head.extend_from_slice(b"\r\n\r\n");
            head
        };
        assert_eq!(run(&[&head(MAX_HEAD)]).0.len(), 1);
        assert_eq!(kind_of(&head(MAX_HEAD + 1)), ErrorKind::HeadTooLarge);
        assert_eq!(kind_of(&head(MAX_HEAD + 3)), ErrorKind::HeadTooLarge);
    }

    #[test]
    fn a_slow_sender_costs_no_more_than_the_limit_and_no_time() {
        let mut framer = Framer::new();
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\nX: ");
        for sent in 0..MAX_HEAD {
            framer.push(b"x");
            match framer.poll() {
                Ok(frame) => assert_eq!(frame, None),
                Err(_) => {
                    assert_eq!(sent + 29, MAX_HEAD);
                    return;
                }
            }
        }
        panic!("no limit");
    }

    #[test]
    fn noise_on_a_stream() {
        for (stream, noise) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], Noise::Http),
            (b"\x16\x03\x01\x02\x00\x01", Noise::Tls),
            (b"\x00\x01\x00\x00\x21\x12\xa4\x42", Noise::Stun),
            (b"\x80junk", Noise::Garbage),
            (b"EHLO example.com\r\n", Noise::Garbage),
        ] {
            assert_eq!(error_of(stream), FrameError::Noise(noise));
        }
    }

    #[test]
    fn noise_in_datagrams() {
        let mut stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42".to_vec();
        stun.extend_from_slice(&[7; 12]);
        let mut old_stun = b"\x00\x01\x00\x04".to_vec();
        old_stun.extend_from_slice(&[7; 20]);
        for (datagram, expected) in [
            (&b""[..], Some(Noise::Empty)),
            (b"\r\n\r\n", Some(Noise::LineEnds)),
            (b"\r\n", Some(Noise::LineEnds)),
            (b"\0\0\0\0", Some(Noise::Zeros)),
            (&stun, Some(Noise::Stun)),
            (&old_stun, Some(Noise::Stun)),
            (b"\x16\x03\x01", Some(Noise::Tls)),
            (b"GET / HTTP/1.1\r\n\r\n", Some(Noise::Http)),
            (b"<xml/>", Some(Noise::Garbage)),
            (b"\r\nOPTIONS sip:a@b SIP/2.0\r\n", None),
            (b"INVITE sip:a@b\r\n", None),
        ] {
            assert_eq!(noise(datagram), expected, "{datagram:?}");
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                MESSAGE, b"\r\n", b"\n", b"OPTIONS sip:a@b SIP/2.0\nl:0\n\n", b"BYE sip:a SIP/2.0\r\nl: 3\n\r\n\r\n\r", b"\x16",
            ]), 0..8),
            cuts in proptest::collection::vec(0usize..200, 0..12),
        ) {
            let stream = pieces.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(run(&chunks), run(&[&stream]));
        }
    }
}
