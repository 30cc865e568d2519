//! Runs a sipsimple user agent on one thread of the standard library.
//!
//! [`start`] takes a configuration and returns a [`Handle`] to command the agent and [`Events`] to
//! hear it. Commands are closures over the agent itself, so that every method of
//! [`UserAgent`](sipsimple::agent::UserAgent) is there without being wrapped. The sister crate for
//! smol has the same names and behaves the same.

#![forbid(unsafe_code)]

mod agent;
mod driver;
mod observer;
mod tcp;
mod udp;

pub use agent::{FrameReceiver, FrameSender, Handle, Tap, start, start_tapped};
pub use observer::Events;
pub use system::{CallError, SendError, Storage, seed};
