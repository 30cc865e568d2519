//! Audio over RTP (requirements 6 and 34): one user of [`MediaStream`], and nothing special.
//!
//! The stream moves encoded frames; what a codec does to samples is the application's business. It
//! describes the codecs of [`MediaSettings`], sends and hears RTP and RTCP, sends and hears digits
//! (RFC 4733), and keeps the rules of hold.

mod command;
mod describe;
mod encryption;
mod factory;
mod flow;
mod ice;
mod recording;
mod relay;
mod state;
#[cfg(test)]
mod tests;

pub use command::{SendDtmf, SendDtmfError};
pub use encryption::EncryptionInfo;
pub use factory::{AudioFactory, AudioOptions};
pub use recording::{Record, RecordError, RecordingInfo};
pub use state::{AudioState, TransportState};

use super::{
    Agreement, Hold, MediaSettings, MediaStream, Purpose, Refusal, StreamEnv, StreamInput,
    StreamOutput,
    rtp::{Heard, Ice, KeyAgreement, RtpTransport, earliest_of},
};
use crate::event::{KeyMethod, Originator, StreamEvent};
use base::{Clock, Deadline};
use describe::Format;
use recording::Recording;
use rtp::{EventReceiver, EventSender};
use sdp::{Agreed, Direction};
use serde::Serialize;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A stream of audio.
#[derive(Debug)]
pub struct AudioStream {
    settings: Arc<MediaSettings>,
    transport: RtpTransport,
    state: State,
    /// Whose description the running proposal answers.
    proposal: Option<Role>,
    format: Option<Format>,
    /// The transport protocol that was agreed on.
    protocol: Option<sdp::Text>,
    keys: KeyAgreement,
    /// How the keys in use were agreed on, and whether others could read them.
    method: (KeyMethod, bool),
    /// What the application was told of encryption last, if it was.
    secured: Option<Option<encryption::Secured>>,
    /// What payload numbers mean, whoever gave them.
    numbers: sdp::PayloadNumbers,
    direction: Direction,
    hold: Hold,
    branch: Option<sip::DialogId>,
    /// It has agreed, and waits for a way to start.
    is_starting: bool,
    /// The way was lost, and is looked for once more.
    is_lost: bool,
    /// The media clock of the application is tied to the one on the wire.
    is_aligned: bool,
    /// The peer is where it says: it has acknowledged what we sent, or we called.
    is_verified: bool,
    /// Nobody has taken the call yet.
    is_early: bool,
    digits_out: EventSender,
    digits_in: EventReceiver,
    timers: Timers,
    clock: Clock,
    participants: [sip::Uri; 2],
    recording: Option<Recording>,
    /// It has started, and may be over since.
    was_started: bool,
    out: VecDeque<StreamOutput>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Initializing,
    Initialized,
    Established,
    /// What was borrowed is given back.
    Ending,
    Ended,
}

/// Which part of an exchange we have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Offerer,
    Answerer,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timers {
    /// SES-74.
    no_audio: Option<Instant>,
    /// AUS-31; the earliest possible moment, the truth is looked at when it comes.
    timeout: Option<Instant>,
    /// How long a peer is sent to that has not proved to be there.
    unverified: Option<Instant>,
    /// When something was last heard.
    heard: Option<Instant>,
}

/// What was agreed on for the media itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct AudioFormat {
    /// The encoding name (`PCMU`).
    pub codec: String,
    /// The RTP clock rate in Hz.
    pub sample_rate: u32,
    /// How many channels.
    pub channels: u16,
    /// What frames that we send are numbered as.
    pub send_payload_type: u8,
    /// What frames that we hear are numbered as.
    pub receive_payload_type: u8,
    /// How much sound the peer wants in one packet.
    pub packet_time: Duration,
}

impl AudioStream {
    fn new(env: StreamEnv) -> Self {
        let mut rng = env.rng;
        let suites = env.settings.srtp_suites.clone();
        let credentials = env.credentials;
        let policy = env.settings.encryption;
        let keys = KeyAgreement::new(policy, suites, credentials.clone(), rng.fork());
        let ice = Ice::new(&env.settings, &env.interfaces, env.tie_breaker, rng.fork());
        let transport = RtpTransport::new(
            env.local_address,
            env.settings.rtp_port_range,
            env.settings.rtp_keepalive,
            env.clock,
            ice,
            credentials,
            rng,
        );
        Self {
            settings: env.settings,
            transport,
            state: State::New,
            proposal: None,
            format: None,
            protocol: None,
            keys,
            method: (KeyMethod::Sdes, false),
            secured: None,
            numbers: sdp::PayloadNumbers::default(),
            direction: Direction::SendRecv,
            hold: Hold::default(),
            branch: None,
            is_starting: false,
            is_lost: false,
            is_aligned: false,
            is_early: false,
            is_verified: env.direction == super::Direction::Outgoing,
            digits_out: EventSender::new(describe::DTMF_CLOCK_RATE),
            digits_in: EventReceiver::new(),
            timers: Timers::default(),
            clock: env.clock,
            participants: env.participants,
            recording: None,
            was_started: false,
            out: VecDeque::new(),
        }
    }

    /// What was agreed on; `None` before (AUS-11).
    pub fn format(&self) -> Option<AudioFormat> {
        self.format.as_ref().map(Format::public)
    }

    /// Our RTP address (AUS-12).
    pub const fn local_address(&self) -> Option<SocketAddr> {
        match self.transport.local() {
            Some((rtp, _)) => Some(rtp),
            None => None,
        }
    }

    /// Where the peer's description says that it is (AUS-13).
    pub fn remote_address_described(&self) -> Option<SocketAddr> {
        self.transport.remote().0
    }

    /// Where the peer's packets come from (AUS-14).
    pub fn remote_address_received(&self) -> Option<SocketAddr> {
        self.transport.remote().1
    }

    /// True while RTCP shares the port of RTP, as both sides agreed (RFC 5761).
    pub fn is_rtcp_muxed(&self) -> bool {
        self.transport.is_muxed()
    }

    /// The negotiated direction, as we see it.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// True once anything to play was heard (SES-52).
    pub const fn was_received(&self) -> bool {
        self.timers.heard.is_some()
    }

    /// True if the peer takes digits (RFC 4733).
    pub fn takes_digits(&self) -> bool {
        self.format
            .as_ref()
            .is_some_and(|format| format.events.is_some())
    }

    /// How many packets came before the answer to our offer and were lost: the latest 32 wait for it
    /// (RFC 3264, 5.1).
    pub const fn early_lost(&self) -> u64 {
        self.transport.early_lost()
    }

    /// What was sent and heard so far; `None` before the start.
    pub fn statistics(&self) -> Option<rtp::Statistics> {
        self.transport.statistics()
    }

    /// The wish of our side: held is heard by the peer and hears nothing (AUS-30).
    fn wish(&self) -> Direction {
        match self.hold.local_intent {
            true => Direction::SendOnly,
            false => Direction::SendRecv,
        }
    }

    /// Follows an agreement; false if there is none that we can live with.
    fn agree(&mut self, now: Instant, agreed: Agreement<'_>) -> bool {
        let before = (
            self.format.as_ref().map(Format::public),
            self.transport.remote().0,
        );
        let role = self.proposal.take().unwrap_or(Role::Offerer);
        let is_new = self
            .branch
            .replace(agreed.branch)
            .is_some_and(|branch| branch != agreed.branch);
        if is_new {
            // Another peer gives numbers of its own.
            self.numbers = sdp::PayloadNumbers::default();
        }
        for said in [agreed.local, agreed.remote] {
            if let Some(media) = said.media.get(agreed.index) {
                self.numbers.learn(media);
            }
        }
        let Some(format) = Format::agree(agreed, role) else {
            self.fail(super::StreamError::NoCommonCodec);
            return false;
        };
        let keys = match self.agree_keys(agreed, role) {
            Ok(keys) => keys,
            Err(error) => {
                self.fail(error);
                return false;
            }
        };
        if is_new {
            self.digits_in = EventReceiver::new();
        }
        if let Some(events) = &format.events
            && self.digits_out.is_idle()
        {
            self.digits_out = EventSender::new(events.remote.clock_rate);
        }
        self.transport.agree(now, format.peer(agreed, keys, is_new));
        let was_early = std::mem::replace(&mut self.is_early, agreed.is_early);
        self.agree_ice(now, agreed);
        self.tell_encryption();
        self.format = Some(format);
        self.set_direction(agreed);
        while let Some(heard) = self.transport.poll_early() {
            self.take(now, heard);
        }
        match was_early && !self.is_early {
            true => self.expect_audio(now),
            false => self.rearm(now),
        }
        let after = (
            self.format.as_ref().map(Format::public),
            self.transport.remote().0,
        );
        if self.state == State::Established && before != after {
            self.push(StreamEvent::DidChangeRtpParameters);
        }
        true
    }

    /// RFC 3264, 8.4; `c=0.0.0.0` is the older way to hold.
    fn set_direction(&mut self, agreed: Agreement<'_>) {
        self.direction = sdp::negotiated_direction(agreed.local, agreed.remote, agreed.index);
        let hold = Hold {
            by_local: self.hold.local_intent && !agreed.local.direction(agreed.index).receives(),
            by_remote: agreed.remote.is_held(agreed.index),
            local_intent: self.hold.local_intent,
        };
        let before = std::mem::replace(&mut self.hold, hold);
        if before.by_local != hold.by_local {
            self.push(StreamEvent::DidChangeHoldState {
                originator: Originator::Local,
                on_hold: hold.by_local,
            });
        }
        if before.by_remote != hold.by_remote {
            self.push(StreamEvent::DidChangeHoldState {
                originator: Originator::Remote,
                on_hold: hold.by_remote,
            });
        }
    }

    /// Follows what an input has brought.
    fn take(&mut self, now: Instant, heard: Heard) {
        match heard {
            Heard::Opened => {
                if self.state == State::Initializing {
                    self.state = State::Initialized;
                }
                self.out.push_back(StreamOutput::Prepared);
            }
            Heard::Failed(error) => self.fail(error),
            Heard::Frame(frame) => self.heard(now, frame),
            Heard::Report => self.heard_report(now),
            Heard::Nothing => {}
        }
    }

    fn push(&mut self, event: StreamEvent) {
        self.out.push_back(StreamOutput::Event(event));
    }

    fn fail(&mut self, error: super::StreamError) {
        if !self.is_over() {
            self.out.push_back(StreamOutput::Failed(error));
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Ending | State::Ended)
    }

    /// Says that it has ended, once it has.
    fn finish(&mut self) {
        self.drain();
        if self.state == State::Ending && !self.transport.is_closing() {
            self.state = State::Ended;
            self.out.push_back(StreamOutput::Ended);
        }
    }
}

impl MediaStream for AudioStream {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn prepare(&mut self, now: Instant, _purpose: Purpose) {
        match self.state {
            State::New => {
                self.state = State::Initializing;
                self.transport.open(now);
                self.drain();
            }
            State::Initializing | State::Ending | State::Ended => {}
            State::Initialized | State::Established => match self.transport.reopen(now) {
                true => {
                    self.keys.moved();
                    self.drain();
                }
                // The sockets are there, whatever is offered anew.
                false => self.out.push_back(StreamOutput::Prepared),
            },
        }
    }

    fn offer(&mut self, _now: Instant) -> sdp::Media {
        self.proposal = Some(Role::Offerer);
        self.describe_offer()
    }

    fn answer(
        &mut self,
        _now: Instant,
        remote: &sdp::Session,
        index: usize,
    ) -> Result<sdp::Media, Refusal> {
        if let Some(offered) = remote.media.get(index) {
            self.numbers.learn(offered);
        }
        let media = self.describe_answer(remote, index)?;
        self.proposal = Some(Role::Answerer);
        Ok(media)
    }

    fn start(&mut self, now: Instant, agreed: Agreement<'_>) {
        if self.agree(now, agreed) {
            self.state = State::Established;
            self.begin(now);
            self.begin_recording();
            self.is_starting = true;
            self.start_if_ready();
        }
        self.drain();
    }

    fn update(&mut self, now: Instant, agreed: Agreement<'_>) {
        if self.agree(now, agreed) {
            // An answer without ICE after one with it: there is nothing left to wait for.
            self.start_if_ready();
        }
        self.drain();
    }

    fn rollback(&mut self, _now: Instant) {
        // Offers and answers are made of what is agreed and wished: nothing else was changed. A key
        // that was offered in vain was never in use.
        self.proposal = None;
    }

    fn set_hold(&mut self, now: Instant, hold: bool) -> bool {
        self.hold.local_intent = hold;
        self.rearm(now);
        self.hold.by_local != hold
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.hold)
    }

    fn deactivate(&mut self) {}

    fn end(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        if self.is_starting && self.is_waiting_for_ice() {
            self.tell_ice_failure(ice::LATE);
        }
        self.end_recording();
        self.state = State::Ending;
        self.timers = Timers::default();
        self.transport.close(now);
        self.finish();
    }

    fn handle_input(&mut self, now: Instant, input: StreamInput) {
        if self.is_over() {
            self.transport.handle_closing(now, input);
            return self.finish();
        }
        match input {
            StreamInput::Timeout => self.handle_timeout(now),
            StreamInput::Media(frame) => self.send_frame(now, &frame),
            StreamInput::Verified => self.verified(),
            StreamInput::Acknowledged => self.acknowledged(now),
            StreamInput::LocalAddress(local) => self.transport.set_local(local),
            input => {
                if let StreamInput::Info(info) = &input
                    && let Some(digit) = relay::read(info)
                {
                    self.push(StreamEvent::GotDtmf { digit });
                }
                let heard = self.transport.handle_input(now, input);
                self.take(now, heard);
                while let Some(heard) = self.transport.poll_relayed(now) {
                    self.take(now, heard);
                }
            }
        }
        self.drain();
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        if self.is_over() {
            return self.transport.poll_timeout();
        }
        earliest_of(
            [
                self.transport.poll_timeout(),
                self.digits_out.poll_timeout(),
            ],
            [
                (self.timers.no_audio, "no audio"),
                (self.timers.timeout, "rtp timeout"),
                (self.timers.unverified, "unacknowledged media"),
            ],
        )
    }

    fn poll_output(&mut self) -> Option<StreamOutput> {
        self.out.pop_front()
    }
}

/// The kind, as in [`StreamSpec`](super::StreamSpec) and in the m-line.
pub const KIND: &str = "audio";

/// The pairs of codecs of an exchange, by who answered.
fn pairs(local: &[sdp::Codec], remote: &[sdp::Codec], role: Role) -> Vec<Agreed> {
    let answerer = match role {
        Role::Offerer => sdp::Answerer::Remote,
        Role::Answerer => sdp::Answerer::Local,
    };
    sdp::match_codecs(local, remote, answerer)
}
