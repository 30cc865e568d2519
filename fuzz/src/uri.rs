//! URIs: text, parts and comparison agree.

use sip::uri::{Scheme, Uri, UriRef};

/// Reads each line as a URI, takes it apart, puts it together again, and compares all with each other.
///
/// # Panics
/// A URI is not equivalent to itself, comparison is not symmetric, or parts get lost.
pub fn uri(data: &[u8]) {
    let lines = data.split(|&b| b == b'\n').take(MAX_LINES);
    let uris: Vec<UriRef<'_>> = lines.filter_map(|line| UriRef::parse(line).ok()).collect();
    for uri in &uris {
        let text = uri.as_str();
        let frozen: Uri = text.parse().expect("the text of a URI is one");
        assert_eq!(frozen.as_ref(), *uri);
        assert!(uri.equivalent(*uri), "{text}");
        match uri.to_parts() {
            Some(parts) => {
                let again = parts.to_uri().expect("the parts of a URI make one");
                assert!(frozen.equivalent(&again), "{text} {again}");
                assert_eq!(
                    again.to_parts().map(|parts| parts.to_string()).as_deref(),
                    Some(again.as_str())
                );
                assert!(uri.host().is_some());
            }
            None => assert!(matches!(uri.scheme(), Scheme::Tel | Scheme::Other)),
        }
        let _ = (
            uri.user_text(),
            uri.password(),
            uri.transport(),
            uri.headers().iter().count(),
        );
        uri.params().iter().for_each(|param| drop(param.text()));
        for other in &uris {
            assert_eq!(
                uri.equivalent(*other),
                other.equivalent(*uri),
                "{uri} {other}"
            );
            let _ = uri.matches(other.as_str());
        }
    }
}

/// All pairs are compared.
const MAX_LINES: usize = 8;
