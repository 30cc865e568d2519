//! Secured links: what is trusted, what is refused, and what is said about it.

use super::{Place, Running, names::NameServer, run, start};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType,
};

/// An authority that signs certificates into files.
pub(crate) struct Authority {
    place: Place,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let place = Place::new(name);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(place.file("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { place, issuer }
    }

    /// The file with the authority's own certificate.
    pub(crate) fn file(&self) -> String {
        self.place.file("ca.pem")
    }

    /// A file with a certificate for a DNS name, and its key.
    pub(crate) fn sign(&self, name: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = self.place.file(&format!("{name}.pem"));
        std::fs::write(&file, certificate.pem() + &key.serialize_pem()).unwrap();
        file
    }
}

/// Answers over TLS as `certificate` says; its port.
fn server(authority: &Authority, certificate: &str) -> (Running, String) {
    let ca = authority.file();
    let mut answer = start(&["answer", "--tls-ca", &ca, "--tls-cert", certificate]);
    let line = answer.line().expect("a first line").clone();
    let address = line["data"]["tls"].as_str().expect("TLS").to_owned();
    let port = address.rsplit(':').next().unwrap().to_owned();
    (answer, port)
}

/// ENG-12, RTE-07: a server is asked for the name that we dialled, or for the one that we want instead.
#[test]
fn eng_12_a_server_proves_the_name_that_was_dialled() {
    let authority = Authority::new("cli-dialled");
    let names = NameServer::start(&["sip.example", "other.example"]);
    let (_server, port) = server(&authority, &authority.sign("sip.example"));
    let (ca, dns) = (authority.file(), names.address());
    let ask = |host: &str, more: &[&str]| {
        let uri = format!("sips:me@{host}:{port}");
        let common = ["options", &uri, "--tls-ca", &ca, "--dns", &dns];
        run(&[&common[..], more].concat())
    };
    for runtime in ["smol", "std"] {
        ask("sip.example", &["--runtime", runtime]).assert_exit(0);
    }
    ask("other.example", &["--tls-name", "sip.example"]).assert_exit(0);
    ask("other.example", &["--insecure-tls"]).assert_exit(0);
    // A name that nobody has.
    ask("nobody.example", &[]).assert_exit(3);

    for verb in ["options", "call"] {
        let uri = format!("sips:me@other.example:{port}");
        let refused = run(&[verb, &uri, "--tls-ca", &ca, "--dns", &dns]);
        let reason = refused.assert_exit(4)["reason"]
            .as_str()
            .unwrap()
            .to_owned();
        for part in ["wanted other.example", "DNS:sip.example", "CN=cli-dialled"] {
            assert!(reason.contains(part), "{verb}: {part} is not in {reason}");
        }
    }
    // Nothing leads there where TLS is off.
    let off = ask("sip.example", &["--no-tls"]);
    let reason = off.assert_exit(3)["reason"].as_str().unwrap();
    assert!(reason.contains("transport not available"), "{reason}");
}

#[test]
fn eng_12_an_unknown_authority_is_refused_and_wildcards_are_asked_for() {
    let authority = Authority::new("cli-known");
    let names = NameServer::start(&["sip.wild.example"]);
    let (_server, port) = server(&authority, &authority.sign("*.wild.example"));
    let uri = format!("sip:sip.wild.example:{port};transport=tls");
    let dns = names.address();
    let ask = |more: &[&str]| run(&[&["options", &uri, "--dns", &dns][..], more].concat());
    let own = authority.file();
    ask(&["--tls-ca", &own, "--tls-wildcard"]).assert_exit(0);
    ask(&["--tls-ca", &own]).assert_exit(4);
    let stranger = Authority::new("cli-stranger");
    let refused = ask(&["--tls-ca", &stranger.file(), "--tls-wildcard"]);
    let reason = refused.assert_exit(4)["reason"].as_str().unwrap();
    assert!(reason.contains("unknown issuer"), "{reason}");
    // Those of the system do not know it either.
    ask(&["--tls-wildcard"]).assert_exit(4);
}

/// The chain and the verdict, for people and for programs.
#[test]
fn rte_07_the_verb_tls_says_why_a_server_is_trusted_or_not() {
    let authority = Authority::new("cli-verdict");
    let names = NameServer::start(&["sip.example", "other.example"]);
    let (_server, port) = server(&authority, &authority.sign("sip.example"));
    let (ca, dns) = (authority.file(), names.address());
    let look = |host: &str, more: &[&str]| {
        let host = format!("{host}:{port}");
        run(&[&["tls", &host, "--dns", &dns][..], more].concat())
    };
    let trusted = look("sip.example", &["--tls-ca", &ca]);
    let server = &trusted.assert_exit(0)["data"]["servers"][0];
    assert_eq!(server["trusted"], true, "{server}");
    assert_eq!(server["version"], "TLS 1.3", "{server}");
    let own = &server["chain"][0];
    assert_eq!(own["dns"][0], "sip.example", "{own}");
    assert_eq!(own["issuer"], "CN=cli-verdict", "{own}");
    for (host, more, error) in [
        ("other.example", &["--tls-ca", &ca][..], "does not prove"),
        ("sip.example", &[], "unknown issuer"),
    ] {
        let refused = look(host, more);
        let last = refused.assert_exit(4);
        let server = &last["data"]["servers"][0];
        assert_eq!(server["trusted"], false, "{server}");
        assert_eq!(server["wanted"], host, "{server}");
        assert!(
            server["error"].as_str().unwrap().contains(error),
            "{server}"
        );
        assert_eq!(server["chain"][0]["dns"][0], "sip.example", "{server}");
        assert!(
            last["reason"]
                .as_str()
                .unwrap()
                .contains(&format!("wanted {host}"))
        );
    }
    let accepted = look("other.example", &["--insecure-tls"]);
    let server = &accepted.assert_exit(0)["data"]["servers"][0];
    assert_eq!(server["trusted"], false, "{server}");
    look("nobody.example", &[]).assert_exit(3);
    look("sip.example", &["--no-tls"]).assert_exit(1);
}

/// ENG-42: what was secured stands in the capture as it was said, and only its owner can read it.
#[test]
fn eng_42_a_capture_holds_what_was_said_inside() {
    let authority = Authority::new("cli-capture");
    let names = NameServer::start(&["sip.example"]);
    let (_server, port) = server(&authority, &authority.sign("sip.example"));
    let place = Place::new("capture");
    let (ca, dns, file) = (authority.file(), names.address(), place.file("c.pcapng"));
    let uri = format!("sips:me@sip.example:{port}");
    let common = ["options", &uri, "--tls-ca", &ca, "--dns", &dns];
    run(&[&common[..], &["--pcap", &file]].concat()).assert_exit(0);
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
    let text = String::from_utf8_lossy(&bytes);
    let request = format!("OPTIONS {uri} SIP/2.0");
    for part in [request.as_str(), "SIP/2.0 200 OK", "Via: SIP/2.0/TLS"] {
        assert!(text.contains(part), "{part} is missing");
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&file).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn files_that_are_no_certificates_are_2() {
    let authority = Authority::new("cli-files");
    let (ca, certificate) = (authority.file(), authority.sign("a.example"));
    let refused = |arguments: &[&str]| {
        run(&[&["options", "sip:127.0.0.1"][..], arguments].concat()).assert_exit(2)["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(refused(&["--tls-ca", "/nonexistent"]).contains("--tls-ca"));
    // An authority without its key.
    assert!(refused(&["--tls-cert", &ca]).contains("--tls-cert"));
    let other = authority.sign("b.example");
    let mismatch = refused(&["--tls-cert", &certificate, "--tls-key", &other]);
    assert!(
        mismatch.contains("not that of the certificate"),
        "{mismatch}"
    );
}
