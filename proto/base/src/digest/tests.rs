use super::*;
use proptest::prelude::*;

fn mufasa(password: &str) -> Secret {
    Secret::Password(password.to_owned())
}

fn example<'a>(algorithm: Algorithm, secret: &'a Secret) -> Computation<'a> {
    Computation {
        algorithm,
        username: b"Mufasa",
        realm: b"http-auth@example.org",
        secret,
        method: b"GET",
        uri: b"/dir/index.html",
        nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        qop: Some(Qop::Auth),
        nc: 1,
        cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        session: None,
        body: b"",
    }
}

#[test]
fn the_example_of_rfc_2617_section_3_5() {
    let secret = mufasa("Circle Of Life");
    let computation = Computation {
        realm: b"testrealm@host.com",
        nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        cnonce: b"0a4f113b",
        ..example(Algorithm::default(), &secret)
    };
    assert_eq!(
        computation.response().as_str(),
        "6629fae49393a05397450978507c4ef1"
    );
}

#[test]
fn the_examples_of_rfc_7616_section_3_9_1() {
    let secret = mufasa("Circle of Life");
    let md5 = example(Algorithm::default(), &secret);
    assert_eq!(md5.response().as_str(), "8ca523f5e9506fed4657c9700eebdbec");
    let sha = example(Algorithm::from_name(b"SHA-256").unwrap(), &secret);
    let expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
    assert_eq!(sha.response().as_str(), expected);
}

#[test]
fn ha1_stands_for_the_password() {
    for name in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"] {
        let algorithm = Algorithm::from_name(name.as_bytes()).unwrap();
        let password = mufasa("Circle of Life");
        let stored = ha1(
            algorithm.hash,
            b"Mufasa",
            b"http-auth@example.org",
            b"Circle of Life",
        );
        let stored = Secret::from_ha1(stored.as_str().to_uppercase()).unwrap();
        assert!(stored.fits(algorithm.hash));
        let expected = example(algorithm, &password).response();
        assert_eq!(
            example(algorithm, &stored).response().as_str(),
            expected.as_str()
        );
    }
    assert_eq!(Secret::from_ha1("abc"), Err(InvalidHa1));
    assert_eq!(Secret::from_ha1("z".repeat(32)), Err(InvalidHa1));
}

#[test]
fn secrets_are_not_printed() {
    let secret = mufasa("Circle of Life");
    let hash = ha1(HashFunction::Md5, b"a", b"b", b"c");
    let printed = format!(
        "{secret:?} {:?} {hash:?}",
        example(Algorithm::default(), &secret)
    );
    assert!(
        !printed.contains("Circle") && !printed.contains(hash.as_str()),
        "{printed}"
    );
}

fn one(value: &str) -> Challenge {
    let mut all = Challenge::parse_all(value.as_bytes()).unwrap();
    assert_eq!(all.len(), 1, "{value}");
    all.remove(0)
}

#[test]
fn the_challenge_of_rfc_3261_section_22_4() {
    let challenge = one("Digest realm=\"biloxi.com\", qop=\"auth,auth-int\",\r\n \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"");
    assert_eq!(challenge.realm, b"biloxi.com");
    assert_eq!(challenge.nonce, b"dcd98b7102dd2f0e8b11d0f600bfb0c093");
    assert_eq!(
        challenge.opaque.as_deref(),
        Some(&b"5ccc069c403ebaf9f0171e9517f40e41"[..])
    );
    assert_eq!(
        (challenge.auth, challenge.auth_int, challenge.stale),
        (true, true, false)
    );
    assert_eq!(challenge.qop(), Some(Qop::Auth));
}

#[test]
fn the_forms_of_the_wild() {
    let rfc_2069 = one("Digest realm=\"a\", nonce=\"b\"");
    assert_eq!(
        (rfc_2069.qop(), rfc_2069.algorithm, rfc_2069.opaque),
        (None, None, None)
    );
    let shouting =
        one("DIGEST REALM=\"a\",NONCE=b,QOP=AUTH,ALGORITHM=\"md5\",STALE=\"TRUE\",OPAQUE=\"\"");
    assert!(shouting.auth && shouting.stale);
    assert_eq!(shouting.algorithm, Some(Algorithm::default()));
    assert_eq!(shouting.opaque.as_deref(), Some(&b""[..]));
    let escaped =
        one(r#"Digest realm="a\"b,\\c", nonce = "n" , qop="auth-int", x="\"", stale=false"#);
    assert_eq!(escaped.realm, br#"a"b,\c"#);
    assert_eq!(escaped.qop(), Some(Qop::AuthInt));
    assert_eq!(one("Digest realm=\"\",nonce=\"n\",qop=\"\"").qop(), None);
    let latin = Challenge::parse_all(b"Digest realm=\"caf\xe9\", nonce=\"n\"").unwrap();
    assert_eq!(latin[0].realm, b"caf\xe9");
}

#[test]
fn what_cannot_be_answered_is_left_out() {
    for value in [
        "Basic realm=\"a\"",
        "Digest realm=\"a\", nonce=\"b\", algorithm=AKAv1-MD5",
        "Digest realm=\"a\", nonce=\"b\", qop=\"token\"",
        "Negotiate abc==",
        "",
    ] {
        assert_eq!(
            Challenge::parse_all(value.as_bytes()),
            Ok(vec![]),
            "{value}"
        );
    }
}

#[test]
fn several_challenges_in_one_value() {
    let value = "Basic realm=\"x\", Digest realm=\"a\", nonce=\"1\", algorithm=SHA-256, Digest nonce=2,realm=a";
    let all = Challenge::parse_all(value.as_bytes()).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].algorithm.unwrap().name(), "SHA-256");
    assert_eq!(all[1].nonce, b"2");
    let mixed = "Negotiate, Digest realm=a, nonce=b, NTLM abc==, Digest realm=c, nonce=d";
    assert_eq!(Challenge::parse_all(mixed.as_bytes()).unwrap().len(), 2);
    let many = "Digest realm=a, nonce=b,".repeat(MAX_CHALLENGES + 1);
    assert_eq!(
        Challenge::parse_all(many.as_bytes()).unwrap_err().what,
        "too many challenges"
    );
}

#[test]
fn damaged_challenges_are_errors() {
    for (value, what) in [
        ("Digest realm=\"a\"", "realm and nonce"),
        ("Digest realm=\"a", "a closing quote"),
        ("Digest realm=\"a\\", "a closing quote"),
        ("=", "a scheme"),
    ] {
        assert_eq!(
            Challenge::parse_all(value.as_bytes()).unwrap_err().what,
            what,
            "{value}"
        );
    }
}

#[test]
fn an_answer_in_full() {
    let challenge = one(r#"Digest realm="testrealm@host.com", qop="auth,auth-int",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#);
    let secret = mufasa("Circle Of Life");
    let who = Identity {
        username: "Mufasa",
        secret: &secret,
    };
    let request = Protected {
        method: b"GET",
        uri: b"/dir/index.html",
        body: b"",
    };
    let answer = String::from_utf8(challenge.answer(who, request, 1, "0a4f113b")).unwrap();
    let expected = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
        response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", \
        opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", qop=auth, nc=00000001";
    assert_eq!(answer, expected);
}

#[test]
fn an_answer_echoes_only_what_the_challenge_had() {
    let secret = mufasa("p");
    let who = Identity {
        username: "a\"b",
        secret: &secret,
    };
    let request = Protected {
        method: b"BYE",
        uri: b"sip:x",
        body: b"",
    };
    let old = one("Digest realm=\"r\\\\\", nonce=n");
    let answer = String::from_utf8(old.answer(who, request, 7, "c")).unwrap();
    assert!(
        answer.starts_with(
            r#"Digest username="a\"b", realm="r\\", nonce="n", uri="sip:x", response=""#
        ),
        "{answer}"
    );
    for absent in ["cnonce", "nc=", "qop", "opaque", "algorithm"] {
        assert!(!answer.contains(absent), "{answer}");
    }
    let session = one("Digest realm=r, nonce=n, algorithm=MD5-sess, opaque=\"\"");
    let answer = String::from_utf8(session.answer(who, request, 7, "c")).unwrap();
    assert!(
        answer.contains("algorithm=MD5-sess, cnonce=\"c\", opaque=\"\""),
        "{answer}"
    );
}

fn credentials(value: &str) -> Answer {
    Answer::parse(value.as_bytes()).unwrap().unwrap()
}

/// RFC 7616, 3.9.1, as it is printed there.
const MUFASA: &str = r#"Digest username="Mufasa",
       realm="http-auth@example.org",
       uri="/dir/index.html",
       algorithm=SHA-256,
       nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
       nc=00000001,
       cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
       qop=auth,
       response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
       opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

#[test]
fn the_credentials_of_rfc_7616_section_3_9_1_are_right() {
    let answer = credentials(MUFASA);
    assert_eq!(answer.username, b"Mufasa");
    assert_eq!((answer.nc, answer.qop), (1, Some(Qop::Auth)));
    let secret = mufasa("Circle of Life");
    assert!(answer.is_right(&secret, None, b"GET", b""));
    assert!(!answer.is_right(&secret, None, b"POST", b""));
    assert!(!answer.is_right(&mufasa("Circle Of Life"), None, b"GET", b""));
    let upper = credentials(&MUFASA.replace("753927fa0e85d155", "753927FA0E85D155"));
    assert!(upper.is_right(&secret, None, b"GET", b""));
    let short = credentials(&MUFASA.replace("856cb6c1\"", "856cb6\""));
    assert!(!short.is_right(&secret, None, b"GET", b""));
}

#[test]
fn a_longer_response_is_not_cut_to_fit() {
    let long = MUFASA.replace("856cb6c1\"", "856cb6c100\"");
    assert!(!credentials(&long).is_right(&mufasa("Circle of Life"), None, b"GET", b""));
}

#[test]
fn credentials_in_the_forms_of_the_wild() {
    let old =
        credentials("digest USERNAME=u, realm=\"r\", nonce=n, uri=sip:a@b;c=d, response=\"00\"");
    assert_eq!((old.qop, old.nc, old.algorithm), (None, 0, None));
    assert_eq!(old.uri, b"sip:a@b;c=d");
    for foreign in [
        "Basic dTpw",
        "Digest username=u, realm=r, nonce=n, uri=x, response=0, algorithm=AKAv1-MD5",
        "Digest username=u, realm=r, nonce=n, uri=x, response=0, qop=token",
    ] {
        assert_eq!(Answer::parse(foreign.as_bytes()), Ok(None), "{foreign}");
    }
    let whole =
        "Digest username=u, realm=r, nonce=n, uri=x, response=0, qop=auth, cnonce=c, nc=0000000a";
    assert_eq!(credentials(whole).nc, 10);
    for (without, what) in [
        ("username=u, ", "a username"),
        ("realm=r, ", "a realm"),
        ("nonce=n, ", "a nonce"),
        ("uri=x, ", "a uri"),
        ("response=0, ", "a response"),
        ("cnonce=c, ", "a cnonce"),
        (", nc=0000000a", "a nonce count"),
    ] {
        let damaged = whole.replacen(without, "", 1);
        let error = Answer::parse(damaged.as_bytes()).unwrap_err();
        assert_eq!(error.what, what, "{damaged}");
    }
    for count in ["a", "+0000001", "000000001", "0000000g"] {
        let damaged = whole.replace("0000000a", count);
        assert!(Answer::parse(damaged.as_bytes()).is_err(), "{damaged}");
    }
}

#[test]
fn a_challenge_is_printed_as_it_was_read() {
    for value in [
        r#"Digest realm="a\"b", nonce="n", opaque="", stale=true, algorithm=SHA-256-sess, qop="auth,auth-int""#,
        r#"Digest realm="a", nonce="n", qop="auth-int""#,
        r#"Digest realm="a", nonce="n", algorithm=MD5, qop="auth""#,
        r#"Digest realm="a", nonce="n""#,
    ] {
        let printed = String::from_utf8(one(value).print()).unwrap();
        assert_eq!(printed, value);
    }
}

/// RFC 7616, 3.5: the server proves that it knows the secret with an empty method.
#[test]
fn what_a_server_adds_proves_its_secret() {
    let secret = mufasa("Circle of Life");
    let answer = credentials(MUFASA);
    let value = String::from_utf8(answer.info(&secret, None, b"", Some(b"next"))).unwrap();
    let proof = Computation {
        method: b"",
        ..example(Algorithm::from_name(b"SHA-256").unwrap(), &secret)
    }
    .response();
    assert_eq!(
        value,
        format!(
            "nextnonce=\"next\", qop=auth, rspauth=\"{proof}\", \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", nc=00000001"
        )
    );
    let info = Info::parse(value.as_bytes()).unwrap();
    assert_eq!(info.next_nonce.as_deref(), Some(&b"next"[..]));
    assert_eq!(info.rspauth.as_deref(), Some(proof.as_bytes()));
    assert_eq!(info.nc, Some(1));
    assert_eq!(Info::parse(b""), Ok(Info::default()));
    assert!(Info::parse(b"Digest realm=").is_err());
}

/// RFC 7616, 3.4.2: one key from challenge to challenge, whatever nonce is used in between.
#[test]
fn a_session_key_outlives_its_first_nonce() {
    let secret = mufasa("p");
    let mut challenge = one("Digest realm=r, nonce=first, algorithm=MD5-sess, qop=auth");
    challenge.renew(b"second");
    challenge.renew(b"third");
    let who = Identity {
        username: "u",
        secret: &secret,
    };
    let request = Protected {
        method: b"REGISTER",
        uri: b"sip:r",
        body: b"",
    };
    let answer = challenge.answer(who, request, 1, "c");
    let answer = Answer::parse(&answer).unwrap().unwrap();
    assert_eq!(answer.nonce, b"third");
    let session = |nonce| {
        Some(Session {
            nonce,
            cnonce: b"c",
        })
    };
    assert!(answer.is_right(&secret, session(b"first"), b"REGISTER", b""));
    assert!(!answer.is_right(&secret, None, b"REGISTER", b""));
    assert!(!answer.is_right(&secret, session(b"second"), b"REGISTER", b""));
}

#[test]
fn credentials_are_not_printed() {
    let printed = format!("{:?}", credentials(MUFASA));
    assert_eq!(
        printed,
        r#"Answer { username: "Mufasa", realm: "http-auth@example.org", .. }"#
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Challenge::parse_all(&value);
        let _ = Answer::parse(&value);
        let _ = Info::parse(&value);
    }

    /// An answer is itself a list of parameters: what was escaped comes back.
    #[test]
    fn values_survive_quoting(realm in proptest::collection::vec(32u8..=255, 0..40)) {
        let mut challenge = one("Digest realm=r, nonce=n");
        challenge.realm = realm.clone();
        let secret = mufasa("p");
        let who = Identity { username: "u", secret: &secret };
        let answer = challenge.answer(who, Protected { method: b"M", uri: b"u", body: b"" }, 1, "c");
        let back = Challenge::parse_all(&answer).unwrap();
        prop_assert_eq!(&back[0].realm, &realm);
    }
}
