//! Whose a certificate is (RFC 5922, 7): checked by us, on top of the chain of signatures that webpki
//! checks, since SIP's rules are not those of the web.

use super::Certificate;
use base::Host;

/// True if `certificate` proves that its holder speaks for `wanted`: the domain that was asked for,
/// before NAPTR and SRV, or the address if one was dialled.
///
/// `allow_wildcard` accepts `*.example.com` for one label, which RFC 5922 forbids and commercial
/// issuers sell. The common name is never looked at.
pub(crate) fn proves(certificate: &Certificate, wanted: &Host, allow_wildcard: bool) -> bool {
    let wanted = match wanted {
        // Only who dials an address wants to see one.
        Host::Ip(ip) => return certificate.addresses.contains(ip),
        Host::Name(name) => name.strip_suffix('.').unwrap_or(name),
    };
    let mut domains = certificate.uris.iter().filter_map(|uri| sip_domain(uri));
    // RFC 5922, 7.1: DNS names count only where no URI names a SIP domain.
    match domains.next() {
        Some(first) => std::iter::once(first)
            .chain(domains)
            .any(|domain| domain.eq_ignore_ascii_case(wanted)),
        None => certificate
            .dns
            .iter()
            .any(|name| covers(name, wanted, allow_wildcard)),
    }
}

/// The domain that a URI in a certificate names, if it names one (RFC 5922, 7.1).
fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    // A URI with a user is a person's, and only `sip` counts, whatever its case.
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    // RFC 5922, 7.2: only the DNS name is compared, not port, parameters or headers.
    let end = rest.find([';', '?', ':']).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// RFC 5922, 7.2: entirely, in any case of letters.
fn covers(presented: &str, wanted: &str, allow_wildcard: bool) -> bool {
    if presented.eq_ignore_ascii_case(wanted) {
        // A star that is asked for is no name.
        return !presented.contains('*');
    }
    let (Some(parent), true) = (presented.strip_prefix("*."), allow_wildcard) else {
        return false;
    };
    // RFC 6125, 6.4.3: the star is one whole label, the leftmost; below a top level domain it would be
    // everybody's.
    let Some((label, rest)) = wanted.split_once('.') else {
        return false;
    };
    !label.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate(names: &[&str]) -> Certificate {
        let mut certificate = Certificate {
            subject: "CN=example.com".to_owned(),
            ..Certificate::default()
        };
        for name in names {
            match name.split_once(' ') {
                Some(("uri", uri)) => certificate.uris.push(uri.to_owned()),
                Some(("dns", name)) => certificate.dns.push(name.to_owned()),
                Some(("ip", ip)) => certificate.addresses.push(ip.parse().unwrap()),
                _ => panic!("{name}"),
            }
        }
        certificate
    }

    /// RFC 5922, 7.1 and 7.2, line by line.
    #[test]
    fn names_are_proven_as_the_rfc_says() {
        let name = |text: &str| Host::Name(text.to_owned());
        let domain = name("example.com");
        for (names, wanted, strict, lenient) in [
            (&["uri sip:example.com"][..], &domain, true, true),
            (&["uri SIP:Example.COM"], &domain, true, true),
            (&["uri sip:example.com"], &name("example.com."), true, true),
            (
                &["uri sip:example.com:5061;transport=tls?a=b"],
                &domain,
                true,
                true,
            ),
            // Only sip, and no user.
            (&["uri sips:example.com"], &domain, false, false),
            (&["uri https://example.com"], &domain, false, false),
            (&["uri sip:alice@example.com"], &domain, false, false),
            (&["uri sip:example.com?to=a@b"], &domain, false, false),
            (
                &["uri sip:*.example.com"],
                &name("a.example.com"),
                false,
                false,
            ),
            (&["dns example.com"], &domain, true, true),
            (&["dns EXAMPLE.com"], &domain, true, true),
            (
                &["uri sip:alice@example.com", "dns example.com"],
                &domain,
                true,
                true,
            ),
            // A URI that names a domain makes DNS names count for nothing.
            (
                &["uri sip:other.com", "dns example.com"],
                &domain,
                false,
                false,
            ),
            (
                &["uri sip:other.com", "uri sip:example.com"],
                &domain,
                true,
                true,
            ),
            // Whole names.
            (&["dns foo.example.com"], &domain, false, false),
            (
                &["dns .example.com"],
                &name("foo.example.com"),
                false,
                false,
            ),
            (&["dns example.com"], &name("foo.example.com"), false, false),
            (
                &["dns *.example.com"],
                &name("foo.example.com"),
                false,
                true,
            ),
            (&["dns *.example.com"], &domain, false, false),
            (
                &["dns *.example.com"],
                &name("a.b.example.com"),
                false,
                false,
            ),
            (&["dns *.example.com"], &name("*.example.com"), false, false),
            (&["dns *.com"], &domain, false, false),
            (&["dns *"], &domain, false, false),
            (
                &["dns f*.example.com"],
                &name("foo.example.com"),
                false,
                false,
            ),
            (&["dns *.example.com"], &name(".example.com"), false, false),
            // An address is proven by an address, and only to who dialled it.
            (
                &["ip 192.0.2.1"],
                &Host::Ip([192, 0, 2, 1].into()),
                true,
                true,
            ),
            (&["ip 192.0.2.1"], &domain, false, false),
            (
                &["dns 192.0.2.1"],
                &Host::Ip([192, 0, 2, 1].into()),
                false,
                false,
            ),
            (
                &["uri sip:192.0.2.1"],
                &Host::Ip([192, 0, 2, 1].into()),
                false,
                false,
            ),
            // The common name is `example.com` in all of them.
            (&[], &domain, false, false),
        ] {
            let certificate = certificate(names);
            assert_eq!(
                proves(&certificate, wanted, false),
                strict,
                "{names:?} {wanted}"
            );
            assert_eq!(
                proves(&certificate, wanted, true),
                lenient,
                "{names:?} {wanted}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_name_proves_itself_and_no_longer_one(name in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}", more in "[a-z]{1,8}") {
            let certificate = certificate(&[&format!("dns {name}")]);
            let longer = format!("{more}.{name}");
            for lenient in [false, true] {
                prop_assert!(proves(&certificate, &Host::Name(name.to_uppercase()), lenient));
                prop_assert!(!proves(&certificate, &Host::Name(longer.clone()), lenient));
            }
        }
    }
}
