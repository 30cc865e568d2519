//! What a response that refuses, or the message that ends a call, says besides its code.

use serde::Serialize;
use sip::{
    HeaderName, Headers,
    header::{Reason, RetryAfter, Warning},
};

/// What the peer's final response, its CANCEL or its last NOTIFY says besides code and phrase: for people and
/// for a further try. None of it proves anything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Hints {
    /// Seconds after which another try may fare better (Retry-After, RFC 3261, 20.33).
    pub retry_after: Option<u32>,
    /// What was wrong, in words (Warning, RFC 3261, 20.43): at most eight, whole.
    pub warnings: Vec<String>,
    /// The media types that the peer takes (Accept of a 415 or 406, RFC 3261, 20.1): at most 32.
    pub accept: Vec<String>,
    /// The encodings that it takes (Accept-Encoding): at most 32.
    pub accept_encoding: Vec<String>,
    /// The languages that it takes (Accept-Language): at most 32.
    pub accept_language: Vec<String>,
    /// The extensions that it does not know (Unsupported of a 420): at most 32.
    pub unsupported: Vec<String>,
    /// Why the caller gave the call up, or the peer refuses it (Reason, RFC 3326): at most eight.
    pub reasons: Vec<Reason>,
}

impl Hints {
    /// True if somebody else has taken the call: it is none that was missed.
    pub fn is_completed_elsewhere(&self) -> bool {
        self.reasons.iter().any(Reason::is_completed_elsewhere)
    }

    /// Reads them; `None` where there are none.
    pub(crate) fn of(headers: &Headers) -> Option<Box<Self>> {
        let retry_after = headers.typed::<RetryAfter<'_>>().and_then(Result::ok);
        let hints = Self {
            retry_after: retry_after.map(|retry| retry.seconds),
            warnings: warnings(headers),
            accept: words(headers, HeaderName::Accept),
            accept_encoding: words(headers, HeaderName::AcceptEncoding),
            accept_language: words(headers, HeaderName::AcceptLanguage),
            unsupported: words(headers, HeaderName::Unsupported),
            reasons: headers
                .list::<Reason>(HeaderName::Reason)
                .filter_map(Result::ok)
                .take(MAX_REASONS)
                .collect(),
        };
        (hints != Self::default()).then(|| Box::new(hints))
    }
}

fn warnings(headers: &Headers) -> Vec<String> {
    let warnings = headers.list::<Warning<'_>>(HeaderName::Warning);
    warnings
        .filter_map(Result::ok)
        .map(|warning| format!("{} {}", warning.code, warning.text))
        .take(MAX_WARNINGS)
        .collect()
}

/// The elements of a list without quoted commas, as they came.
fn words(headers: &Headers, name: HeaderName) -> Vec<String> {
    let values = headers.values(name);
    values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|word| String::from_utf8_lossy(word).trim().to_owned())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect()
}

/// Nobody reads more.
const MAX_WARNINGS: usize = 8;
const MAX_WORDS: usize = 32;
const MAX_REASONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_says_more_than_its_code() {
        let mut headers = Headers::new();
        for (name, value) in [
            (HeaderName::RetryAfter, "120 (in a meeting);duration=30"),
            (
                HeaderName::Warning,
                "305 example.com \"Incompatible \\\"format\\\"\", 399 a \"b, c\"",
            ),
            (HeaderName::Accept, "application/sdp;level=1, text/plain"),
            (HeaderName::Accept, "*/*"),
            (HeaderName::AcceptEncoding, ""),
            (HeaderName::Unsupported, "100rel"),
            (
                HeaderName::Reason,
                "Q.850;cause=16;text=\"a, b\", SIP;cause=200;text=\"Call completed elsewhere\"",
            ),
        ] {
            headers.push(name, value);
        }
        let hints = Hints::of(&headers).unwrap();
        assert_eq!(hints.retry_after, Some(120));
        assert_eq!(hints.warnings, ["305 Incompatible \"format\"", "399 b, c"]);
        assert_eq!(
            hints.accept,
            ["application/sdp;level=1", "text/plain", "*/*"]
        );
        assert_eq!(hints.accept_encoding, [""; 0]);
        assert_eq!(hints.unsupported, ["100rel"]);
        assert_eq!(hints.reasons[0].text.as_deref(), Some("a, b"));
        assert_eq!(hints.reasons[1], Reason::completed_elsewhere());
        assert!(hints.is_completed_elsewhere());
    }

    #[test]
    fn most_responses_say_nothing_more() {
        let mut headers = Headers::new();
        headers.push(HeaderName::RetryAfter, "soon");
        headers.push(HeaderName::Contact, "<sip:a@b>");
        assert_eq!(Hints::of(&headers), None);
    }

    #[test]
    fn lists_are_bounded() {
        let mut headers = Headers::new();
        headers.push(HeaderName::Accept, "a/b,".repeat(1_000).as_str());
        headers.push(HeaderName::Warning, "399 a \"b\",".repeat(1_000).as_str());
        headers.push(HeaderName::Reason, "SIP;cause=486,".repeat(1_000).as_str());
        let hints = Hints::of(&headers).unwrap();
        assert_eq!((hints.accept.len(), hints.warnings.len()), (32, 8));
        assert_eq!(hints.reasons.len(), 8);
        assert!(!hints.is_completed_elsewhere());
    }
}
