//! Lines of keys and of candidates, good and bad: keys as others print them fit the suites that they
//! name, and are printed as they were read.

use crate::vectors::{hex, list, load};
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

/// What a line says that a vector does not expect, by the vector's names: nothing, if it is as it should be.
fn difference(line: &Value, case: &Value) -> Option<String> {
    let Some(crypto) = Crypto::read(&attribute(line)) else {
        return Some("no key".to_owned());
    };
    let key = &crypto.keys[0];
    // What the vectors call a key and a salt are one after the other in the line.
    let cut = case["key"].as_str().map_or(0, |key| key.len() / 2);
    let (first, last) = key.material.split_at(cut.min(key.material.len()));
    let (mki, mki_length) = match &key.mki {
        Some((identifier, length)) => (identifier.parse().ok(), Some(u64::from(*length))),
        None => (None, None),
    };
    let parameters: Vec<&str> = crypto.parameters.iter().map(|text| &**text).collect();
    let fields = case.as_object().expect("a case").iter();
    let other = fields.filter(|(name, wanted)| match name.as_str() {
        "line" | "note" => false,
        "tag" => **wanted != crypto.tag,
        "suite" => **wanted != *crypto.suite,
        "key" => hex(wanted) != first,
        "salt" => hex(wanted) != last,
        "lifetime" => wanted.as_u64() != key.lifetime,
        "mki" => wanted.as_u64() != mki,
        "mki_length" => wanted.as_u64() != mki_length,
        "session_params" => **wanted != Value::from(parameters.clone()),
        name => panic!("{name} is not looked at"),
    });
    let other: Vec<&str> = other.map(|(name, _)| name.as_str()).collect();
    (!other.is_empty()).then(|| other.join(", "))
}

#[test]
fn keys_fit_their_suites() {
    let Some(cases) = load("sdes/own-cases.json") else {
        return;
    };
    let mut taken = Vec::new();
    for case in list(&cases, "valid") {
        assert_eq!(difference(&case["line"], case), None, "{case}");
        let attribute = attribute(&case["line"]);
        let crypto = Crypto::read(&attribute).expect("a key");
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
    for case in list(&cases, "invalid") {
        assert_eq!(key(&attribute(case)), None, "{case}");
    }
}

/// Another character anywhere in what a vector describes makes it another line: that is noticed.
#[test]
fn a_corrupted_key_fails() {
    let Some(cases) = load("sdes/own-cases.json") else {
        return;
    };
    let mut changed = 0;
    for case in list(&cases, "valid") {
        let line = case["line"].as_str().expect("a line");
        // What stands where, of what is described: the whole of the line, or its end.
        let described = match (case["key"].is_null(), case["mki"].is_null()) {
            (false, _) => line.find(':').expect("a value") + 1,
            (true, false) => line.rfind('|').expect("an identifier") + 1,
            (true, true) => continue,
        };
        for at in described..line.len() {
            let other = match line.as_bytes()[at] {
                b'0'..=b'8' | b'a'..=b'y' | b'A'..=b'Y' => line.as_bytes()[at] + 1,
                _ => b'!',
            };
            let mut bytes = line.as_bytes().to_vec();
            bytes[at] = other;
            let other = Value::from(String::from_utf8(bytes).expect("text"));
            assert!(difference(&other, case).is_some(), "{other}");
            changed += 1;
        }
    }
    assert!(changed > 90);
}

#[test]
fn candidates_are_read_or_not() {
    let Some(cases) = load("ice/ice.json") else {
        return;
    };
    let mut read = 0;
    for case in list(&cases, "candidate_lines") {
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
    for case in list(&cases, "bad_candidate_lines") {
        assert_eq!(Candidate::read(&attribute(case)), None, "{case}");
    }
}

/// A good line of which one character is another is another candidate, or none.
#[test]
fn a_corrupted_candidate_fails() {
    let Some(cases) = load("ice/ice.json") else {
        return;
    };
    let mut changed = 0;
    for case in list(&cases, "candidate_lines") {
        let right = attribute(case);
        let Some(candidate) = Candidate::read(&right) else {
            continue;
        };
        let line = case.as_str().expect("a line").as_bytes();
        let start = b"a=candidate:".len();
        for at in start..line.len() {
            let mut line = line.to_vec();
            line[at] = if line[at] == b'7' { b'8' } else { b'7' };
            let other = String::from_utf8(line).expect("text");
            let read = Candidate::read(&attribute(&Value::from(other.as_str())));
            assert_ne!(read.as_ref(), Some(&candidate), "{other}");
            changed += 1;
        }
    }
    assert!(changed > 80);
}
