//! What is subscribed to, and how a subscription stands (RFC 6665, 8.2).

use super::{Header, HeaderName, Item, Params, Parse, misc::seconds};
use crate::ParseError;

/// The event package of a SUBSCRIBE, NOTIFY or PUBLISH (RFC 6665, 8.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// The package with its templates: `presence.winfo`.
    pub package: &'a str,
    /// `id` and others.
    pub params: Params<'a>,
}

impl<'a> Event<'a> {
    /// What tells subscriptions of one package in one dialog apart.
    pub fn id(&self) -> Option<&'a str> {
        self.params.token("id")
    }

    /// True if it names that package and id, byte by byte; with an id it never equals one without
    /// (RFC 6665, 8.2.1).
    pub fn is(&self, package: &str, id: Option<&str>) -> bool {
        self.package == package && self.id() == id
    }
}

impl<'a> Parse<'a> for Event<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let Item { token, params } = Item::parse(value)?;
        Ok(Self {
            package: token,
            params,
        })
    }
}

impl<'a> Header<'a> for Event<'a> {
    const NAME: HeaderName = HeaderName::Event;
}

/// How a subscription stands, as its notifier says it (RFC 6665, 8.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated`, or a word of an extension.
    pub state: &'a str,
    /// expires, reason, retry-after and others.
    pub params: Params<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// How many seconds it goes on unless it is refreshed.
    pub fn expires(&self) -> Option<u32> {
        self.number("expires")
    }

    /// How many seconds to wait before subscribing anew.
    pub fn retry_after(&self) -> Option<u32> {
        self.number("retry-after")
    }

    /// Why it was terminated.
    pub fn reason(&self) -> Option<&'a str> {
        self.params.token("reason")
    }

    fn number(&self, name: &str) -> Option<u32> {
        seconds(self.params.token(name)?.as_bytes())
    }
}

impl<'a> Parse<'a> for SubscriptionState<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let Item { token, params } = Item::parse(value)?;
        Ok(Self {
            state: token,
            params,
        })
    }
}

impl<'a> Header<'a> for SubscriptionState<'a> {
    const NAME: HeaderName = HeaderName::SubscriptionState;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_ids_are_compared_byte_by_byte() {
        let event = Event::parse(b"presence.winfo;x=y;id=a7").unwrap();
        assert!(event.is("presence.winfo", Some("a7")));
        for (package, id) in [
            ("presence.winfo", None),
            ("presence.winfo", Some("A7")),
            ("Presence.winfo", Some("a7")),
            ("presence", Some("a7")),
        ] {
            assert!(!event.is(package, id), "{package} {id:?}");
        }
        assert!(Event::parse(b"presence").unwrap().is("presence", None));
        assert!(Event::parse(b"").is_err() && Event::parse(b"a b").is_err());
    }

    #[test]
    fn states_with_their_parameters() {
        let state =
            SubscriptionState::parse(b"terminated; reason=probation;retry-after=30").unwrap();
        assert_eq!(state.state, "terminated");
        assert_eq!(state.reason(), Some("probation"));
        assert_eq!(state.retry_after(), Some(30));
        let state = SubscriptionState::parse(b"active;expires=99999999999").unwrap();
        assert_eq!(state.expires(), Some(u32::MAX));
        assert_eq!((state.reason(), state.retry_after()), (None, None));
        let state = SubscriptionState::parse(b"waiting;expires=x").unwrap();
        assert_eq!((state.state, state.expires()), ("waiting", None));
    }
}
