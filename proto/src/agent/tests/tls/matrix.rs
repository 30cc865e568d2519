//! One certificate for each case of wire-rules, "Names in certificates": what it proves, and that it
//! proves nothing else.

use super::{ask, news, world};
use crate::{
    event::AgentEvent,
    tls::{Identity, TlsConfig, testing::Authority},
};
use base::{LinkError, TlsError};
use rcgen::{DnType, ExtendedKeyUsagePurpose, date_time_ymd};

/// One case: whom we ask for, and what becomes of it.
struct Case {
    name: &'static str,
    certificate: Identity,
    /// What is dialled.
    host: &'static str,
    /// With and without wildcards.
    strict: Result<(), TlsError>,
    lenient: Result<(), TlsError>,
    /// What a refusal names beside the host.
    presented: &'static str,
}

fn cases(authority: &Authority) -> Vec<Case> {
    let no = |_: &mut rcgen::CertificateParams| {};
    let case = |name, certificate, host, result, presented| Case {
        name,
        certificate,
        host,
        strict: result,
        lenient: result,
        presented,
    };
    let wrong_name = Err(TlsError::WrongName);
    vec![
        case(
            "URI SAN only",
            authority.sign(&["uri sip:uri.example"], no),
            "uri.example",
            Ok(()),
            "URI:sip:uri.example",
        ),
        case(
            "DNS SAN only",
            authority.sign(&["dns dns.example"], no),
            "dns.example",
            Ok(()),
            "DNS:dns.example",
        ),
        Case {
            lenient: Ok(()),
            ..case(
                "wildcard",
                authority.sign(&["dns *.wild.example"], no),
                "any.wild.example",
                wrong_name,
                "DNS:*.wild.example",
            )
        },
        case(
            "SRV target's name only",
            authority.sign(&["dns sip1.hoster.example"], no),
            "domain.example",
            wrong_name,
            "DNS:sip1.hoster.example",
        ),
        case(
            "IP only",
            authority.sign(&["ip 10.0.0.2"], no),
            "ip.example",
            wrong_name,
            "IP:10.0.0.2",
        ),
        case(
            "CN only",
            authority.sign(&[], |params| {
                params
                    .distinguished_name
                    .push(DnType::CommonName, "cn.example");
            }),
            "cn.example",
            wrong_name,
            "CN=cn.example",
        ),
        case(
            "expired",
            authority.sign(&["dns expired.example"], |params| {
                params.not_after = date_time_ymd(2026, 1, 2);
            }),
            "expired.example",
            Err(TlsError::Expired),
            "valid from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z",
        ),
        case(
            "wrong usage",
            authority.sign(&["dns usage.example"], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "usage.example",
            Err(TlsError::WrongPurpose),
            "for clientAuth",
        ),
        case(
            "unknown CA",
            Authority::new("Nobody").sign(&["dns unknown.example"], no),
            "unknown.example",
            Err(TlsError::UnknownIssuer),
            "issued by CN=Nobody",
        ),
    ]
}

/// What becomes of a request for `host`, and what is said about it.
fn dial(caller: &TlsConfig, server: &Identity, host: &str) -> (Result<(), LinkError>, String) {
    let names = if host.parse::<std::net::IpAddr>().is_ok() {
        vec![]
    } else {
        vec![host]
    };
    let mut world = world(caller.clone(), server.clone(), &names);
    let answer = ask(&mut world, &format!("sips:bob@{host}"));
    match news(&world) {
        AgentEvent::TlsDidStart { .. } => {
            assert!(answer.contains(r#""code":200"#), "{answer}");
            (Ok(()), answer)
        }
        AgentEvent::TlsDidFail { error, reason, .. } => {
            assert!(answer.contains("SIPOptionsDidFail"), "{answer}");
            // What the server got is no request.
            assert!(world.names(1).iter().all(|name| !name.contains("New")));
            (Err(error), reason)
        }
        event => panic!("{event:?}"),
    }
}

#[test]
fn every_certificate_of_the_matrix_is_judged_as_the_rules_say() {
    let authority = Authority::new("Test");
    let strict = authority.trusted();
    let mut lenient = strict.clone();
    lenient.allow_wildcard = true;
    for case in cases(&authority) {
        for (caller, expected) in [(&strict, case.strict), (&lenient, case.lenient)] {
            let (result, reason) = dial(caller, &case.certificate, case.host);
            assert_eq!(
                result,
                expected.map_err(LinkError::Tls),
                "{}: {reason}",
                case.name
            );
            if result.is_err() {
                // The refusal names what was wanted and what was presented.
                assert!(
                    reason.contains(&format!("wanted {}", case.host)),
                    "{reason}"
                );
                assert!(reason.contains(case.presented), "{}: {reason}", case.name);
            }
        }
    }
}

/// A certificate that were good for two cases would prove neither rule.
#[test]
fn no_certificate_of_the_matrix_is_valid_for_two_cases() {
    let authority = Authority::new("Test");
    let mut lenient = authority.trusted();
    lenient.allow_wildcard = true;
    let cases = cases(&authority);
    for (at, of_case) in cases.iter().enumerate() {
        let accepted: Vec<&str> = cases
            .iter()
            .enumerate()
            .filter(|(other, case)| {
                *other != at && dial(&lenient, &of_case.certificate, case.host).0.is_ok()
            })
            .map(|(_, case)| case.name)
            .collect();
        assert!(
            accepted.is_empty(),
            "{} is good for {accepted:?}",
            of_case.name
        );
    }
}

#[test]
fn the_certificates_that_are_for_something_else_are_good_for_that() {
    let authority = Authority::new("Test");
    let cases = cases(&authority);
    let of = |name| {
        &cases
            .iter()
            .find(|case| case.name == name)
            .unwrap()
            .certificate
    };
    let caller = authority.trusted();
    // The SRV target's name, for who asks for that; the address, for who dials it.
    assert_eq!(
        dial(&caller, of("SRV target's name only"), "sip1.hoster.example").0,
        Ok(())
    );
    assert_eq!(dial(&caller, of("IP only"), "10.0.0.2").0, Ok(()));
    // Nothing else proves an address.
    let wrong_name = Err(LinkError::Tls(TlsError::WrongName));
    assert_eq!(dial(&caller, of("DNS SAN only"), "10.0.0.2").0, wrong_name);
}

/// `--insecure-tls`: whoever answers is good enough.
#[test]
fn without_verification_every_certificate_is_accepted() {
    let authority = Authority::new("Test");
    let mut caller = authority.trusted();
    caller.verify = false;
    for case in cases(&authority) {
        let (result, reason) = dial(&caller, &case.certificate, case.host);
        assert_eq!(result, Ok(()), "{}: {reason}", case.name);
    }
}
