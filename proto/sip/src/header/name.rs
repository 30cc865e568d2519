//! Names of headers.

use base::scan::is_token;
use std::fmt;

macro_rules! names {
    ($($name:ident $text:literal $(| $compact:literal)? ($reference:literal);)*) => {
        /// The headers that this stack knows, under the names and compact forms of the registry.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum HeaderName {
            $(
                #[doc = concat!("`", $text, "` (", $reference, ").")]
                $name,
            )*
        }

        impl HeaderName {
            /// The name in its usual spelling.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The compact form (RFC 3261, 7.3.3), if the header has one.
            pub const fn compact(self) -> Option<u8> {
                match self {
                    $($(Self::$name => Some($compact),)?)*
                    _ => None,
                }
            }
        }

        const ALL: &[HeaderName] = &[$(HeaderName::$name,)*];
    };
}

names! {
    Accept "Accept" ("RFC 3261, 20.1");
    AcceptEncoding "Accept-Encoding" ("RFC 3261, 20.2");
    AcceptLanguage "Accept-Language" ("RFC 3261, 20.3");
    AlertInfo "Alert-Info" ("RFC 3261, 20.4");
    Allow "Allow" ("RFC 3261, 20.5");
    AllowEvents "Allow-Events" | b'u' ("RFC 6665, 8.2.2");
    AuthenticationInfo "Authentication-Info" ("RFC 3261, 20.6");
    Authorization "Authorization" ("RFC 3261, 20.7");
    CallId "Call-ID" | b'i' ("RFC 3261, 20.8");
    CallInfo "Call-Info" ("RFC 3261, 20.9");
    Contact "Contact" | b'm' ("RFC 3261, 20.10");
    ContentDisposition "Content-Disposition" ("RFC 3261, 20.11");
    ContentEncoding "Content-Encoding" | b'e' ("RFC 3261, 20.12");
    ContentId "Content-ID" ("RFC 8262");
    ContentLanguage "Content-Language" ("RFC 3261, 20.13");
    ContentLength "Content-Length" | b'l' ("RFC 3261, 20.14");
    ContentTransferEncoding "Content-Transfer-Encoding" ("RFC 2045, 6; in parts of a body only");
    ContentType "Content-Type" | b'c' ("RFC 3261, 20.15");
    CSeq "CSeq" ("RFC 3261, 20.16");
    Date "Date" ("RFC 3261, 20.17");
    ErrorInfo "Error-Info" ("RFC 3261, 20.18");
    Event "Event" | b'o' ("RFC 6665, 8.2.1");
    Expires "Expires" ("RFC 3261, 20.19");
    From "From" | b'f' ("RFC 3261, 20.20");
    Identity "Identity" | b'y' ("RFC 8224, 4");
    InfoPackage "Info-Package" ("RFC 6086, 7.2");
    InReplyTo "In-Reply-To" ("RFC 3261, 20.21");
    Join "Join" ("RFC 3911, 7.1");
    MaxForwards "Max-Forwards" ("RFC 3261, 20.22");
    MimeVersion "MIME-Version" ("RFC 3261, 20.24");
    MinExpires "Min-Expires" ("RFC 3261, 20.23");
    MinSe "Min-SE" ("RFC 4028, 5");
    Organization "Organization" ("RFC 3261, 20.25");
    PAssertedIdentity "P-Asserted-Identity" ("RFC 3325, 9.1");
    PAssociatedUri "P-Associated-URI" ("RFC 7315, 4.1");
    PPreferredIdentity "P-Preferred-Identity" ("RFC 3325, 9.2");
    Path "Path" ("RFC 3327, 4");
    Priority "Priority" ("RFC 3261, 20.26");
    Privacy "Privacy" ("RFC 3323, 4.2");
    ProxyAuthenticate "Proxy-Authenticate" ("RFC 3261, 20.27");
    ProxyAuthenticationInfo "Proxy-Authentication-Info" ("RFC 7615, 4");
    ProxyAuthorization "Proxy-Authorization" ("RFC 3261, 20.28");
    ProxyRequire "Proxy-Require" ("RFC 3261, 20.29");
    RAck "RAck" ("RFC 3262, 7.2");
    Reason "Reason" ("RFC 3326, 2");
    RecvInfo "Recv-Info" ("RFC 6086, 7.3");
    RecordRoute "Record-Route" ("RFC 3261, 20.30");
    ReferSub "Refer-Sub" ("RFC 4488, 4");
    ReferTo "Refer-To" | b'r' ("RFC 3515, 2.1");
    ReferredBy "Referred-By" | b'b' ("RFC 3892, 3");
    RemotePartyId "Remote-Party-ID" ("draft-ietf-sip-privacy-04");
    Replaces "Replaces" ("RFC 3891, 6.1");
    ReplyTo "Reply-To" ("RFC 3261, 20.31");
    Require "Require" ("RFC 3261, 20.32");
    RetryAfter "Retry-After" ("RFC 3261, 20.33");
    Route "Route" ("RFC 3261, 20.34");
    RSeq "RSeq" ("RFC 3262, 7.1");
    Server "Server" ("RFC 3261, 20.35");
    ServiceRoute "Service-Route" ("RFC 3608, 5");
    SessionExpires "Session-Expires" | b'x' ("RFC 4028, 4");
    SipETag "SIP-ETag" ("RFC 3903, 11.3.1");
    SipIfMatch "SIP-If-Match" ("RFC 3903, 11.3.2");
    Subject "Subject" | b's' ("RFC 3261, 20.36");
    SubscriptionState "Subscription-State" ("RFC 6665, 8.2.3");
    Supported "Supported" | b'k' ("RFC 3261, 20.37");
    TargetDialog "Target-Dialog" ("RFC 4538, 7");
    Timestamp "Timestamp" ("RFC 3261, 20.38");
    To "To" | b't' ("RFC 3261, 20.39");
    Unsupported "Unsupported" ("RFC 3261, 20.40");
    UserAgent "User-Agent" ("RFC 3261, 20.41");
    Via "Via" | b'v' ("RFC 3261, 20.42");
    Warning "Warning" ("RFC 3261, 20.43");
    WwwAuthenticate "WWW-Authenticate" ("RFC 3261, 20.44");
}

impl HeaderName {
    /// Recognises a name in any case, long or compact.
    #[inline(always)]
    pub fn from_bytes(text: &[u8]) -> Option<Self> {
        let (known, name) = SLOTS[slot(text)?]?;
        // Nearly everybody writes the usual spelling, and a comparison of memory is cheaper.
        match text == name || known.is_spelt(text) {
            true => Some(known),
            false => None,
        }
    }

    /// True for its compact form, and for its name in any case.
    #[cold]
    fn is_spelt(self, text: &[u8]) -> bool {
        match text {
            [only] => self.compact() == Some(only.to_ascii_lowercase()),
            _ => text.eq_ignore_ascii_case(self.as_str().as_bytes()),
        }
    }

    /// True if a line of this header may carry several values, separated by commas (RFC 3261, 7.3.1).
    ///
    /// Authentication headers are not among them: their commas separate parameters.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::Accept
                | Self::AcceptEncoding
                | Self::AcceptLanguage
                | Self::AlertInfo
                | Self::Allow
                | Self::AllowEvents
                | Self::CallInfo
                | Self::Contact
                | Self::ContentEncoding
                | Self::ContentLanguage
                | Self::ErrorInfo
                | Self::InReplyTo
                | Self::PAssertedIdentity
                | Self::PAssociatedUri
                | Self::PPreferredIdentity
                | Self::Path
                | Self::ProxyRequire
                | Self::Reason
                | Self::RecordRoute
                | Self::RecvInfo
                | Self::RemotePartyId
                | Self::Require
                | Self::Route
                | Self::ServiceRoute
                | Self::Supported
                | Self::Unsupported
                | Self::Via
                | Self::Warning
        )
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of any header, known or not: what look-ups take.
///
/// Made from a [`HeaderName`] or from text; names are equal in any case, and a compact form equals
/// its long form.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    pub(crate) known: Option<HeaderName>,
    pub(crate) text: &'a [u8],
}

impl<'a> Name<'a> {
    /// The header, if this stack knows it.
    pub const fn known(&self) -> Option<HeaderName> {
        self.known
    }

    /// The name as written.
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.known.is_some() || (!self.text.is_empty() && self.text.iter().all(|&b| is_token(b)))
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.known, other.known) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.text.eq_ignore_ascii_case(other.text),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Eq for Name<'_> {}

impl From<HeaderName> for Name<'static> {
    #[inline]
    fn from(known: HeaderName) -> Self {
        Self {
            known: Some(known),
            text: known.as_str().as_bytes(),
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

impl<'a> From<&'a [u8]> for Name<'a> {
    #[inline]
    fn from(text: &'a [u8]) -> Self {
        Self {
            known: HeaderName::from_bytes(text),
            text,
        }
    }
}

/// A perfect hash of all names and compact forms: length, first, middle and last letter.
#[inline]
const fn slot(text: &[u8]) -> Option<usize> {
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return None;
    };
    let (first, last) = ((*first | 0x20) as usize, (*last | 0x20) as usize);
    let middle = (text[text.len() / 2] | 0x20) as usize;
    Some((text.len().wrapping_mul(379) + first * 361 + last * 164 + middle * 239) % SLOT_COUNT)
}

/// Which name hashes to which slot; it does not compile if two do to one.
static SLOTS: [Option<(HeaderName, &[u8])>; SLOT_COUNT] = {
    let mut slots = [None; SLOT_COUNT];
    let mut n = 0;
    while n < ALL.len() {
        let name = ALL[n];
        slots = claim(slots, name.as_str().as_bytes(), name);
        if let Some(compact) = name.compact() {
            slots = claim(slots, &[compact], name);
        }
        n += 1;
    }
    slots
};

const SLOT_COUNT: usize = 512;

type Slots = [Option<(HeaderName, &'static [u8])>; SLOT_COUNT];

const fn claim(mut slots: Slots, text: &[u8], name: HeaderName) -> Slots {
    let Some(slot) = slot(text) else {
        panic!("a name is not empty");
    };
    assert!(
        slots[slot].is_none(),
        "two names in one slot: other factors are needed"
    );
    slots[slot] = Some((name, name.as_str().as_bytes()));
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_short() {
        for &name in ALL {
            let text = name.as_str();
            assert_eq!(HeaderName::from_bytes(text.as_bytes()), Some(name));
            assert_eq!(
                HeaderName::from_bytes(text.to_uppercase().as_bytes()),
                Some(name)
            );
            assert_eq!(
                HeaderName::from_bytes(text.to_lowercase().as_bytes()),
                Some(name)
            );
            if let Some(compact) = name.compact() {
                assert_eq!(HeaderName::from_bytes(&[compact]), Some(name));
                assert_eq!(
                    HeaderName::from_bytes(&[compact.to_ascii_uppercase()]),
                    Some(name)
                );
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        // `\x16` differs from `v` in bits that folding of case drops.
        for text in [
            &b""[..],
            b"z",
            b"Vib",
            b"C%6Fntact",
            b"Con\x14act",
            b"\x16",
            b"X-Via",
            b"M",
        ] {
            let expected = (text == b"M").then_some(HeaderName::Contact);
            assert_eq!(HeaderName::from_bytes(text), expected);
        }
    }

    #[test]
    fn names_compare_by_meaning() {
        assert_eq!(Name::from("v"), Name::from(HeaderName::Via));
        assert_eq!(Name::from("X-Foo"), Name::from("x-foo"));
        assert_ne!(Name::from("X-Foo"), Name::from("X-Fop"));
        assert!(!Name::from("X Foo").is_valid());
    }
}
