//! What an application can ask of a referral.

use crate::{
    AccountId, Headers, IdentityId, InvitationId, Uri, auth::Credentials, header::Address,
    uri::SipUri,
};
use serde::{Deserialize, Serialize};

/// Asks somebody to send a request (RFC 3515): a blind transfer, an attended one, an invitation to a
/// conference.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refer {
    /// Who shall send it.
    pub whom: Whom,
    /// To whom: the value of Refer-To. Another method than INVITE is its `method` parameter.
    pub refer_to: Address,
    /// The call of ours that the new one takes the place of at its receiver (RFC 3891; XFR-02). Its
    /// dialog is put into Refer-To, escaped.
    pub replaces: Option<InvitationId>,
    /// On whose behalf (RFC 3892; XFR-01): who refers, unless said otherwise.
    pub referred_by: Option<Address>,
    /// No reports are wanted (RFC 4488). Outside of calls only if the request cannot fork.
    pub is_silent: bool,
    /// How long reports are waited for, in seconds, if the peer does not say it (XFR-06).
    pub expires: u32,
    /// Further headers. Those that the stack writes itself are refused (SES-13).
    pub headers: Headers,
    /// To the peer of a call, the route set of a request outside of its dialog, nearest first: the
    /// account's outbound proxy. It also says who of those in the dialog's own route is ours (CRD-03).
    pub route: Vec<Address>,
    /// Who answers challenges.
    pub credentials: Vec<Credentials>,
    /// The account that refers: what its other usages have learnt of its realms counts here, too.
    pub account: Option<AccountId>,
    /// Whose certificate to show on a secured connection that is opened for this request.
    pub identity: Option<IdentityId>,
}

/// Whom a REFER goes to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Whom {
    /// The peer of a call: inside its dialog, or, if its Contact is a GRUU, outside with Target-Dialog
    /// (RFC 7647, 4; RFC 6665, 4.5.2) along `route`. Who answers that with 420 gets it inside the dialog
    /// after all (RFC 4538, 4).
    Call(InvitationId),
    /// Anybody, outside of calls.
    Outside(Box<Outside>),
}

/// Somebody whom we are not in a call with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outside {
    /// Who refers; a `tag` parameter is replaced.
    pub from: Address,
    /// Whom.
    pub to: Address,
    /// Where to send it; usually the URI of `to`.
    pub request_uri: Uri,
    /// The route set, nearest first: an outbound proxy.
    pub route: Vec<Address>,
    /// The user part of our Contact; that of `from` if it is `None`.
    pub contact_user: Option<String>,
}

impl Refer {
    /// Asks the peer of a call to call `refer_to` (XFR-01).
    pub const fn in_call(call: InvitationId, refer_to: Address) -> Self {
        Self::new(Whom::Call(call), refer_to)
    }

    /// Asks `to`, outside of calls, to call `refer_to`.
    pub fn outside(from: Address, to: Address, refer_to: Address) -> Self {
        let whom = Whom::Outside(Box::new(Outside {
            request_uri: to.uri.clone(),
            from,
            to,
            route: Vec::new(),
            contact_user: None,
        }));
        Self::new(whom, refer_to)
    }

    const fn new(whom: Whom, refer_to: Address) -> Self {
        Self {
            whom,
            refer_to,
            replaces: None,
            referred_by: None,
            is_silent: false,
            expires: EXPIRES,
            headers: Headers::new(),
            route: Vec::new(),
            credentials: Vec::new(),
            account: None,
            identity: None,
        }
    }
}

/// Puts a header into a URI, escaped exactly once, whatever it holds (RFC 3261, 19.1.1); `None` if the
/// URI can hold none.
pub(crate) fn with_header(uri: &Uri, name: &str, value: &[u8]) -> Option<Uri> {
    let mut parts: SipUri = uri.to_parts()?;
    let mut escaped = String::with_capacity(value.len());
    for &byte in value {
        match byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    parts
        .headers
        .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    parts.headers.push((name.to_owned(), escaped));
    parts.to_uri().ok()
}

/// XFR-04, XFR-06.
const EXPIRES: u32 = 90;

#[cfg(test)]
mod tests {
    use super::*;

    /// wire-rules "Subscriptions": Refer-To with Replaces is escaped exactly once.
    #[test]
    fn a_header_in_a_uri_is_escaped_exactly_once() {
        let uri: Uri = "sip:carol@chicago.com;user=phone".parse().unwrap();
        // RFC 3891, 7, with a Call-ID that looks escaped.
        let value = b"425928%40x@bobster.org;to-tag=7743;from-tag=6472";
        let with = with_header(&uri, "Replaces", value).unwrap();
        assert_eq!(
            with.as_str(),
            "sip:carol@chicago.com;user=phone?Replaces=\
             425928%2540x%40bobster.org%3Bto-tag%3D7743%3Bfrom-tag%3D6472"
        );
        let back = with.headers().get("replaces").unwrap().text().unwrap();
        assert_eq!(back.as_bytes(), value);
        // In place of another one.
        let again = with_header(&with, "replaces", b"a").unwrap();
        assert_eq!(again.headers().iter().count(), 1);
        let tel: Uri = "tel:+1-201-555-0123".parse().unwrap();
        assert_eq!(with_header(&tel, "Replaces", b"a"), None);
    }
}
