//! What ICE means for the stream (AUS-24 … AUS-28).

use super::{AudioStream, State};
use crate::{
    event::StreamEvent,
    stream::{
        Agreement, IceInfo, StreamError, StreamOutput,
        rtp::{Ice, News},
    },
};
use std::time::Instant;

impl AudioStream {
    /// How far ICE is; `None` if it is not used.
    pub fn ice(&self) -> Option<IceInfo> {
        Some(self.transport.ice()?.info())
    }

    /// Follows what was agreed on for ICE.
    pub(super) fn agree_ice(&mut self, now: Instant, agreed: Agreement<'_>) {
        let is_agreed = self
            .transport
            .agree_ice(now, agreed.local, agreed.remote, agreed.index);
        let ice = self.transport.ice();
        if !is_agreed && ice.is_some_and(Ice::is_relay_only) {
            self.fail(StreamError::IceFailed(NO_ICE));
        }
    }

    /// True while packets wait for a pair of addresses that works.
    pub(super) fn is_waiting_for_ice(&self) -> bool {
        let ice = self.transport.ice();
        ice.is_some_and(|ice| ice.is_agreed() && !ice.is_completed())
    }

    pub(super) fn hear_ice(&mut self) {
        while let Some(news) = self.transport.poll_news() {
            match news {
                News::Ready => {
                    if self.state == State::Initializing {
                        self.state = State::Initialized;
                    }
                    self.out.push_back(StreamOutput::Prepared);
                }
                News::NoRelay => self.fail(StreamError::IceFailed(NO_RELAY)),
                News::State { before, after } => {
                    self.push(StreamEvent::IceNegotiationStateDidChange {
                        prev_state: before.to_string(),
                        state: after.to_string(),
                    });
                }
                News::Succeeded {
                    duration,
                    is_default,
                } => {
                    self.is_lost = false;
                    let info = self.transport.ice().map(Ice::info);
                    if let Some(info) = info {
                        self.push(StreamEvent::IceNegotiationDidSucceed {
                            duration: duration.as_secs_f64(),
                            chosen: [info.rtp, info.rtcp].into_iter().flatten().collect(),
                            checked: info.checked,
                        });
                    }
                    self.start_once();
                    // AUS-28; RFC 8839, 4.4.1.2.2.
                    if !is_default {
                        let prepare = false;
                        self.out.push_back(StreamOutput::Renegotiate { prepare });
                    }
                }
                News::Failed => self.ice_failed(FAILED),
                News::Lost => self.ice_lost(LOST),
                News::RelayLost => self.ice_lost(RELAY_LOST),
            }
        }
    }

    /// RFC 7675, 5.1: another attempt with other credentials, once; with other relays if some are gone.
    fn ice_lost(&mut self, reason: &'static str) {
        if std::mem::replace(&mut self.is_lost, true) {
            return self.ice_failed(reason);
        }
        self.tell_ice_failure(reason);
        let Some(ice) = self.transport.ice_mut() else {
            return;
        };
        let prepare = ice.wants_relays();
        match prepare {
            true => ice.set_stale(),
            false => ice.restart(),
        }
        self.out.push_back(StreamOutput::Renegotiate { prepare });
    }

    /// AUS-26; what was looked at is gone with the transport, so it is told here.
    pub(super) fn tell_ice_failure(&mut self, reason: &'static str) {
        let checked = self.transport.ice().map(Ice::checked).unwrap_or_default();
        self.push(StreamEvent::IceNegotiationDidFail { reason, checked });
    }

    fn ice_failed(&mut self, reason: &'static str) {
        self.tell_ice_failure(reason);
        match (self.settings.ice_fallback, self.transport.ice_mut()) {
            // AUS-27: the addresses of the description may do all the same.
            (true, Some(ice)) if !ice.is_relay_only() => {
                ice.leave();
                self.start_once();
            }
            _ => self.fail(StreamError::IceFailed(reason)),
        }
    }

    pub(super) fn start_if_ready(&mut self) {
        if !self.is_waiting_for_ice() {
            self.start_once();
        }
    }

    fn start_once(&mut self) {
        if std::mem::take(&mut self.is_starting) {
            self.was_started = true;
            self.out.push_back(StreamOutput::Started);
        }
    }
}

const FAILED: &str = "no pair of addresses works";
/// The session waits for a while only (SES-12).
pub(super) const LATE: &str = "no pair of addresses has worked in time";
const LOST: &str = "the peer does not answer any more";
const RELAY_LOST: &str = "the relay is gone";
/// The peer may learn the addresses of relays only.
const NO_RELAY: &str = "no relay gives us an address";
const NO_ICE: &str = "the peer does not speak ICE";
