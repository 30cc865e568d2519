//! Challenges, credentials and proofs of digest authentication (RFC 7616).

use sipsimple::base::digest::{Answer, Challenge, HashFunction, Identity, Info, Protected, Secret};

/// Reads the first line as a challenge, the second as credentials, the third as a proof. A challenge that
/// is understood is printed and read the same; what answers it is read, right for its secret, and wrong
/// for another.
///
/// # Panics
/// Something of that does not hold.
pub fn digest(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    // The value of a header has no line ends in it.
    let is_value = |line: &&[u8]| !line.iter().any(|byte| matches!(byte, b'\r' | 0));
    let mut line = || {
        let line = lines.next().filter(is_value);
        line.unwrap_or_default().trim_ascii()
    };
    for challenge in Challenge::parse_all(line()).unwrap_or_default() {
        let printed = challenge.print();
        let again = Challenge::parse_all(&printed).expect("what we print can be read");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].print(), printed);
        answered(&challenge);
    }
    let secret = Secret::Password("zanzibar".to_owned());
    if let Ok(Some(answer)) = Answer::parse(line()) {
        // Nobody guesses the proof.
        assert!(!answer.is_right(&secret, None, b"INVITE", b"body") || data.len() > 64);
        let _ = answer.info(&secret, None, b"", Some(b"next"));
    }
    let _ = Info::parse(line());
}

fn answered(challenge: &Challenge) {
    let algorithm = challenge.algorithm();
    let secret = Secret::Password("zanzibar".to_owned());
    let who = Identity {
        username: "bob \"\\ the builder",
        secret: &secret,
    };
    let protected = Protected {
        method: b"INVITE",
        uri: b"sip:bob@example.com",
        body: b"v=0",
    };
    let value = challenge.answer(who, protected, 1, "c");
    let Ok(Some(answer)) = Answer::parse(&value) else {
        panic!("unreadable: {}", value.escape_ascii());
    };
    assert_eq!(answer.realm, challenge.realm);
    assert_eq!(answer.nonce, challenge.nonce);
    assert_eq!(answer.algorithm(), algorithm);
    // A session key is made of the first nonces, which the challenge itself keeps.
    if !algorithm.session {
        assert!(answer.is_right(&secret, None, b"INVITE", b"v=0"));
        assert!(!answer.is_right(&secret, None, b"BYE", b"v=0"));
        let other = Secret::Password("elsewhere".to_owned());
        assert!(!answer.is_right(&other, None, b"INVITE", b"v=0"));
    }
    assert!(HashFunction::Sha256.hex(&[&value]).as_str().len() == 64);
}
