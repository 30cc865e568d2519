//! Lines of keys and of candidates, good and bad: keys as others print them fit the suites that they
//! name, and are printed as they were read.

use crate::vectors::load;
use ::rtp::srtp::{MasterKey, Profile};
use ::sdp::{Attribute, Candidate, Crypto, RemoteCandidates, Text};
use serde_json::Value;

fn attribute(line: &Value) -> Attribute {
    let line = line.as_str().expect("a line");
    let line = line.strip_prefix("a=").expect("an attribute");
    Attribute::from(Text::from(line.to_owned()))
}

/// The key of a line, if we would answer it.
fn key(attribute: &Attribute) -> Option<MasterKey> {
    let crypto = Crypto::read(attribute)?;
    MasterKey::new(Profile::of_suite(&crypto.suite)?, crypto.plain_key()?)
}

#[test]
fn keys_of_the_rfcs_are_read_and_printed() {
    let Some(lines) = load("sdes/crypto-lines-rfc.json") else {
        return;
    };
    let mut whole = 0;
    for case in lines.as_array().expect("a list") {
        let attribute = attribute(&case["line"]);
        let Some(crypto) = Crypto::read(&attribute) else {
            // The RFC shows a line without its key once.
            assert!(!attribute.as_str().contains("inline"), "{case}");
            continue;
        };
        assert_eq!(crypto.attribute(), attribute, "{case}");
        // They all have master key identifiers, which we do not take.
        assert_eq!(key(&attribute), None);
        whole += 1;
    }
    assert!(whole > 10);
}

#[test]
fn keys_fit_their_suites() {
    let Some(cases) = load("sdes/own-cases.json") else {
        return;
    };
    let mut taken = Vec::new();
    for case in cases["valid"].as_array().expect("a list") {
        let attribute = attribute(&case["line"]);
        let crypto = Crypto::read(&attribute).expect("a key");
        if let Some(tag) = case["tag"].as_u64() {
            assert_eq!(u64::from(crypto.tag), tag);
        }
        if let Some(lifetime) = case["lifetime"].as_u64() {
            assert_eq!(crypto.keys[0].lifetime, Some(lifetime));
        }
        if let Some(key) = key(&attribute) {
            taken.push((crypto.tag, key.profile()));
        }
    }
    let expected = [
        (1, Profile::AesCm128HmacSha1_80),
        (5, Profile::AesCm256HmacSha1_80),
        (6, Profile::AeadAes128Gcm),
    ];
    assert_eq!(taken, expected);
    for case in cases["invalid"].as_array().expect("a list") {
        assert_eq!(key(&attribute(case)), None, "{case}");
    }
}

#[test]
fn candidates_are_read_or_not() {
    let Some(cases) = load("ice/ice.json") else {
        return;
    };
    let mut read = 0;
    for case in cases["candidate_lines"].as_array().expect("a list") {
        let attribute = attribute(case);
        let printed = match attribute.name() {
            "candidate" => Candidate::read(&attribute).map(|read| read.attribute()),
            "remote-candidates" => RemoteCandidates::read(&attribute).map(|read| read.attribute()),
            _ => continue,
        };
        assert_eq!(printed, Some(attribute), "{case}");
        read += 1;
    }
    assert!(read > 2);
    for case in cases["bad_candidate_lines"].as_array().expect("a list") {
        assert_eq!(Candidate::read(&attribute(case)), None, "{case}");
    }
}
