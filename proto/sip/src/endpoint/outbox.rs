//! One outstanding MESSAGE per destination (RFC 3428, 8; MSG-02): the others wait in line.

use crate::id::UsageId;
use std::collections::{BTreeMap, VecDeque};

/// Messages by their Request-URI; the first of each line is on its way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    lines: BTreeMap<Box<str>, VecDeque<UsageId>>,
}

impl Outbox {
    /// Puts a message into the line of its destination; true if it may go at once.
    pub(super) fn join(&mut self, destination: &str, id: UsageId) -> bool {
        let line = self.lines.entry(destination.into()).or_default();
        line.push_back(id);
        line.len() == 1
    }

    /// A message has its result, or is not wanted any more: who goes next, if it was the first.
    pub(super) fn leave(&mut self, destination: &str, id: UsageId) -> Option<UsageId> {
        let line = self.lines.get_mut(destination)?;
        let was_first = line.front() == Some(&id);
        line.retain(|waiting| *waiting != id);
        let next = line.front().copied();
        if line.is_empty() {
            self.lines.remove(destination);
        }
        next.filter(|_| was_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Key as _;

    #[test]
    fn msg_02_one_goes_and_the_others_wait() {
        let id = |n| UsageId::from_parts(1, n);
        let mut outbox = Outbox::default();
        assert!(outbox.join("sip:a@example.com", id(1)));
        assert!(!outbox.join("sip:a@example.com", id(2)));
        assert!(!outbox.join("sip:a@example.com", id(3)));
        assert!(outbox.join("sip:b@example.com", id(4)));
        assert_eq!(outbox.leave("sip:a@example.com", id(2)), None);
        assert_eq!(outbox.leave("sip:a@example.com", id(1)), Some(id(3)));
        assert_eq!(outbox.leave("sip:a@example.com", id(1)), None, "it left");
        assert_eq!(outbox.leave("sip:a@example.com", id(3)), None);
        assert_eq!(outbox.leave("sip:b@example.com", id(4)), None);
        assert!(outbox.lines.is_empty());
    }
}
