//! The frames of one stream between the application and the driver: bounded, and what is lost counted.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Counts the frames of one stream both ways; shared by the driver and the application.
#[derive(Debug, Default)]
pub struct Flow {
    waiting: AtomicUsize,
    unsent: AtomicU64,
    unheard: AtomicU64,
    is_over: AtomicBool,
}

impl Flow {
    /// Frames that may wait, either way: a second of 20 ms packets and then some.
    pub const LIMIT: usize = 64;

    /// A place for one more frame towards the network; false: there is none, and the frame, which is
    /// the newest, is lost and counted.
    pub fn enter(&self) -> bool {
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < Self::LIMIT;
        if !has_room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// The driver has taken a frame.
    pub fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// The application was too slow, and the oldest frame that it should hear is lost.
    pub fn overflow(&self) {
        self.unheard.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames that were not sent because the driver was too slow.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Frames that were not heard because the application was too slow.
    pub fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }

    /// The stream has ended.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// True if the stream has ended.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_frame_is_lost_and_counted() {
        let flow = Flow::default();
        assert!((0..Flow::LIMIT).all(|_| flow.enter()));
        assert!(!flow.enter() && !flow.enter());
        assert_eq!(flow.unsent(), 2);
        flow.leave();
        assert!(flow.enter() && !flow.enter());
        assert_eq!(flow.unsent(), 3);
    }
}
