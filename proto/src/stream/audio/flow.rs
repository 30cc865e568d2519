//! Media in and out, digits, and the clocks that watch them.

use super::{AudioStream, State};
use crate::{edge::Frame, event::StreamEvent, stream::StreamOutput};
use rtp::{Digit, Outgoing};
use std::time::{Duration, Instant};

impl AudioStream {
    /// The first agreement: the clocks start.
    pub(super) fn begin(&mut self, now: Instant) {
        if !self.is_verified {
            // One forged INVITE must not draw a stream of packets towards somebody else.
            self.timers.unverified = Some(now + self.settings.unacknowledged_media);
        }
        self.expect_audio(now);
    }

    /// SES-74, AUS-31: before the call is taken nobody need speak.
    pub(super) fn expect_audio(&mut self, now: Instant) {
        let has_spoken = self.timers.heard.is_some();
        self.timers.no_audio = (!self.is_early && !has_spoken).then(|| now + NO_AUDIO);
        self.rearm(now);
    }

    /// What was agreed on or wished changed: silence is counted afresh.
    pub(super) fn rearm(&mut self, now: Instant) {
        let expects = self.state == State::Established
            && !self.is_early
            && self.is_listening()
            && self.direction.sends();
        // AUS-31: only while both sides may speak.
        self.timers.timeout = expects.then(|| now + self.settings.rtp_timeout);
    }

    fn is_listening(&self) -> bool {
        self.direction.receives() && !self.hold.local_intent && !self.hold.by_remote
    }

    /// True while frames of the application go out: agreed on, not held by us, no digit in the way.
    pub(super) fn is_sending(&self) -> bool {
        self.state == State::Established && self.direction.sends() && !self.hold.local_intent
    }

    pub(super) fn send_frame(&mut self, now: Instant, frame: &Frame) {
        // RFC 4733, 2.5.1.2: no audio during an event.
        if !self.is_sending() || self.digits_out.is_sending() {
            return;
        }
        if !std::mem::replace(&mut self.is_aligned, true) {
            self.transport.align(now, frame.timestamp);
        }
        self.transport.send(
            now,
            Outgoing {
                payload_type: frame.payload_type,
                marker: frame.marker,
                timestamp: frame.timestamp,
                payload: &frame.payload,
            },
        );
    }

    pub(super) fn heard(&mut self, now: Instant, frame: Frame) {
        let is_event = self
            .format
            .as_ref()
            .is_some_and(|format| format.is_event(frame.payload_type));
        if is_event {
            self.digits_in.handle_frame(&frame);
            while let Some(received) = self.digits_in.poll_output() {
                let digit = char::from(received.digit);
                self.push(StreamEvent::GotDtmf { digit });
            }
        }
        if !frame.payload.is_empty() {
            self.timers.heard = Some(now);
            self.timers.no_audio = None;
        }
        // STR-08: who holds hears nothing. The place of an event in the sequence is kept.
        if !self.hold.local_intent {
            let payload = if is_event {
                bytes::Bytes::new()
            } else {
                frame.payload
            };
            self.out
                .push_back(StreamOutput::Media(Frame { payload, ..frame }));
        }
    }

    /// RTCP shows that the peer lives: AUS-31 stays quiet, SES-74 does not.
    pub(super) fn heard_report(&mut self, now: Instant) {
        if self.timers.timeout.is_some() {
            self.timers.timeout = Some(now + self.settings.rtp_timeout);
        }
    }

    /// The peer has proved that it is where it says.
    pub(super) fn verified(&mut self) {
        self.is_verified = true;
        self.timers.unverified = None;
        self.transport.set_paused(false);
    }

    /// The call stands.
    pub(super) fn acknowledged(&mut self, now: Instant) {
        self.verified();
        if std::mem::take(&mut self.is_early) {
            self.transport.hear_all();
            self.expect_audio(now);
        }
    }

    pub(super) fn send_digit(
        &mut self,
        now: Instant,
        digit: Digit,
        duration: Duration,
    ) -> Result<(), rtp::QueueFull> {
        let media_time = self.transport.media_time(now);
        let queued = self.digits_out.send(now, media_time, digit, duration);
        self.send_events(now);
        self.drain();
        queued
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.transport.handle_timeout(now);
        let media_time = self.transport.media_time(now);
        self.digits_out.handle_timeout(now, media_time);
        self.send_events(now);
        let due = |timer: &mut Option<Instant>| timer.take_if(|at| *at <= now).is_some();
        if due(&mut self.timers.unverified) {
            self.transport.set_paused(true);
        }
        if due(&mut self.timers.no_audio) && self.is_listening() {
            self.push(StreamEvent::GotNoAudio);
            self.diagnose();
        }
        if due(&mut self.timers.timeout) {
            let silent_at = self
                .timers
                .heard
                .map(|heard| heard + self.settings.rtp_timeout);
            match silent_at.filter(|at| *at > now) {
                Some(at) => self.timers.timeout = Some(at),
                None => {
                    self.push(StreamEvent::DidTimeout);
                    self.diagnose();
                    self.rearm(now);
                }
            }
        }
    }

    /// One-way audio is told with what one end can know of its reason.
    fn diagnose(&mut self) {
        if self.is_sending()
            && let Some(diagnosis) = self.transport.diagnose()
        {
            self.push(StreamEvent::GotDiagnosis(diagnosis));
        }
    }

    fn send_events(&mut self, now: Instant) {
        let events = self
            .format
            .as_ref()
            .and_then(|format| format.events.as_ref());
        let payload_type = events.map(sdp::Agreed::send_payload_type);
        while let Some(packet) = self.digits_out.poll_output() {
            if let Some(payload_type) = payload_type {
                self.transport.send(
                    now,
                    Outgoing {
                        payload_type,
                        marker: packet.marker,
                        timestamp: packet.timestamp,
                        payload: &packet.payload,
                    },
                );
            }
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.transport.poll_output() {
            self.out.push_back(output);
        }
        self.hear_ice();
        self.hear_handshakes();
    }
}

/// SES-74.
const NO_AUDIO: Duration = Duration::from_secs(5);
