//! What can go wrong between an application and the driver of its agent.

use std::{any::Any, fmt};

/// Why a closure was not run, or did not come back.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The agent has ended.
    Ended,
    /// `call` was used inside of a closure that the driver runs: it would wait for itself.
    Reentrant,
    /// The closure panicked, with its payload; the agent is ended.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the agent has ended",
            Self::Reentrant => "call from inside of the driver",
            Self::Panicked(_) => "the closure panicked",
        })
    }
}

impl std::error::Error for CallError {}

/// The agent has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendError;

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agent has ended")
    }
}

impl std::error::Error for SendError {}
