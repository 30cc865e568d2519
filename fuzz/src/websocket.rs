//! WebSockets: what comes out does not depend on how the stream is cut, and no server breaks the client.

use bytes::Bytes;
use sipsimple::{
    base::Rng,
    websocket::{Heard, MAX_MESSAGE, WebSocket},
};

/// Takes the first byte as the length of pieces, and whether the rest begins with the server's response
/// or follows a good one; feeds it whole and in pieces, and compares.
///
/// # Panics
/// The outcomes differ, a message is above the limit, or something is heard after the end.
pub fn websocket(data: &[u8]) {
    let Some((&first, stream)) = data.split_first() else {
        return;
    };
    let (is_open, size) = (first & 0x80 != 0, usize::from(first & 0x7f).max(1));
    let whole = run(is_open, stream, stream.len().max(1));
    assert_eq!(run(is_open, stream, size), whole);
}

fn run(is_open: bool, stream: &[u8], size: usize) -> (Vec<Heard>, usize) {
    let host = "example.com".parse().expect("a host");
    let mut socket = WebSocket::new(&host, "/", Rng::from_seed([0; 32]));
    if is_open {
        assert_eq!(socket.receive(RESPONSE.as_bytes()), [Heard::Opened]);
    }
    socket.take_bytes();
    let mut heard = Vec::new();
    let mut sent = 0;
    for piece in stream.chunks(size) {
        let news = socket.receive(piece);
        assert!(news.is_empty() || !matches!(heard.last(), Some(Heard::Over(_))));
        heard.extend(news);
        sent += socket.take_bytes().as_ref().map_or(0, Bytes::len);
    }
    for heard in &heard {
        if let Heard::Message(message) = heard {
            assert!(message.len() <= MAX_MESSAGE.min(stream.len()));
        }
    }
    (heard, sent)
}

/// What RFC 6455, 4.2.2 makes of the key that the seed draws.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: QLtdVTTdo4rOXuvddi/NYKDi0R8=\r\n\
    Sec-WebSocket-Protocol: sip\r\n\r\n";
