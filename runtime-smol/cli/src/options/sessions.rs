//! The verbs of sessions.

use super::{MediaOptions, seconds};
use clap::Args;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// Whom to call.
    pub(crate) uri: String,
    /// Propose audio; it is what a call is without further options.
    #[arg(long)]
    pub(crate) audio: bool,
    /// What the call is about.
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// Call where a redirection says, in whatever domain, five times at most; without it one is an end.
    #[arg(long, conflicts_with = "calls")]
    pub(crate) follow_redirects: bool,
    /// Speak before the call is taken, too, where the other side answers early; without it we only listen until then.
    #[arg(long)]
    pub(crate) early_media: bool,
    /// Give up ringing after so many seconds.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) cancel_after: Option<Duration>,
    /// Once the call stands, ask the peer to call this one instead; without success the call ends, and the
    /// exit says why.
    #[arg(long, value_name = "URI", conflicts_with = "calls")]
    pub(crate) transfer: Option<String>,
    /// Make so many calls, and report on all of them together.
    #[arg(long, value_name = "N", conflicts_with = "cancel_after")]
    pub(crate) calls: Option<u32>,
    /// Of many calls, have at most so many at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "calls", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_once: u32,
    /// Of many calls, begin at most so many a second.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "calls", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// After many calls, wait until nothing is alive any more, at most so many seconds.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "0", requires = "calls")]
    pub(crate) settle: Duration,
    #[command(flatten)]
    pub(crate) media: MediaOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// Take calls; without it they ring until the caller gives up.
    #[arg(long)]
    pub(crate) auto: bool,
    /// End after so many calls.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Register first, and stay registered.
    #[arg(long)]
    pub(crate) register: bool,
    /// Refuse all calls with this status code.
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(300..700))]
    pub(crate) reject: Option<u16>,
    /// Do what callers ask for when they transfer us; without it that is declined (486).
    #[arg(long)]
    pub(crate) accept_transfers: bool,
    /// Ring for so many seconds before taking or refusing a call.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) ring: Option<Duration>,
    /// Let callers hear us while it rings (a 183 with our answer instead of 180). Who cannot acknowledge that
    /// (--100rel) is spoken to for two seconds only.
    #[arg(long)]
    pub(crate) early_media: bool,
    /// After the last call, wait until nothing is alive any more, at most so many seconds.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "0")]
    pub(crate) settle: Duration,
    #[command(flatten)]
    pub(crate) media: MediaOptions,
}
