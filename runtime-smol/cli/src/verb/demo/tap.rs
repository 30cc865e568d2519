//! What passes on the wire of an agent: drawn, and lost where the demo is told to lose it.

use super::Scene;
use crate::{
    ladder::{self, Rung},
    options::Break,
    runtime::Tap,
};
use sipsimple::agent::{Output, Trace};
use std::time::Duration;

/// A message that passed.
pub(super) struct Seen {
    /// `None` for what is no message of SIP.
    pub(super) rung: Option<Rung>,
    /// A request of ours that goes to somebody else than the server.
    pub(super) is_astray: bool,
}

/// Draws what passes between an agent, on the left of the server or on its right, and the server.
pub(super) fn tap(scene: &Scene<'_>, is_left: bool) -> Tap {
    let (begun, server, seen) = (scene.begun, scene.server.address(), scene.seen.clone());
    let broken = scene.options.broken;
    Box::new(move |now, output| match output {
        Output::Trace(trace) => {
            let message = Seen {
                rung: rung(trace, now.saturating_duration_since(begun), is_left),
                is_astray: trace.sent
                    && trace.peer != server
                    && !trace.plaintext.starts_with(b"SIP/2.0 "),
            };
            // The picture may be drawn already.
            let _ = seen.send(message);
            true
        }
        // A request that is too long for UDP goes over TCP (RFC 3261, 18.1.1).
        Output::Transmit { payload, .. } | Output::Write { payload, .. } => {
            broken.is_none_or(|broken| !is_lost(broken, payload))
        }
        _ => true,
    })
}

fn rung(trace: &Trace, at: Duration, is_left: bool) -> Option<Rung> {
    Some(Rung {
        at,
        gap: usize::from(!is_left),
        rightwards: trace.sent == is_left,
        label: ladder::label(&trace.plaintext)?,
    })
}

fn is_lost(broken: Break, datagram: &[u8]) -> bool {
    let payload_type = match datagram {
        [first, second, ..] if first >> 6 == 2 => Some(second & 0x7f),
        _ => None,
    };
    match broken {
        // 64 to 95 are reports (RFC 5761, 4).
        Break::Media => payload_type.is_some_and(|number| number < 64),
        Break::Dtmf => payload_type == Some(EVENTS),
        Break::Hold => {
            let text = String::from_utf8_lossy(datagram);
            let to = text.lines().find(|line| line.starts_with("To:"));
            text.starts_with("INVITE ") && to.is_some_and(|to| to.contains(";tag="))
        }
    }
}

/// The payload number that our descriptions give telephone events.
const EVENTS: u8 = 101;
