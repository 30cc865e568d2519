//! The transport protocols of an m-line (AUS-32 as the wire rules read it; RFC 3551, 4585, 5124, 5764, 8643).

use super::*;

const TOKENS: [&str; 6] = [
    "RTP/AVP",
    "RTP/AVPF",
    "RTP/SAVP",
    "RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "UDP/TLS/RTP/SAVPF",
];

/// What an offer has beside its token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keys {
    None,
    Crypto,
    Fingerprint,
}

const KEYS: [Keys; 3] = [Keys::None, Keys::Crypto, Keys::Fingerprint];

fn with(now: Instant, end: usize, encryption: Encryption) -> StreamEnv {
    let mut env = env(now, end, &["PCMU"]);
    let mut settings = MediaSettings::clone(&env.settings);
    settings.encryption = encryption;
    env.settings = Arc::new(settings);
    env
}

/// Two streams of which the first offers these keys with this token.
fn offered(token: &str, keys: Keys, policy: Encryption) -> Result<Pair, u16> {
    let now = origin();
    let offers = match keys {
        Keys::None => Encryption::Off,
        Keys::Crypto => Encryption::SdesOptional,
        Keys::Fingerprint => Encryption::DtlsMandatory,
    };
    let change = |end: usize, session: &mut sdp::Session| {
        if end == 0 {
            session.media[0].protocol = token.to_owned().into();
            if token.to_ascii_uppercase().ends_with('F') {
                let feedback = sdp::Attribute::new("rtcp-fb", "0 nack");
                session.media[0].attributes.push(feedback);
            }
        }
    };
    let factory = AudioFactory::new();
    let null = &serde_json::Value::Null;
    let mut alone = factory.create(now, with(now, 0, offers), null).unwrap();
    open(&mut alone, now, 0);
    let mut offer = assemble(0, alone.offer(now));
    change(0, &mut offer);
    match factory.from_sdp(now, with(now, 1, policy), &offer, 0) {
        Offered::Refused(refusal) => Err(refusal.code),
        Offered::NotMine => panic!("{token} is audio"),
        Offered::Taken(_) => {
            let envs = [with(now, 0, offers), with(now, 1, policy)];
            Ok(Pair::altered(now, envs, change))
        }
    }
}

/// What an offer with `token` and `keys` comes to: the keys of the answer, or nothing.
fn expected(token: &str, keys: Keys, policy: Encryption) -> Option<Keys> {
    let is_secure = token.contains("SAVP");
    let is_dtls = token.contains("TLS");
    match (keys, policy) {
        // RFC 5764, 8: this token has its keys from a handshake, and there is none without a fingerprint.
        (Keys::Crypto, _) if is_dtls => None,
        (Keys::None, Encryption::SdesMandatory | Encryption::DtlsMandatory) => None,
        (Keys::Crypto, Encryption::DtlsMandatory) => None,
        (_, Encryption::Off) if is_secure => None,
        (_, Encryption::Off) => Some(Keys::None),
        (Keys::None, _) => (!is_secure).then_some(Keys::None),
        (keys, _) => Some(keys),
    }
}

/// AUS-32: each of the six tokens with each kind of keys and each policy: taken or refused, the token repeated
/// letter by letter, no feedback invented, and speech heard both ways, protected as it was said.
#[test]
fn aus_32_six_transports_with_all_kinds_of_keys() {
    for policy in [
        Encryption::Off,
        Encryption::SdesOptional,
        Encryption::SdesMandatory,
        Encryption::Opportunistic,
        Encryption::DtlsMandatory,
    ] {
        for token in TOKENS {
            for keys in KEYS {
                let case = format!("{token} with {keys:?}, {policy:?}");
                let expected = expected(token, keys, policy);
                let mut pair = match (offered(token, keys, policy), expected) {
                    (Ok(pair), Some(_)) => pair,
                    (Err(code), None) => {
                        assert_eq!(code, 488, "{case}");
                        continue;
                    }
                    (Ok(pair), None) => {
                        panic!("{case} was taken: {}", pair.descriptions[1].print())
                    }
                    (Err(code), Some(_)) => panic!("{case} was refused: {code}"),
                };
                let answer = &pair.descriptions[1].media[0];
                assert_eq!(answer.protocol, token, "{case}");
                let has = |name: &str| answer.attributes.has(name);
                assert!(!has("rtcp-fb"), "{case}");
                let said = (has("crypto"), has("fingerprint"));
                let keyed = expected.unwrap();
                assert_eq!(
                    said,
                    (keyed == Keys::Crypto, keyed == Keys::Fingerprint),
                    "{case}"
                );
                pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
                if keyed != Keys::None || keys == Keys::None {
                    assert!(pair.failed.iter().all(Vec::is_empty), "{case}");
                    pair.speak(0, 3);
                    pair.speak(1, 3);
                    assert_eq!((pair.played(0), pair.played(1)), (3, 3), "{case}");
                }
                for stream in &pair.streams {
                    let is_active = audio(stream.as_ref()).is_srtp_active();
                    assert_eq!(is_active, keyed != Keys::None, "{case}");
                }
            }
        }
    }
}

/// RFC 4566, 5.14 and the wire rules: whatever its letters look like, they are repeated.
#[test]
fn aus_32_tokens_are_repeated_letter_by_letter() {
    for (token, keys) in [
        ("rtp/avp", Keys::None),
        ("Rtp/Avpf", Keys::Crypto),
        ("rtp/savpf", Keys::Crypto),
        ("Udp/Tls/RTP/savpf", Keys::Fingerprint),
    ] {
        let pair = offered(token, keys, Encryption::SdesOptional).unwrap();
        assert_eq!(pair.descriptions[1].media[0].protocol, token);
    }
    for token in ["RTP/AVPX", "TCP/RTP/AVP", "UDP", "DCCP/TLS/RTP/SAVP"] {
        assert_eq!(
            offered(token, Keys::None, Encryption::Off).err(),
            Some(488),
            "{token}"
        );
    }
}
