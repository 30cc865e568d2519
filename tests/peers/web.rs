//! WebSockets as they are seen on the wire (RFC 6455, 5.2; RFC 7118), read without the library that is
//! tested.

use crate::message::Message;

/// One thing that stands in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A request for a WebSocket, or the answer to it.
    Head(String),
    /// A frame with a SIP message.
    Message(Message),
    Ping,
    Pong,
    /// Any other frame: a sign of life of SIP, an end.
    Other,
}

/// Reads what a stream begins with, and says how many bytes it has; `None` if more must come.
pub(crate) fn unit(bytes: &[u8]) -> Option<(Unit, usize)> {
    if bytes.starts_with(b"GET ") || bytes.starts_with(b"HTTP/") {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        return Some((Unit::Head(head), end));
    }
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (at, length) = match second & 0x7f {
        126 => (
            4,
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let (mask, at) = match second & 0x80 {
        0 => ([0; 4], at),
        _ => (bytes.get(at..at + 4)?.try_into().ok()?, at + 4),
    };
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    let masked = bytes.get(at..end)?.iter().zip(mask.iter().cycle());
    let payload: Vec<u8> = masked.map(|(byte, mask)| byte ^ mask).collect();
    let unit = match first & 0x0f {
        1 | 2 => Message::of_datagram(&payload).map_or(Unit::Other, Unit::Message),
        9 => Unit::Ping,
        10 => Unit::Pong,
        _ => Unit::Other,
    };
    Some((unit, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_frames_stand_one_behind_the_other() {
        let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let message = b"SIP/2.0 200 OK\r\n\r\n";
        let mut bytes = head.to_vec();
        bytes.extend([0x89, 0, 0x81, 0x80 | message.len() as u8, 1, 2, 3, 4]);
        let masked = message.iter().zip([1, 2, 3, 4].into_iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        let mut rest = &bytes[..];
        let mut units = Vec::new();
        while let Some((unit, length)) = unit(rest) {
            units.push(unit);
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        let [Unit::Head(_), Unit::Ping, Unit::Message(seen)] = &units[..] else {
            panic!("{units:?}");
        };
        assert_eq!(seen.status(), Some(200));
        assert_eq!(unit(&bytes[head.len() + 2..bytes.len() - 1]), None);
    }
}
