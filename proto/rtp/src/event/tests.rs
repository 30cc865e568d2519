use super::*;
use crate::Frame;
use bytes::Bytes;
use std::time::{Duration, Instant};

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn start() -> Instant {
    Instant::now()
}

fn digit(text: char) -> Digit {
    Digit::try_from(text).unwrap()
}

/// Sends `digits`, each for `ms`, and returns when each packet went out, in ms.
fn send(clock_rate: u32, digits: &str, ms: u64) -> Vec<(u64, EventPacket)> {
    let start = start();
    let mut sender = EventSender::new(clock_rate);
    let mut sent = Vec::new();
    let mut now = start;
    for text in digits.chars() {
        sender
            .send(now, 5_000, digit(text), Duration::from_millis(ms))
            .unwrap();
    }
    loop {
        let at = (now - start).as_millis() as u64;
        sent.extend(std::iter::from_fn(|| sender.poll_output()).map(|packet| (at, packet)));
        let Some(deadline) = sender.poll_timeout() else {
            assert!(sender.is_idle() && !sender.is_sending());
            return sent;
        };
        assert!(deadline.at > now, "progress");
        now = deadline.at;
        let elapsed = (now - start).as_millis() as u32 * (clock_rate / 1_000);
        sender.handle_timeout(now, 5_000 + elapsed);
    }
}

fn receive(packets: impl IntoIterator<Item = EventPacket>) -> String {
    let mut receiver = EventReceiver::new();
    for (sequence, packet) in (0..).zip(packets) {
        receiver.handle_frame(&frame(sequence, packet));
    }
    std::iter::from_fn(|| receiver.poll_output())
        .map(|received| char::from(received.digit))
        .collect()
}

fn frame(sequence: u64, packet: EventPacket) -> Frame {
    Frame {
        payload_type: 101,
        marker: packet.marker,
        sequence,
        timestamp: packet.timestamp,
        ssrc: 7,
        arrived: start(),
        payload: Bytes::copy_from_slice(&packet.payload),
    }
}

/// RFC 4733, 2.5.1.2 and 2.5.1.4: a `#` of 100 ms at 8 kHz, bytes written by hand.
#[test]
fn one_digit_on_the_wire() {
    let sent = send(8_000, "#", 100);
    let expected = [
        (0, true, [11, 10, 0x00, 0xa0]),
        (20, false, [11, 10, 0x01, 0x40]),
        (40, false, [11, 10, 0x01, 0xe0]),
        (60, false, [11, 10, 0x02, 0x80]),
        (80, false, [11, 0x8a, 0x03, 0x20]),
        (100, false, [11, 0x8a, 0x03, 0x20]),
        (120, false, [11, 0x8a, 0x03, 0x20]),
    ]
    .map(|(at, marker, payload)| {
        (
            at,
            EventPacket {
                marker,
                timestamp: 5_000,
                payload,
            },
        )
    });
    assert_eq!(sent, expected);
}

#[test]
fn digits_follow_each_other_with_a_pause() {
    let sent = send(16_000, "11", 100);
    assert_eq!(sent.len(), 14);
    let (at, second) = sent[7];
    assert_eq!(
        (at, second.timestamp, second.marker),
        (160, 5_000 + 160 * 16, true)
    );
    assert_eq!(receive(sent.iter().map(|(_, packet)| *packet)), "11");
}

#[test]
fn a_tone_is_never_shorter_than_forty_milliseconds() {
    let sent = send(8_000, "5", 1);
    let duration = u16::from_be_bytes([sent[1].1.payload[2], sent[1].1.payload[3]]);
    assert_eq!((sent.len(), duration), (4, 320));
}

/// RFC 4733, 2.5.1.3 and 2.5.2.3.
#[test]
fn a_long_tone_is_split_and_heard_as_one() {
    let sent = send(8_000, "7", 20_000);
    let packets: Vec<EventPacket> = sent.iter().map(|(_, packet)| *packet).collect();
    assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1);
    let mut segments: Vec<u32> = packets.iter().map(|packet| packet.timestamp).collect();
    segments.sort_unstable();
    segments.dedup();
    assert_eq!(segments, [5_000, 5_000 + 65_535, 5_000 + 2 * 65_535]);
    for segment in &segments[..2] {
        let ends = packets
            .iter()
            .filter(|packet| packet.timestamp == *segment && packet.payload[2..] == [0xff, 0xff]);
        assert!(ends.clone().all(|packet| packet.payload[1] & 0x80 == 0));
        assert_eq!(ends.count(), 3);
    }
    let last = Report::parse(packets.last().unwrap().payload);
    assert_eq!(
        (last.end, u32::from(last.duration)),
        (true, 160_000 - 2 * 65_535)
    );
    assert_eq!(
        packets
            .iter()
            .filter(|packet| packet.payload[1] & 0x80 != 0)
            .count(),
        3
    );
    assert_eq!(receive(packets.iter().copied()), "7");
    // Two such tones are two, even if the ends of the segments are lost.
    let lossy = packets
        .iter()
        .copied()
        .filter(|packet| packet.payload[2..] != [0xff, 0xff]);
    assert_eq!(receive(lossy), "7");
}

#[test]
fn audio_waits_for_the_last_repetition() {
    let mut now = start();
    let mut sender = EventSender::new(8_000);
    sender
        .send(now, 0, digit('1'), EventSender::DEFAULT_DURATION)
        .unwrap();
    let mut packets = 0;
    while sender.is_sending() {
        packets += std::iter::from_fn(|| sender.poll_output()).count();
        now = sender.poll_timeout().unwrap().at;
        sender.handle_timeout(now, 0);
    }
    packets += std::iter::from_fn(|| sender.poll_output()).count();
    assert_eq!(packets, 7);
    assert!(!sender.is_idle());
}

#[test]
fn a_late_wake_up_is_no_burst() {
    let now = start();
    let mut sender = EventSender::new(8_000);
    sender
        .send(now, 0, digit('1'), Duration::from_secs(1))
        .unwrap();
    sender.handle_timeout(now + Duration::from_millis(505), 0);
    let packets: Vec<_> = std::iter::from_fn(|| sender.poll_output()).collect();
    assert_eq!(packets.len(), 2);
    assert_eq!(Report::parse(packets[1].payload).duration, 26 * 160);
}

#[test]
fn the_queue_is_bounded() {
    let now = start();
    let mut sender = EventSender::new(8_000);
    let results: Vec<_> = (0..70)
        .map(|_| sender.send(now, 0, digit('1'), Duration::ZERO))
        .collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 65);
    assert_eq!(results.last(), Some(&Err(QueueFull)));
}

#[test]
fn any_one_packet_is_enough() {
    let sent = send(8_000, "1159#*0D", 100);
    for kept in 0..7 {
        let lossy = sent.chunks(7).map(|packets| packets[kept].1);
        assert_eq!(receive(lossy), "1159#*0D");
    }
    // All of them, each twice, each pair swapped.
    let noisy = sent
        .chunks(2)
        .flat_map(|pair| [pair[1 % pair.len()].1, pair[0].1, pair[0].1]);
    assert_eq!(receive(noisy).len(), 8);
}

#[test]
fn sources_do_not_meet_and_other_events_are_no_digits() {
    let packet = EventPacket {
        marker: true,
        timestamp: 9,
        payload: [1, 10, 0, 160],
    };
    let mut receiver = EventReceiver::new();
    receiver.handle_frame(&frame(0, packet));
    receiver.handle_frame(&Frame {
        ssrc: 8,
        ..frame(0, packet)
    });
    receiver.handle_frame(&frame(
        1,
        EventPacket {
            payload: [16, 0, 0, 160],
            timestamp: 10,
            ..packet
        },
    ));
    receiver.handle_frame(&Frame {
        payload: Bytes::from_static(&[1, 2, 3]),
        ..frame(2, packet)
    });
    assert_eq!(std::iter::from_fn(|| receiver.poll_output()).count(), 2);
}

/// RFC 4733, 2.5.2.3: only an event without an end goes on in the next segment.
#[test]
fn an_event_that_ended_is_not_continued() {
    for (flags, heard) in [(0x8a, "11"), (0x0a, "1")] {
        let first = EventPacket {
            marker: true,
            timestamp: 0,
            payload: [1, flags, 0xff, 0xff],
        };
        let second = EventPacket {
            marker: false,
            timestamp: 0xffff,
            payload: [1, 10, 0, 160],
        };
        assert_eq!(receive([first, second]), heard);
    }
}

/// RFC 4733, 2.5.2.4.
#[test]
fn two_events_in_one_packet() {
    let both = [1, 0x8a, 0, 160, 2, 10, 0, 80];
    let packet = EventPacket {
        marker: true,
        timestamp: 1_000,
        payload: [0; 4],
    };
    let mut receiver = EventReceiver::new();
    receiver.handle_frame(&Frame {
        payload: Bytes::copy_from_slice(&both),
        ..frame(0, packet)
    });
    let digits: Vec<_> = std::iter::from_fn(|| receiver.poll_output())
        .map(|r| (r.digit.code(), r.timestamp))
        .collect();
    assert_eq!(digits, [(1, 1_000), (2, 1_160)]);
}

#[test]
fn digits_by_name_and_code() {
    for (code, text) in (0..).zip("0123456789*#ABCD".chars()) {
        assert_eq!(digit(text).code(), code);
        assert_eq!(
            digit(text.to_ascii_lowercase()),
            Digit::from_code(code).unwrap()
        );
        assert_eq!(digit(text).to_string(), text.to_string());
    }
    assert_eq!(Digit::try_from('E'), Err(InvalidDigit));
    assert_eq!(Digit::from_code(16), None);
}
