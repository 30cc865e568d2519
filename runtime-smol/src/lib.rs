//! Runs a sipsimple user agent on smol.
//!
//! [`start`] takes a configuration and returns a [`Handle`] to command the agent and [`Events`] to
//! hear it. Commands are closures over the agent itself, so that every method of
//! [`UserAgent`](sipsimple::agent::UserAgent) is there without being wrapped. The sister crate for
//! the standard library has the same names and behaves the same; here waiting is `await`.
//!
//! The agent ends by [`shutdown`](sipsimple::agent::UserAgent::shutdown), or when the last handle is
//! dropped, which does the same: calls are hung up, sockets closed, the last event is `DidEnd`, and
//! [`Events`] and frames end. As long as there is a handle the agent can still be looked at (`stats`,
//! `take_record`); then its task ends. A closure that panics ends it at once.

#![forbid(unsafe_code)]

mod agent;
mod driver;
mod ear;
mod frames;
mod happening;
mod observer;
mod request;
mod tcp;
mod udp;

pub use agent::{Handle, start, start_tapped};
pub use driver::Tap;
pub use ear::FrameReceiver;
pub use frames::FrameSender;
pub use observer::Events;
pub use system::tls;
pub use system::{CallError, SendError, Storage, seed};
