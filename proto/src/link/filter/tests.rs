//! Filters in filters: a WebSocket inside of TLS, against a server whose frames are made by hand.

use super::*;
use crate::tls::testing::Authority;
use base::Key as _;
use bytes::{Bytes, BytesMut};

/// A client whose link has TLS and wants a WebSocket, and the server's end of TLS.
struct Stage {
    filters: Filters,
    link: LinkId,
    server: Connection,
}

/// A server's configuration, which its clients trust.
fn config() -> TlsConfig {
    let authority = Authority::new("Test");
    let mut config = authority.trusted();
    config.identity = Some(authority.sign(&["dns b.example"], |_| {}));
    config
}

impl Stage {
    fn new() -> Self {
        let config = config();
        let mut filters = Filters::new(Some(&config), Rng::from_seed([1; 32]));
        let time = Duration::from_secs(1_795_000_000);
        filters.set_time(time);
        let context = Context::new(&config).unwrap();
        context.set_time(time);
        let link = LinkId::from_parts(0, 1);
        let peer = ([192, 0, 2, 1], 443).into();
        let name = "b.example".parse().unwrap();
        filters.secure(link, &Secure::Client { name, peer });
        let local = ([192, 0, 2, 2], 40_000).into();
        let peer = Some(peer);
        filters.handle_input(Input::Opened { link, local, peer });
        Self {
            filters,
            link,
            server: Connection::server(&context).unwrap(),
        }
    }

    /// Carries bytes both ways until both are silent; returns what is heard at either end.
    fn carry(&mut self, mut outside: VecDeque<Output>) -> (Vec<Input>, Vec<u8>) {
        let (mut inside, mut plaintext) = (Vec::new(), Vec::new());
        loop {
            while let Some(filtered) = self.filters.poll_output() {
                match filtered {
                    Filtered::Inside(input) => inside.push(input),
                    Filtered::Outside(output) => outside.push_back(output),
                }
            }
            for output in outside.drain(..) {
                if let Output::Write { payload, .. } = output {
                    for heard in self.server.receive(&payload) {
                        if let Heard::Plaintext(bytes) = heard {
                            plaintext.extend_from_slice(&bytes);
                        }
                    }
                }
            }
            let Some(ciphertext) = self.server.take_ciphertext() else {
                return (inside, plaintext);
            };
            let link = self.link;
            let payload = BytesMut::from(&ciphertext[..]);
            self.filters.handle_input(Input::Bytes { link, payload });
        }
    }

    fn serve(&mut self, bytes: &[u8]) -> (Vec<Input>, Vec<u8>) {
        self.server.write(bytes);
        self.carry(VecDeque::new())
    }

    fn say(&mut self, output: Output) -> (Vec<Input>, Vec<u8>) {
        let mut out = VecDeque::new();
        self.filters.handle_output(output, &mut out);
        self.carry(out)
    }
}

/// RFC 7118 over TLS: nothing is asked before the server has proven its name, and what the agent sees is
/// messages.
#[test]
fn rfc_7118_a_secured_web_socket_is_two_filters() {
    let mut stage = Stage::new();
    let link = stage.link;
    let (inside, plaintext) = stage.carry(VecDeque::new());
    assert!(plaintext.is_empty(), "not before the name is proven");
    assert!(
        matches!(
            &inside[..],
            [Input::Opened { .. }, Input::Secured { result: Ok(_), .. }]
        ),
        "{inside:?}"
    );
    let mut out = VecDeque::new();
    let host = "b.example".parse().unwrap();
    stage.filters.upgrade(link, &host, "/", &mut out);
    let (inside, request) = stage.carry(out);
    assert!(inside.is_empty());
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("GET / HTTP/1.1\r\nHost: b.example\r\n"));
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = crate::websocket::accept(key.unwrap());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    );
    let (inside, _) = stage.serve(response.as_bytes());
    assert!(
        matches!(&inside[..], [Input::Upgraded { .. }]),
        "{inside:?}"
    );

    let payload = Bytes::from_static(b"OPTIONS");
    let (_, frame) = stage.say(Output::Write { link, payload });
    assert_eq!((frame[0], frame[1]), (0x81, 0x80 | 7), "one masked text");
    // Levels are those of messages, whatever records and frames cost.
    stage.filters.handle_input(Input::Sent {
        link,
        total: u64::MAX,
    });
    let (inside, _) = stage.carry(VecDeque::new());
    assert!(
        matches!(&inside[..], [Input::Sent { total: 7, .. }]),
        "{inside:?}"
    );
    let (inside, _) = stage.serve(&[0x81, 0x02, b'h', b'i']);
    match &inside[..] {
        [Input::Bytes { payload, .. }] => assert_eq!(&payload[..], b"hi"),
        other => panic!("{other:?}"),
    }
    // The end of the inner is the end of both.
    let (inside, close) = stage.serve(&[0x88, 0x02, 0x03, 0xf3]);
    let error = Some(LinkError::WebSocket(1011));
    match &inside[..] {
        [Input::Closed { error: told, .. }] => assert_eq!(*told, error),
        other => panic!("{other:?}"),
    }
    assert_eq!(close[0], 0x88);
    assert!(!stage.filters.is_filtered(&Input::Closed { link, error }));
}

#[test]
fn the_agents_end_is_said_in_both_languages() {
    let mut stage = Stage::new();
    let link = stage.link;
    stage.carry(VecDeque::new());
    let (_, plaintext) = stage.say(Output::Finish { link });
    assert!(plaintext.is_empty(), "there was no WebSocket");
    assert!(stage.server.is_over(), "close_notify came");
}

#[test]
fn a_replay_asks_for_nothing() {
    let mut filters = Filters::of_replay(Rng::from_seed([1; 32]));
    let link = LinkId::from_parts(0, 1);
    let mut out = VecDeque::new();
    let host = "b.example".parse().unwrap();
    filters.upgrade(link, &host, "/", &mut out);
    assert!(out.is_empty());
    assert!(!filters.is_filtered(&Input::Upgraded { link }));
}
