//! Queues from the driver to those who watch. They never block the driver.

use sipsimple::event::{Filter, Notification};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel as unbounded},
    },
    time::Instant,
};
use system::{Backlog, Entry};

/// The driver's end.
pub(crate) struct Observer {
    backlog: Backlog,
    sender: Sender<Entry>,
    waiting: Arc<AtomicUsize>,
}

/// What an agent tells, in order. When the application is too slow and the queue is full
/// (`limits.events`), an [`Event::Lagged`](sipsimple::event::Event::Lagged) stands in the place of
/// what is lost.
#[derive(Debug)]
pub struct Events {
    receiver: Receiver<Entry>,
    waiting: Arc<AtomicUsize>,
}

pub(crate) fn channel(filter: Filter, limit: usize) -> (Observer, Events) {
    // The backlog bounds what is in it.
    let (sender, receiver) = unbounded();
    let waiting = Arc::new(AtomicUsize::new(0));
    let observer = Observer {
        backlog: Backlog::new(filter, limit),
        sender,
        waiting: waiting.clone(),
    };
    (observer, Events { receiver, waiting })
}

impl Observer {
    /// Passes an event on; false: nobody listens any more.
    pub(crate) fn tell(&mut self, notification: &Notification) -> bool {
        match self.backlog.admit(self.waiting(), notification) {
            Some(entry) => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                self.sender.send(entry).is_ok()
            }
            None => true,
        }
    }

    /// True if it is far behind.
    pub(crate) fn is_congested(&self) -> bool {
        self.backlog.is_congested(self.waiting())
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Events {
    /// Waits for the next event until `deadline`; `None` if none comes, or the agent has ended.
    pub fn next_before(&self, deadline: Instant) -> Option<Notification> {
        let wait = deadline.saturating_duration_since(Instant::now());
        self.receiver
            .recv_timeout(wait)
            .ok()
            .map(|entry| self.read(entry))
    }

    /// Takes the next event if one is there.
    pub fn try_next(&self) -> Option<Notification> {
        self.receiver.try_recv().ok().map(|entry| self.read(entry))
    }

    fn read(&self, entry: Entry) -> Notification {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        entry.read()
    }
}

impl Iterator for Events {
    type Item = Notification;

    /// Waits for the next event; `None` when the agent has ended.
    fn next(&mut self) -> Option<Notification> {
        self.receiver.recv().ok().map(|entry| self.read(entry))
    }
}
