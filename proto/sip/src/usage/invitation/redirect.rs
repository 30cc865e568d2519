//! Where a 3xx says that the callee may be (RFC 3261, 8.1.3.4 and 21.3).

use crate::{
    HeaderName, Headers, Uri,
    header::{Address, ContactValue},
    uri::Scheme,
};
use serde::{Deserialize, Serialize};

/// One Contact of a 3xx.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RedirectTarget {
    /// Where to call. What a Contact wants in the new request besides (RFC 3261, 19.1.1: `method`,
    /// headers) is left out: no stranger writes our requests.
    pub uri: Uri,
    /// The name to show beside it.
    pub display_name: Option<String>,
    /// How much it is preferred, in thousandths (RFC 3261, 20.10); 1,000 if it is not said.
    pub q: u16,
}

impl RedirectTarget {
    /// Reads the Contacts of a 3xx, the preferred ones first, and those of the same `q` in their order. What
    /// cannot be called is left out.
    pub fn all(headers: &Headers) -> Vec<Self> {
        let contacts = headers.list::<ContactValue<'_>>(HeaderName::Contact);
        let targets = contacts.filter_map(|value| match value.ok()? {
            ContactValue::Address(address) => Self::new(address.to_address()),
            ContactValue::All => None,
        });
        let mut targets: Vec<Self> = targets.take(MAX_TARGETS).collect();
        targets.sort_by_key(|target| std::cmp::Reverse(target.q));
        targets
    }

    fn new(address: Address) -> Option<Self> {
        if !matches!(address.uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return None;
        }
        let mut parts = address.uri.to_parts()?;
        parts.headers.clear();
        parts.remove_param("method");
        let mut params = address.params.iter();
        let q = params.find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let q = q.and_then(|(_, value)| crate::header::thousandths(value.as_deref()?));
        Some(Self {
            uri: parts.to_uri().ok()?,
            display_name: address.display,
            q: q.unwrap_or(1_000),
        })
    }
}

/// Targets that are read: nobody tries more.
const MAX_TARGETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stand_in_the_order_of_their_preference() {
        let mut headers = Headers::new();
        let contact =
            "<sip:a@h.example;method=BYE?Subject=evil>;q=0.2, Bob <sips:b@h.example>;Q=0.7";
        headers.push(HeaderName::Contact, contact);
        headers.push(
            HeaderName::Contact,
            "<mailto:c@h.example>, <tel:+1>, <sip:d@h.example>;q=x",
        );
        let targets = RedirectTarget::all(&headers);
        let read: Vec<_> = targets
            .iter()
            .map(|target| (target.uri.as_str(), target.q))
            .collect();
        assert_eq!(
            read,
            [
                ("sip:d@h.example", 1_000),
                ("sips:b@h.example", 700),
                ("sip:a@h.example", 200)
            ]
        );
        assert_eq!(targets[1].display_name.as_deref(), Some("Bob"));
        headers.remove(HeaderName::Contact);
        assert_eq!(RedirectTarget::all(&headers), []);
    }
}
