//! What changes in mid-call (AUS-22, AUS-29).

use super::{encryption::secured, *};
use crate::stream::Discarded;

fn changes(pair: &Pair, end: usize) -> usize {
    let is_change = |event: &&StreamEvent| matches!(event, StreamEvent::DidChangeRtpParameters);
    pair.events[end].iter().filter(is_change).count()
}

fn ssrc(pair: &Pair, end: usize) -> u32 {
    let packet = pair.wire[end].last().unwrap();
    rtp::Packet::parse(packet).unwrap().header.ssrc
}

/// An offer of end 1, changed on its way out.
fn re_offer(pair: &mut Pair, change: impl Fn(&mut sdp::Session)) {
    let mut offer = assemble(1, pair.streams[1].offer(pair.now));
    change(&mut offer);
    let answer = pair.streams[0].answer(pair.now, &offer, 0).unwrap();
    pair.descriptions = [assemble(0, answer), offer];
    pair.agree();
    pair.deliver();
}

/// AUS-29, AUS-22: the peer's port and address are others; what is said goes there, under the keys and with
/// the counters of before, and that it moved is told.
#[test]
fn aus_29_and_aus_22_a_peer_that_moves_is_followed_with_keys_and_counters() {
    let mut pair = secured([Encryption::SdesMandatory; 2]);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.speak(0, 10);
    pair.speak(1, 10);
    assert_eq!((pair.played(0), pair.played(1)), (10, 10));
    let source = ssrc(&pair, 0);
    let moved = [9_000, 9_001].map(|port| SocketAddr::from(([198, 51, 100, 9], port)));
    for round in 1..=2u16 {
        let moved = moved.map(|address| SocketAddr::new(address.ip(), address.port() + 10 * round));
        pair.outside[1] = moved.map(Some);
        re_offer(&mut pair, |offer| {
            let media = &mut offer.media[0];
            media.port = moved[0].port();
            media.connections = vec![sdp::Connection::new(moved[0].ip())];
            media
                .attributes
                .set(sdp::Rtcp::port(moved[1].port()).attribute());
        });
        assert_eq!(changes(&pair, 0), usize::from(round));
        assert_eq!(changes(&pair, 1), 0, "nothing changed for who moved");
        let stream = audio(pair.streams[0].as_ref());
        assert_eq!(stream.remote_address_described(), Some(moved[0]));
        // What was heard last is known after the move, too.
        let before = pair.wire[1].last().unwrap().clone();
        let input = StreamInput::Datagram {
            slot: Slot(0),
            from: moved[0],
            payload: BytesMut::from(&before[..]),
        };
        pair.streams[0].handle_input(pair.now, input);
        pair.deliver();
        assert_eq!(pair.played(0), 0);
        pair.speak(0, 200);
        pair.speak(1, 200);
        assert_eq!((pair.played(0), pair.played(1)), (200, 200));
        assert_eq!(pair.went[0], moved.map(Some));
        assert_eq!(ssrc(&pair, 0), source);
        let stream = audio(pair.streams[0].as_ref());
        assert_eq!(stream.remote_address_received(), Some(moved[0]));
    }
    for (end, replayed) in [2, 0].into_iter().enumerate() {
        let stream = audio(pair.streams[end].as_ref());
        let expected = Discarded {
            replayed,
            ..Discarded::default()
        };
        assert_eq!(stream.encryption().unwrap().discarded, expected);
        let statistics = stream.statistics().unwrap();
        assert_eq!(
            (statistics.packets_received, statistics.packets_lost),
            (410, 0)
        );
        assert_eq!(statistics.restarts, 0);
    }
}

/// AUS-22: another codec is told at both ends, with the frames of the new one heard; a re-offer that changes
/// nothing is not.
#[test]
fn aus_22_another_codec_is_told_and_nothing_else_is() {
    let mut pair = Pair::new(BOTH);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.speak(0, 5);
    re_offer(&mut pair, |_| {});
    pair.set_hold(1, true);
    pair.exchange(1);
    pair.set_hold(1, false);
    pair.exchange(1);
    assert_eq!((changes(&pair, 0), changes(&pair, 1)), (0, 0));
    re_offer(&mut pair, |offer| {
        offer.media[0].formats.retain(|format| *format != *"0");
    });
    assert_eq!((changes(&pair, 0), changes(&pair, 1)), (1, 1));
    for stream in &pair.streams {
        let format = audio(stream.as_ref()).format().unwrap();
        assert_eq!(
            (format.codec.as_str(), format.send_payload_type),
            ("PCMA", 8)
        );
    }
    pair.played(1);
    pair.speak(0, 5);
    let heard = std::mem::take(&mut pair.frames[1]);
    assert_eq!(heard.len(), 5);
    assert!(heard.iter().all(|frame| frame.payload_type == 8));
}
