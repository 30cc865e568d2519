//! Queues from the driver to those who watch. They never block the driver.

use sipsimple::event::{Event, Filter, Notification};
use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::{Duration, Instant},
};

/// The driver's end.
pub(crate) struct Observer {
    filter: Filter,
    sender: SyncSender<Notification>,
    missed: u64,
}

/// What an agent tells, in order. When the application is too slow and the queue of 8,192 is full, an
/// [`Event::Lagged`] stands in the place of what is lost.
#[derive(Debug)]
pub struct Events(Receiver<Notification>);

pub(crate) fn channel(filter: Filter) -> (Observer, Events) {
    let (sender, receiver) = sync_channel(QUEUE);
    let observer = Observer {
        filter,
        sender,
        missed: 0,
    };
    (observer, Events(receiver))
}

impl Observer {
    /// Passes an event on; false: nobody listens any more.
    pub(crate) fn tell(&mut self, notification: &Notification) -> bool {
        if !self.filter.matches(&notification.event) {
            return true;
        }
        if self.missed > 0 {
            let lagged = Notification {
                at: notification.at,
                event: Event::Lagged {
                    missed: self.missed,
                },
            };
            match self.sender.try_send(lagged) {
                Ok(()) => self.missed = 0,
                Err(TrySendError::Full(_)) => {
                    self.missed += 1;
                    return true;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        match self.sender.try_send(notification.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed += 1;
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Events {
    /// Waits for the next event until `deadline`; `None` if none comes, or the agent has ended.
    pub fn next_before(&self, deadline: Instant) -> Option<Notification> {
        let wait = deadline.saturating_duration_since(Instant::now());
        self.0.recv_timeout(wait.max(Duration::from_nanos(1))).ok()
    }

    /// Takes the next event if one is there.
    pub fn try_next(&self) -> Option<Notification> {
        self.0.try_recv().ok()
    }
}

impl Iterator for Events {
    type Item = Notification;

    /// Waits for the next event; `None` when the agent has ended.
    fn next(&mut self) -> Option<Notification> {
        self.0.recv().ok()
    }
}

/// Events that wait for one observer (`limits.events`).
const QUEUE: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use sipsimple::event::AgentEvent;

    #[test]
    fn a_slow_observer_is_told_what_it_missed() {
        let (mut observer, events) = channel(Filter::default());
        let notification = Notification {
            at: Instant::now(),
            event: Event::Agent(AgentEvent::WillStart),
        };
        for _ in 0..QUEUE + 3 {
            assert!(observer.tell(&notification));
        }
        assert!(matches!(events.try_next().unwrap().event, Event::Agent(_)));
        assert!(matches!(events.try_next().unwrap().event, Event::Agent(_)));
        assert!(observer.tell(&notification));
        let rest: Vec<Event> = std::iter::from_fn(|| events.try_next())
            .map(|n| n.event)
            .collect();
        let place = rest
            .iter()
            .position(|event| matches!(event, Event::Lagged { missed: 3 }));
        assert_eq!(place, Some(QUEUE - 2));
        drop(events);
        assert!(!observer.tell(&notification));
    }
}
