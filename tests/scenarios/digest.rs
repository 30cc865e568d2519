//! Digest authentication against published and independently computed vectors.

use crate::vectors::load;
use base::digest::{Algorithm, Challenge, Computation, Qop, Secret};
use serde_json::Value;

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

/// Computes the response of one case; the two lists of the file name their fields differently.
fn response(case: &Value) -> String {
    let either = |long: &str, short: &str| match case[long].is_string() {
        true => text(case, long).to_owned(),
        false => text(case, short).to_owned(),
    };
    let algorithm =
        Algorithm::from_name(either("algorithm", "alg").as_bytes()).expect("a known algorithm");
    let (username, password) = (either("username", "user"), either("password", "pw"));
    let qop = match text(case, "qop") {
        "auth" => Some(Qop::Auth),
        "auth-int" => Some(Qop::AuthInt),
        other => {
            assert_eq!(other, "");
            None
        }
    };
    let nc = case["nc"]
        .as_str()
        .map_or(1, |nc| u32::from_str_radix(nc, 16).expect("a nonce count"));
    let cnonce = case["cnonce"].as_str().unwrap_or("0a4f113b");
    Computation {
        algorithm,
        username: username.as_bytes(),
        realm: text(case, "realm").as_bytes(),
        secret: &Secret::Password(password),
        method: text(case, "method").as_bytes(),
        uri: text(case, "uri").as_bytes(),
        nonce: text(case, "nonce").as_bytes(),
        qop,
        nc,
        cnonce: cnonce.as_bytes(),
        session: None,
        body: text(case, "body").as_bytes(),
    }
    .response()
    .to_string()
}

#[test]
fn responses_are_those_of_the_vectors() {
    let Some(vectors) = load("digest/digest.json") else {
        return;
    };
    let published = vectors["rfc"].as_array().expect("a list");
    for case in published {
        assert_eq!(
            response(&case["params"]),
            text(case, "computed_response"),
            "{case}"
        );
    }
    let computed = vectors["generated"].as_array().expect("a list");
    assert!(published.len() >= 4 && computed.len() >= 40);
    for case in computed {
        assert_eq!(response(case), text(case, "response"), "{case}");
    }
}

#[test]
fn challenges_of_the_standards_are_read() {
    let Some(vectors) = load("digest/headers.json") else {
        return;
    };
    let mut seen = 0;
    for case in vectors.as_array().expect("a list") {
        let Some((name, value)) = text(case, "header").split_once(": ") else {
            panic!("{case}");
        };
        if name.ends_with("Authenticate") {
            let all = Challenge::parse_all(value.as_bytes()).expect("a challenge");
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].realm, b"atlanta.com");
            assert_eq!(all[0].nonce, b"f84f1cec41e6cbe5aea9c8e88d359");
            assert_eq!(all[0].opaque.as_deref(), Some(&b""[..]));
            assert_eq!((all[0].qop(), all[0].stale), (Some(Qop::Auth), false));
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}
