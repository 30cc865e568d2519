//! What observers of an agent hear, and what they miss when they are slow.

use sipsimple::event::{AgentEvent, Event, Filter, Notification, SessionEvent};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Decides what goes into the queue of one observer, so that the queue never grows above its limit.
#[derive(Debug)]
pub struct Backlog {
    filter: Filter,
    limit: usize,
    gap: Option<Arc<AtomicU64>>,
}

/// A place in an observer's queue.
#[derive(Debug)]
pub struct Entry(Content);

#[derive(Debug)]
enum Content {
    Event(Notification),
    /// So many events are missing here; it grows until it is read, or until something follows it.
    Gap(Instant, Arc<AtomicU64>),
}

impl Backlog {
    /// A queue of at most `limit` events that pass the filter.
    pub fn new(filter: Filter, limit: usize) -> Self {
        Self {
            filter,
            limit: limit.max(SMALLEST),
            gap: None,
        }
    }

    /// What to put into the queue, in which `waiting` entries are not read yet.
    ///
    /// From three quarters on, what only tells of progress is left out; at the limit, everything
    /// except the last event of the agent.
    pub fn admit(&mut self, waiting: usize, notification: &Notification) -> Option<Entry> {
        let event = &notification.event;
        if !self.filter.matches(event) {
            return None;
        }
        let limit = match event {
            event if is_last(event) => usize::MAX,
            event if is_progress(event) => self.limit - self.limit / 4,
            // One place is kept for the gap itself.
            _ => self.limit - 1,
        };
        if waiting < limit {
            self.gap = None;
            return Some(Entry(Content::Event(notification.clone())));
        }
        if self.gap.as_deref().is_some_and(widen) {
            return None;
        }
        let gap = Arc::new(AtomicU64::new(1));
        self.gap = Some(gap.clone());
        Some(Entry(Content::Gap(notification.at, gap)))
    }

    /// True if the application does not keep up: with calls to come it would miss what matters.
    pub fn is_congested(&self, waiting: usize) -> bool {
        waiting >= self.limit / 2
    }
}

impl Entry {
    /// What the observer is told.
    pub fn read(self) -> Notification {
        match self.0 {
            Content::Event(notification) => notification,
            Content::Gap(at, gap) => Notification {
                at,
                event: Event::Lagged {
                    missed: gap.swap(READ, Ordering::AcqRel),
                },
            },
        }
    }
}

/// Counts one more missing event; false: the gap was read already.
fn widen(gap: &AtomicU64) -> bool {
    let more = |missed| (missed != READ).then(|| missed + 1);
    gap.fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
        .is_ok()
}

/// Without it, an observer waits for ever.
const fn is_last(event: &Event) -> bool {
    matches!(
        event,
        Event::Agent(AgentEvent::DidEnd | AgentEvent::DidFail { .. })
    )
}

/// What an application can do without: the state that it leads to is told, too.
const fn is_progress(event: &Event) -> bool {
    matches!(
        event,
        Event::Agent(AgentEvent::Log { .. })
            | Event::Session(
                _,
                SessionEvent::GotProvisionalResponse { .. }
                    | SessionEvent::ChangedState { .. }
                    | SessionEvent::DidProcessTransaction { .. }
            )
    )
}

/// A gap that was read: no count ever comes there.
const READ: u64 = u64::MAX;
/// The shares of a smaller limit would be nothing.
const SMALLEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn told(event: AgentEvent) -> Notification {
        Notification {
            at: Instant::now(),
            event: Event::Agent(event),
        }
    }

    fn log() -> Notification {
        told(AgentEvent::Log {
            sender: "test",
            level: 5,
            message: String::new(),
        })
    }

    fn missed(entry: Entry) -> Option<u64> {
        match entry.read().event {
            Event::Lagged { missed } => Some(missed),
            _ => None,
        }
    }

    #[test]
    fn a_slow_observer_finds_the_number_in_the_place_of_the_events() {
        let mut backlog = Backlog::new(Filter::default(), 8);
        let mut queue = VecDeque::new();
        let event = told(AgentEvent::WillStart);
        let mut tell = |queue: &mut VecDeque<Entry>, event: &Notification| {
            queue.extend(backlog.admit(queue.len(), event));
        };
        for _ in 0..10 {
            tell(&mut queue, &event);
        }
        assert_eq!(queue.len(), 8);
        // Two are read, one is told, and one place is missing again.
        queue.drain(..2);
        tell(&mut queue, &event);
        tell(&mut queue, &event);
        let gaps: Vec<Option<u64>> = queue.drain(..).map(missed).collect();
        let none = None;
        assert_eq!(gaps, [none, none, none, none, none, Some(3), none, Some(1)]);
        // A gap that was read does not grow any more.
        let mut backlog = Backlog::new(Filter::default(), 4);
        let gap = backlog.admit(4, &event).unwrap();
        assert!(backlog.admit(4, &event).is_none());
        assert_eq!(missed(gap), Some(2));
        assert_eq!(backlog.admit(4, &event).and_then(missed), Some(1));
    }

    #[test]
    fn progress_goes_first_and_the_end_comes_through() {
        let mut backlog = Backlog::new(Filter::default(), 8);
        let is_told = |entry: Option<Entry>| entry.is_some_and(|entry| missed(entry).is_none());
        assert!(is_told(backlog.admit(5, &log())));
        assert!(!is_told(backlog.admit(6, &log())));
        assert!(is_told(backlog.admit(6, &told(AgentEvent::WillEnd))));
        assert!(!is_told(backlog.admit(7, &told(AgentEvent::WillEnd))));
        assert!(is_told(backlog.admit(8, &told(AgentEvent::DidEnd))));
        assert!(!backlog.is_congested(3) && backlog.is_congested(4));
    }
}
