use super::*;
use crate::Message;
use bytes::Bytes;

struct Agent {
    keyring: Keyring,
    authentication: Authentication,
    tries: Tries,
    rng: Rng,
}

impl Agent {
    fn new(credentials: &[(&str, &str)]) -> Self {
        let make = |&(realm, password): &(&str, &str)| {
            Credentials::new(realm, "bob", Secret::Password(password.to_owned()))
        };
        Self {
            keyring: Keyring::new(credentials.iter().map(make).collect()),
            authentication: Authentication::new(),
            tries: Tries::default(),
            rng: Rng::from_seed([3; 32]),
        }
    }

    fn challenge(&mut self, origin: Origin, headers: &str) -> Result<(), Refusal> {
        let response = response(401, headers);
        self.authentication.handle_challenge(
            &mut self.keyring,
            &mut self.rng,
            &response,
            origin,
            &mut self.tries,
        )
    }

    fn send(&mut self) -> Request {
        let mut request = Request::new(Method::Register, "sip:biloxi.com".parse().unwrap());
        request
            .headers
            .push(HeaderName::Authorization, "Digest old");
        self.authentication
            .authorize(&self.keyring, &mut request, Origin::OwnRoute);
        request
    }

    fn succeed(&mut self, headers: &str) {
        assert_eq!(self.told(headers), Ok(()));
    }

    fn told(&mut self, headers: &str) -> Result<(), Refusal> {
        self.authentication
            .handle_success(&mut self.keyring, &response(200, headers))
    }
}

fn response(code: u16, headers: &str) -> Response {
    let text = format!(
        "SIP/2.0 {code} Whatever\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\n\
        To: <sip:a@b>;tag=2\nCall-ID: x\nCSeq: 1 REGISTER\n{headers}Content-Length: 0\n\n"
    );
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn values(request: &Request, name: HeaderName) -> Vec<String> {
    request
        .headers
        .get_all(name)
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

const WWW: &str = "WWW-Authenticate: Digest realm=\"biloxi.com\", qop=\"auth,auth-int\", \
    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\n";

#[test]
fn a_challenge_is_answered_and_its_nonce_used_again() {
    let mut bob = Agent::new(&[("biloxi.com", "zanzibar")]);
    assert_eq!(values(&bob.send(), HeaderName::Authorization), [""; 0]);
    bob.challenge(Origin::Elsewhere, WWW).unwrap();
    let first = values(&bob.send(), HeaderName::Authorization);
    let start = "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
        uri=\"sip:biloxi.com\", response=\"";
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with(start), "{}", first[0]);
    assert!(
        first[0].ends_with("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", qop=auth, nc=00000001"),
        "{}",
        first[0]
    );
    let second = values(&bob.send(), HeaderName::Authorization);
    assert!(second[0].ends_with("nc=00000002"), "{}", second[0]);
}

/// RFC 2617, 3.2.2.1; the hash was made by another implementation of MD5.
#[test]
fn the_form_of_rfc_2069() {
    let mut bob = Agent::new(&[("biloxi.com", "zanzibar")]);
    let challenge = "WWW-Authenticate: DIGEST Realm=biloxi.com,Nonce=\"abc\",Algorithm=md5\n";
    bob.challenge(Origin::Elsewhere, challenge).unwrap();
    let expected = "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"abc\", uri=\"sip:biloxi.com\", \
        response=\"67a0406895bda3be5f9e34cb0a901e5b\", algorithm=MD5";
    assert_eq!(values(&bob.send(), HeaderName::Authorization), [expected]);
}

#[test]
fn ack_and_cancel_are_left_alone() {
    let mut bob = Agent::new(&[("biloxi.com", "zanzibar")]);
    bob.challenge(Origin::Elsewhere, WWW).unwrap();
    for method in [Method::Ack, Method::Cancel] {
        let mut request = Request::new(method, "sip:biloxi.com".parse().unwrap());
        request.headers.push(HeaderName::Authorization, "copied");
        bob.authentication
            .authorize(&bob.keyring, &mut request, Origin::OwnRoute);
        assert_eq!(values(&request, HeaderName::Authorization), ["copied"]);
    }
    assert!(values(&bob.send(), HeaderName::Authorization)[0].ends_with("nc=00000001"));
}

#[test]
fn rejected_credentials_are_not_shown_again() {
    let mut bob = Agent::new(&[("biloxi.com", "wrong")]);
    bob.challenge(Origin::Elsewhere, WWW).unwrap();
    let other = WWW.replace("dcd98b", "ffffff");
    assert_eq!(
        bob.challenge(Origin::Elsewhere, &other),
        Err(Refusal::Rejected)
    );
    // Another request may try with the nonce it has, and be challenged once more.
    bob.tries = Tries::default();
    bob.send();
    bob.challenge(Origin::Elsewhere, &other).unwrap();
    assert!(values(&bob.send(), HeaderName::Authorization)[0].contains("nonce=\"ffffff"));
}

#[test]
fn a_stale_nonce_is_replaced_but_not_for_ever() {
    let mut bob = Agent::new(&[("biloxi.com", "zanzibar")]);
    bob.challenge(Origin::Elsewhere, WWW).unwrap();
    bob.send();
    for round in 1..MAX_ROUNDS {
        let stale = WWW
            .replace("dcd98b", &format!("{round}"))
            .replace("qop", "stale=TRUE, qop");
        bob.challenge(Origin::Elsewhere, &stale).unwrap();
        let value = values(&bob.send(), HeaderName::Authorization);
        assert_eq!(value.len(), 1);
        assert!(
            value[0].contains(&format!("nonce=\"{round}7102")) && value[0].ends_with("nc=00000001"),
            "{value:?}"
        );
    }
    let stale = WWW.replace("qop", "stale=true, qop");
    assert_eq!(
        bob.challenge(Origin::Elsewhere, &stale),
        Err(Refusal::TooOften)
    );
}

#[test]
fn all_realms_are_answered_in_one_request() {
    let mut bob = Agent::new(&[("biloxi.com", "a"), ("p1", "b"), ("p2", "c")]);
    let proxies = "Proxy-Authenticate: Digest realm=\"p1\", nonce=1, qop=auth\n\
        Proxy-Authenticate: Digest realm=\"p2\", nonce=2\nProxy-Authenticate: Digest realm=\"p3\", nonce=3\n";
    bob.challenge(Origin::Elsewhere, &format!("{WWW}{proxies}"))
        .unwrap();
    let request = bob.send();
    assert_eq!(values(&request, HeaderName::Authorization).len(), 1);
    let proxy = values(&request, HeaderName::ProxyAuthorization);
    assert_eq!(proxy.len(), 2);
    assert!(proxy[0].contains("realm=\"p1\"") && proxy[1].contains("realm=\"p2\""));
}

#[test]
fn the_strongest_challenge_or_the_topmost() {
    let both = "WWW-Authenticate: Digest realm=\"r\", nonce=1, algorithm=MD5\n\
        WWW-Authenticate: Digest realm=\"r\", nonce=2, algorithm=SHA-256\n\
        WWW-Authenticate: Digest realm=\"r\", nonce=3, algorithm=SHA-256\n\
        WWW-Authenticate: Digest realm=\"r\", nonce=4, algorithm=SHA-999\n";
    let mut bob = Agent::new(&[("r", "p")]);
    bob.challenge(Origin::Elsewhere, both).unwrap();
    assert!(values(&bob.send(), HeaderName::Authorization)[0].contains("nonce=\"2\""));
    let mut bob = Agent::new(&[("r", "p")]);
    bob.keyring.set_prefer_strongest(false);
    bob.challenge(Origin::Elsewhere, both).unwrap();
    assert!(values(&bob.send(), HeaderName::Authorization)[0].contains("nonce=\"1\""));
}

#[test]
fn a_realm_cannot_go_below_what_it_accepted() {
    let sha = "WWW-Authenticate: Digest realm=\"r\", nonce=1, algorithm=SHA-256\n";
    let md5 = "WWW-Authenticate: Digest realm=\"r\", nonce=1\n";
    let mut bob = Agent::new(&[("r", "p")]);
    bob.challenge(Origin::Elsewhere, sha).unwrap();
    bob.send();
    bob.tries = Tries::default();
    // Not accepted yet.
    assert!(bob.clone_challenge(md5).is_ok());
    bob.succeed("");
    assert_eq!(bob.clone_challenge(md5), Err(Refusal::Weaker));
    assert!(bob.clone_challenge(&format!("{md5}{sha}")).is_ok());
}

impl Agent {
    /// Sends without remembering.
    fn clone_send(&self) -> Request {
        let mut copy = Self {
            keyring: self.keyring.clone(),
            authentication: self.authentication.clone(),
            tries: Tries::default(),
            rng: self.rng.clone(),
        };
        copy.send()
    }

    /// Asks without remembering.
    fn clone_challenge(&self, headers: &str) -> Result<(), Refusal> {
        let mut copy = Self {
            keyring: self.keyring.clone(),
            authentication: self.authentication.clone(),
            tries: Tries::default(),
            rng: self.rng.clone(),
        };
        copy.challenge(Origin::Elsewhere, headers)
    }
}

#[test]
fn ha1_answers_its_own_hash_only() {
    let ha1 = base::digest::ha1(HashFunction::Md5, b"bob", b"biloxi.com", b"zanzibar");
    let mut by_hash = Agent::new(&[]);
    by_hash.keyring.set_credentials(vec![Credentials::new(
        "biloxi.com",
        "bob",
        Secret::from_ha1(ha1.as_str()).unwrap(),
    )]);
    let mut by_password = Agent::new(&[("biloxi.com", "zanzibar")]);
    by_hash.challenge(Origin::Elsewhere, WWW).unwrap();
    by_password.challenge(Origin::Elsewhere, WWW).unwrap();
    assert_eq!(by_hash.send(), by_password.send());
    let sha = WWW.replace("qop", "algorithm=SHA-256, qop");
    by_hash.tries = Tries::default();
    assert_eq!(
        by_hash.challenge(Origin::Elsewhere, &sha),
        Err(Refusal::NoCredentials)
    );
}

#[test]
fn strangers_get_no_answer() {
    let attack = WWW.replace("biloxi.com", "evil.example");
    // No credentials, or credentials that name another realm.
    assert_eq!(
        Agent::new(&[]).challenge(Origin::Registrar, WWW),
        Err(Refusal::NoCredentials)
    );
    let mut named = Agent::new(&[("biloxi.com", "p")]);
    assert_eq!(
        named.challenge(Origin::OwnRoute, &attack),
        Err(Refusal::NoCredentials)
    );

    let mut bob = Agent::new(&[("*", "p")]);
    assert_eq!(
        bob.challenge(Origin::Elsewhere, WWW),
        Err(Refusal::Stranger)
    );
    // A callee behind our own proxy, before anything is known.
    assert_eq!(bob.challenge(Origin::OwnRoute, WWW), Err(Refusal::Stranger));
    bob.challenge(Origin::Registrar, WWW).unwrap();
    bob.tries = Tries::default();
    assert_eq!(
        bob.challenge(Origin::OwnRoute, &attack),
        Err(Refusal::Stranger)
    );
    let proxy_attack = attack.replace("WWW", "Proxy");
    assert_eq!(
        bob.challenge(Origin::OwnRoute, &proxy_attack),
        Err(Refusal::Stranger)
    );
    // A stranger that knows the name of our realm, and is reached directly.
    assert_eq!(
        bob.challenge(Origin::Elsewhere, WWW),
        Err(Refusal::Stranger)
    );
    // Our proxy asks for what the registrar asked for.
    bob.challenge(Origin::OwnRoute, &WWW.replace("WWW", "Proxy"))
        .unwrap();
    assert_eq!(values(&bob.send(), HeaderName::ProxyAuthorization).len(), 1);
}

#[test]
fn the_first_407_names_the_realm_of_an_account_without_registrar() {
    let mut bob = Agent::new(&[("*", "p")]);
    let proxy = WWW.replace("WWW", "Proxy");
    bob.challenge(Origin::OwnRoute, &proxy).unwrap();
    bob.tries = Tries::default();
    assert_eq!(
        bob.challenge(Origin::OwnRoute, &proxy.replace("biloxi", "evil")),
        Err(Refusal::Stranger)
    );
    // Two at once: the topmost is the nearest.
    let mut bob = Agent::new(&[("*", "p")]);
    bob.challenge(
        Origin::OwnRoute,
        &format!("{proxy}{}", proxy.replace("biloxi", "evil")),
    )
    .unwrap();
    assert_eq!(values(&bob.send(), HeaderName::ProxyAuthorization).len(), 1);
    // What goes past the proxy does not show what the proxy wants to see.
    let mut bye = Request::new(Method::Bye, "sip:alice@192.0.2.9".parse().unwrap());
    bob.authentication
        .authorize(&bob.keyring, &mut bye, Origin::Elsewhere);
    assert_eq!(values(&bye, HeaderName::ProxyAuthorization), [""; 0]);
    // A realm that is named goes before `*`, and is answered anywhere.
    let mut both = Agent::new(&[("*", "p"), ("biloxi.com", "q")]);
    both.challenge(Origin::Elsewhere, WWW).unwrap();
    assert_eq!(values(&both.send(), HeaderName::Authorization).len(), 1);
}

#[test]
fn the_next_nonce_is_taken_over() {
    let mut bob = Agent::new(&[("biloxi.com", "p")]);
    bob.challenge(Origin::Elsewhere, WWW).unwrap();
    bob.send();
    bob.succeed("Authentication-Info: nextnonce=\"47364c23432d2e131a5fb210812c\", qop=auth\n");
    let value = &values(&bob.send(), HeaderName::Authorization)[0];
    assert!(
        value.contains("nonce=\"47364c23432d2e131a5fb210812c\"") && value.ends_with("nc=00000001"),
        "{value}"
    );
}

/// RFC 7616, 3.5; the proof by hand: H(HA1:nonce:nc:cnonce:qop:H(":sip:biloxi.com")).
#[test]
fn a_server_that_does_not_know_the_secret() {
    let proof = |password: &str, cnonce: &str, nc: &str| {
        let md5 = |text: String| HashFunction::Md5.hex(&[text.as_bytes()]);
        let ha1 = md5(format!("bob:biloxi.com:{password}"));
        let ha2 = md5(":sip:biloxi.com".to_owned());
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        md5(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"))
    };
    let mut bob = Agent::new(&[("biloxi.com", "zanzibar")]);
    bob.challenge(Origin::Elsewhere, WWW).unwrap();
    bob.send();
    bob.send();
    let cnonce = bob.authentication.spaces[0].cnonce.clone();
    let info = |password: &str, nc: &str| {
        format!(
            "Authentication-Info: nextnonce=\"next\", rspauth=\"{}\", nc={nc}\n",
            proof(password, &cnonce, nc)
        )
    };
    for (lie, nc) in [
        ("guess", "00000001"),
        ("guess", "00000002"),
        ("zanzibar", "00000003"),
    ] {
        assert_eq!(
            bob.told(&info(lie, nc)),
            Err(Refusal::Impostor),
            "{lie} {nc}"
        );
        assert!(values(&bob.clone_send(), HeaderName::Authorization)[0].contains("nonce=\"dcd98b"));
    }
    // The answer to the first request may come after that to the second, or not name its count.
    bob.told(&format!(
        "Authentication-Info: rspauth=\"{}\", nc=00000001\n",
        proof("zanzibar", &cnonce, "00000001")
    ))
    .unwrap();
    bob.told(&format!(
        "Authentication-Info: rspauth=\"{}\"\n",
        proof("zanzibar", &cnonce, "00000002")
    ))
    .unwrap();
    bob.told(&info("zanzibar", "00000002")).unwrap();
    assert!(values(&bob.send(), HeaderName::Authorization)[0].contains("nonce=\"next\""));
    // Whom nobody asked proves nothing.
    assert_eq!(
        Agent::new(&[]).told("Authentication-Info: rspauth=\"00\"\n"),
        Ok(())
    );
}

/// RFC 7615, 4.
#[test]
fn a_proxy_names_its_next_nonce_too() {
    let mut bob = Agent::new(&[("biloxi.com", "p")]);
    bob.challenge(Origin::Elsewhere, &WWW.replace("WWW", "Proxy"))
        .unwrap();
    bob.send();
    bob.succeed("Authentication-Info: nextnonce=\"of-the-callee\"\nProxy-Authentication-Info: nextnonce=\"n\"\n");
    let value = &values(&bob.send(), HeaderName::ProxyAuthorization)[0];
    assert!(
        value.contains("nonce=\"n\"") && value.ends_with("nc=00000001"),
        "{value}"
    );
    assert_eq!(
        bob.told("Proxy-Authentication-Info: rspauth=\"00\"\n"),
        Err(Refusal::Impostor)
    );
}

#[test]
fn what_cannot_be_understood() {
    let mut bob = Agent::new(&[("r", "p")]);
    for headers in [
        "",
        "WWW-Authenticate: Basic realm=\"r\"\n",
        "WWW-Authenticate: Digest realm=r, nonce=n, algorithm=x\n",
    ] {
        assert_eq!(
            bob.challenge(Origin::Elsewhere, headers),
            Err(Refusal::NotUnderstood),
            "{headers}"
        );
    }
}

#[test]
fn secrets_are_not_printed() {
    let bob = Agent::new(&[("r", "zanzibar")]);
    let printed = format!("{:?} {:?}", bob.keyring, bob.authentication);
    assert!(!printed.contains("zanzibar"), "{printed}");
}
