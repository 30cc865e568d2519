//! A deterministic world of hosts, links and servers to test sipsimple applications in.
//!
//! Nothing here opens a socket, reads a clock or draws randomness that the seed does not decide:
//! a [`World`] holds [`Host`]s, each with one [`Node`] (a user agent or a virtual server) behind an
//! edge that behaves like a kernel — port binding, ephemeral ports, ICMP, TCP with back-pressure —
//! and moves datagrams and bytes between them over [`Path`]s that lose, delay, double and reorder.
//! The same seed gives the same run, step by step; [`Trace`] is the proof.
//!
//! ```
//! use simulator::{Path, World};
//! use std::time::Duration;
//!
//! let mut world = World::new(7);
//! world.set_default_path(Path { latency: Duration::from_millis(20), ..Path::ideal() });
//! world.run_for(Duration::from_secs(1));
//! assert_eq!(world.elapsed(), Duration::from_secs(1));
//! ```

#![forbid(unsafe_code)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the edge are open: what a node does not know it leaves alone"
)]

mod edge;
mod faults;
mod files;
mod generate;
mod host;
mod invariant;
mod link;
mod log;
mod model;
mod node;
mod outcome;
mod phone;
mod probe;
mod rest;
mod script;
pub mod server;
mod stage;
mod tcp;
mod trace;
mod udp;
mod world;

pub use faults::Crash;
pub use files::FileContent;
pub use generate::{Move, MoveKind, Plan};
pub use host::{Host, HostId, Inbox};
pub use invariant::{Limits, Violation};
pub use link::{Loss, Path};
pub use model::{Belief, Model, Phase};
pub use node::Node;
pub use outcome::Outcomes;
pub use phone::{Habit, Parcel, Phone};
pub use probe::{
    Beats, PROBE, ProbeCommand, ProbeEvent, ProbeFactory, ProbeOptions, ProbeReply, ProbeStream,
};
pub use script::Condition;
pub use stage::{Between, Configure, Setup, Stage};
pub use tcp::Cut;
pub use trace::{Action, Difference, Fate, Step, Trace};
pub use udp::{OnWire, Verdict};
pub use world::World;

/// The example of the project's front page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;
