//! Queues from the driver to those who watch. They never block the driver.

use async_channel::{Receiver, Sender, unbounded};
use async_io::Timer;
use sipsimple::event::{Filter, Notification};
use smol::{future::FutureExt as _, stream::Stream};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};
use system::{Backlog, Entry};

/// The driver's end.
pub(crate) struct Observer {
    backlog: Backlog,
    sender: Sender<Entry>,
}

/// What an agent tells, in order. When the application is too slow and the queue is full
/// (`limits.events`), an [`Event::Lagged`](sipsimple::event::Event::Lagged) stands in the place of
/// what is lost.
#[derive(Debug)]
pub struct Events(Pin<Box<Receiver<Entry>>>);

pub(crate) fn channel(filter: Filter, limit: usize) -> (Observer, Events) {
    // The backlog bounds what is in it.
    let (sender, receiver) = unbounded();
    let observer = Observer {
        backlog: Backlog::new(filter, limit),
        sender,
    };
    (observer, Events(Box::pin(receiver)))
}

impl Observer {
    /// Passes an event on; false: nobody listens any more.
    pub(crate) fn tell(&mut self, notification: &Notification) -> bool {
        match self.backlog.admit(self.sender.len(), notification) {
            Some(entry) => self.sender.try_send(entry).is_ok(),
            None => true,
        }
    }

    /// True if it is far behind.
    pub(crate) fn is_congested(&self) -> bool {
        self.backlog.is_congested(self.sender.len())
    }
}

impl Events {
    /// Waits for the next event until `deadline`; `None` if none comes, or the agent has ended.
    pub async fn next_before(&self, deadline: Instant) -> Option<Notification> {
        let late = async {
            Timer::at(deadline).await;
            None
        };
        let entry = async { self.0.recv().await.ok() };
        entry.or(late).await.map(Entry::read)
    }

    /// Takes the next event if one is there.
    pub fn try_next(&self) -> Option<Notification> {
        self.0.try_recv().ok().map(Entry::read)
    }
}

impl Stream for Events {
    type Item = Notification;

    /// Waits for the next event; `None` when the agent has ended.
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Notification>> {
        let entry = self.0.as_mut().poll_next(context);
        entry.map(|entry| entry.map(Entry::read))
    }
}
