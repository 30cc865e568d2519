//! What a peer can make us hold: streams that are cut, that lie about their length, that never end, and
//! heads without end. Each ends in a limit's error, and the heap stays within that limit.

use crate::{
    heap,
    wire::{INVITE, Wire, request, secs},
};
use sip::{
    endpoint::Stats,
    message::{MAX_BODY, MAX_HEAD, MAX_HEADERS},
};

/// The INVITE over TCP.
fn stream() -> String {
    INVITE.replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

/// What a connection that sends `bytes` in pieces is answered, whether it is still open, and how many
/// bytes were alive at most on its behalf.
fn feed(bytes: &[u8], piece: usize) -> (Vec<String>, bool, usize) {
    let mut wire = Wire::new();
    let flow = wire.connection("192.0.2.9:40001");
    heap::begin();
    let before = heap::live();
    let mut pieces = bytes.chunks(piece);
    let open = pieces.all(|piece| wire.bytes(flow, piece));
    let peak = usize::try_from(heap::peak() - before).unwrap();
    (wire.lines(), open, peak)
}

const BAD: &str = "SIP/2.0 400 Bad Request";

#[test]
fn a_stream_that_is_cut_anywhere_leaves_nothing() {
    let stream = stream();
    for cut in 0..stream.len() {
        let mut wire = Wire::new();
        let flow = wire.connection("192.0.2.9:40001");
        assert!(wire.bytes(flow, &stream[..cut]), "{cut}");
        wire.expect(&[]);
        wire.hang_up(flow);
        assert_eq!(wire.endpoint.stats(), Stats::default(), "{cut}");
    }
}

#[test]
fn a_stream_may_be_cut_into_bytes() {
    let twice = stream() + &request("OPTIONS", "2", None, 1).replace("/UDP", "/TCP");
    let (lines, open, _) = feed(twice.as_bytes(), 1);
    assert_eq!((lines, open), (vec!["SIP/2.0 200 OK".to_owned()], true));
}

#[test]
fn a_length_that_is_none_is_answered_and_the_connection_closed() {
    let with = |length: &str| {
        let bytes = stream().replace("Content-Length: 5\r\n", length);
        let (lines, open, peak) = feed(bytes.as_bytes(), 100);
        assert!(!open, "{length}");
        assert!(peak < 100_000, "{length}: {peak}");
        lines
    };
    assert_eq!(with(""), [BAD]);
    assert_eq!(with("Content-Length: -1\r\n"), [BAD]);
    assert_eq!(with("Content-Length: five\r\n"), [BAD]);
    assert_eq!(with("Content-Length: 5\r\nl: 6\r\n"), [BAD]);
    assert_eq!(
        with("Content-Length: 99999999999999999999999999\r\n"),
        [BAD]
    );
    // Nothing of such a body is waited for, let alone kept.
    let large = "SIP/2.0 413 Request Entity Too Large";
    assert_eq!(with("Content-Length: 1048577\r\n"), [large]);
    assert_eq!(with("Content-Length: 4294967295\r\n"), [large]);
}

#[test]
fn the_largest_body_is_taken_and_no_larger_buffer_kept() {
    let length = format!("Content-Length: {MAX_BODY}");
    let mut bytes = stream().replace("Content-Length: 5", &length).into_bytes();
    bytes.truncate(bytes.len() - "offer".len());
    bytes.extend(std::iter::repeat_n(b'x', MAX_BODY));
    let mut wire = Wire::new();
    let flow = wire.connection("192.0.2.9:40001");
    assert!(wire.bytes(flow, &bytes));
    assert!(wire.call.is_some());
    assert_eq!(wire.buffered(flow), 0);
}

#[test]
fn ten_thousand_headers_are_a_limit_and_not_a_memory() {
    let (start, rest) = INVITE.split_at(INVITE.find("Content-Type").unwrap());
    let large = "SIP/2.0 513 Message Too Large";
    // Too many lines, within the size of a head.
    // `X` alone is Session-Expires.
    let many = "Q: y\r\n".repeat(10_000);
    assert!(many.len() + INVITE.len() < MAX_HEAD);
    let message = format!("{start}{many}{rest}");
    let mut wire = Wire::new();
    heap::begin();
    let before = heap::live();
    wire.datagram(&message);
    let peak = usize::try_from(heap::peak() - before).unwrap();
    println!(
        "a datagram with 10,000 headers: {} bytes in, {peak} bytes of heap",
        message.len()
    );
    assert!(
        peak < 2 * message.len() + MAX_HEADERS * 64 + 8_192,
        "{peak}"
    );
    wire.expect(&[large]);
    assert_eq!(wire.endpoint.stats(), Stats::default());
    let (lines, _, peak) = feed(message.replace("/UDP", "/TCP").as_bytes(), 1_460);
    assert_eq!(lines, [large]);
    assert!(peak < 6 * MAX_HEAD, "{peak}");

    // Too many bytes: the stream is closed, as nobody knows where the head ends.
    let long = format!(
        "{start}{}{rest}",
        "X-Something: a rather long value\r\n".repeat(10_000)
    );
    let (lines, open, peak) = feed(long.replace("/UDP", "/TCP").as_bytes(), 1_460);
    println!(
        "a connection with 10,000 long headers: {} bytes in, {peak} bytes of heap",
        long.len()
    );
    assert_eq!((lines, open), (vec![large.to_owned()], false));
    assert!(peak < 6 * MAX_HEAD, "{peak}");
    // One line without end.
    let endless = format!("{start}X: {}", "y".repeat(1_000_000));
    let (lines, open, peak) = feed(endless.replace("/UDP", "/TCP").as_bytes(), 1_460);
    assert_eq!((lines, open), (vec![large.to_owned()], false));
    assert!(peak < 6 * MAX_HEAD, "{peak}");
    // Nothing that could be answered.
    let (lines, open, peak) = feed(&b"a".repeat(1_000_000), 1_460);
    assert_eq!((lines, open), (vec![], false));
    assert!(peak < 4 * MAX_HEAD, "{peak}");
}

#[test]
fn connections_are_counted() {
    let mut config = sip::Config::new("tested");
    config.limits.flows = 3;
    let mut wire = Wire::with(config);
    let flows = [1, 2, 3].map(|port| wire.connection(&format!("192.0.2.9:{port}")));
    let local = crate::wire::LOCAL.parse().unwrap();
    let peer = Some("192.0.2.9:4".parse().unwrap());
    let more = wire
        .endpoint
        .add_flow(wire.now, base::Transport::Tcp, local, peer);
    assert_eq!(more, Err(sip::endpoint::AddFlowError::TooMany));
    // Nobody keeps one for ever without a word.
    wire.wait(secs(2 * 60 * 60));
    assert_eq!(wire.released, flows);
    wire.assert_quiet();
}

#[test]
fn calls_and_transactions_are_counted() {
    let mut config = sip::Config::new("tested");
    config.limits.invitations = 2;
    config.transactions.limits.servers = 4;
    let mut wire = Wire::with(config);
    let call = |n: usize| {
        INVITE
            .replace("a84b4c76e66710", &n.to_string())
            .replace("776asdhds", &n.to_string())
    };
    for n in 0..10 {
        wire.datagram(call(n));
    }
    let refused = wire.lines();
    assert_eq!(refused, ["SIP/2.0 503 Service Unavailable"; 8]);
    assert_eq!(
        (
            wire.endpoint.stats().invitations,
            wire.endpoint.stats().transactions
        ),
        (2, 2)
    );
    // CANCELs have transactions, too: beyond the limit they are refused, and the call still ends.
    for n in [0, 0, 1, 1] {
        let cancel = call(n)
            .replace("INVITE", "CANCEL")
            .replace("Content-Length: 5", "Content-Length: 0");
        wire.datagram(&cancel[..cancel.len() - 5]);
    }
    let lines = wire.lines();
    assert_eq!(
        lines.iter().filter(|line| line.contains("487")).count(),
        2,
        "{lines:?}"
    );
    wire.assert_quiet();
}
