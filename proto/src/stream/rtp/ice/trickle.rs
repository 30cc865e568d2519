//! Candidates of the peer that come between descriptions (RFC 8838, 8840). Ours are all told in descriptions ("half
//! trickle").
//!
//! A departure: we do not repeat ours by INFO when an answer comes in an unreliable provisional response (RFC 8840,
//! 4.3.2). A peer that waits for that, because it does without reliable ones, trickles when the call is taken.

use super::{Ice, describe::candidates};
use sdp::{Attributes, Fragment};
use sip::{
    InfoRequest,
    config::{ICE_FRAGMENT, TRICKLE_ICE},
};
use std::time::Instant;

impl Ice {
    /// Takes what the peer tells by INFO, if it is about candidates and can be read; RFC 6086, 4.2.2: that it
    /// came was answered.
    pub(crate) fn handle_info(&mut self, now: Instant, info: &InfoRequest) {
        let Some(fragment) = read(info) else {
            return;
        };
        if !self.take(now, &fragment) {
            self.keep(fragment);
        }
    }

    /// Takes what came before the description that it belongs to.
    pub(super) fn take_early(&mut self, now: Instant) {
        for fragment in std::mem::take(&mut self.early) {
            if !self.take(now, &fragment) {
                self.early.push_back(fragment);
            }
        }
    }

    /// False if it belongs to another generation than the one that was agreed on, if any was (RFC 8840, 4.4):
    /// to one that is over, to one that is still to be agreed on, or to another fork.
    fn take(&mut self, now: Instant, fragment: &Fragment) -> bool {
        let (true, Some(place)) = (self.is_agreed, &self.place) else {
            return false;
        };
        let section = fragment.section(place.mid.as_deref(), place.index);
        let levels = [
            section.map(|media| &media.attributes),
            Some(&fragment.attributes),
        ];
        let said = |name: &str| {
            let mut levels = levels.iter().flatten();
            levels.find_map(|attributes: &&Attributes| attributes.value(name))
        };
        let is_current = self.agent.remote_credentials().is_some_and(|known| {
            said("ice-ufrag") == Some(known.ufrag.as_str())
                && said("ice-pwd") == Some(known.pwd.as_str())
        });
        if !is_current {
            return false;
        }
        if let Some(media) = section {
            // RFC 8840, 4.4: all that was told before is told again; the agent knows what it has.
            self.agent
                .add_remote_candidates(now, candidates(&media.attributes));
        }
        let mut levels = levels.into_iter().flatten();
        if levels.any(|attributes| attributes.has("end-of-candidates")) {
            self.agent.end_of_candidates(now);
        }
        true
    }

    fn keep(&mut self, fragment: Fragment) {
        if self.early.len() >= MAX_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(fragment);
    }
}

/// RFC 8840, 9 and 10.
fn read(info: &InfoRequest) -> Option<Fragment> {
    let package = info.package.as_deref()?;
    let media_type = info.content_type.split(';').next()?.trim();
    let is_ours =
        package.eq_ignore_ascii_case(TRICKLE_ICE) && media_type.eq_ignore_ascii_case(ICE_FRAGMENT);
    is_ours.then(|| Fragment::parse(&info.body).ok()).flatten()
}

/// Fragments that wait for their description, of 64 KiB at most ([`sdp::MAX_TEXT`]): each repeats those before it
/// (RFC 8840, 4.4), so that one for each fork of a call would do.
const MAX_EARLY: usize = 4;
