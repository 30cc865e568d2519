//! What has happened and the agent has not heard yet.

use sipsimple::agent::{Input, LinkId};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

/// Inputs in the order in which they were read, with their moments. Links that the agent closed say
/// nothing any more, and a link that is gone says so once.
#[derive(Debug, Default)]
pub struct Inbox {
    queue: VecDeque<(Instant, Input)>,
    alive: BTreeSet<LinkId>,
}

impl Inbox {
    /// The agent opens or adopts a link.
    pub fn open(&mut self, link: LinkId) {
        self.alive.insert(link);
    }

    /// The agent closes a link.
    pub fn close(&mut self, link: LinkId) {
        self.alive.remove(&link);
    }

    /// Something happened.
    pub fn push(&mut self, at: Instant, input: Input) {
        self.queue.push_back((at, input));
    }

    /// What the agent is to hear next.
    pub fn pop(&mut self) -> Option<(Instant, Input)> {
        loop {
            let (at, input) = self.queue.pop_front()?;
            let is_heard = match &input {
                Input::Closed { link, .. } => self.alive.remove(link),
                Input::Datagram { link, .. }
                | Input::Undeliverable { link, .. }
                | Input::Bytes { link, .. }
                | Input::Sent { link, .. }
                | Input::Opened { link, .. } => self.alive.contains(link),
                // A connection of a dead listener is refused by the agent.
                _ => true,
            };
            if is_heard {
                return Some((at, input));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sipsimple::base::{Key as _, LinkError};

    #[test]
    fn a_dead_link_is_silent_and_dies_once() {
        let now = Instant::now();
        let [one, two] = [1, 2].map(|n| LinkId::from_parts(n, 0));
        let sent = |link| Input::Sent { link, total: 1 };
        let closed = |link| Input::Closed {
            link,
            error: Some(LinkError::Reset),
        };
        let mut inbox = Inbox::default();
        inbox.open(one);
        inbox.open(two);
        for input in [sent(one), closed(one), sent(one), closed(one), sent(two)] {
            inbox.push(now, input);
        }
        inbox.push(now, Input::Timeout);
        inbox.close(two);
        let heard: Vec<Input> = std::iter::from_fn(|| inbox.pop())
            .map(|(_, input)| input)
            .collect();
        assert!(
            matches!(
                heard[..],
                [
                    Input::Sent { .. },
                    Input::Closed { link, .. },
                    Input::Timeout
                ] if link == one
            ),
            "{heard:?}"
        );
    }
}
