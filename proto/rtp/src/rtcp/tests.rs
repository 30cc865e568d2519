use super::*;
use proptest::prelude::*;

fn packets(bytes: &[u8]) -> Vec<Packet<'_>> {
    Compound::parse(bytes)
        .unwrap()
        .packets()
        .map(Result::unwrap)
        .collect()
}

/// A sender report with one block, a description with two items, and a BYE with a reason.
const COMPOUND: &[u8] = &[
    0x81, 200, 0, 12, 0, 0, 0, 7, // SR of source 7
    0xe0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 160, 0, 0, 0, 2, 0, 0, 1,
    0x40, // NTP, timestamp, packets, bytes
    0, 0, 0, 9, 64, 0xff, 0xff, 0xfe, 0, 1, 0, 5, 0, 0, 0, 12, 0, 1, 0x80, 0, 0, 2, 0,
    0, // about source 9
    0x81, 202, 0, 4, 0, 0, 0, 7, 1, 3, b'a', b'@', b'b', 6, 1, b't', 0, 0, 0,
    0, // CNAME a@b, TOOL t
    0x81, 203, 0, 2, 0, 0, 0, 7, 3, b'e', b'n', b'd', // BYE of source 7: "end"
];

#[test]
fn a_compound_packet_of_three() {
    let packets = packets(COMPOUND);
    let Packet::SenderReport(report) = packets[0] else {
        panic!("{packets:?}")
    };
    assert_eq!(report.ssrc, 7);
    let info = SenderInfo {
        ntp: 0xe000_0001_8000_0000,
        timestamp: 160,
        packets: 2,
        bytes: 320,
    };
    assert_eq!(report.info, info);
    let block = ReportBlock {
        ssrc: 9,
        fraction_lost: 64,
        cumulative_lost: -2,
        highest_sequence: 0x0001_0005,
        jitter: 12,
        last_sender_report: 0x0001_8000,
        delay: 0x0002_0000,
    };
    assert_eq!(report.blocks.iter().collect::<Vec<_>>(), [block]);
    let Packet::Sdes(sdes) = packets[1] else {
        panic!("{packets:?}")
    };
    let chunk = sdes.chunks().next().unwrap();
    assert_eq!((chunk.ssrc, chunk.cname()), (7, Some(&b"a@b"[..])));
    assert_eq!(
        chunk.items().last(),
        Some(Item {
            kind: ItemKind::Tool,
            value: b"t"
        })
    );
    let Packet::Bye(bye) = packets[2] else {
        panic!("{packets:?}")
    };
    assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [7]);
    assert_eq!(bye.reason(), Some(&b"end"[..]));

    let mut out = BytesMut::new();
    write_report(&mut out, 7, Some(info), [block].into_iter());
    packets[1].write(&mut out);
    packets[2].write(&mut out);
    assert_eq!(out, COMPOUND);
}

#[test]
fn our_own_description() {
    let mut out = BytesMut::new();
    write_report(&mut out, 7, None, std::iter::empty());
    for name in ["", "a", "ab", "abc", "abcd", "xy@z"] {
        out.truncate(8);
        write_cname(&mut out, 7, name);
        write_bye(&mut out, 7);
        let packets = packets(&out);
        let Packet::Sdes(sdes) = packets[1] else {
            panic!("{packets:?}")
        };
        assert_eq!(sdes.chunks().next().unwrap().cname(), Some(name.as_bytes()));
        assert_eq!(packets.len(), 3);
    }
}

/// RFC 3550, A.2.
#[test]
fn framing_that_is_refused() {
    let refused = |bytes: &[u8]| Compound::parse(bytes).map(|_| ()).unwrap_err();
    let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    assert!(Compound::parse(&receiver_report).is_ok());
    assert_eq!(refused(&[]).kind, ErrorKind::Truncated);
    assert_eq!(refused(&receiver_report[..7]).kind, ErrorKind::Length);
    assert_eq!(
        refused(&[0x40, 201, 0, 1, 0, 0, 0, 1]).kind,
        ErrorKind::Version
    );
    // A description first.
    assert_eq!(refused(&[0x80, 202, 0, 0]).what, "first RTCP packet");
    // Three bytes too many.
    assert_eq!(
        refused(&[0x80, 201, 0, 1, 0, 0, 0, 1, 0x80, 202, 0]).kind,
        ErrorKind::Truncated
    );
    // A length beyond the end.
    assert_eq!(
        refused(&[0x80, 200, 0xff, 0xff, 0, 0, 0, 1]).kind,
        ErrorKind::Length
    );
    // Padding before the last packet.
    let early = [0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0x80, 202, 0, 0];
    assert_eq!(refused(&early).what, "RTCP padding");
    // The same in the last one is fine, and not part of its content.
    let Packet::ReceiverReport(report) = packets(&early[..12])[0] else {
        panic!()
    };
    assert_eq!(report.extension, b"");
}

#[test]
fn a_packet_that_lies_about_itself_hides_no_other() {
    let bytes = [
        0x80, 201, 0, 1, 0, 0, 0, 1, // fine
        0x82, 203, 0, 1, 0, 0, 0, 1, // BYE of two, one there
        0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 0, 0, // CNAME of nine bytes
        0x80, 201, 0, 1, 0, 0, 0, 2, // fine
    ];
    let results: Vec<_> = Compound::parse(&bytes).unwrap().packets().collect();
    assert_eq!(results[1], Err(ParseError::truncated("BYE sources", 12)));
    assert_eq!(results[2], Err(ParseError::truncated("SDES chunk", 20)));
    assert!(results[0].is_ok() && results[3].is_ok());
    assert_eq!(results.len(), 4);
}

#[test]
fn feedback_applications_and_the_unknown_are_kept() {
    let bytes = [
        0x80, 201, 0, 1, 0, 0, 0, 1, //
        0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 0, // generic NACK of packet 5
        0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, // picture loss
        0x83, 204, 0, 3, 0, 0, 0, 1, b't', b'e', b's', b't', 1, 2, 3, 4, //
        0x84, 207, 0, 1, 1, 2, 3, 4, // extended report
    ];
    let packets = packets(&bytes);
    let nack = Feedback {
        kind: FeedbackKind::Transport,
        format: 1,
        sender: 1,
        media: 2,
        information: &[0, 5, 0, 0],
    };
    assert_eq!(packets[1], Packet::Feedback(nack));
    let loss = Feedback {
        kind: FeedbackKind::Payload,
        information: &[],
        ..nack
    };
    assert_eq!(packets[2], Packet::Feedback(loss));
    assert_eq!(
        packets[3],
        Packet::App(App {
            subtype: 3,
            ssrc: 1,
            name: *b"test",
            data: &[1, 2, 3, 4]
        })
    );
    assert_eq!(
        packets[4],
        Packet::Unknown {
            packet_type: 207,
            count: 4,
            body: &[1, 2, 3, 4]
        }
    );
    let mut out = BytesMut::new();
    packets.iter().for_each(|packet| packet.write(&mut out));
    assert_eq!(out, bytes[..]);
}

/// RFC 4585, 6.2.1: the packet itself, and a bit for each of the sixteen after it.
#[test]
fn a_nack_says_what_is_missing() {
    let nack = Feedback {
        kind: FeedbackKind::Transport,
        format: 1,
        sender: 1,
        media: 2,
        information: &[0xff, 0xfe, 0x80, 0x05, 0, 9, 0, 0],
    };
    let missing: Vec<u16> = nack.missing().collect();
    assert_eq!(missing, [0xfffe, 0xffff, 1, 14, 9]);
    assert!(!nack.is_picture_loss());
    let loss = Feedback {
        kind: FeedbackKind::Payload,
        ..nack
    };
    assert!(loss.is_picture_loss());
    assert_eq!(loss.missing().count(), 0);
    let other = Feedback { format: 15, ..nack };
    assert_eq!(
        (other.missing().count(), other.is_picture_loss()),
        (0, false)
    );
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let types = prop_oneof![200u8..=208, any::<u8>()];
    let body = prop::collection::vec(prop_oneof![3 => 0u8..4, 1 => any::<u8>()], 0..60);
    (types, 0u8..4, any::<bool>(), body).prop_map(|(packet_type, count, padded, mut body)| {
        body.resize(body.len().next_multiple_of(4), 0);
        let padding = if padded { PADDING } else { 0 };
        let mut bytes = vec![
            0x80 | padding | count,
            packet_type,
            0,
            (body.len() / 4) as u8,
        ];
        bytes.extend(body);
        bytes
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(tail in any_packet()) {
        let mut bytes = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
        bytes.extend(tail);
        if let Ok(compound) = Compound::parse(&bytes) {
            let read: Vec<_> = compound.packets().flatten().collect();
            let mut out = BytesMut::new();
            read.iter().for_each(|packet| packet.write(&mut out));
            let again: Vec<_> = Compound::parse(&out).unwrap().packets().map(Result::unwrap).collect();
            prop_assert_eq!(again, read);
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(compound) = Compound::parse(&bytes) {
            compound.packets().for_each(drop);
        }
    }
}
