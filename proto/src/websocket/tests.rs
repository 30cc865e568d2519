//! Against servers whose bytes are written by hand from RFC 6455, 4.2.2 and 5, and RFC 7118, 8.

use super::*;
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

fn socket() -> (WebSocket, String) {
    let host = "example.com:8080".parse().unwrap();
    let mut socket = WebSocket::new(&host, "/sip", Rng::from_seed([3; 32]));
    let request = String::from_utf8(socket.take_bytes().unwrap().to_vec()).unwrap();
    (socket, request)
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} in {request}")).trim()
}

/// What RFC 6455, 4.2.2 makes of the key, by other means than ours.
fn accept(request: &str) -> String {
    use sha1::{Digest as _, Sha1};
    let text = format!(
        "{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
        header(request, "Sec-WebSocket-Key:")
    );
    let digest = Sha1::digest(text.as_bytes());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = digest.iter().map(|byte| format!("{byte:08b}")).collect();
    let padded = format!("{bits:0<162}");
    let sixes = padded.as_bytes().chunks(6);
    let letters = sixes.map(|six| {
        let six = std::str::from_utf8(six).unwrap();
        char::from(alphabet[usize::from_str_radix(six, 2).unwrap()])
    });
    letters.collect::<String>() + "="
}

fn response(request: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
        accept(request)
    )
}

fn open() -> WebSocket {
    let (mut socket, request) = socket();
    let heard = socket.receive(response(&request).as_bytes());
    assert_eq!(heard, [Heard::Opened]);
    socket
}

/// Takes what a client sent, unmasked.
fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let [first, second, tail @ ..] = rest {
        assert!(second & 0x80 != 0, "a client masks");
        let (length, tail) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([tail[0], tail[1]])),
                &tail[2..],
            ),
            127 => (
                u64::from_be_bytes(tail[..8].try_into().unwrap()) as usize,
                &tail[8..],
            ),
            short => (usize::from(short), tail),
        };
        let (mask, tail) = tail.split_at(4);
        let payload = tail[..length].iter().enumerate();
        let payload = payload.map(|(n, byte)| byte ^ mask[n % 4]).collect();
        frames.push((*first, payload));
        rest = &tail[length..];
    }
    frames
}

fn sent(socket: &mut WebSocket) -> Vec<(u8, Vec<u8>)> {
    let bytes = socket.take_bytes();
    bytes.map(|bytes| frames(&bytes)).unwrap_or_default()
}

fn message(text: &str) -> Heard {
    Heard::Message(Bytes::copy_from_slice(text.as_bytes()))
}

/// RFC 7118, 4.1 and 8.1: what a client asks for.
#[test]
fn rfc_7118_the_handshake_asks_for_the_subprotocol_of_sip() {
    let (_, request) = socket();
    assert!(
        request.starts_with("GET /sip HTTP/1.1\r\nHost: example.com:8080\r\n"),
        "{request}"
    );
    for line in [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Protocol: sip",
        "Sec-WebSocket-Version: 13",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    // 16 bytes in BASE64.
    assert_eq!(header(&request, "Sec-WebSocket-Key:").len(), 24);
    assert!(request.ends_with("\r\n\r\n"));
}

/// RFC 6455, 4.1: each of the six conditions.
#[test]
fn rfc_6455_a_response_that_is_not_as_it_must_be_is_refused() {
    let (_, request) = socket();
    let good = response(&request);
    let loose = good
        .replace("Upgrade: websocket", "uPgRaDe:  WebSocket ")
        .replace("Connection: Upgrade", "Connection: keep-alive, UPGRADE");
    let cases = [
        (good.clone(), None),
        (loose, None),
        (
            good.replace("101 Switching Protocols", "403 Forbidden"),
            Some(403),
        ),
        (good.replace("Upgrade: websocket\r\n", ""), Some(101)),
        (
            good.replace("Upgrade: websocket", "Upgrade: h2c"),
            Some(101),
        ),
        (
            good.replace("Connection: Upgrade", "Connection: close"),
            Some(101),
        ),
        (
            good.replace(&accept(&request), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            Some(101),
        ),
        (
            good.replace("Sec-WebSocket-Protocol: sip\r\n", ""),
            Some(101),
        ),
        (good.replace(": sip", ": chat"), Some(101)),
        (
            good.replace(
                "Upgrade: websocket\r\n",
                "Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
            ),
            Some(101),
        ),
        ("SIP/2.0 400 Bad Request\r\n\r\n".to_owned(), Some(1002)),
        (
            "HTTP/1.1 101 \r\n".to_owned() + &"a: b\r\n".repeat(4_000),
            Some(1002),
        ),
    ];
    for (text, refused) in cases {
        let (mut socket, _) = socket();
        let heard = socket.receive(text.as_bytes());
        let expected = match refused {
            None => Heard::Opened,
            Some(code) => Heard::Over(Some(CloseCode(code))),
        };
        assert_eq!(heard, [expected], "{text}");
        assert_eq!(socket.is_over(), refused.is_some());
    }
}

/// RFC 6455, 5.7: the examples, as a server sends them.
#[test]
fn rfc_6455_frames_of_a_server() {
    let mut socket = open();
    // A text in one frame; the same in two; a ping between them.
    assert_eq!(
        socket.receive(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
        [message("Hello")]
    );
    assert_eq!(socket.receive(&[0x01, 0x03, 0x48, 0x65, 0x6c]), []);
    assert_eq!(socket.receive(&[0x89, 0x02, 0x68, 0x69]), []);
    assert_eq!(sent(&mut socket), [(0x8a, b"hi".to_vec())]);
    assert_eq!(
        socket.receive(&[0x80, 0x02, 0x6c, 0x6f, 0x82, 0x01, 0xff]),
        [
            message("Hello"),
            Heard::Message(Bytes::from_static(&[0xff]))
        ]
    );
    // 256 bytes of binary data; 64 KiB.
    let mut long = vec![0x82, 0x7e, 0x01, 0x00];
    long.extend_from_slice(&[b'x'; 256]);
    assert_eq!(socket.receive(&long), [message(&"x".repeat(256))]);
    let mut longer = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    longer.extend_from_slice(&[b'y'; 65_536]);
    assert_eq!(socket.receive(&longer), [message(&"y".repeat(65_536))]);
    // A pong that nobody asked for.
    assert_eq!(socket.receive(&[0x8a, 0x00]), []);
    assert_eq!(sent(&mut socket), []);
}

#[test]
fn rfc_6455_what_a_server_may_not_send_ends_it() {
    for (bytes, code) in [
        (&[0x81, 0x85, 1, 2, 3, 4, 0x48][..], 1002),
        (&[0xc1, 0x01, 0x48], 1002),
        (&[0x83, 0x00], 1002),
        (&[0x8b, 0x00], 1002),
        // A continuation of nothing; a message in a message.
        (&[0x80, 0x01, 0x48], 1002),
        (&[0x01, 0x01, 0x48, 0x81, 0x01, 0x48], 1002),
        // Control frames are short and whole.
        (&[0x09, 0x00], 1002),
        (&[0x89, 0x7e, 0x00, 0x7e], 1002),
        // In as few bytes as it takes.
        (&[0x81, 0x7e, 0x00, 0x05], 1002),
        (&[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 1002),
        // More than a message of SIP can be, at once and by and by.
        (&[0x81, 0x7f, 0, 0, 0, 0, 0, 0x20, 0, 0], 1009),
        (
            &[0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            1009,
        ),
    ] {
        let mut socket = open();
        let heard = socket.receive(bytes);
        assert_eq!(heard, [Heard::Over(Some(CloseCode(code)))], "{bytes:x?}");
        let close = (0x88, u16::to_be_bytes(code).to_vec());
        assert_eq!(sent(&mut socket), [close], "{bytes:x?}");
        assert_eq!(socket.receive(&[0x81, 0x01, 0x48]), []);
        socket.write(b"OPTIONS");
        assert_eq!(socket.take_bytes(), None);
    }
    let mut socket = open();
    let mut piece = vec![0x01, 0x7f, 0, 0, 0, 0, 0, 0x08, 0, 0];
    piece.extend_from_slice(&vec![0; 512 * 1024]);
    assert_eq!(socket.receive(&piece), []);
    piece[0] = 0x00;
    assert_eq!(socket.receive(&piece), []);
    assert_eq!(
        socket.receive(&piece),
        [Heard::Over(Some(CloseCode::TOO_BIG))]
    );
}

#[test]
fn rfc_6455_the_end_is_answered_and_told() {
    for (close, echo, told) in [
        (&[0x88, 0x02, 0x03, 0xe8][..], &[0x03, 0xe8][..], None),
        (&[0x88, 0x02, 0x03, 0xe9], &[0x03, 0xe9], None),
        (&[0x88, 0x00], &[], None),
        (
            &[0x88, 0x06, 0x03, 0xf3, b'o', b'o', b'p', b's'],
            &[0x03, 0xf3],
            Some(CloseCode(1011)),
        ),
        (&[0x88, 0x01, 0x03], &[], Some(CloseCode::PROTOCOL_ERROR)),
    ] {
        let mut socket = open();
        assert_eq!(socket.receive(close), [Heard::Over(told)]);
        assert_eq!(sent(&mut socket), [(0x88, echo.to_vec())]);
    }
    // Ours: what still comes is heard, and the answer is no second close.
    let mut socket = open();
    socket.close();
    socket.close();
    assert_eq!(sent(&mut socket), [(0x88, vec![0x03, 0xe8])]);
    socket.write(b"late");
    assert_eq!(
        socket.receive(&[0x81, 0x01, 0x48, 0x88, 0x02, 0x03, 0xe8]),
        [message("H"), Heard::Over(None)]
    );
    assert_eq!(socket.take_bytes(), None);
}

#[test]
fn levels_are_those_of_messages() {
    let (mut socket, request) = socket();
    let handshake = request.len() as u64;
    socket.receive(response(&request).as_bytes());
    socket.write(b"REGISTER");
    let first = socket.take_bytes().unwrap().len() as u64;
    socket.write(&[0xff; 300]);
    let second = socket.take_bytes().unwrap();
    assert_eq!(frames(&second)[0].0, 0x82, "what is no text is binary");
    assert_eq!(socket.sent(handshake), None);
    assert_eq!(socket.sent(handshake + first - 1), None);
    assert_eq!(socket.sent(handshake + first), Some(8));
    let all = handshake + first + second.len() as u64;
    assert_eq!(socket.sent(all), Some(308));
    assert_eq!(socket.sent(all), None);
}

#[test]
fn who_asks_faster_than_it_reads_is_not_answered() {
    let mut socket = open();
    let mut ping = vec![0x89, 125];
    ping.extend_from_slice(&[b'p'; 125]);
    let mut answered = 0;
    for _ in 0..10_000 {
        assert_eq!(socket.receive(&ping), []);
        answered += sent(&mut socket).len();
    }
    assert!((400..700).contains(&answered), "{answered}");
    socket.sent(u64::MAX);
    socket.receive(&ping);
    assert_eq!(sent(&mut socket).len(), 1);
}

/// Masks differ from frame to frame (RFC 6455, 5.3).
#[test]
fn masks_are_not_repeated() {
    let mut socket = open();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        socket.write(b"abcd");
        let bytes = socket.take_bytes().unwrap();
        assert!(seen.insert(bytes[2..6].to_vec()));
    }
}

proptest! {
    #[test]
    fn whatever_comes_and_however_it_is_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cut in 0..400_usize,
    ) {
        let mut whole = open();
        let mut parts = open();
        let expected = whole.receive(&bytes);
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        let mut heard = parts.receive(first);
        heard.extend(parts.receive(second));
        prop_assert_eq!(heard, expected);
        prop_assert_eq!(parts.is_over(), whole.is_over());
    }

    #[test]
    fn what_a_client_writes_is_one_frame(message in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let mut socket = open();
        socket.write(&message);
        let frames = sent(&mut socket);
        prop_assert_eq!(frames.len(), 1);
        prop_assert_eq!(&frames[0].1, &message);
    }
}
