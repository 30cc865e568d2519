//! Reason: why a request was sent (RFC 3326).

use super::{Header, HeaderName, Item, Parse, Value, params::write_quoted};
use crate::ParseError;
use serde::{Deserialize, Serialize};

/// One reason of a CANCEL or BYE: why somebody gives a call up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// Whose codes these are, a token: `SIP`, `Q.850`; to be compared in any case.
    pub protocol: String,
    /// The code: of SIP a status code.
    pub cause: Option<u32>,
    /// The reason in words.
    pub text: Option<String>,
}

impl Reason {
    /// A reason whose code is a status code.
    pub fn sip(cause: u16, text: &str) -> Self {
        Self {
            protocol: "SIP".to_owned(),
            cause: Some(cause.into()),
            text: Some(text.to_owned()),
        }
    }

    /// Somebody else has taken the call (RFC 3326, 3.1): whoever still rings has missed nothing.
    pub fn completed_elsewhere() -> Self {
        Self::sip(200, "Call completed elsewhere")
    }

    /// True if somebody else has taken the call, whatever the words.
    pub fn is_completed_elsewhere(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP") && self.cause == Some(200)
    }

    /// True if it can be written: the protocol is a token.
    pub fn is_valid(&self) -> bool {
        !self.protocol.is_empty() && self.protocol.bytes().all(base::scan::is_token)
    }
}

impl Parse<'_> for Reason {
    fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let item = Item::parse(value)?;
        let text = |name: &str| {
            // Names of parameters are compared in any case (RFC 3261, 7.3.1).
            let mut params = item.params.iter();
            let param = params.find(|param| param.name.eq_ignore_ascii_case(name))?;
            param.text()
        };
        Ok(Self {
            protocol: item.token.to_owned(),
            cause: text("cause").and_then(|cause| cause.parse().ok()),
            text: text("text").map(std::borrow::Cow::into_owned),
        })
    }
}

impl Header<'_> for Reason {
    const NAME: HeaderName = HeaderName::Reason;
}

impl Value for Reason {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.protocol.write_to(out);
        if let Some(cause) = self.cause {
            out.extend_from_slice(b";cause=");
            cause.write_to(out);
        }
        if let Some(text) = &self.text {
            out.extend_from_slice(b";text=");
            write_quoted(out, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_rfc_3326() {
        for (text, reason) in [
            (
                r#"SIP;cause=200;text="Call completed elsewhere""#,
                Reason::completed_elsewhere(),
            ),
            (
                r#"Q.850;cause=16;text="Terminated""#,
                Reason {
                    protocol: "Q.850".to_owned(),
                    cause: Some(16),
                    text: Some("Terminated".to_owned()),
                },
            ),
            (
                r#"SIP;cause=600;text="Busy \"Everywhere\"""#,
                Reason::sip(600, "Busy \"Everywhere\""),
            ),
            (
                "Preemption",
                Reason {
                    protocol: "Preemption".to_owned(),
                    cause: None,
                    text: None,
                },
            ),
        ] {
            assert_eq!(Reason::parse(text.as_bytes()).as_ref(), Ok(&reason));
            let mut out = Vec::new();
            reason.write_to(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
            assert!(reason.is_valid());
        }
    }

    #[test]
    fn reasons_that_others_write() {
        let odd = Reason::parse(b"sip ; Cause = 200 ; TEXT=gone;x").unwrap();
        assert!(odd.is_completed_elsewhere());
        assert_eq!(odd.text.as_deref(), Some("gone"));
        // A code that is no number leaves the words.
        let broken = Reason::parse(b"SIP;cause=-1;text=\"who knows\"").unwrap();
        assert_eq!(
            (broken.cause, broken.text.as_deref()),
            (None, Some("who knows"))
        );
        assert!(
            !Reason::parse(b"Q.850;cause=200")
                .unwrap()
                .is_completed_elsewhere()
        );
        for bad in [&b""[..], b";cause=200", b"SIP cause=200"] {
            assert!(Reason::parse(bad).is_err(), "{bad:?}");
        }
        let mut invalid = Reason::sip(200, "");
        invalid.protocol = "a b".to_owned();
        assert!(!invalid.is_valid());
    }
}
