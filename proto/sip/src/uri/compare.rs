//! When two URIs mean the same.

use super::{
    Scheme, UriRef,
    params::{Place, UriParam, same},
};

impl UriRef<'_> {
    /// Compares as RFC 3261, 19.1.4 says (URI-06), `tel` as RFC 3966, 4, others by their text.
    ///
    /// This is no equivalence relation: a URI without `newparam` is equivalent to one with any.
    pub fn equivalent(self, other: UriRef<'_>) -> bool {
        match (self.scheme(), other.scheme()) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => sip(self, other),
            (Scheme::Tel, Scheme::Tel) => tel(self, other),
            (Scheme::Other, Scheme::Other) => {
                self.scheme_str().eq_ignore_ascii_case(other.scheme_str())
                    && self.opaque() == other.opaque()
            }
            _ => false,
        }
    }

    /// Compares with an address in short form, `[sip:]user[@domain][:port][;params]` (URI-07).
    ///
    /// What the address leaves out may be anything; its parameters must all be there.
    pub fn matches(self, address: &str) -> bool {
        let (scheme, rest) = match address.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sip") => (Some(Scheme::Sip), rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sips") => {
                (Some(Scheme::Sips), rest)
            }
            _ => (None, address),
        };
        if !matches!(self.scheme(), Scheme::Sip | Scheme::Sips)
            || scheme.is_some_and(|s| s != self.scheme())
        {
            return false;
        }
        let (user, domain) = match rest.split_once('@') {
            Some((user, domain)) => (user, Some(domain)),
            None => (rest, None),
        };
        // Without a domain, port and parameters stand behind the user.
        let (head, params) = match domain.unwrap_or(user).split_once(';') {
            Some((head, params)) => (head, params),
            None => (domain.unwrap_or(user), ""),
        };
        let (head, port) = split_port(head);
        let (user, domain) = match domain {
            Some(_) => (user, Some(head)),
            None => (head, None),
        };
        let user_fits = self.user().is_some_and(|own| same(own, user, Place::User));
        let domain_fits = domain.is_none_or(|domain| same_host(self, domain));
        let port_fits =
            port.is_none_or(|port| self.port().map(|own| own.to_string()).as_deref() == Some(port));
        let param_fits = |param: &str| {
            let (name, value) = match param.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (param, None),
            };
            let own = self.params().get(name);
            own.is_some_and(|own| same_value(own.value, value))
        };
        user_fits
            && domain_fits
            && port_fits
            && params
                .split(';')
                .filter(|param| !param.is_empty())
                .all(param_fits)
    }
}

/// Cuts `:port` off, but not the end of an IPv6 address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let after_host = text.rfind(']').map_or(0, |end| end + 1);
    match text[after_host..].rfind(':') {
        Some(colon) => (
            &text[..after_host + colon],
            Some(&text[after_host + colon + 1..]),
        ),
        None => (text, None),
    }
}

fn sip(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    same_user(a.user(), b.user(), Place::User)
        && same_user(a.password(), b.password(), Place::Password)
        && same_host(a, b.host_str())
        // An omitted port is not the default port.
        && a.port() == b.port()
        && same_params(a, b)
        && headers_agree(a, b)
}

fn same_user(a: Option<&str>, b: Option<&str>, place: Place) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, place),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_host(uri: UriRef<'_>, text: &str) -> bool {
    match (super::parse::ip(uri.host_str()), super::parse::ip(text)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => uri.host_str().eq_ignore_ascii_case(text),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_params(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    let many = |uri: UriRef<'_>| uri.params().iter().nth(MAX_COMPARED).is_some();
    // Hostile input must not cost the square of its length.
    if many(a) || many(b) {
        return params_in_order(a, b);
    }
    params_agree(a, b) && params_agree(b, a)
}

/// The same parameters in the same order.
fn params_in_order(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    let (mut a, mut b) = (a.params().iter(), b.params().iter());
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b))
                if same(a.name, b.name, Place::Param) && same_value(a.value, b.value) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Every parameter of `a` that `b` has too is equal; those that must not be left out are there.
fn params_agree(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    a.params()
        .iter()
        .all(|param| match b.params().get(param.name) {
            Some(other) => same_value(first_value(a, param.name), other.value),
            // `transport` is not in the list of 19.1.4 but in its examples.
            None => !["user", "ttl", "method", "maddr", "transport"]
                .iter()
                .any(|name| same(param.name, name, Place::Param)),
        })
}

/// The value of a parameter; the first one counts where there are several (RFC 3261, 19.1.1 allows one).
fn first_value<'a>(uri: UriRef<'a>, name: &str) -> Option<&'a str> {
    uri.params().get(name).and_then(|param| param.value)
}

fn same_value(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, Place::Param),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Headers are never ignored, and their order does not count.
fn headers_agree(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    let (count_a, count_b) = (a.headers().iter().count(), b.headers().iter().count());
    if count_a != count_b {
        return false;
    }
    if count_a > MAX_COMPARED {
        let mut pairs = a.headers().iter().zip(b.headers().iter());
        return pairs.all(|(a, b)| same_header(a, b));
    }
    let in_a = |name: &str, value: Option<&str>| count(a, name, value);
    let in_b = |name: &str, value: Option<&str>| count(b, name, value);
    a.headers()
        .iter()
        .all(|header| in_a(header.name, header.value) == in_b(header.name, header.value))
}

/// How often a header stands in a URI: several of one name and value are several.
fn count(uri: UriRef<'_>, name: &str, value: Option<&str>) -> usize {
    let wanted = UriParam { name, value };
    uri.headers()
        .iter()
        .filter(|header| same_header(*header, wanted))
        .count()
}

fn same_header(a: UriParam<'_>, b: UriParam<'_>) -> bool {
    let same_value = match (a.value, b.value) {
        (Some(a), Some(b)) => same(a, b, Place::HeaderValue),
        (a, b) => a == b,
    };
    same(a.name, b.name, Place::HeaderName) && same_value
}

/// RFC 3966, 4: separators do not count, parameters in any order and case.
fn tel(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    let digits = |uri: UriRef<'_>| -> Vec<u8> {
        let number = uri.user().unwrap_or_default().bytes();
        number
            .filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')'))
            .map(|b| b.to_ascii_lowercase())
            .collect()
    };
    let params = |a: UriRef<'_>, b: UriRef<'_>| {
        a.params().iter().all(|param| {
            let other = b.params().get(param.name);
            other.is_some_and(|other| same_value(first_value(a, param.name), other.value))
        })
    };
    let many = |uri: UriRef<'_>| uri.params().iter().nth(MAX_COMPARED).is_some();
    if many(a) || many(b) {
        return a.as_str() == b.as_str();
    }
    digits(a) == digits(b) && params(a, b) && params(b, a)
}

/// No honest URI has more parameters or headers; beyond that their order counts.
const MAX_COMPARED: usize = 32;
