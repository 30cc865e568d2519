//! What is sealed, what is opened, and what is thrown away.

use super::*;
use crate::stream::{Discarded, SrtpProfile, StreamError};
use rtp::Packet;

pub(super) fn secured(policies: [Encryption; 2]) -> Pair {
    let now = origin();
    Pair::with(
        now,
        [0, 1].map(|end| {
            let mut env = env(now, end, &["PCMU"]);
            let mut settings = MediaSettings::clone(&env.settings);
            settings.encryption = policies[end];
            env.settings = Arc::new(settings);
            env
        }),
    )
}

/// Lets the caller say one frame, and takes it off the wire.
fn said(pair: &mut Pair, timestamp: u32) -> Bytes {
    let frame = Frame {
        payload_type: 0,
        marker: false,
        sequence: 0,
        timestamp,
        ssrc: 0,
        arrived: pair.now,
        payload: Bytes::from_static(&[7; 160]),
    };
    pair.streams[0].handle_input(pair.now, StreamInput::Media(frame));
    std::iter::from_fn(|| pair.streams[0].poll_output())
        .find_map(|output| match output {
            StreamOutput::Transmit {
                slot: Slot(0),
                payload,
                ..
            } => Some(payload),
            _ => None,
        })
        .expect("a packet")
}

fn hears(pair: &mut Pair, packet: &[u8]) -> usize {
    let input = StreamInput::Datagram {
        slot: Slot(0),
        from: address(0, 0),
        payload: BytesMut::from(packet),
    };
    pair.streams[1].handle_input(pair.now, input);
    pair.deliver();
    pair.played(1)
}

fn discarded(pair: &Pair) -> Discarded {
    let stream = audio(pair.streams[1].as_ref());
    stream.encryption().unwrap().discarded
}

/// AUS-11, RTP-08: what is said is on the wire as nobody else can hear it, and is told.
#[test]
fn aus_11_media_are_sealed_and_told() {
    let mut pair = secured([Encryption::SdesOptional; 2]);
    for (end, stream) in pair.streams.iter().enumerate() {
        let stream = audio(stream.as_ref());
        let info = stream.encryption().unwrap();
        assert!(stream.is_srtp_active());
        assert_eq!(info.cipher, SrtpProfile::AeadAes256Gcm);
        assert!(info.keys_in_clear);
        assert!(
            matches!(
                pair.events[end][..],
                [StreamEvent::DidEnableEncryption {
                    keys_in_clear: true,
                    ..
                }]
            ),
            "{:?}",
            pair.events[end]
        );
    }
    assert_eq!(pair.descriptions[0].media[0].protocol, "RTP/AVP");
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    let packet = said(&mut pair, 0);
    assert_eq!(packet.len(), 12 + 160 + 16);
    assert!(!packet.windows(8).any(|bytes| bytes == [7; 8]));
    assert_eq!(hears(&mut pair, &packet), 1);
    pair.speak(1, 400);
    assert_eq!(pair.played(0), 400);
    let reports = audio(pair.streams[0].as_ref()).statistics().unwrap();
    assert!(reports.reports_received > 0, "RTCP is opened as well");
}

/// A peer without encryption is talked to in the clear, and that is told.
#[test]
fn a_peer_that_cannot_is_told_of() {
    for policies in [
        [Encryption::SdesOptional, Encryption::Off],
        [Encryption::Off, Encryption::SdesOptional],
    ] {
        let mut pair = secured(policies);
        assert!(!audio(pair.streams[0].as_ref()).is_srtp_active());
        pair.speak(0, 5);
        assert_eq!(pair.played(1), 5);
        for (end, policy) in policies.into_iter().enumerate() {
            let is_told = matches!(
                pair.events[end][..],
                [StreamEvent::DidNotEnableEncryption { .. }]
            );
            assert_eq!(is_told, policy != Encryption::Off, "{:?}", pair.events[end]);
        }
    }
}

/// A plain packet, one with a flipped bit and one that was there before are counted and not played.
#[test]
fn rtp_08_forged_packets_are_counted_and_not_played() {
    let mut pair = secured([Encryption::SdesMandatory; 2]);
    assert_eq!(pair.descriptions[0].media[0].protocol, "RTP/SAVP");
    let genuine = said(&mut pair, 0);
    assert_eq!(hears(&mut pair, &genuine), 1);
    assert_eq!(hears(&mut pair, &genuine), 0);
    assert_eq!(discarded(&pair).replayed, 1);
    let next = said(&mut pair, 160);
    for byte in 0..next.len() {
        let mut flipped = next.to_vec();
        flipped[byte] ^= 1;
        assert_eq!(hears(&mut pair, &flipped), 0, "byte {byte}");
    }
    let head = Packet::parse(&next).unwrap().header;
    let mut plain = BytesMut::new();
    Packet::new(head, &[7; 160]).write(&mut plain);
    assert_eq!(hears(&mut pair, &plain), 0);
    assert_eq!(hears(&mut pair, b"short"), 0);
    let counted = discarded(&pair);
    assert!(counted.forged >= 160, "{counted:?}");
    assert!(counted.malformed >= 1, "{counted:?}");
    assert_eq!(hears(&mut pair, &next), 1, "the genuine one still counts");
    let statistics = audio(pair.streams[1].as_ref()).statistics().unwrap();
    assert_eq!(
        (statistics.packets_received, statistics.packets_lost),
        (2, 0)
    );
}

/// Counters and windows live over hold and re-offers of either side, and over the wrap of the number.
#[test]
fn counters_live_over_hold_and_re_offers() {
    let mut pair = secured([Encryption::SdesMandatory; 2]);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    let early = said(&mut pair, 0);
    assert_eq!(hears(&mut pair, &early), 1);
    let mut heard = 0;
    let number = |packet: &Bytes| Packet::parse(packet).unwrap().header.sequence;
    let mut last = number(&early);
    let mut is_wrapped = false;
    let mut sent = 0;
    for round in 0..8u32 {
        for n in 0..8_200u32 {
            let packet = said(&mut pair, (round * 8_200 + n) * 160);
            is_wrapped |= std::mem::replace(&mut last, number(&packet)) > last;
            sent += 1;
            heard += hears(&mut pair, &packet);
        }
        if is_wrapped {
            break;
        }
        pair.set_hold((round % 2) as usize, true);
        pair.exchange((round % 2) as usize);
        pair.set_hold((round % 2) as usize, false);
        pair.exchange(((round + 1) % 2) as usize);
    }
    assert!(is_wrapped);
    assert_eq!(heard, sent);
    assert_eq!(discarded(&pair), Discarded::default());
    // With the counter at 0 the first packet would fit again.
    assert_eq!(hears(&mut pair, &early), 0);
    assert_eq!(discarded(&pair).forged, 1);
}

/// An answer with another key than the peer uses: nothing is played, and nobody hears us.
#[test]
fn a_changed_key_in_the_answer_leaves_silence() {
    let mut pair = secured([Encryption::SdesMandatory; 2]);
    let line = pair.descriptions[1].media[0]
        .attributes
        .find("crypto")
        .unwrap();
    let mut forged = sdp::Crypto::read(line).unwrap();
    forged.keys[0].material[0] ^= 1;
    pair.descriptions[1].media[0]
        .attributes
        .set(forged.attribute());
    // The caller believes the forged answer; the callee stays at its own.
    let (now, [ours, theirs]) = (pair.now, pair.descriptions.clone());
    let agreed = Agreement {
        branch: DialogId::from_parts(0, 0),
        local: &ours,
        remote: &theirs,
        index: 0,
        is_confidential: true,
        is_early: false,
    };
    pair.streams[0].update(now, agreed);
    pair.now += Duration::from_secs(4);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.speak(1, 20);
    assert_eq!(pair.played(0), 0);
    let info = audio(pair.streams[0].as_ref()).encryption().unwrap();
    assert!(info.discarded.forged >= 20, "{info:?}");
    assert!(!info.keys_in_clear);
}

/// RTP-10: an answer without a key ends a stream that must be encrypted; it never starts in the clear.
#[test]
fn rtp_10_mandatory_encryption_does_not_start_without_a_key() {
    let now = origin();
    let mut pair = secured([Encryption::SdesMandatory, Encryption::SdesOptional]);
    let settings = MediaSettings {
        encryption: Encryption::SdesMandatory,
        ..MediaSettings::default()
    };
    let mut bare = pair.descriptions[1].clone();
    bare.media[0].attributes.remove("crypto");
    let mut fresh_env = env(now, 0, &["PCMU"]);
    fresh_env.settings = Arc::new(settings);
    let mut fresh = AudioFactory::new()
        .create(now, fresh_env, &serde_json::Value::Null)
        .unwrap();
    open(&mut fresh, now, 0);
    let offer = assemble(0, fresh.offer(now));
    let agreed = Agreement {
        branch: DialogId::from_parts(0, 0),
        local: &offer,
        remote: &bare,
        index: 0,
        is_confidential: false,
        is_early: false,
    };
    fresh.start(now, agreed);
    let told: Vec<StreamOutput> = std::iter::from_fn(|| fresh.poll_output()).collect();
    assert!(
        matches!(
            told[..],
            [StreamOutput::Failed(StreamError::NotEncrypted(_))]
        ),
        "{told:?}"
    );
    // In mid-call it is the same, and nothing more is said in the clear.
    let agreed = Agreement {
        local: &pair.descriptions[0],
        ..agreed
    };
    pair.streams[0].update(now, agreed);
    assert_eq!(said(&mut pair, 0).len(), 12 + 160 + 16);
}

/// RFC 4568, 7.3: several forks answer one offered key. Each is heard with its own key alone, and no
/// number of ours is sealed twice with the same key.
#[test]
fn forks_have_their_own_keys() {
    let mut pair = secured([Encryption::SdesOptional; 2]);
    let now = pair.now;
    let first = said(&mut pair, 0);
    let [offer, answer] = pair.descriptions.clone();
    let factory = AudioFactory::new();
    let Offered::Taken(mut fork) = factory.from_sdp(now, env(now, 2, &["PCMU"]), &offer, 0) else {
        panic!("not taken");
    };
    open(&mut fork, now, 2);
    let forked = assemble(2, fork.answer(now, &offer, 0).unwrap());
    let agreed = |branch, remote| Agreement {
        branch: DialogId::from_parts(branch, 0),
        local: &offer,
        remote,
        index: 0,
        is_confidential: false,
        is_early: false,
    };
    pair.streams[0].update(now, agreed(1, &forked));
    let second = said(&mut pair, 160);
    // Back to the first: the numbers go on, the key is the same.
    pair.streams[0].update(now, agreed(0, &answer));
    let third = said(&mut pair, 320);
    let sequence = |packet: &Bytes| Packet::parse(packet).unwrap().header.sequence;
    let numbers = [&first, &second, &third].map(sequence);
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
    assert_eq!(hears(&mut pair, &first), 1);
    assert_eq!(hears(&mut pair, &third), 1);
    // What the other fork says is no longer believed.
    fork.start(
        now,
        Agreement {
            local: &forked,
            remote: &offer,
            ..agreed(0, &answer)
        },
    );
    let frame = Frame {
        payload_type: 0,
        marker: false,
        sequence: 0,
        timestamp: 0,
        ssrc: 0,
        arrived: now,
        payload: Bytes::from_static(&[7; 160]),
    };
    fork.handle_input(now, StreamInput::Media(frame));
    let before = audio(pair.streams[0].as_ref()).encryption().unwrap();
    while let Some(output) = fork.poll_output() {
        if let StreamOutput::Transmit { slot, payload, .. } = output {
            let input = StreamInput::Datagram {
                slot,
                from: address(2, slot.0),
                payload: BytesMut::from(&payload[..]),
            };
            pair.streams[0].handle_input(now, input);
        }
    }
    pair.deliver();
    assert_eq!(pair.played(0), 0);
    let after = audio(pair.streams[0].as_ref()).encryption().unwrap();
    assert_eq!(after.discarded.forged, before.discarded.forged + 1);
}
