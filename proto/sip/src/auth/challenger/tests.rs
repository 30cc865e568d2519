use super::*;
use crate::{
    Message, Method, Response,
    auth::{Authentication, Credentials, Keyring, Origin, Refusal, Tries},
};
use base::digest::ha1;
use std::sync::OnceLock;

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn after(seconds: u64) -> Instant {
    start() + Duration::from_secs(seconds)
}

fn server_of(policy: Policy) -> Challenger {
    Challenger::new(start(), policy, &mut Rng::from_seed([7; 32]))
}

fn policy(algorithm: &str, protection: &[Qop]) -> Policy {
    Policy {
        algorithms: vec![Algorithm::from_name(algorithm.as_bytes()).unwrap()],
        protection: protection.to_vec(),
        ..Policy::new("biloxi.com")
    }
}

fn zanzibar(username: &str, _: HashFunction) -> Option<Secret> {
    (username == "bob").then(|| Secret::Password("zanzibar".to_owned()))
}

fn register(credentials: Option<&str>) -> Request {
    let mut request = Request::new(Method::Register, "sip:biloxi.com".parse().unwrap());
    if let Some(value) = credentials {
        request.headers.push(HeaderName::Authorization, value);
    }
    request
}

/// A client of ours.
struct Client {
    keyring: Keyring,
    authentication: Authentication,
    tries: Tries,
    rng: Rng,
}

impl Client {
    fn new(secret: Secret) -> Self {
        Self {
            keyring: Keyring::new(vec![Credentials::new("biloxi.com", "bob", secret)]),
            authentication: Authentication::new(),
            tries: Tries::default(),
            rng: Rng::from_seed([9; 32]),
        }
    }

    fn request(&mut self) -> Request {
        let mut request = register(None);
        request.set_body("text/plain", Bytes::from_static(b"body"));
        self.authentication
            .authorize(&self.keyring, &mut request, Origin::Registrar);
        request
    }

    fn challenged(
        &mut self,
        now: Instant,
        server: &mut Challenger,
        denial: &Denial,
    ) -> Result<(), Refusal> {
        let mut response = response();
        server.challenge(now, denial, &mut response.headers);
        self.authentication.handle_challenge(
            &mut self.keyring,
            &mut self.rng,
            &response,
            Origin::Registrar,
            &mut self.tries,
        )
    }

    fn told(&mut self, verified: &Verified) -> Result<(), Refusal> {
        let mut response = response();
        verified.push_info(&mut response.headers, b"");
        self.authentication
            .handle_success(&mut self.keyring, &response)
    }
}

fn response() -> Response {
    let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
        To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";
    match Message::parse(Bytes::from_static(text.as_bytes())) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// The challenge of a server, its nonce replaced by `N`.
fn challenges(server: &mut Challenger, denial: &Denial) -> Vec<String> {
    let mut headers = Headers::new();
    server.challenge(start(), denial, &mut headers);
    let values = headers.get_all(server.policy.asker.asks_in());
    values
        .map(|value| {
            let value = String::from_utf8(value.to_vec()).unwrap();
            let (before, rest) = value.split_once("nonce=\"").unwrap();
            let (nonce, after) = rest.split_once('"').unwrap();
            assert_eq!(nonce.len(), 56);
            format!("{before}nonce=\"N\"{after}")
        })
        .collect()
}

#[test]
fn one_challenge_an_algorithm_the_most_wanted_first() {
    let mut server = server_of(Policy::new("biloxi.com"));
    assert_eq!(
        challenges(&mut server, &Denial::Missing),
        [
            "Digest realm=\"biloxi.com\", nonce=\"N\", algorithm=SHA-256, qop=\"auth\"",
            "Digest realm=\"biloxi.com\", nonce=\"N\", algorithm=MD5, qop=\"auth\"",
        ]
    );
    let mut proxy = server_of(Policy {
        asker: Asker::Proxy,
        ..policy("MD5", &[Qop::AuthInt])
    });
    assert_eq!(
        challenges(&mut proxy, &Denial::Stale),
        ["Digest realm=\"biloxi.com\", nonce=\"N\", stale=true, algorithm=MD5, qop=\"auth-int\""]
    );
}

/// RFC 3261, 22.4 and RFC 7616: the nonce is the server's, all else was written and hashed by hand:
/// HA1 = MD5("bob:biloxi.com:zanzibar"), HA2 = MD5("REGISTER:sip:biloxi.com").
#[test]
fn credentials_written_by_hand() {
    let mut server = server_of(policy("MD5", &[Qop::Auth]));
    let nonce = server.mint.make(start(), "biloxi.com");
    let ha1 = HashFunction::Md5.hex(&[b"bob:biloxi.com:zanzibar"]);
    let ha2 = HashFunction::Md5.hex(&[b"REGISTER:sip:biloxi.com"]);
    let proof =
        HashFunction::Md5.hex(&[format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}").as_bytes()]);
    let value = format!(
        "Digest username=\"bob\",\r\n realm=\"biloxi.com\", nonce=\"{nonce}\", uri=\"sip:biloxi.com\", \
         qop=auth, nc=00000001, cnonce=\"0a4f113b\", response=\"{proof}\", opaque=\"\""
    );
    let request = register(Some(&value));
    let verified = server.verify(after(1), &request, zanzibar).unwrap();
    assert_eq!(verified.username, "bob");
    // RFC 7616, 3.5: the proof of the server, by hand.
    let ha2 = HashFunction::Md5.hex(&[b":sip:biloxi.com"]);
    let back =
        HashFunction::Md5.hex(&[format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}").as_bytes()]);
    let mut headers = Headers::new();
    verified.push_info(&mut headers, b"");
    assert_eq!(
        headers.get(HeaderName::AuthenticationInfo).unwrap(),
        format!("qop=auth, rspauth=\"{back}\", cnonce=\"0a4f113b\", nc=00000001").as_bytes()
    );
    // The same once more is a replay (RFC 7616, 5.8).
    assert_eq!(
        server.verify(after(1), &request, zanzibar),
        Err(Denial::Replayed)
    );
}

#[test]
fn the_form_of_rfc_2069_is_good_once() {
    let mut server = server_of(Policy::new("biloxi.com"));
    let nonce = server.mint.make(start(), "biloxi.com");
    let ha1 = HashFunction::Md5.hex(&[b"bob:biloxi.com:zanzibar"]);
    let ha2 = HashFunction::Md5.hex(&[b"REGISTER:sip:biloxi.com"]);
    let proof = HashFunction::Md5.hex(&[format!("{ha1}:{nonce}:{ha2}").as_bytes()]);
    let value = format!(
        "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"{nonce}\", uri=\"sip:biloxi.com\", response=\"{proof}\""
    );
    let request = register(Some(&value));
    assert!(server.verify(start(), &request, zanzibar).is_ok());
    assert_eq!(
        server.verify(start(), &request, zanzibar),
        Err(Denial::Replayed)
    );
}

#[test]
fn our_client_passes_in_every_form() {
    let password = Secret::Password("zanzibar".to_owned());
    for algorithm in [
        "MD5",
        "MD5-sess",
        "SHA-256",
        "SHA-256-sess",
        "SHA-512-256",
        "SHA-512-256-sess",
    ] {
        for protection in [
            &[Qop::Auth][..],
            &[Qop::AuthInt],
            &[Qop::AuthInt, Qop::Auth],
            &[],
        ] {
            let is_session = algorithm.ends_with("sess");
            if protection.is_empty() && is_session {
                // RFC 3261, 22.4, item 8: needs qop.
                continue;
            }
            let mut server = server_of(policy(algorithm, protection));
            let hash = Algorithm::from_name(algorithm.as_bytes()).unwrap().hash;
            let stored = Secret::Ha1 {
                hash,
                hex: ha1(hash, b"bob", b"biloxi.com", b"zanzibar").to_string(),
            };
            for (kept, known) in [(&password, &stored), (&stored, &password)] {
                let mut client = Client::new(kept.clone());
                let lookup = |_: &str, _| Some(known.clone());
                let denial = server
                    .verify(start(), &client.request(), lookup)
                    .unwrap_err();
                assert_eq!(denial, Denial::Missing);
                client.challenged(start(), &mut server, &denial).unwrap();
                for _ in 0..3 {
                    let request = client.request();
                    let verified = match server.verify(start(), &request, lookup) {
                        // Without a count a nonce is good once.
                        Err(denial @ Denial::Replayed) if protection.is_empty() => {
                            client.tries = Tries::default();
                            client.challenged(start(), &mut server, &denial).unwrap();
                            server.verify(start(), &client.request(), lookup).unwrap()
                        }
                        verified => verified.unwrap(),
                    };
                    assert_eq!(client.told(&verified), Ok(()), "{algorithm} {protection:?}");
                }
            }
        }
    }
}

/// auth-int: the body is protected, too.
#[test]
fn a_body_that_was_changed_on_the_way() {
    let mut server = server_of(policy("SHA-256", &[Qop::AuthInt]));
    let mut client = Client::new(Secret::Password("zanzibar".to_owned()));
    client
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let mut request = client.request();
    request.body = Bytes::from_static(b"evil");
    let wrong = Denial::Wrong {
        username: "bob".to_owned(),
    };
    assert_eq!(server.verify(start(), &request, zanzibar), Err(wrong));
}

#[test]
fn what_is_wrong_is_told_apart() {
    let mut server = server_of(Policy::new("biloxi.com"));
    let wrong = |username: &str| Denial::Wrong {
        username: username.to_owned(),
    };
    let mut stranger = Client::new(Secret::Password("guess".to_owned()));
    stranger
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let request = stranger.request();
    assert_eq!(
        server.verify(start(), &request, zanzibar),
        Err(wrong("bob"))
    );
    assert_eq!(
        server.verify(start(), &request, |_, _| None),
        Err(wrong("bob"))
    );
    // An empty password is no back door to users that do not exist.
    let mut empty = Client::new(Secret::Password(String::new()));
    empty
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    assert_eq!(
        server.verify(start(), &empty.request(), |_, _| None),
        Err(wrong("bob"))
    );
    // HA1 of another hash is no secret.
    let mut bob = Client::new(Secret::Password("zanzibar".to_owned()));
    bob.challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let md5 = |_: &str, _| Secret::from_ha1("0".repeat(32)).ok();
    assert_eq!(
        server.verify(start(), &bob.request(), md5),
        Err(wrong("bob"))
    );
    assert_eq!(server.remembered(), 0, "only what was right is remembered");

    let other =
        "Digest username=\"bob\", realm=\"other\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    assert_eq!(
        server.verify(start(), &register(Some(other)), zanzibar),
        Err(Denial::Missing)
    );
    let ours = other.replace("other", "biloxi.com");
    assert_eq!(
        server.verify(start(), &register(Some(&ours)), zanzibar),
        Err(wrong("bob"))
    );
    let unwanted = format!("{ours}, algorithm=SHA-512-256");
    assert_eq!(
        server.verify(start(), &register(Some(&unwanted)), zanzibar),
        Err(Denial::Unwanted)
    );
    let integrity = format!("{ours}, qop=auth-int, cnonce=c, nc=00000001");
    assert_eq!(
        server.verify(start(), &register(Some(&integrity)), zanzibar),
        Err(Denial::Unwanted)
    );
    for damaged in ["Digest username=\"bob", "Digest realm=\"biloxi.com\""] {
        assert_eq!(
            server.verify(start(), &register(Some(damaged)), zanzibar),
            Err(Denial::Malformed)
        );
    }
    let long = format!(
        "{ours}, qop=auth, nc=00000001, cnonce=\"{}\"",
        "c".repeat(257)
    );
    assert_eq!(
        server.verify(start(), &register(Some(&long)), zanzibar),
        Err(Denial::Malformed)
    );
}

#[test]
fn a_nonce_grows_stale() {
    let mut server = server_of(policy("MD5", &[Qop::Auth]));
    let mut client = Client::new(Secret::Password("zanzibar".to_owned()));
    client
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let in_time = client.request();
    let late = client.request();
    assert!(server.verify(after(300), &in_time, zanzibar).is_ok());
    let denial = server.verify(after(301), &late, zanzibar).unwrap_err();
    assert_eq!(denial, Denial::Stale);
    // Stale tells the client that its secret was right, even in the same request.
    client.challenged(after(301), &mut server, &denial).unwrap();
    assert!(
        server
            .verify(after(301), &client.request(), zanzibar)
            .is_ok()
    );
    assert_eq!(server.remembered(), 1, "what is over is forgotten");
    // A wrong secret is not told that its nonce was old.
    let mut stranger = Client::new(Secret::Password("guess".to_owned()));
    stranger
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let denial = server
        .verify(after(600), &stranger.request(), zanzibar)
        .unwrap_err();
    assert!(!denial.is_stale(), "{denial:?}");
}

#[test]
fn a_restarted_server_calls_old_nonces_stale() {
    let mut client = Client::new(Secret::Password("zanzibar".to_owned()));
    let mut before = server_of(policy("MD5", &[Qop::Auth]));
    client
        .challenged(start(), &mut before, &Denial::Missing)
        .unwrap();
    assert!(before.verify(start(), &client.request(), zanzibar).is_ok());
    let mut rng = Rng::from_seed([8; 32]);
    let mut reborn = Challenger::new(after(10), policy("MD5", &[Qop::Auth]), &mut rng);
    assert_eq!(
        reborn.verify(after(10), &client.request(), zanzibar),
        Err(Denial::Stale)
    );
}

#[test]
fn the_next_nonce_is_named_in_time() {
    let mut server = server_of(policy("MD5", &[Qop::Auth]));
    let mut client = Client::new(Secret::Password("zanzibar".to_owned()));
    client
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    for time in [100, 200, 400, 600, 800] {
        let verified = server
            .verify(after(time), &client.request(), zanzibar)
            .unwrap();
        assert_eq!(verified.next_nonce.is_some(), time > 100, "{time}");
        client.told(&verified).unwrap();
    }
}

#[test]
fn requests_may_overtake_each_other_once() {
    let mut server = server_of(policy("MD5", &[Qop::Auth]));
    let mut client = Client::new(Secret::Password("zanzibar".to_owned()));
    client
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let mut requests: Vec<Request> = (0..70).map(|_| client.request()).collect();
    let mut pass = |request: &Request| server.verify(start(), request, zanzibar);
    assert!(pass(&requests[1]).is_ok());
    assert!(pass(&requests[0]).is_ok());
    assert_eq!(pass(&requests[0]), Err(Denial::Replayed));
    assert_eq!(pass(&requests[1]), Err(Denial::Replayed));
    assert!(pass(&requests[69]).is_ok());
    // Too far behind to be known.
    assert_eq!(pass(&requests[5]), Err(Denial::Replayed));
    assert!(pass(&requests[6]).is_ok());
    // Nonce counts cannot be written anew: they are hashed.
    let forged = requests.remove(69);
    let value = String::from_utf8(
        forged
            .headers
            .get(HeaderName::Authorization)
            .unwrap()
            .to_vec(),
    )
    .unwrap();
    let forged = register(Some(&value.replace("nc=00000046", "nc=00000047")));
    assert!(matches!(pass(&forged), Err(Denial::Wrong { .. })));
}

#[test]
fn only_so_many_nonces_are_remembered() {
    let mut server = server_of(Policy {
        uses: 2,
        ..policy("MD5", &[Qop::Auth])
    });
    let mut clients: Vec<Client> = (0..3)
        .map(|_| Client::new(Secret::Password("zanzibar".to_owned())))
        .collect();
    for (second, client) in clients.iter_mut().enumerate() {
        client
            .challenged(after(second as u64), &mut server, &Denial::Missing)
            .unwrap();
    }
    for client in &mut clients {
        assert!(server.verify(after(3), &client.request(), zanzibar).is_ok());
    }
    assert_eq!(server.remembered(), 2);
    let first = clients[0].request();
    assert_eq!(
        server.verify(after(3), &first, zanzibar),
        Err(Denial::Stale)
    );
    assert!(
        server
            .verify(after(3), &clients[1].request(), zanzibar)
            .is_ok()
    );
}

#[test]
fn nonces_are_of_their_realm_and_not_guessed() {
    let mut server = server_of(Policy::new("biloxi.com"));
    let nonce = server.mint.make(start(), "biloxi.com");
    let read = |nonce: &str, realm: &str| server.mint.read(nonce.as_bytes(), realm).is_some();
    assert!(read(&nonce, "biloxi.com"));
    assert!(!read(&nonce, "atlanta.com"));
    assert!(!read(&nonce[2..], "biloxi.com") && !read("", "biloxi.com"));
    assert!(!read(
        &nonce.to_uppercase().replace(char::is_numeric, "A"),
        "biloxi.com"
    ));
    for place in [0, 20, 23, 24, 55] {
        let mut forged = nonce.clone().into_bytes();
        forged[place] = if forged[place] == b'0' { b'1' } else { b'0' };
        assert!(
            !read(std::str::from_utf8(&forged).unwrap(), "biloxi.com"),
            "{place}"
        );
    }
}

#[test]
fn nothing_secret_is_printed() {
    let mut server = server_of(policy("MD5", &[Qop::Auth]));
    let mut client = Client::new(Secret::Password("zanzibar".to_owned()));
    client
        .challenged(start(), &mut server, &Denial::Missing)
        .unwrap();
    let verified = server.verify(start(), &client.request(), zanzibar).unwrap();
    let printed = format!("{verified:?} {server:?}");
    assert!(
        printed.starts_with("Verified { username: \"bob\", .. }"),
        "{printed}"
    );
    assert!(
        printed.contains("Mint(..)") && !printed.contains("zanzibar"),
        "{printed}"
    );
}
