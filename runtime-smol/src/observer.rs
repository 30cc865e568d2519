//! Queues from the driver to those who watch. They never block the driver.

use async_channel::{Receiver, Sender, TrySendError, bounded};
use async_io::Timer;
use sipsimple::event::{Event, Filter, Notification};
use smol::{future::FutureExt as _, stream::Stream};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

/// The driver's end.
pub(crate) struct Observer {
    filter: Filter,
    sender: Sender<Notification>,
    missed: u64,
}

/// What an agent tells, in order. When the application is too slow and the queue of 8,192 is full, an
/// [`Event::Lagged`] stands in the place of what is lost.
#[derive(Debug)]
pub struct Events(Pin<Box<Receiver<Notification>>>);

pub(crate) fn channel(filter: Filter) -> (Observer, Events) {
    let (sender, receiver) = bounded(QUEUE);
    let observer = Observer {
        filter,
        sender,
        missed: 0,
    };
    (observer, Events(Box::pin(receiver)))
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
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        match self.sender.try_send(notification.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed += 1;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Events {
    /// Waits for the next event until `deadline`; `None` if none comes, or the agent has ended.
    pub async fn next_before(&self, deadline: Instant) -> Option<Notification> {
        let late = async {
            Timer::at(deadline).await;
            None
        };
        async { self.0.recv().await.ok() }.or(late).await
    }

    /// Takes the next event if one is there.
    pub fn try_next(&self) -> Option<Notification> {
        self.0.try_recv().ok()
    }
}

impl Stream for Events {
    type Item = Notification;

    /// Waits for the next event; `None` when the agent has ended.
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Notification>> {
        self.0.as_mut().poll_next(context)
    }
}

/// Events that wait for one observer (`limits.events`).
const QUEUE: usize = 8_192;
