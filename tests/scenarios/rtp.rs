//! RTP, RTCP, telephone events and receiver statistics against vectors that were computed elsewhere.

use crate::vectors::{hex, list, load};
use base::{Clock, Rng};
use bytes::Bytes;
use rtp::{
    Config, EventReceiver, Frame, Kind, Output, Packet, PayloadType, Received, Session,
    rtcp::{self, Compound},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

fn session(now: Instant) -> Session {
    let types = [0, 101].map(|number| PayloadType {
        number,
        clock_rate: 8_000,
    });
    let clock = Clock::new(now, Duration::from_secs(1_800_000_000));
    let config = Config::new(8_000, types.into());
    Session::new(now, config, clock, Rng::from_seed([1; 32]))
}

fn hear(session: &mut Session, now: Instant, datagram: Vec<u8>) -> Frame {
    let from = SocketAddr::from(([192, 0, 2, 1], 4_000));
    match session.handle_rtp(now, from, Bytes::from(datagram)) {
        Received::Media(frame) => frame,
        other => panic!("{other:?}"),
    }
}

/// What a datagram says that a vector does not expect: nothing, if it is as it should be.
fn difference(bytes: &[u8], expect: &Value) -> Option<String> {
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(error) => return Some(error.to_string()),
    };
    let header = packet.header;
    let is_other = [
        ("v", 2),
        ("pt", u64::from(header.payload_type)),
        ("seq", u64::from(header.sequence)),
        ("ts", u64::from(header.timestamp)),
        ("ssrc", u64::from(header.ssrc)),
        ("padding", u64::from(packet.padding())),
    ]
    .into_iter()
    .find(|(key, value)| !expect[*key].is_null() && expect[*key] != *value);
    if let Some((key, value)) = is_other {
        return Some(format!("{key} is {value}"));
    }
    (packet.payload() != hex(&expect["payload"])).then(|| "another payload".to_owned())
}

#[test]
fn packets_are_read_or_refused() {
    let Some(vectors) = load("rtp/rtp.json") else {
        return;
    };
    for case in list(&vectors, "rtp") {
        let bytes = hex(&case["hex"]);
        assert_eq!(Kind::of(&bytes), Kind::Rtp);
        assert_eq!(difference(&bytes, &case["expect"]), None, "{case}");
    }
    for case in list(&vectors, "rtp_negative") {
        assert!(Packet::parse(&hex(&case["hex"])).is_err(), "{case}");
    }
}

/// One bit of a packet makes it another one: each is noticed, but for the marker, of which the vectors say
/// nothing.
#[test]
fn a_corrupted_packet_fails() {
    let Some(vectors) = load("rtp/rtp.json") else {
        return;
    };
    let mut whole = 0;
    for case in list(&vectors, "rtp") {
        let (bytes, expect) = (hex(&case["hex"]), &case["expect"]);
        if expect["ssrc"].is_null() {
            continue;
        }
        whole += 1;
        for bit in 0..bytes.len() * 8 {
            let is_marker = bit == 15;
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = difference(&bytes, expect);
            assert_eq!(found.is_none(), is_marker, "{case}: bit {bit}");
        }
    }
    assert!(whole > 0);
    // A train of which one event is another one is not the digit that it should be.
    for case in list(&vectors, "dtmf_rfc4733") {
        let now = Instant::now();
        let (mut session, mut events) = (session(now), EventReceiver::new());
        for packet in list(case, "packets") {
            let mut packet = hex(packet);
            packet[12] ^= 1;
            events.handle_frame(&hear(&mut session, now, packet));
        }
        let heard: String = std::iter::from_fn(|| events.poll_output())
            .map(|event| char::from(event.digit))
            .collect();
        assert_ne!(Some(heard.as_str()), case["digit"].as_str());
    }
}

#[test]
fn compound_packets_are_read_or_refused() {
    let Some(vectors) = load("rtp/rtp.json") else {
        return;
    };
    for case in list(&vectors, "rtcp") {
        let bytes = hex(&case["hex"]);
        assert_eq!(Kind::of(&bytes), Kind::Rtcp);
        let compound = Compound::parse(&bytes);
        if case["error"] == true {
            assert!(compound.is_err(), "{case}");
            continue;
        }
        let compound = compound.unwrap_or_else(|error| panic!("{case}: {error}"));
        let reason = compound.packets().find_map(|packet| match packet {
            Ok(rtcp::Packet::Bye(bye)) => bye.reason().map(<[u8]>::to_vec),
            Ok(_) => None,
            Err(error) => panic!("{case}: {error}"),
        });
        let expected = case["expect"]["bye_reason"]
            .as_str()
            .map(|text| text.as_bytes().to_vec());
        assert_eq!(reason, expected, "{case}");
    }
}

#[test]
fn telephone_events_are_heard_once() {
    let Some(vectors) = load("rtp/rtp.json") else {
        return;
    };
    let now = Instant::now();
    let mut session = session(now);
    let mut events = EventReceiver::new();
    for case in list(&vectors, "dtmf_rfc4733") {
        for packet in list(case, "packets") {
            events.handle_frame(&hear(&mut session, now, hex(packet)));
        }
        let heard: String = std::iter::from_fn(|| events.poll_output())
            .map(|event| char::from(event.digit))
            .collect();
        assert_eq!(Some(heard.as_str()), case["digit"].as_str());
    }
    assert_eq!(session.statistics().packets_lost, 0);
}

/// RFC 3550, A.3 and A.8: what the report says after a train of packets with gaps and jitter.
#[test]
fn the_report_counts_loss_and_jitter() {
    let Some(vectors) = load("rtp/rtp.json") else {
        return;
    };
    let (stats, expected) = (
        &vectors["receiver_stats"],
        &vectors["receiver_stats"]["expected"],
    );
    let start = Instant::now();
    let mut now = start;
    let mut session = session(start);
    for packet in list(stats, "packets") {
        let number = |key: &str| packet[key].as_u64().expect("a number");
        let mut bytes = vec![0x80, 0];
        bytes.extend((number("seq") as u16).to_be_bytes());
        bytes.extend((number("rtp_ts") as u32).to_be_bytes());
        bytes.extend([0, 0, 0, 9]);
        bytes.extend([0xff; 160]);
        // One unit of the clock is 125 microseconds.
        now = start + Duration::from_micros(number("arrival_ts") * 125);
        hear(&mut session, now, bytes);
    }
    let report = std::iter::from_fn(|| {
        now = now.max(session.poll_timeout().expect("a schedule").at);
        session.handle_timeout(now);
        Some(
            std::iter::from_fn(|| session.poll_output()).find_map(|output| match output {
                Output::Rtcp(compound) => Some(compound),
                _ => None,
            }),
        )
    })
    .find_map(|report| report)
    .expect("a report");
    let compound = Compound::parse(&report).expect("a compound packet");
    let Some(Ok(rtcp::Packet::ReceiverReport(report))) = compound.packets().next() else {
        panic!("{compound:?}")
    };
    let block = report.blocks.iter().next().expect("a block");
    assert_eq!(expected["cumulative_lost"], block.cumulative_lost);
    assert_eq!(expected["extended_highest_seq"], block.highest_sequence);
    let jitter = expected["jitter_float"].as_f64().expect("a number");
    assert_eq!(block.jitter, jitter as u32);
    let statistics = session.statistics();
    assert!(
        (statistics.jitter_ms * 8.0 - jitter).abs() < 1e-6,
        "{}",
        statistics.jitter_ms * 8.0
    );
    assert_eq!(expected["received"], statistics.packets_received);
    assert_eq!(expected["cumulative_lost"], statistics.packets_lost);
}
