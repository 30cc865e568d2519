//! How closures of the application run on the driver of an agent, and what can go wrong.

use std::{
    any::Any,
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

/// Why a closure was not run, or did not come back.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The agent has ended.
    Ended,
    /// `call` was used inside of a closure that a driver runs: it could wait for itself.
    Reentrant,
    /// The closure panicked, with its payload; the agent is ended.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the agent has ended",
            Self::Reentrant => "call from inside of a driver",
            Self::Panicked(_) => "the closure panicked",
        })
    }
}

impl std::error::Error for CallError {}

/// The agent, or the stream that it is about, has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendError;

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agent or the stream has ended")
    }
}

impl std::error::Error for SendError {}

/// True while this thread runs what the application gave to a driver.
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs what the application gave to a driver.
pub fn inside<R>(run: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _restore = Restore(INSIDE.replace(true));
    run()
}

/// Runs a closure of the application, catches its panic, and complains of a slow one in debug builds:
/// while it runs, no packet is read and no timer fires.
///
/// # Errors
///
/// The payload of the panic.
pub fn guarded<R>(closure: impl FnOnce() -> R) -> thread::Result<R> {
    let begun = Instant::now();
    let outcome = inside(|| catch_unwind(AssertUnwindSafe(closure)));
    let took = begun.elapsed();
    if cfg!(debug_assertions) && took > SLOW {
        tracing::warn!(?took, "a closure keeps the agent from its work");
    }
    outcome
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A quarter of the time between two voice packets.
const SLOW: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_ends_with_the_closure_even_by_panic() {
        assert!(!is_inside());
        assert!(guarded(is_inside).unwrap());
        let panicked = guarded(|| {
            // Nested, the outer one is still inside.
            assert!(inside(is_inside) && is_inside());
            panic!("on purpose")
        });
        assert_eq!(
            *panicked.unwrap_err().downcast::<&str>().unwrap(),
            "on purpose"
        );
        assert!(!is_inside());
    }
}
