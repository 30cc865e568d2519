//! Values that the RFCs print, and sessions that another implementation sealed.

use super::{
    super::{
        MasterKey, Opener, Profile, Sealer,
        packet::RTCP_CLEAR,
        transform::{Counter, Trailer, Transform, keystream},
    },
    start,
};
use aes::{Aes128, Aes256, cipher::KeyInit as _};
use bytes::BytesMut;
use serde_json::Value;
use std::{fs, path::Path};

#[expect(clippy::disallowed_methods, reason = "vectors lie in files")]
fn load(name: &str) -> Option<Value> {
    let folder = "../../../shared/vectors/srtp";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(name);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("valid JSON"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().expect("a list")
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal text");
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// RFC 3711 B.2, RFC 6188 7.1.
#[test]
fn keystreams_are_those_of_the_rfcs() {
    let Some(vectors) = load("rfc-vectors.json") else {
        return;
    };
    for case in list(&vectors, "aes_cm_keystream") {
        let iv: [u8; 16] = hex(&case["offset_iv"]).try_into().unwrap();
        let mut stream = vec![0; number(&case["keystream_len"]) as usize];
        match hex(&case["session_key"]) {
            key if key.len() == 16 => {
                keystream(&Aes128::new_from_slice(&key).unwrap(), &iv, &mut stream);
            }
            key => keystream(&Aes256::new_from_slice(&key).unwrap(), &iv, &mut stream),
        }
        for block in list(case, "blocks") {
            let at = number(&block["block_index"]) as usize * 16;
            assert_eq!(stream[at..at + 16], hex(&block["keystream"]), "{block}");
        }
    }
}

/// RFC 3711 B.3, RFC 6188 7.2.
#[test]
fn session_keys_are_those_of_the_rfcs() {
    let Some(vectors) = load("rfc-vectors.json") else {
        return;
    };
    for case in list(&vectors, "key_derivation") {
        let material = [hex(&case["master_key"]), hex(&case["master_salt"])].concat();
        let profile = match material.len() {
            30 => Profile::AesCm128HmacSha1_80,
            _ => Profile::AesCm256HmacSha1_80,
        };
        let master = MasterKey::new(profile, &material).unwrap();
        for (label, name) in [(0, "cipher_key"), (1, "auth_key"), (2, "cipher_salt")] {
            let expected = hex(&case[name]);
            let mut derived = vec![0; expected.len()];
            master.derive(label, &mut derived);
            assert_eq!(derived, expected, "{name} of {case}");
        }
    }
}

/// RFC 7714, 16 and 17: session keys and salts as printed.
#[test]
fn gcm_packets_are_those_of_the_rfc() {
    let Some(vectors) = load("rfc-vectors.json") else {
        return;
    };
    for case in list(&vectors, "aead_gcm") {
        let mut salt = [0; 14];
        salt[..12].copy_from_slice(&hex(&case["session_salt"]));
        let key = hex(&case["session_key"]);
        let profile = match key.len() {
            16 => Profile::AeadAes128Gcm,
            _ => Profile::AeadAes256Gcm,
        };
        let transform = Transform::new(profile, &key, &[0; 20], salt, 16);
        let (plain, sealed, clear, counter, trailer) = if case["kind"] == "srtp" {
            let plain = hex(&case["rtp"]);
            let word = |at: usize| u32::from_be_bytes(plain[at..at + 4].try_into().unwrap());
            let rollovers = number(&case["roc"]) as u32;
            let index = u64::from(rollovers) << 16 | u64::from(word(0) as u16);
            let counter = Counter {
                ssrc: word(8),
                index,
            };
            let sealed = hex(&case["srtp_encrypted"]);
            (plain, sealed, 12, counter, Trailer::Rollover(rollovers))
        } else {
            let plain = hex(&case["rtcp"]);
            let index = number(&case["srtcp_index"]);
            let counter = Counter {
                ssrc: u32::from_be_bytes(plain[4..8].try_into().unwrap()),
                index,
            };
            let sealed = hex(&case["srtcp_encrypted"]);
            let trailer = Trailer::Index(1 << 31 | index as u32);
            (plain, sealed, RTCP_CLEAR, counter, trailer)
        };
        let mut packet = BytesMut::from(&plain[..]);
        transform.seal(&mut packet, clear, counter, trailer);
        assert_eq!(packet, sealed[..], "{case}");
    }
}

/// Rollover, contributing sources, extensions, reports: sealed alike, and opened.
#[test]
fn sessions_that_others_sealed() {
    let Some(vectors) = load("generated-sessions.json") else {
        return;
    };
    let now = start();
    let mut seen = 0;
    for session in list(&vectors, "sessions") {
        let name = session["profile"].as_str().unwrap();
        let Some(profile) = Profile::of_suite(name) else {
            // AES-192 and NULL are not there on purpose.
            assert!(name.contains("192") || name.starts_with("NULL"), "{name}");
            continue;
        };
        let material = [hex(&session["master_key"]), hex(&session["master_salt"])].concat();
        let key = MasterKey::new(profile, &material).unwrap();
        let (mut sealer, mut opener) = (Sealer::new(key.clone()), Opener::new(key));
        for case in list(session, "rtp") {
            let (plain, sealed) = (hex(&case["rtp"]), hex(&case["srtp"]));
            let mut packet = BytesMut::from(&plain[..]);
            sealer.seal_rtp(&mut packet).unwrap();
            assert_eq!(packet, sealed[..], "{name}: {case}");
            opener.open_rtp(now, &mut packet).unwrap();
            assert_eq!(packet, plain[..], "{name}: {case}");
        }
        for case in list(session, "rtcp") {
            let (plain, sealed) = (hex(&case["rtcp"]), hex(&case["srtcp"]));
            let ssrc = u32::from_be_bytes(plain[4..8].try_into().unwrap());
            sealer.set_index(ssrc, number(&case["srtcp_index"]) as u32);
            let mut packet = BytesMut::from(&plain[..]);
            sealer.seal_rtcp(&mut packet).unwrap();
            assert_eq!(packet, sealed[..], "{name}: {case}");
            opener.open_rtcp(now, &mut packet).unwrap();
            assert_eq!(packet, plain[..], "{name}: {case}");
        }
        seen += 1;
    }
    assert_eq!(seen, Profile::ALL.len());
}

/// A vector that is wrong in one bit is noticed.
#[test]
fn a_corrupted_vector_fails() {
    let Some(vectors) = load("generated-sessions.json") else {
        return;
    };
    for session in list(&vectors, "sessions") {
        let Some(profile) = Profile::of_suite(session["profile"].as_str().unwrap()) else {
            continue;
        };
        let material = [hex(&session["master_key"]), hex(&session["master_salt"])].concat();
        let mut opener = Opener::new(MasterKey::new(profile, &material).unwrap());
        let mut sealed = BytesMut::from(&hex(&list(session, "rtp")[0]["srtp"])[..]);
        sealed[20] ^= 0x10;
        assert!(opener.open_rtp(start(), &mut sealed).is_err());
    }
}

/// Packets that libsrtp's own tests compare with, by the keys of those tests: sealed alike, opened, and refused
/// with any bit changed.
#[test]
fn packets_of_libsrtp() {
    let Some(vectors) = load("libsrtp-packet-arrays.json") else {
        return;
    };
    let arrays = vectors.as_array().expect("a list");
    let array = |function: &str, name: &str| {
        let found = arrays
            .iter()
            .find(|array| array["function"] == function && array["name"] == name);
        found.map(|array| hex(&array["hex"]))
    };
    let key = |name| array("srtp_test_roc_mismatch", name).expect("a key");
    let mut seen = Vec::new();
    for (function, profile, material, rtp_plain) in [
        (
            "srtp_validate",
            Profile::AesCm128HmacSha1_80,
            // The array has a second master key behind the first.
            key("test_key")[..30].to_vec(),
            "srtp_plaintext_ref",
        ),
        (
            "srtp_validate_gcm",
            Profile::AeadAes128Gcm,
            key("test_key_gcm"),
            "rtp_plaintext_ref",
        ),
        (
            "srtp_validate_aes_256",
            Profile::AesCm256HmacSha1_80,
            array("srtp_validate_aes_256", "aes_256_test_key").expect("a key"),
            "srtp_plaintext_ref",
        ),
    ] {
        let master = MasterKey::new(profile, &material).expect("a key of that length");
        for (is_rtcp, plain, sealed) in [
            (false, rtp_plain, "srtp_ciphertext"),
            (true, "rtcp_plaintext_ref", "srtcp_ciphertext"),
        ] {
            let (Some(plain), Some(sealed)) = (array(function, plain), array(function, sealed))
            else {
                continue;
            };
            let mut sealer = Sealer::new(master.clone());
            let mut packet = BytesMut::from(&plain[..]);
            if is_rtcp {
                // The index of the first packet of libsrtp is 1.
                let ssrc = u32::from_be_bytes(plain[4..8].try_into().unwrap());
                sealer.set_index(ssrc, 1);
                sealer.seal_rtcp(&mut packet).unwrap();
            } else {
                sealer.seal_rtp(&mut packet).unwrap();
            }
            assert_eq!(packet, sealed[..], "{function}");
            let open = |packet: &mut BytesMut| {
                let mut opener = Opener::new(master.clone());
                match is_rtcp {
                    true => opener.open_rtcp(start(), packet).is_ok(),
                    false => opener.open_rtp(start(), packet).is_ok(),
                }
            };
            assert!(open(&mut packet), "{function}");
            assert_eq!(packet, plain[..], "{function}");
            for bit in 0..sealed.len() * 8 {
                let mut packet = BytesMut::from(&sealed[..]);
                packet[bit / 8] ^= 1 << (bit % 8);
                assert!(!open(&mut packet), "{function}: bit {bit}");
            }
            seen.push((function, is_rtcp));
        }
    }
    let expected = [
        ("srtp_validate", false),
        ("srtp_validate", true),
        ("srtp_validate_gcm", false),
        ("srtp_validate_gcm", true),
        ("srtp_validate_aes_256", false),
    ];
    assert_eq!(seen, expected);
    // Every other packet is of transforms that are not there on purpose: AES with 192 bits, and none.
    for array in arrays {
        let (function, name) = (&array["function"], array["name"].as_str().unwrap());
        let is_known = expected.iter().any(|(known, _)| function == known)
            || function == "srtp_validate_null_null"
            || function == "srtp_validate_aes_192";
        assert!(is_known || !name.ends_with("ciphertext"), "{array}");
    }
}
