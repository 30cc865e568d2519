//! When silence is told (AUS-31, SES-74), and when it is not.

use super::*;

fn unencrypted() -> Pair {
    let mut pair = encryption::secured([Encryption::Off; 2]);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair
}

/// A packet of RTP for end 0, as if end 1 had sent it.
fn hears(pair: &mut Pair, payload_type: u8, sequence: u16, payload: &[u8]) {
    let header = rtp::Header {
        marker: false,
        payload_type,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 7,
    };
    let mut packet = BytesMut::new();
    rtp::Packet::new(header, payload).write(&mut packet);
    let input = StreamInput::Datagram {
        slot: Slot(0),
        from: address(1, 0),
        payload: packet,
    };
    pair.streams[0].handle_input(pair.now, input);
    pair.deliver();
}

/// How often end 0 was told of each.
fn told(pair: &Pair) -> (usize, usize) {
    let count =
        |is: fn(&StreamEvent) -> bool| pair.events[0].iter().filter(|event| is(event)).count();
    (
        count(|event| matches!(event, StreamEvent::GotNoAudio)),
        count(|event| matches!(event, StreamEvent::DidTimeout)),
    )
}

/// AUS-31, AUT-10 (`RTPAudioTransportDidTimeout`): after 30 s without anything of the peer, and again after
/// each 30 s more; what is heard in between begins the time anew.
#[test]
fn aus_31_a_peer_that_is_gone_is_told_of_every_thirty_seconds() {
    let mut pair = unencrypted();
    pair.is_cut[1] = true;
    pair.run(Duration::from_millis(29_900));
    assert_eq!(told(&pair), (1, 0));
    pair.run(Duration::from_millis(200));
    assert_eq!(told(&pair), (1, 1));
    // What one end can know of the reason is told along.
    assert!(matches!(
        pair.events[0].last(),
        Some(StreamEvent::GotDiagnosis(_))
    ));
    pair.run(Duration::from_secs(30));
    assert_eq!(told(&pair), (1, 2));
    pair.run(Duration::from_secs(20));
    hears(&mut pair, 0, 1, &[7; 160]);
    pair.run(Duration::from_millis(29_900));
    assert_eq!(told(&pair), (1, 2));
    pair.run(Duration::from_millis(200));
    assert_eq!(told(&pair), (1, 3));
}

/// AUS-31: only while both sides may speak.
#[test]
fn aus_31_nobody_is_missed_while_on_hold() {
    for holder in 0..2 {
        let mut pair = unencrypted();
        pair.set_hold(holder, true);
        pair.exchange(holder);
        pair.is_cut[1] = true;
        pair.run(Duration::from_secs(300));
        assert_eq!(told(&pair), (0, 0), "held by {holder}");
        pair.is_cut[1] = false;
        pair.set_hold(holder, false);
        pair.exchange(holder);
        pair.is_cut[1] = true;
        pair.run(Duration::from_millis(30_100));
        assert_eq!(told(&pair).1, 1, "held by {holder}");
    }
}

/// Wire rules, "Silence": reports of the peer keep AUS-31 quiet and not SES-74.
#[test]
fn aus_31_and_ses_74_reports_show_that_the_peer_lives() {
    let mut pair = unencrypted();
    pair.run(Duration::from_secs(300));
    assert_eq!(told(&pair), (1, 0));
}

/// Wire rules, "Silence"; RFC 3389: a peer that says comfort noise now and then, and no report, is heard.
#[test]
fn aus_31_and_ses_74_comfort_noise_is_heard() {
    let mut pair = unencrypted();
    pair.is_cut[1] = true;
    for n in 0..60 {
        hears(&mut pair, 13, n, &[60]);
        pair.run(Duration::from_secs(4));
    }
    assert_eq!(told(&pair), (0, 0));
    assert_eq!(pair.frames[0].len(), 60, "it is there to be made audible");
    // A packet with nothing in it is no sound: it is what holds bindings.
    pair.events[0].clear();
    for n in 60..90 {
        hears(&mut pair, 0, n, &[]);
        pair.run(Duration::from_secs(4));
    }
    assert!(told(&pair).1 >= 3, "{:?}", told(&pair));
}

/// Wire rules, "Silence": a peer that sends nothing at all while it is silent (DTX) is not missed between two
/// sentences.
#[test]
fn aus_31_and_ses_74_a_pause_of_25_seconds_is_none() {
    let mut pair = unencrypted();
    pair.is_cut[1] = true;
    for sentence in 0..8u16 {
        for n in 0..50 {
            hears(&mut pair, 0, sentence * 50 + n, &[7; 160]);
            pair.run(Duration::from_millis(20));
        }
        pair.run(Duration::from_secs(25));
    }
    assert_eq!(told(&pair), (0, 0));
}
