//! The bindings that a registrar reports, and which of them is ours.

use crate::{
    HeaderName, Response, Uri,
    header::{Address, ContactValue, NameAddr, thousandths},
};
use serde::Serialize;
use std::time::Duration;

/// A place where an address of record can be reached.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Binding {
    /// Where.
    pub uri: Uri,
    /// For how long yet, if it is said of this binding.
    pub expires: Option<Duration>,
    /// How much it is preferred, in thousandths (RFC 3261, 20.10).
    pub q: Option<u16>,
    /// The device, without brackets (RFC 5626, 4.1).
    pub instance: Option<String>,
    /// Which of its flows.
    pub reg_id: Option<u32>,
    /// All parameters, in their order.
    pub params: Vec<(String, Option<String>)>,
}

impl Binding {
    fn new(address: Address) -> Self {
        let mut binding = Self {
            uri: address.uri.detached(),
            expires: None,
            q: None,
            instance: None,
            reg_id: None,
            params: address.params,
        };
        binding.expires = binding.param("expires").map(|text| {
            // RFC 3261, 10.2: malformed values are read as 3600, too large ones as the largest.
            let seconds = match text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
                true => text.parse().unwrap_or(u32::MAX),
                false => MALFORMED,
            };
            Duration::from_secs(seconds.into())
        });
        binding.q = binding.param("q").and_then(thousandths);
        binding.instance = binding
            .param("+sip.instance")
            .map(|text| bare(text).to_owned());
        binding.reg_id = binding.param("reg-id").and_then(|text| text.parse().ok());
        binding
    }

    fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        let (_, value) = params.find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        value.as_deref()
    }

    pub(super) fn gruu(&self, name: &str) -> Option<Uri> {
        self.param(name)?.parse().ok()
    }
}

/// What a response says.
pub(super) struct Found {
    pub(super) bindings: Vec<Binding>,
    pub(super) ours: Option<usize>,
}

impl Found {
    /// Reads all bindings. Ours is the one of our instance and flow, else the one whose URI is
    /// equivalent to our Contact (RFC 3261, 10.2.4), else the only one: some registrars rewrite it.
    pub(super) fn in_response(
        response: &Response,
        instance: Option<&str>,
        contact: Option<&Uri>,
    ) -> Self {
        let bindings: Vec<Binding> = response
            .headers
            .list::<ContactValue<'_>>(HeaderName::Contact)
            .filter_map(|value| match value.ok()? {
                ContactValue::Address(address) => Some(Binding::new(address.to_address())),
                ContactValue::All => None,
            })
            .take(MAX_BINDINGS)
            .collect();
        let is_instance = |binding: &Binding| {
            binding.instance.is_some()
                && binding.instance.as_deref().map(str::to_ascii_lowercase)
                    == instance.map(|own| bare(own).to_ascii_lowercase())
                && binding.reg_id.is_none_or(|id| id == 1)
        };
        let is_contact =
            |binding: &Binding| contact.is_some_and(|contact| binding.uri.equivalent(contact));
        // Of several bindings of our device the one that we have just made counts.
        let ours = bindings
            .iter()
            .position(|binding| is_instance(binding) && is_contact(binding))
            .or_else(|| bindings.iter().position(is_instance))
            .or_else(|| bindings.iter().position(is_contact))
            .or_else(|| (bindings.len() == 1).then_some(0));
        Self { bindings, ours }
    }
}

/// The URIs of a header that lists addresses; what is none is left out.
pub(super) fn uris(response: &Response, name: HeaderName) -> Vec<Uri> {
    response
        .headers
        .list::<NameAddr<'_>>(name)
        .filter_map(|address| Some(address.ok()?.uri.to_uri().detached()))
        .take(MAX_BINDINGS)
        .collect()
}

/// The values of a header.
pub(super) fn texts(response: &Response, name: HeaderName) -> Vec<String> {
    response
        .headers
        .values(name)
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .take(MAX_BINDINGS)
        .collect()
}

/// An instance id without its brackets.
fn bare(text: &str) -> &str {
    let inner = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    inner.unwrap_or(text)
}

/// RFC 3261, 10.2.
const MALFORMED: u32 = 3_600;
/// More devices, or proxies in a row, than anybody has.
const MAX_BINDINGS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn response(contacts: &[&str]) -> Response {
        let mut response = Response::new(crate::Status::OK);
        for contact in contacts {
            response.headers.push(HeaderName::Contact, *contact);
        }
        response
    }

    #[test]
    fn rgn_07_ours_is_found_by_instance_else_by_uri_else_alone() {
        let contact: Uri = "sip:alice@192.0.2.1:5060".parse().unwrap();
        let ours = |contacts: &[&str], instance| {
            Found::in_response(&response(contacts), instance, Some(&contact)).ours
        };
        let two = [
            "<sip:alice@198.51.100.7:5070>;+sip.instance=\"<urn:uuid:2>\";reg-id=1;expires=9, \
             <sip:ALICE@192.0.2.9>;+sip.instance=\"<URN:UUID:1>\";reg-id=1;expires=300",
        ];
        assert_eq!(ours(&two, Some("urn:uuid:1")), Some(1));
        assert_eq!(ours(&two, Some("<urn:uuid:2>")), Some(0));
        assert_eq!(ours(&two, Some("urn:uuid:3")), None);
        // RFC 3261, 19.1.4: an unknown parameter of one side does not count.
        let other = [
            "<sip:bob@192.0.2.5>",
            "<sip:%61lice@192.0.2.1:5060;x=y>;expires=7",
        ];
        assert_eq!(ours(&other, None), Some(1));
        assert_eq!(ours(&["<sip:x@203.0.113.1>;expires=60"], None), Some(0));
        assert_eq!(ours(&[], None), None);
    }

    #[test]
    fn rgn_06_all_bindings_are_read() {
        let contacts = [
            "<sip:a@192.0.2.1>;q=0.75;expires=x, sip:b@192.0.2.2;expires=99999999999",
            "bad<",
        ];
        let found = Found::in_response(&response(&contacts), None, None);
        let of = |at: usize| &found.bindings[at];
        assert_eq!(found.bindings.len(), 2);
        assert_eq!(
            (of(0).q, of(0).expires),
            (Some(750), Some(Duration::from_secs(3_600)))
        );
        assert_eq!(of(1).expires, Some(Duration::from_secs(u32::MAX.into())));
        assert_eq!(
            (thousandths("1.001"), thousandths("0.5"), thousandths("-1")),
            (None, Some(500), None)
        );
    }
}
