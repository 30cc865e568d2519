//! What a peer can make us hold: streams that are cut, that lie about their length, that never end, and
//! heads without end; senders that are slow, readers that do not read. Each ends in a limit's error, and
//! the heap stays within that limit.

use crate::{
    heap, reflection,
    wire::{INVITE, Wire, request, secs},
};
use simulator::{Habit, Phone};
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

fn agent() -> Phone {
    reflection::phone(Habit::Ring)
}

fn ping(n: usize) -> String {
    request("OPTIONS", &format!("ping{n}"), None, 1)
        .replace("/UDP", "/TCP")
        .replace("a84b4c76e66710", &format!("ping{n}"))
}

#[test]
fn a_sender_of_a_byte_a_second_is_cut_off() {
    let mut phone = agent();
    let link = phone.connect("192.0.2.9:40001".parse().unwrap()).unwrap();
    heap::begin();
    let before = heap::live();
    let start = phone.now();
    for byte in stream().bytes() {
        if !phone.bytes(link, &[byte]) {
            break;
        }
        phone.wait(secs(1));
    }
    // 64·T1 for a message, whatever drips in meanwhile.
    assert_eq!(phone.now() - start, secs(32));
    assert!(heap::peak() - before < 10_000, "{}", heap::peak() - before);
    assert_eq!(phone.agent().counters().links.timeouts, 1);
    assert_eq!(phone.agent().stats(), sipsimple::agent::Stats::default());

    // The same byte by byte, but in time, and then a rest between two messages.
    let link = phone.connect("192.0.2.9:40002".parse().unwrap()).unwrap();
    for message in [ping(1), ping(2)] {
        for piece in message.as_bytes().chunks(20) {
            assert!(phone.bytes(link, piece));
            phone.wait(secs(1));
        }
        phone.wait(secs(600));
    }
    assert_eq!(phone.agent().counters().links.timeouts, 1);
    assert_eq!(phone.take_parcels().len(), 2);
}

#[test]
fn who_connects_and_says_nothing_is_cut_off() {
    let mut phone = agent();
    let peer = |n: u16| {
        format!("192.0.{}.9:{}", n / 200, 30_000 + n)
            .parse()
            .unwrap()
    };
    let links: Vec<_> = (0..2_000).filter_map(|n| phone.connect(peer(n))).collect();
    // 1,024 in all.
    assert_eq!(links.len(), 1_024);
    assert_eq!(phone.agent().counters().links.refused, 976);
    assert!(phone.connect(peer(9)).is_none());
    phone.wait(secs(32));
    assert_eq!(phone.agent().stats().links, 0);
    assert!(phone.connect(peer(9)).is_some());

    // One address does not take all of them.
    let same = |n: u16| phone.connect(format!("198.51.100.1:{}", 20_000 + n).parse().unwrap());
    assert_eq!((0..1_000).filter_map(same).count(), 256);
}

#[test]
fn a_peer_that_does_not_read_is_left() {
    let mut phone = agent();
    let peer = "192.0.2.9:40001".parse().unwrap();
    let link = phone.connect(peer).unwrap();
    heap::begin();
    let before = heap::live();
    let mut sent = 0;
    let count = (0..100_000).find(|&n| {
        let open = phone.bytes(link, ping(n).as_bytes());
        // What was written is the system's.
        sent += phone
            .take_parcels()
            .iter()
            .map(|parcel| parcel.payload.len())
            .sum::<usize>();
        !open
    });
    println!(
        "after {} answers, {sent} bytes, the connection is closed",
        count.unwrap()
    );
    assert!((1_900_000..=2 * 1_024 * 1_024).contains(&sent), "{sent}");
    assert!(heap::peak() - before < 100_000, "{}", heap::peak() - before);
    assert_eq!(phone.agent().counters().links.overruns, 1);

    // Who reads may ask for ever.
    let link = phone.connect(peer).unwrap();
    for n in 0..10_000 {
        assert!(phone.bytes(link, ping(n).as_bytes()));
        phone.read(link);
    }
}

#[test]
fn a_length_that_lies_ends_the_connection_of_an_agent_as_well() {
    for length in [
        "",
        "Content-Length: -5\r\n",
        "Content-Length: 99999999999\r\n",
    ] {
        let mut phone = agent();
        let link = phone.connect("192.0.2.9:40001".parse().unwrap()).unwrap();
        assert!(!phone.bytes(
            link,
            stream().replace("Content-Length: 5\r\n", length).as_bytes()
        ));
        let parcels = phone.take_parcels();
        assert_eq!(parcels.len(), 1);
        assert!(
            parcels[0].payload.starts_with(BAD.as_bytes()),
            "{parcels:?}"
        );
        assert_eq!(phone.rest(secs(100)), sipsimple::agent::Stats::default());
    }
}
