//! A deterministic world of hosts, links and servers to test sipsimple applications in.
//!
//! Nothing here opens a socket, reads a clock or draws randomness that the seed does not decide, apart
//! from [`server::Shell`], which puts a virtual server on real sockets. A [`World`] holds [`Host`]s,
//! each with one [`Node`] (a user agent or a virtual server) behind an edge that behaves like a kernel
//! — port binding, ephemeral ports, ICMP, TCP with back-pressure — and moves datagrams and bytes
//! between them over [`Path`]s that lose, delay, double and reorder.
//! The same seed gives the same run, step by step; [`Trace`] is the proof.
//!
//! ```
//! use simulator::{Condition, Path, ProbeOptions, Setup, Stage};
//! use std::time::Duration;
//!
//! // Two agents side by side, on a path that loses a fifth of all packets.
//! let mut setup = Setup::new(7);
//! setup.path = Path::lossy(0.2);
//! let mut stage = Stage::new(setup);
//! stage.answer(stage.bob(), Duration::from_secs(1), Duration::from_secs(3));
//! stage.call(vec![ProbeOptions::default().spec()]);
//!
//! let started = Condition::told(&stage.world, stage.alice, "SIPSessionDidStart");
//! assert!(stage.world.until(Duration::from_secs(60), started), "{}", stage.world.trace().ladder());
//!
//! // Waits, hangs up, shuts down, and says everything that was wrong with any of it.
//! assert_eq!(stage.finish(), Vec::<String>::new());
//! ```
//!
//! From the bottom up:
//!
//! | what | is |
//! |---|---|
//! | [`World`], [`Host`], [`Node`] | the loop, machines, and what lives on them |
//! | [`Path`], [`Loss`], [`Cut`] | what happens to packets and byte streams |
//! | [`Nat`], [`World::set_nat`] | address translators |
//! | [`World::cut_path`], [`World::crash`], [`World::suspend`], [`World::intercept`] … | what goes wrong on purpose |
//! | [`Trace`] | every step, as data, lines, a ladder, a capture file |
//! | [`server`] | a [`Proxy`](server::Proxy) with a [`Registrar`](server::Registrar), a [`NameServer`](server::NameServer), a [`Presence`](server::Presence) server, and a [`Peer`](server::Peer) whose messages a test writes by hand |
//! | [`Line`] | calls as `sip` alone makes them, for what no session does by itself |
//! | [`Stage`], [`Setup`] | caller, callee with several phones, perhaps a proxy |
//! | [`Model`], [`Stage::finish`] | what each user should believe, and what must hold at rest |
//! | [`ProbeStream`] | a media stream of an application, which watches its session |
//! | [`Plan`] | scenarios made of bytes, for tests and for fuzzing |
//! | [`Outcomes`] | how many runs ended how, with floors |
//! | [`Phone`] | one agent without a world, for tests of single inputs |

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
mod line;
mod link;
mod log;
mod model;
mod nat;
mod node;
mod outcome;
mod pcap;
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
pub use line::Line;
pub use link::{Loss, Path};
pub use model::{Belief, Model, Phase};
pub use nat::{Depends, Nat};
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
