//! What the request of a peer says of who sends it.

use serde::Serialize;
use sip::{
    HeaderName, Headers,
    header::{Address, Name, NameAddr},
};

/// What a call, a message or a subscription of a peer says beside from whom, to whom and what.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Particulars {
    /// The user whose credentials were verified ([`set_guard`](crate::agent::UserAgent::set_guard)); `None`
    /// without a guard. Whether this user may speak for the address in From is to be decided by the
    /// application (RFC 3261, 22.1).
    pub caller: Option<String>,
    /// Who the sender is, by the word of a hop that is [trusted](crate::agent::Config::trusted)
    /// (P-Asserted-Identity, RFC 3325, 9.1): at most two. Empty where the request came from anybody else,
    /// whose word stands in `headers` and proves nothing.
    pub asserted: Vec<Address>,
    /// Its headers, in their order: Alert-Info, Call-Info, Subject, Privacy, Referred-By and those that no
    /// RFC knows. All are to be shown, not believed, and no URI in them is to be fetched unasked.
    ///
    /// Left out are those that have done their work (Via, Route, Record-Route, Max-Forwards, CSeq,
    /// Content-Length), From, To and Call-ID, and credentials. Of more than 64, or of more than 8 KiB
    /// of names and values together, the first ones are kept, whole.
    pub headers: Headers,
}

impl Particulars {
    /// Reads them.
    pub(crate) fn of(caller: Option<String>, headers: &Headers, is_trusted: bool) -> Box<Self> {
        let asserted = match is_trusted {
            true => headers
                .list::<NameAddr<'_>>(HeaderName::PAssertedIdentity)
                .filter_map(Result::ok)
                .map(|identity| identity.to_address())
                .take(MAX_ASSERTED)
                .collect(),
            false => Vec::new(),
        };
        Box::new(Self {
            caller,
            asserted,
            headers: kept(headers),
        })
    }
}

fn kept(headers: &Headers) -> Headers {
    let mut kept = Headers::new();
    let mut room = MAX_BYTES;
    let told = headers.iter().filter(|field| !is_left_out(field.name));
    for field in told.take(MAX_HEADERS) {
        let size = field.name.text().len() + field.value.len();
        match room.checked_sub(size) {
            Some(left) => room = left,
            None => break,
        }
        kept.push(field.name, field.value);
    }
    kept
}

fn is_left_out(name: Name<'_>) -> bool {
    matches!(
        name.known(),
        Some(
            HeaderName::Via
                | HeaderName::Route
                | HeaderName::RecordRoute
                | HeaderName::MaxForwards
                | HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
                | HeaderName::ContentLength
                | HeaderName::Authorization
                | HeaderName::ProxyAuthorization
        )
    )
}

/// RFC 3325, 9.1: a SIP or SIPS URI, a tel URI, or one of each.
const MAX_ASSERTED: usize = 2;
/// Nobody reads more.
const MAX_HEADERS: usize = 64;
const MAX_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(*name, *value);
        }
        headers
    }

    #[test]
    fn what_the_stack_needs_for_itself_is_left_out() {
        let all = headers(&[
            ("v", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
            ("Record-Route", "<sip:192.0.2.9;lr>"),
            (
                "Authorization",
                "Digest username=\"bob\", response=\"secret\"",
            ),
            ("Alert-Info", "<http://example.com/ring.wav>"),
            ("X-Order", "4711"),
            ("Privacy", "id"),
        ]);
        let told = Particulars::of(Some("bob".to_owned()), &all, false);
        assert_eq!(
            told.headers,
            headers(&[
                ("Alert-Info", "<http://example.com/ring.wav>"),
                ("X-Order", "4711"),
                ("Privacy", "id"),
            ])
        );
        assert_eq!(told.caller.as_deref(), Some("bob"));
    }

    /// RFC 3325, 5: what comes from anybody is no assertion.
    #[test]
    fn only_a_trusted_hop_asserts() {
        let all = headers(&[
            (
                "P-Asserted-Identity",
                "\"Cullen\" <sip:fluffy@cisco.com>, <tel:+14085264000>",
            ),
            ("P-Asserted-Identity", "<sip:third@cisco.com>"),
        ]);
        let told = Particulars::of(None, &all, true);
        let uris: Vec<_> = told.asserted.iter().map(|own| own.uri.as_str()).collect();
        assert_eq!(uris, ["sip:fluffy@cisco.com", "tel:+14085264000"]);
        assert_eq!(told.asserted[0].display.as_deref(), Some("Cullen"));
        let told = Particulars::of(None, &all, false);
        assert_eq!(told.asserted, []);
        assert_eq!(told.headers.len(), 2);
    }

    #[test]
    fn headers_are_bounded() {
        let many = vec![("X-A", "b"); 1_000];
        assert_eq!(
            Particulars::of(None, &headers(&many), false).headers.len(),
            64
        );
        let long = "b".repeat(3_000);
        let long = vec![("X-A", long.as_str()); 10];
        assert_eq!(
            Particulars::of(None, &headers(&long), false).headers.len(),
            2
        );
    }
}
