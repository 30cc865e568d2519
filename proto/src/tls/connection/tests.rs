//! Two ends of a connection, and peers that are none.

use super::*;
use crate::tls::{
    TlsConfig,
    testing::{Authority, provider},
};
use proptest::prelude::*;
use rustls::{ServerConfig, version::TLS12};
use std::{sync::OnceLock, time::Duration};

fn context(config: &TlsConfig) -> Context {
    let context = Context::new(config).unwrap();
    context.set_time(Duration::from_secs(1_795_000_000));
    context
}

/// A server, and a client who trusts it: made once, signing is slow.
fn config() -> TlsConfig {
    static CONFIG: OnceLock<TlsConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let authority = Authority::new("Test");
            let mut config = authority.trusted();
            config.identity = Some(authority.sign(&["dns b.example"], |_| {}));
            config
        })
        .clone()
}

fn client(context: &Context) -> Connection {
    let peer = ([192, 0, 2, 1], 5061).into();
    Connection::client(context, &"b.example".parse().unwrap(), peer)
}

fn pair() -> (Connection, Connection) {
    let context = context(&config());
    (client(&context), Connection::server(&context).unwrap())
}

/// Moves what one end has to say to the other, in pieces of at most `cut` bytes.
fn pass(from: &mut Connection, to: &mut Connection, cut: usize) -> Vec<Heard> {
    let ciphertext = from.take_ciphertext().unwrap_or_default();
    let pieces = ciphertext.chunks(cut);
    pieces.flat_map(|piece| to.receive(piece)).collect()
}

/// Finishes the handshake.
fn shake(one: &mut Connection, two: &mut Connection, cut: usize) -> [Vec<Heard>; 2] {
    let mut heard = [Vec::new(), Vec::new()];
    for _ in 0..4 {
        heard[1].extend(pass(one, two, cut));
        heard[0].extend(pass(two, one, cut));
    }
    heard
}

fn plaintext(heard: &[Heard]) -> Vec<u8> {
    let bytes = heard.iter().filter_map(|heard| match heard {
        Heard::Plaintext(bytes) => Some(&bytes[..]),
        _ => None,
    });
    bytes.collect::<Vec<_>>().concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Levels and credits, however the bytes are cut and whenever they are consumed.
    #[test]
    fn credit_holds_both_ways(
        writes in proptest::collection::vec(0usize..40_000, 1..6),
        cut in 1usize..20_000,
        slow in any::<bool>(),
    ) {
        let (mut one, mut two) = pair();
        shake(&mut one, &mut two, 1_000);
        let mut granted = 0u64;
        while let Some(more) = two.take_credit() {
            granted += u64::from(more);
        }
        let mut written = Vec::new();
        let mut ciphertext = Vec::new();
        for (n, len) in writes.iter().enumerate() {
            let payload = vec![n as u8; *len];
            one.write(&payload);
            written.extend(payload);
            ciphertext.extend(one.take_ciphertext().unwrap_or_default());
        }
        let before = one.outgoing.ciphertext - ciphertext.len() as u64;
        let (mut heard, mut sent, mut waiting) = (Vec::new(), 0, 0u64);
        for (n, piece) in ciphertext.chunks(cut).enumerate() {
            let news = two.receive(piece);
            let new = plaintext(&news).len();
            heard.extend(news);
            waiting += new as u64;
            if !slow || n % 3 == 2 {
                two.consumed(u32::try_from(waiting).unwrap());
                waiting = 0;
            }
            granted += u64::from(two.take_credit().unwrap_or(0));
            // Never more than came, and what waits is not granted but for one record.
            prop_assert!(granted <= two.incoming.ciphertext);
            prop_assert!(granted + waiting <= two.incoming.ciphertext + 17 * 1024);
            let total = before + (n * cut + piece.len()) as u64;
            if let Some(level) = one.sent(total) {
                prop_assert!(level > sent);
                sent = level;
            }
        }
        two.consumed(u32::try_from(waiting).unwrap());
        granted += u64::from(two.take_credit().unwrap_or(0));
        prop_assert_eq!(granted, two.incoming.ciphertext, "all is given back");
        prop_assert_eq!(sent, written.len() as u64, "all plaintext is known to be sent");
        prop_assert!(plaintext(&heard) == written);
    }
}

#[test]
fn a_handshake_is_told_once_to_either_end() {
    for cut in [1, 7, 100_000] {
        let (mut one, mut two) = pair();
        let heard = shake(&mut one, &mut two, cut);
        for heard in &heard {
            assert!(matches!(&heard[..], [Heard::Secured(Ok(_))]), "{heard:?}");
        }
        let Heard::Secured(Ok(security)) = &heard[0][0] else {
            panic!()
        };
        assert_eq!((&*security.version, security.chain.len()), ("TLS 1.3", 1));
        assert!(security.suite.starts_with("TLS13_"), "{}", security.suite);
    }
}

#[test]
fn nothing_is_written_before_the_handshake_and_after_the_end() {
    let (mut one, mut two) = pair();
    one.write(b"early");
    let heard = shake(&mut one, &mut two, 100);
    assert_eq!(plaintext(&heard[1]), b"");
    one.close();
    let heard = pass(&mut one, &mut two, 100);
    assert_eq!(heard, [Heard::Over(None)], "close_notify is an orderly end");
    assert!(two.is_over());
    two.write(b"late");
    // It answers with its own close_notify, and with nothing else.
    assert_eq!(pass(&mut two, &mut one, 100), [Heard::Over(None)]);
    assert_eq!(two.receive(b"more"), []);
}

/// Anybody on the way could have sent it: the end of the connection itself decides.
#[test]
fn an_end_that_nobody_vouches_for_is_not_believed() {
    let context = context(&config());
    let (mut one, mut two) = (client(&context), Connection::server(&context).unwrap());
    // RFC 8446, 6.1: close_notify, warning, in the clear.
    assert_eq!(one.receive(b"\x15\x03\x03\x00\x02\x01\x00"), []);
    let heard = shake(&mut one, &mut two, 100);
    assert!(
        matches!(&heard[0][..], [Heard::Secured(Ok(_))]),
        "{heard:?}"
    );
}

/// Byte strings written by hand from RFC 8446, 4 to 6: what may stand in the place of a ServerHello.
#[test]
fn refusals_say_what_the_peer_did() {
    let context = context(&config());
    for (bytes, error) in [
        // SIP, HTTP.
        (&b"SIP/2.0 400 Bad Request\r\n\r\n"[..], TlsError::NotTls),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TlsError::NotTls),
        // Alerts: handshake_failure, protocol_version, unknown_ca.
        (b"\x15\x03\x03\x00\x02\x02\x28", TlsError::Alert(40)),
        (b"\x15\x03\x01\x00\x02\x02\x46", TlsError::Alert(70)),
        (b"\x15\x03\x03\x00\x02\x02\x30", TlsError::Alert(48)),
        // A ServerHello of TLS 1.0 (RFC 2246, 7.4.1.3) with TLS_RSA_WITH_AES_128_CBC_SHA.
        (
            b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
              0123456789abcdef0123456789abcdef\x00\x00\x2f\x00",
            TlsError::NoCommonVersion,
        ),
    ] {
        let mut one = client(&context);
        one.take_ciphertext();
        let heard = one.receive(bytes);
        match &heard[..] {
            [Heard::Secured(Err(refusal))] => {
                assert_eq!(refusal.error, error, "{refusal:?}");
                assert!(refusal.chain.is_empty());
            }
            heard => panic!("{bytes:?}: {heard:?}"),
        }
        assert!(one.is_over());
        assert_eq!(one.receive(bytes), [], "no more is heard");
    }
}

/// ENG-11: 1.2 is spoken where 1.3 is not.
#[test]
fn tls_1_2_is_spoken_with_who_has_nothing_newer() {
    let context = context(&config());
    let full = context.server().unwrap();
    let old = ServerConfig::builder_with_provider(Arc::new((*provider()).clone()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(full.cert_resolver.clone());
    let server = ServerConnection::new(Arc::new(old)).unwrap();
    let (mut one, mut two) = (client(&context), Connection::new(server.into(), None));
    let heard = shake(&mut one, &mut two, 50);
    match &heard[0][..] {
        [Heard::Secured(Ok(security))] => {
            assert_eq!(security.version, "TLS 1.2");
            assert!(
                security.suite.starts_with("TLS_ECDHE_"),
                "{}",
                security.suite
            );
        }
        heard => panic!("{heard:?}"),
    }
    one.write(b"hello");
    assert_eq!(plaintext(&pass(&mut one, &mut two, 3)), b"hello");
}

#[test]
fn a_broken_record_ends_an_open_connection_with_an_alert() {
    let (mut one, mut two) = pair();
    shake(&mut one, &mut two, 100);
    one.write(b"hello");
    let mut ciphertext = one.take_ciphertext().unwrap().to_vec();
    *ciphertext.last_mut().unwrap() ^= 1;
    assert_eq!(
        two.receive(&ciphertext),
        [Heard::Over(Some(TlsError::Other))]
    );
    // RFC 8446, 6.2: bad_record_mac is 20.
    assert_eq!(
        pass(&mut two, &mut one, 9),
        [Heard::Over(Some(TlsError::Alert(20)))]
    );
}

#[test]
fn debug_shows_no_key() {
    let text = format!("{:?}", config());
    assert!(
        text.contains("b.example") && text.contains("Engine(1 trust anchors)"),
        "{text}"
    );
    assert!(!text.contains("key"), "{text}");
}
