//! What arrives on SIP ports every day and is not SIP.

use crate::wire::{INVITE, PEER, Wire, request, secs};
use sip::endpoint::Stats;

/// RFC 8489, 5: a binding request.
const STUN: &[u8] =
    b"\x00\x01\x00\x00\x21\x12\xa4\x42\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c";
/// RFC 8446, 5.1 and 4.1.2: the beginning of a ClientHello.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
/// RFC 9112, 3.
const HTTP: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 192.0.2.4:5060\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";

#[test]
fn noise_in_datagrams_is_counted_and_draws_nothing() {
    let mut wire = Wire::new();
    let noise: [&[u8]; 9] = [
        b"",
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\0",
        b"\0\0\0\0",
        STUN,
        CLIENT_HELLO,
        HTTP,
    ];
    for bytes in noise {
        wire.datagram(bytes);
    }
    assert_eq!(wire.endpoint.counters().noise, 9);
    assert_eq!((wire.sent.len(), wire.events.len()), (0, 0));
    assert_eq!(wire.endpoint.stats(), Stats::default());
    // Line ends before a message are no noise (RFC 3261, 7.5).
    wire.datagram(format!("\r\n\r\n{INVITE}"));
    assert!(wire.call.is_some());
}

#[test]
fn a_connection_that_speaks_something_else_is_closed_without_a_word() {
    for noise in [
        STUN,
        CLIENT_HELLO,
        HTTP,
        b"EHLO mail\r\n",
        b"\xff\xff\xff\xff",
    ] {
        let mut wire = Wire::new();
        let flow = wire.connection("192.0.2.9:40001");
        assert!(!wire.bytes(flow, noise), "{noise:?}");
        assert_eq!(wire.released, [flow]);
        assert_eq!((wire.sent.len(), wire.events.len()), (0, 0), "{noise:?}");
        assert_eq!(wire.endpoint.counters().noise, 1);
        assert_eq!(wire.endpoint.stats(), Stats::default());
    }
}

#[test]
fn line_ends_between_messages_of_a_connection_are_no_noise() {
    let mut wire = Wire::new();
    let flow = wire.connection("192.0.2.9:40001");
    let ping = request("OPTIONS", "1", None, 1).replace("/UDP", "/TCP");
    let stream = format!(
        "\r\n\r\n{ping}\r\n\r\n\r\n{}",
        ping.replace("bK1", "bK2").replace("1 OPT", "2 OPT")
    );
    assert!(wire.bytes(flow, &stream));
    wire.expect(&["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
}

#[test]
fn messages_of_flows_that_are_gone_do_nothing() {
    let mut wire = Wire::new();
    let flow = wire.connection("192.0.2.9:40001");
    wire.hang_up(flow);
    wire.message(flow, PEER.parse().unwrap(), INVITE);
    assert_eq!((wire.sent.len(), wire.call), (0, None));
    wire.wait(secs(60));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}
