//! Payload numbers over several exchanges (RFC 3264, 8.3.2).

use super::*;

/// What the m-line says of payload numbers, `101 telephone-event` and so on.
fn maps(media: &sdp::Media) -> Vec<String> {
    media
        .codecs()
        .iter()
        .map(|codec| format!("{} {}", codec.payload_type, codec.name))
        .collect()
}

#[test]
fn what_the_peer_numbered_keeps_its_number_in_our_offer() {
    let mut pair = Pair::new(BOTH);
    let now = pair.now;
    // Events are 97 at this peer, and what we call events is a codec of its own.
    let events = |number, name: &str| sdp::Codec::new(number, name.to_owned(), 8_000);
    let theirs = [
        sdp::Codec::new(0, "PCMU", 8_000),
        events(97, "telephone-event"),
        events(98, "x-odd"),
    ];
    let mut offered = sdp::Media::rtp("audio", 6_000, "RTP/AVP", &theirs);
    offered.connections.push(sdp::Connection::new(ip(1)));
    let offer = assemble(1, offered);
    let stream = &mut pair.streams[0];
    let answer = stream.answer(now, &offer, 0).unwrap();
    assert_eq!(maps(&answer), ["0 PCMU", "97 telephone-event"]);
    let agreed = Agreement {
        branch: DialogId::from_parts(0, 0),
        local: &assemble(0, answer),
        remote: &offer,
        index: 0,
        is_confidential: false,
        is_early: false,
    };
    stream.update(now, agreed);
    let again = maps(&stream.offer(now));
    // 101 was ours in the first offer, and means the same still.
    assert!(
        again.contains(&"101 telephone-event".to_owned()),
        "{again:?}"
    );

    // A stream that never offered takes the peer's numbers, and none that mean something else.
    let mut fresh = AudioStream::new(env(now, 0, &["PCMU", "PCMA"]));
    let theirs = [
        sdp::Codec::new(0, "PCMU", 8_000),
        events(97, "telephone-event"),
        events(101, "x-odd"),
    ];
    let mut offered = sdp::Media::rtp("audio", 6_000, "RTP/AVP", &theirs);
    offered.connections.push(sdp::Connection::new(ip(1)));
    fresh.answer(now, &assemble(1, offered), 0).unwrap();
    let ours = maps(&fresh.offer(now));
    assert_eq!(ours, ["0 PCMU", "8 PCMA", "97 telephone-event"]);
    let next: Vec<String> = maps(&fresh.offer(now));
    assert_eq!(ours, next, "an offer without change is the same offer");
}
