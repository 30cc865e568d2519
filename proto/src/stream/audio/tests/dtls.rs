//! Keys that a handshake beside the media gives (RFC 5763, 5764, 8842).

use super::{encryption::secured, *};
use crate::{
    event::KeyMethod,
    stream::{Discarded, SrtpProfile, StreamError},
};

const DTLS: [Encryption; 2] = [Encryption::DtlsMandatory; 2];

fn said(pair: &Pair, end: usize, name: &str) -> Option<String> {
    let media = &pair.descriptions[end].media[0];
    media.attributes.value(name).map(str::to_owned)
}

fn discarded(pair: &Pair, end: usize) -> Discarded {
    let stream = audio(pair.streams[end].as_ref());
    stream.encryption().unwrap().discarded
}

/// All that came for the application since the start.
fn methods(pair: &Pair, end: usize) -> Vec<(KeyMethod, SrtpProfile, bool)> {
    let events = pair.events[end].iter();
    let told = events.filter_map(|event| match event {
        StreamEvent::DidEnableEncryption {
            method,
            cipher,
            keys_in_clear,
        } => Some((*method, *cipher, *keys_in_clear)),
        _ => None,
    });
    told.collect()
}

fn both_hear(pair: &mut Pair) {
    for end in 0..2 {
        pair.played(1 - end);
        pair.speak(end, 10);
        assert_eq!(pair.played(1 - end), 10, "from {end}");
    }
}

/// AUS-11, RTP-08: with RTCP apart each component has an association of its own, and reports are believed.
#[test]
fn aus_11_a_handshake_gives_the_keys_of_both_components() {
    let mut pair = secured(DTLS);
    for end in 0..2 {
        assert_eq!(
            methods(&pair, end),
            [(KeyMethod::Dtls, SrtpProfile::AeadAes256Gcm, false)]
        );
        assert!(audio(pair.streams[end].as_ref()).is_srtp_active());
        let line = &pair.descriptions[end].media[0];
        assert_eq!(line.protocol, "UDP/TLS/RTP/SAVP");
        assert!(!line.attributes.has("crypto"));
        assert!(
            said(&pair, end, "fingerprint")
                .unwrap()
                .starts_with("sha-256 ")
        );
        assert!(said(&pair, end, "tls-id").unwrap().len() >= 20);
    }
    assert_eq!(said(&pair, 0, "setup").as_deref(), Some("actpass"));
    assert_eq!(said(&pair, 1, "setup").as_deref(), Some("active"));
    assert_ne!(said(&pair, 0, "tls-id"), said(&pair, 1, "tls-id"));
    both_hear(&mut pair);
    pair.streams[1].handle_input(pair.now, StreamInput::Verified);
    pair.run(Duration::from_secs(12));
    for end in 0..2 {
        let stream = audio(pair.streams[end].as_ref());
        assert!(stream.statistics().unwrap().remote.is_some(), "reports");
        assert_eq!(discarded(&pair, end), Discarded::default());
    }
    // Secrets stay where they are.
    assert!(!format!("{:?}", pair.streams).contains("private"));
}

/// RFC 8842, 5.5: hold and re-offers by either end keep the association.
#[test]
fn re_offers_keep_the_association() {
    let mut pair = secured(DTLS);
    both_hear(&mut pair);
    for end in [1, 0] {
        let before = [0, 1].map(|end| said(&pair, end, "tls-id"));
        let sent = pair.sent;
        pair.exchange(end);
        assert_eq!([0, 1].map(|end| said(&pair, end, "tls-id")), before);
        assert_eq!(said(&pair, end, "setup").as_deref(), Some("actpass"));
        let kept = ["passive", "active"][1 - end];
        assert_eq!(said(&pair, 1 - end, "setup").as_deref(), Some(kept));
        assert_eq!(pair.sent, sent, "nothing is shaken again");
        both_hear(&mut pair);
    }
    pair.set_hold(0, true);
    pair.exchange(0);
    pair.set_hold(0, false);
    pair.exchange(0);
    both_hear(&mut pair);
    assert_eq!(methods(&pair, 0).len(), 1);
}

/// RFC 8842, 3.1: what the peer changes makes a new association, and the old one carries media until then.
#[test]
fn another_name_or_certificate_renews() {
    for change_certificate in [false, true] {
        let mut pair = secured(DTLS);
        both_hear(&mut pair);
        // Another device takes the call over at end 1.
        let now = pair.now;
        let mut env = env(now, 1, &["PCMU"]);
        let mut settings = MediaSettings::clone(&env.settings);
        settings.encryption = Encryption::DtlsMandatory;
        env.settings = Arc::new(settings);
        env.rng = Rng::from_seed([77; 32]);
        if change_certificate {
            env.credentials = Credentials::new(None, Rng::from_seed([78; 32]));
        }
        let factory = AudioFactory::new();
        let before = [0, 1].map(|end| said(&pair, end, "tls-id"));
        let mut other = factory.create(now, env, &serde_json::Value::Null).unwrap();
        open(&mut other, now, 1);
        let old = std::mem::replace(&mut pair.streams[1], other);
        pair.descriptions[1] = assemble(1, pair.streams[1].offer(now));
        let answer = pair.streams[0].answer(now, &pair.descriptions[1], 0);
        pair.descriptions[0] = assemble(0, answer.unwrap());
        let after = [0, 1].map(|end| said(&pair, end, "tls-id"));
        assert!(after[0] != before[0] && after[1] != before[1]);
        let agreed = |end: usize| Agreement {
            branch: DialogId::from_parts(0, 0),
            local: &pair.descriptions[end],
            remote: &pair.descriptions[1 - end],
            index: 0,
            is_confidential: false,
            is_early: false,
        };
        pair.streams[0].update(now, agreed(0));
        // The new one has said nothing yet: what the old one sends is still heard.
        let new = std::mem::replace(&mut pair.streams[1], old);
        pair.streams[1].handle_input(now, StreamInput::Timeout);
        let held = pair.streams[0].poll_output();
        assert!(
            matches!(held, Some(StreamOutput::Transmit { .. })),
            "a hello"
        );
        pair.played(0);
        pair.speak(1, 5);
        assert_eq!(pair.played(0), 5);
        pair.streams[1] = new;
        let agreed = Agreement {
            branch: DialogId::from_parts(0, 0),
            local: &pair.descriptions[1],
            remote: &pair.descriptions[0],
            index: 0,
            is_confidential: false,
            is_early: false,
        };
        pair.streams[1].start(now, agreed);
        pair.streams[1].handle_input(now, StreamInput::Verified);
        pair.run(Duration::from_secs(5));
        both_hear(&mut pair);
    }
}

/// RFC 8122, 6: a certificate that the description does not name ends the stream, before anything is heard.
#[test]
fn rtp_10_one_digit_of_the_fingerprint_decides() {
    for liar in 0..2 {
        let now = origin();
        let mut pair = secured_but(now, liar);
        pair.run(Duration::from_secs(1));
        let victim = 1 - liar;
        assert!(methods(&pair, victim).is_empty());
        pair.speak(0, 10);
        pair.speak(1, 10);
        assert_eq!((pair.played(0), pair.played(1)), (0, 0), "liar {liar}");
        assert!(!audio(pair.streams[victim].as_ref()).is_srtp_active());
        assert_eq!(pair.failed[victim], [WRONG], "liar {liar}");
    }
}

const WRONG: StreamError =
    StreamError::NotEncrypted("the certificate of the peer is not the one in its description");

/// As `secured`, with one digit of the fingerprint of `liar` changed on the way.
fn secured_but(now: Instant, liar: usize) -> Pair {
    let envs = [0, 1].map(|end| {
        let mut env = env(now, end, &["PCMU"]);
        let mut settings = MediaSettings::clone(&env.settings);
        settings.encryption = Encryption::DtlsMandatory;
        env.settings = Arc::new(settings);
        env
    });
    Pair::altered(now, envs, |end, description| {
        let attributes = &mut description.media[0].attributes;
        let line = attributes.value("fingerprint").unwrap().to_owned();
        if end == liar {
            let last = match line.as_bytes().last() {
                Some(b'0') => "1",
                _ => "0",
            };
            let line = format!("{}{last}", &line[..line.len() - 1]);
            attributes.set(sdp::Attribute::new("fingerprint", line));
        }
    })
}

/// RFC 5763, 6.7.1 and wire rules: a ClientHello that comes before the answer is kept, and nothing is played
/// before the answer says who may have sent it.
#[test]
fn a_hello_before_the_answer_is_kept() {
    let now = origin();
    let factory = AudioFactory::new();
    let make = |end: usize| {
        let mut env = env(now, end, &["PCMU"]);
        let mut settings = MediaSettings::clone(&env.settings);
        settings.encryption = Encryption::DtlsMandatory;
        env.settings = Arc::new(settings);
        env
    };
    let mut caller = factory
        .create(now, make(0), &serde_json::Value::Null)
        .unwrap();
    open(&mut caller, now, 0);
    let offer = assemble(0, caller.offer(now));
    let Offered::Taken(mut callee) = factory.from_sdp(now, make(1), &offer, 0) else {
        panic!("not taken");
    };
    open(&mut callee, now, 1);
    let answer = assemble(1, callee.answer(now, &offer, 0).unwrap());
    let descriptions = [offer, answer];
    let agreed = |end: usize| Agreement {
        branch: DialogId::from_parts(0, 0),
        local: &descriptions[end],
        remote: &descriptions[1 - end],
        index: 0,
        is_confidential: false,
        is_early: false,
    };
    callee.start(now, agreed(1));
    let mut hellos = 0;
    while let Some(output) = callee.poll_output() {
        if let StreamOutput::Transmit { slot, payload, .. } = output {
            hellos += 1;
            let input = StreamInput::Datagram {
                slot,
                from: address(1, slot.0),
                payload: BytesMut::from(&payload[..]),
            };
            caller.handle_input(now, input);
        }
    }
    assert_eq!(hellos, 2);
    assert!(caller.poll_output().is_none(), "nobody is known yet");
    // A stranger's packet in the clear is not played either.
    let mut clear = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
    clear.resize(172, 7);
    caller.start(now, agreed(0));
    caller.handle_input(
        now,
        StreamInput::Datagram {
            slot: Slot(0),
            from: address(1, 0),
            payload: BytesMut::from(&clear[..]),
        },
    );
    let mut pair = Pair {
        now,
        streams: [caller, callee],
        events: Default::default(),
        frames: Default::default(),
        failed: Default::default(),
        sent: Default::default(),
        wire: Default::default(),
        went: Default::default(),
        outside: Default::default(),
        is_cut: [false; 2],
        descriptions: descriptions.clone(),
        started: true,
    };
    pair.deliver();
    // At once: no flight had to be repeated.
    assert_eq!(methods(&pair, 0).len(), 1);
    assert_eq!(methods(&pair, 1).len(), 1);
    assert_eq!(pair.played(0), 0);
    assert_eq!(discarded(&pair, 0).forged, 1);
    both_hear(&mut pair);
}

/// What each policy offers, and which way of the two is taken.
#[test]
fn policies_choose_one_way_of_agreeing_on_keys() {
    use Encryption::{DtlsMandatory, Off, Opportunistic, SdesMandatory, SdesOptional};
    let clear = Some(None);
    let sdes = Some(Some(KeyMethod::Sdes));
    let dtls = Some(Some(KeyMethod::Dtls));
    let rows = [
        (Off, [clear, clear, None, clear, None]),
        (SdesOptional, [clear, sdes, sdes, sdes, None]),
        (SdesMandatory, [None, sdes, sdes, sdes, None]),
        (Opportunistic, [clear, sdes, sdes, dtls, dtls]),
        (DtlsMandatory, [None, dtls, dtls, dtls, dtls]),
    ];
    for (caller, row) in rows {
        let callees = [
            Off,
            SdesOptional,
            SdesMandatory,
            Opportunistic,
            DtlsMandatory,
        ];
        for (callee, expected) in callees.into_iter().zip(row) {
            let now = origin();
            let make = |end: usize, policy| {
                let mut env = env(now, end, &["PCMU"]);
                let mut settings = MediaSettings::clone(&env.settings);
                settings.encryption = policy;
                env.settings = Arc::new(settings);
                env
            };
            let factory = AudioFactory::new();
            let none = serde_json::Value::Null;
            let mut ours = factory.create(now, make(0, caller), &none).unwrap();
            open(&mut ours, now, 0);
            let offer = assemble(0, ours.offer(now));
            let what = format!("{caller:?} calls {callee:?}");
            let taken = factory.from_sdp(now, make(1, callee), &offer, 0);
            if !matches!(taken, Offered::Taken(_)) {
                assert_eq!(expected, None, "{what}");
                continue;
            }
            let pair = secured([caller, callee]);
            let answer = &pair.descriptions[1].media[0].attributes;
            assert!(
                !(answer.has("crypto") && answer.has("fingerprint")),
                "{what}"
            );
            for end in 0..2 {
                let told = methods(&pair, end).first().map(|(method, ..)| *method);
                assert_eq!(Some(told), expected, "{what}");
            }
        }
    }
}

/// A guest who guesses a port does not end a call, and does not come between both.
#[test]
fn a_stranger_with_a_certificate_of_its_own_is_passed_over() {
    let mut pair = secured(DTLS);
    for seed in 0..20u8 {
        let identity = Credentials::new(None, Rng::from_seed([seed; 32]));
        let expected = ::dtls::Expected::new([("sha-256", &[0; 32][..])]).unwrap();
        let mut guest = ::dtls::Association::new(
            pair.now,
            Duration::ZERO,
            ::dtls::Role::Active,
            identity.identity(),
            expected,
            Rng::from_seed([seed; 32]),
        );
        for _ in 0..4 {
            while let Some(output) = guest.poll_output(pair.now) {
                if let ::dtls::Output::Transmit(payload) = output {
                    let input = StreamInput::Datagram {
                        slot: Slot(0),
                        from: SocketAddr::from(([198, 51, 100, 7], 1_000 + u16::from(seed))),
                        payload: BytesMut::from(&payload[..]),
                    };
                    pair.streams[0].handle_input(pair.now, input);
                }
            }
        }
    }
    pair.deliver();
    both_hear(&mut pair);
}
