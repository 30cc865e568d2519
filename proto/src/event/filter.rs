//! Which events an observer wants: the old notification centre without callbacks.

use super::Event;
use crate::id::{NatDetectionId, SessionId, StreamId, SubscriptionId};
use std::fmt;

/// Whose event it is: the object that the documents call sender (GEN-02).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Sender {
    /// The user agent itself.
    Agent,
    /// A session.
    Session(SessionId),
    /// A stream.
    Stream(StreamId),
    /// An OPTIONS request.
    Options(sip::RequestId),
    /// A lookup of a name.
    Lookup(dns::LookupId),
    /// A detection of the kind of NAT.
    NatDetection(NatDetectionId),
    /// What looks names up.
    Resolver,
    /// An account.
    Account(sip::AccountId),
    /// A publication.
    Publication(sip::PublicationId),
    /// A message outside of sessions.
    Message(sip::MessageId),
    /// A subscription of ours.
    Subscription(SubscriptionId),
    /// A subscription of a peer.
    IncomingSubscription(sip::NotifierId),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("agent"),
            Self::Session(id) => write!(f, "session:{id}"),
            Self::Stream(id) => write!(f, "stream:{id}"),
            Self::Options(id) => write!(f, "options:{id}"),
            Self::Lookup(id) => write!(f, "lookup:{id}"),
            Self::NatDetection(id) => write!(f, "nat_detection:{id}"),
            Self::Resolver => f.write_str("resolver"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Publication(id) => write!(f, "publication:{id}"),
            Self::Message(id) => write!(f, "message:{id}"),
            Self::Subscription(id) => write!(f, "subscription:{id}"),
            Self::IncomingSubscription(id) => write!(f, "incoming_subscription:{id}"),
        }
    }
}

/// A pure predicate on events: by name, by sender, by both, or all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// The names of the documents that pass; empty for all.
    pub names: Vec<String>,
    /// The only sender that passes; `None` for all.
    pub sender: Option<Sender>,
}

impl Filter {
    /// True if the observer wants the event. `Lagged` passes always: it says that events are missing
    /// which might have passed.
    pub fn matches(&self, event: &Event) -> bool {
        if matches!(event, Event::Lagged { .. }) {
            return true;
        }
        let by_name = self.names.is_empty() || self.names.iter().any(|name| name == event.name());
        by_name && self.sender.is_none_or(|sender| sender == event.sender())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, SessionEvent};
    use base::Key;

    #[test]
    fn by_name_and_sender() {
        let id = |n| SessionId::from_parts(0, n);
        let started = Event::Session(id(1), SessionEvent::WillStart);
        let mut filter = Filter::default();
        assert!(filter.matches(&started));
        filter.sender = Some(Sender::Session(id(2)));
        assert!(!filter.matches(&started));
        filter.sender = Some(Sender::Session(id(1)));
        filter.names = vec!["SIPSessionWillStart".to_owned()];
        assert!(filter.matches(&started));
        assert!(!filter.matches(&Event::Session(id(1), SessionEvent::GotRingIndication)));
        assert!(!filter.matches(&Event::Agent(AgentEvent::WillEnd)));
        assert!(filter.matches(&Event::Lagged { missed: 3 }));
    }
}
