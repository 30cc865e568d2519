//! Pairs of addresses, as ICE tells of them.

use serde::Serialize;
use std::{net::SocketAddr, time::Instant};

/// Two addresses between which packets may go (RFC 8445, 4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct IcePair {
    /// 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// Our address as the peer sees it.
    pub local: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub local_type: &'static str,
    /// The peer's address.
    pub remote: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub remote_type: &'static str,
}

/// A pair that was looked at, and what became of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct CheckedPair {
    /// Which.
    #[serde(flatten)]
    pub pair: IcePair,
    /// `frozen`, `waiting`, `in-progress`, `succeeded` or `failed` (RFC 8445, 6.1.2.6).
    pub state: &'static str,
    /// It has been chosen.
    pub nominated: bool,
    /// What has happened to it, the oldest first; of a long story the beginning and the last 15 steps.
    pub timeline: Vec<IceStep>,
}

/// Something that happened to a pair.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct IceStep {
    /// When, in seconds after the description of the peer that began it all.
    pub after: f64,
    /// How far the pair was after it, as in [`CheckedPair::state`].
    pub state: &'static str,
    /// What it was.
    pub why: &'static str,
}

impl IcePair {
    /// Tells of the pair that carries a component.
    pub(crate) fn chosen(component: u8, pair: &ice::Selected) -> Self {
        Self {
            component,
            local: pair.local,
            local_type: pair.local_kind.name(),
            remote: pair.remote,
            remote_type: pair.remote_kind.name(),
        }
    }
}

impl CheckedPair {
    /// Tells of a pair whose story began at `start`.
    pub(crate) fn new(pair: &ice::PairInfo, start: Instant) -> Self {
        let step = |step: &ice::Step| IceStep {
            after: step.at.saturating_duration_since(start).as_secs_f64(),
            state: step.state.name(),
            why: step.why,
        };
        Self {
            pair: IcePair {
                component: pair.component,
                local: pair.local,
                local_type: pair.local_kind.name(),
                remote: pair.remote,
                remote_type: pair.remote_kind.name(),
            },
            state: pair.state.name(),
            nominated: pair.nominated,
            timeline: pair.timeline.iter().map(step).collect(),
        }
    }

    /// What happened last to it.
    pub fn why(&self) -> &'static str {
        self.timeline.last().map_or("", |step| step.why)
    }
}
