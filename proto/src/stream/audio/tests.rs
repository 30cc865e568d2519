//! Two audio streams, wired by hand.

mod before;
mod describe;
mod dtls;
mod encryption;
mod ice;
mod interfaces;
mod keepalive;
mod latch;
mod moves;
mod mux;
mod numbers;
mod recording;
mod silence;
mod states;
mod transports;
mod trickle;

use super::{AudioFactory, AudioStream, SendDtmf, SendDtmfError};
use crate::{
    edge::Frame,
    event::{Originator, StreamEvent},
    id::{SessionId, StreamId},
    stream::{
        Agreement, Credentials, DigitMode, Direction, Encryption, MediaSettings, MediaStream,
        Offered, Purpose, Slot, SlotOpen, StreamCommand as _, StreamEnv, StreamError,
        StreamFactory as _, StreamInput, StreamOutput,
    },
};
use base::{Clock, Key as _, Rng};
use bytes::{Bytes, BytesMut};
use rtp::Digit;
use sip::DialogId;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

struct Pair {
    now: Instant,
    streams: [Box<dyn MediaStream>; 2],
    /// What each end told and heard.
    events: [Vec<StreamEvent>; 2],
    frames: [Vec<Frame>; 2],
    failed: [Vec<StreamError>; 2],
    /// Datagrams that each end sent, RTP and RTCP.
    sent: [[usize; 2]; 2],
    /// What each end sent to the other's port of RTP.
    wire: [Vec<Bytes>; 2],
    /// Where each end sent to last, RTP and RTCP.
    went: [[Option<SocketAddr>; 2]; 2],
    /// Where an end is seen instead of at its own address, RTP and RTCP: nothing reaches it at that one.
    outside: [[Option<SocketAddr>; 2]; 2],
    /// Whose packets are lost.
    is_cut: [bool; 2],
    descriptions: [sdp::Session; 2],
    started: bool,
}

fn ip(end: usize) -> IpAddr {
    [192, 0, 2, 1 + end as u8].into()
}

fn env(now: Instant, end: usize, codecs: &[&str]) -> StreamEnv {
    let mut settings = MediaSettings::default();
    settings
        .codecs
        .retain(|codec| codecs.contains(&codec.name.as_str()));
    // RTCP has sockets of its own; `mux` shares those of RTP.
    settings.rtcp_mux = false;
    StreamEnv {
        id: StreamId::from_parts(0, end as u32),
        session: SessionId::from_parts(0, 0),
        direction: if end == 0 {
            Direction::Outgoing
        } else {
            Direction::Incoming
        },
        rng: Rng::from_seed([end as u8; 32]),
        clock: Clock::new(now, Duration::from_secs(1_000)),
        settings: Arc::new(settings),
        credentials: Credentials::new(None, Rng::from_seed([0x80 + end as u8; 32])),
        tie_breaker: 0,
        interfaces: Arc::new([]),
        participants: ["sip:alice@example.com", "sip:bob@example.com"]
            .map(|uri| uri.parse().unwrap()),
        local_address: ip(end),
    }
}

/// An arbitrary origin for virtual time.
#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for virtual time"
)]
fn origin() -> Instant {
    Instant::now()
}

impl Pair {
    /// Two streams after one exchange; the callee has not been acknowledged.
    fn new(codecs: [&[&str]; 2]) -> Self {
        let now = origin();
        Self::with(now, [0, 1].map(|end| env(now, end, codecs[end])))
    }

    fn with(now: Instant, envs: [StreamEnv; 2]) -> Self {
        Self::altered(now, envs, |_, _| {})
    }

    /// As above, with what somebody on the way does to both descriptions.
    fn altered(
        now: Instant,
        [ours, theirs]: [StreamEnv; 2],
        alter: impl Fn(usize, &mut sdp::Session),
    ) -> Self {
        let factory = AudioFactory::new();
        let mut caller = factory.create(now, ours, &serde_json::Value::Null).unwrap();
        open(&mut caller, now, 0);
        let mut offer = assemble(0, caller.offer(now));
        alter(0, &mut offer);
        let Offered::Taken(mut callee) = factory.from_sdp(now, theirs, &offer, 0) else {
            panic!("not taken");
        };
        open(&mut callee, now, 1);
        let mut answer = assemble(1, callee.answer(now, &offer, 0).unwrap());
        alter(1, &mut answer);
        let mut pair = Self {
            now,
            streams: [caller, callee],
            events: Default::default(),
            frames: Default::default(),
            failed: Default::default(),
            sent: Default::default(),
            wire: Default::default(),
            went: Default::default(),
            outside: Default::default(),
            is_cut: [false; 2],
            descriptions: [offer, answer],
            started: false,
        };
        pair.agree();
        pair.deliver();
        pair
    }

    fn agree(&mut self) {
        let now = self.now;
        for end in 0..2 {
            let agreed = Agreement {
                branch: DialogId::from_parts(0, 0),
                local: &self.descriptions[end],
                remote: &self.descriptions[1 - end],
                index: 0,
                is_confidential: false,
                is_early: false,
            };
            match self.started {
                false => self.streams[end].start(now, agreed),
                true => self.streams[end].update(now, agreed),
            }
        }
        self.started = true;
    }

    /// A new exchange, offered by `end`.
    fn exchange(&mut self, end: usize) {
        let now = self.now;
        self.descriptions[end] = assemble(end, self.streams[end].offer(now));
        let answer = self.streams[1 - end]
            .answer(now, &self.descriptions[end], 0)
            .unwrap();
        self.descriptions[1 - end] = assemble(1 - end, answer);
        self.agree();
        self.deliver();
    }

    fn set_hold(&mut self, end: usize, hold: bool) {
        let changes = self.streams[end].set_hold(self.now, hold);
        assert!(changes);
    }

    /// Carries what was said to the other end until nothing more is said.
    fn deliver(&mut self) {
        let mut quiet = false;
        while !std::mem::replace(&mut quiet, true) {
            for end in 0..2 {
                while let Some(output) = self.streams[end].poll_output() {
                    quiet = false;
                    match output {
                        StreamOutput::Transmit { slot, to, payload } => {
                            self.carry(end, slot, to, payload);
                        }
                        StreamOutput::Event(event) => self.events[end].push(event),
                        StreamOutput::Failed(error) => self.failed[end].push(error),
                        StreamOutput::Media(frame) => self.frames[end].push(frame),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Carries a datagram, from where its sender is seen to who is seen there.
    fn carry(&mut self, end: usize, slot: Slot, to: SocketAddr, payload: Bytes) {
        let (place, peer) = (usize::from(slot.0), 1 - end);
        self.sent[end][place] += 1;
        self.went[end][place] = Some(to);
        let seen = |end: usize, place: usize| {
            self.outside[end][place].unwrap_or_else(|| address(end, place as u16))
        };
        let reached = (0..2).find(|&place| seen(peer, place) == to);
        let Some(reached) = reached else {
            let own = [0, 1].map(|slot| address(peer, slot));
            assert!(own.contains(&to), "{to} is nobody's");
            return;
        };
        if reached == 0 {
            self.wire[end].push(payload.clone());
        }
        let input = StreamInput::Datagram {
            slot: Slot(reached as u16),
            from: seen(end, place),
            payload: BytesMut::from(&payload[..]),
        };
        if !self.is_cut[end] {
            self.streams[peer].handle_input(self.now, input);
        }
    }

    /// Lets time pass, with every timer in its order.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let next = self
                .streams
                .iter()
                .filter_map(|stream| stream.poll_timeout())
                .min();
            let Some(next) = next.filter(|next| next.at <= until) else {
                break;
            };
            self.now = self.now.max(next.at);
            for end in 0..2 {
                self.streams[end].handle_input(self.now, StreamInput::Timeout);
            }
            self.deliver();
        }
        self.now = until;
    }

    /// Speech from one end: a frame every 20 ms.
    fn speak(&mut self, end: usize, frames: u32) {
        for n in 0..frames {
            let frame = Frame {
                payload_type: audio(self.streams[end].as_ref())
                    .format()
                    .unwrap()
                    .send_payload_type,
                marker: n == 0,
                sequence: 0,
                timestamp: n * 160,
                ssrc: 0,
                arrived: self.now,
                payload: Bytes::from(vec![7; 160]),
            };
            self.streams[end].handle_input(self.now, StreamInput::Media(frame));
            self.deliver();
            self.run(Duration::from_millis(20));
        }
    }

    fn played(&mut self, end: usize) -> usize {
        std::mem::take(&mut self.frames[end])
            .iter()
            .filter(|frame| frame.payload.len() == 160)
            .count()
    }
}

fn address(end: usize, slot: u16) -> SocketAddr {
    SocketAddr::new(ip(end), 40_000 + slot)
}

fn assemble(end: usize, media: sdp::Media) -> sdp::Session {
    sdp::Session::assemble(sdp::Origin::new(1, ip(end)), vec![media])
}

fn audio(stream: &dyn MediaStream) -> &AudioStream {
    (stream as &dyn std::any::Any).downcast_ref().unwrap()
}

/// Prepares a stream: its sockets get ports of the test's.
fn open(stream: &mut Box<dyn MediaStream>, now: Instant, end: usize) {
    stream.prepare(now, Purpose::First);
    loop {
        match stream.poll_output().expect("prepared") {
            StreamOutput::Open {
                slot,
                how: SlotOpen::Udp { bind, .. },
            } => {
                assert_eq!(bind.ip(), ip(end));
                let local = address(end, slot.0);
                stream.handle_input(
                    now,
                    StreamInput::Opened {
                        slot,
                        local,
                        peer: None,
                    },
                );
            }
            StreamOutput::Prepared => return,
            other => panic!("{other:?}"),
        }
    }
}

const BOTH: [&[&str]; 2] = [&["PCMU", "PCMA"], &["PCMU", "PCMA"]];

#[test]
fn one_codec_and_its_events_are_agreed_on() {
    let pair = Pair::new([&["PCMU", "PCMA"], &["PCMA"]]);
    assert_eq!(pair.descriptions[0].media[0].formats, ["0", "8", "101"]);
    assert_eq!(pair.descriptions[1].media[0].formats, ["8", "101"]);
    for stream in &pair.streams {
        assert_eq!(audio(stream.as_ref()).format().unwrap().codec, "PCMA");
        assert!(audio(stream.as_ref()).takes_digits());
    }
    assert_eq!(
        audio(pair.streams[0].as_ref()).remote_address_described(),
        Some(address(1, 0))
    );
    assert_eq!(
        audio(pair.streams[0].as_ref()).remote_address_received(),
        None
    );
}

#[test]
fn frames_and_reports_flow_both_ways() {
    let mut pair = Pair::new(BOTH);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.speak(0, 400);
    assert_eq!(pair.played(1), 400);
    pair.speak(1, 10);
    assert_eq!(pair.played(0), 10);
    assert_eq!(
        audio(pair.streams[0].as_ref()).remote_address_received(),
        Some(address(1, 0))
    );
    assert!(pair.sent[0][1] >= 1, "reports");
    let statistics = audio(pair.streams[1].as_ref()).statistics().unwrap();
    assert!(statistics.packets_received >= 400);
}

/// AUS-30, AUS-17, AUT-03, AUT-06: hold both ways; both held, one resumes: still held.
#[test]
fn hold_both_ways() {
    let mut pair = Pair::new(BOTH);
    let directions = |pair: &Pair| [0, 1].map(|end| pair.descriptions[end].direction(0).name());
    let holds = |pair: &Pair| {
        [0, 1].map(|end| {
            pair.streams[end]
                .hold()
                .map(|hold| (hold.by_local, hold.by_remote))
                .unwrap()
        })
    };
    pair.set_hold(0, true);
    pair.speak(0, 2);
    assert_eq!(pair.played(1), 0, "our sending stops before anybody agrees");
    pair.exchange(0);
    assert_eq!(directions(&pair), ["sendonly", "recvonly"]);
    assert_eq!(holds(&pair), [(true, false), (false, true)]);
    pair.speak(1, 2);
    assert_eq!(pair.played(0), 0);
    pair.set_hold(1, true);
    pair.exchange(1);
    assert_eq!(directions(&pair), ["inactive", "inactive"]);
    pair.set_hold(0, false);
    pair.exchange(0);
    assert_eq!(holds(&pair), [(false, true), (true, false)]);
    pair.speak(0, 2);
    assert_eq!(pair.played(1), 0, "still held");
    pair.set_hold(1, false);
    pair.exchange(1);
    assert_eq!(directions(&pair), ["sendrecv", "sendrecv"]);
    pair.speak(0, 2);
    assert_eq!(pair.played(1), 2);
    let remote = |event: &StreamEvent| match event {
        StreamEvent::DidChangeHoldState {
            originator: Originator::Remote,
            on_hold,
        } => Some(*on_hold),
        _ => None,
    };
    let told: Vec<bool> = pair.events[1].iter().filter_map(remote).collect();
    assert_eq!(told, [true, false]);
}

/// AUS-23, AUT-07, AUT-09: digits of RFC 4733.
#[test]
fn digits_arrive_once_and_in_order() {
    let mut pair = Pair::new(BOTH);
    let now = pair.now;
    for digit in "1159#*0D".chars() {
        let command = SendDtmf::new(Digit::try_from(digit).unwrap());
        let stream = (pair.streams[0].as_mut() as &mut dyn std::any::Any)
            .downcast_mut::<AudioStream>()
            .unwrap();
        command.apply(stream, now).unwrap();
    }
    pair.deliver();
    pair.speak(0, 100);
    let digits: String = pair.events[1]
        .iter()
        .filter_map(|event| match event {
            StreamEvent::GotDtmf { digit } => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "1159#*0D");
    assert!(pair.played(1) < 100, "no audio during an event");
}

#[test]
fn aus_09_digits_leave_in_info_by_choice() {
    let mut pair = Pair::new(BOTH);
    let stream = (pair.streams[0].as_mut() as &mut dyn std::any::Any)
        .downcast_mut::<AudioStream>()
        .unwrap();
    let mut settings = MediaSettings::clone(&stream.settings);
    settings.digits = DigitMode::Info;
    stream.settings = Arc::new(settings);
    let command = SendDtmf::new(Digit::try_from('#').unwrap());
    command.apply(stream, pair.now).unwrap();
    let Some(StreamOutput::Inform(info)) = stream.poll_output() else {
        panic!("no INFO");
    };
    let now = pair.now;
    pair.streams[1].handle_input(now, StreamInput::Info(info));
    pair.deliver();
    assert!(matches!(
        pair.events[1].last(),
        Some(StreamEvent::GotDtmf { digit: '#' })
    ));
}

/// AUS-09: only when started.
#[test]
fn digits_need_a_stream_that_runs() {
    let pair = Pair::new(BOTH);
    let mut fresh = AudioStream::new(env(pair.now, 0, &["PCMU"]));
    let command = SendDtmf::new(Digit::try_from('1').unwrap());
    assert_eq!(
        command.apply(&mut fresh, pair.now),
        Err(SendDtmfError::NotStarted)
    );
}

/// SES-74 and AUS-31: told after 5 s and 30 s; reports keep the second one quiet.
#[test]
fn silence_is_told() {
    let mut pair = Pair::new(BOTH);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.run(Duration::from_secs(4));
    let names = |pair: &Pair, end: usize| -> Vec<&str> {
        let name = |event: &StreamEvent| match event {
            StreamEvent::DidEnableEncryption { .. } => "encrypted",
            StreamEvent::GotNoAudio => "no audio",
            StreamEvent::DidTimeout => "timeout",
            StreamEvent::GotDiagnosis(_) => "diagnosis",
            _ => "?",
        };
        pair.events[end].iter().map(name).collect()
    };
    assert_eq!(names(&pair, 0), ["encrypted"]);
    pair.run(Duration::from_secs(60));
    assert_eq!(names(&pair, 0), ["encrypted", "no audio", "diagnosis"]);
    assert!(pair.sent[1][1] > 5, "reports came");
}

/// Who speaks and hears nothing is told what comes instead, and from where.
#[test]
fn one_way_audio_is_explained() {
    let speech_of = |payload_type: u8| {
        let header = rtp::Header {
            marker: false,
            payload_type,
            sequence: 1,
            timestamp: 160,
            ssrc: 7,
        };
        let mut out = BytesMut::new();
        rtp::Packet::new(header, &[0xff; 160]).write(&mut out);
        out
    };
    let stun = BytesMut::from(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..]);
    use Encryption::{Off, SdesOptional};
    for (policy, datagram, reason) in [
        (Off, None, rtp::Silence::NothingComes),
        (Off, Some(speech_of(18)), rtp::Silence::WrongCodec),
        (Off, Some(speech_of(72)), rtp::Silence::OnlyReports),
        (Off, Some(stun.clone()), rtp::Silence::PeerWantsIce),
        (SdesOptional, Some(speech_of(0)), rtp::Silence::WrongKeys),
        (SdesOptional, Some(stun), rtp::Silence::PeerWantsIce),
    ] {
        let mut pair = encryption::secured([policy; 2]);
        let from = SocketAddr::from(([198, 51, 100, 9], 9_000));
        let now = pair.now;
        let [stream, _] = &mut pair.streams;
        let mut told = Vec::new();
        for tick in 0..=300u64 {
            let now = now + Duration::from_millis(20 * tick);
            let frame = Frame {
                payload_type: 0,
                marker: false,
                sequence: 0,
                timestamp: tick as u32 * 160,
                ssrc: 0,
                arrived: now,
                payload: vec![0xff; 160].into(),
            };
            stream.handle_input(now, StreamInput::Media(frame));
            if let Some(payload) = datagram.clone() {
                let input = StreamInput::Datagram {
                    slot: crate::stream::rtp::RTP,
                    from,
                    payload,
                };
                stream.handle_input(now, input);
            }
            while stream.poll_timeout().is_some_and(|next| next.at <= now) {
                stream.handle_input(now, StreamInput::Timeout);
            }
            while let Some(output) = stream.poll_output() {
                if let StreamOutput::Event(StreamEvent::GotDiagnosis(diagnosis)) = output {
                    told.push(diagnosis);
                }
            }
        }
        let [told] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(told.reason, reason);
        assert_eq!(
            (told.announced, told.described),
            (address(0, 0), Some(address(1, 0)))
        );
        assert!(told.packets_sent >= 250 && told.is_heard.is_none());
        let arrivals: Vec<_> = told.arrivals.iter().map(|arrival| arrival.from).collect();
        assert_eq!(arrivals, vec![from; usize::from(datagram.is_some())]);
    }
}

/// What one forged INVITE draws is bounded: two seconds of media, until somebody acknowledges.
#[test]
fn an_unacknowledged_peer_is_sent_to_for_two_seconds() {
    let mut pair = Pair::new(BOTH);
    pair.speak(1, 200);
    let before = pair.played(0);
    assert!((99..=101).contains(&before), "{before}");
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.speak(1, 10);
    assert_eq!(pair.played(0), 10);
}

/// `c=0.0.0.0` stops RTP and RTCP; the answer follows the offered direction all the same.
#[test]
fn the_null_address_is_an_old_hold() {
    let mut pair = Pair::new(BOTH);
    let mut offer = pair.descriptions[0].clone();
    offer.media[0].connections[0] = sdp::Connection::null(ip(0));
    let answer = pair.streams[1].answer(pair.now, &offer, 0).unwrap();
    assert_eq!(answer.direction(), Some(sdp::Direction::SendRecv));
    let agreed = Agreement {
        branch: DialogId::from_parts(0, 0),
        local: &pair.descriptions[1].clone(),
        remote: &offer,
        index: 0,
        is_confidential: false,
        is_early: false,
    };
    pair.streams[1].update(pair.now, agreed);
    assert!(pair.streams[1].hold().unwrap().by_remote);
    pair.deliver();
    let before = pair.sent[1];
    pair.speak(1, 500);
    assert_eq!(pair.sent[1], before);
}

/// AUS-32: what is no plain RTP, or has no codec of ours, is refused.
#[test]
fn lines_that_cannot_be_taken() {
    let pair = Pair::new(BOTH);
    let factory = AudioFactory::new();
    let mut offer = pair.descriptions[0].clone();
    let offered =
        |offer: &sdp::Session| factory.from_sdp(pair.now, env(pair.now, 1, &["PCMU"]), offer, 0);
    offer.media[0].protocol = "rtp/avp".into();
    assert!(matches!(offered(&offer), Offered::Taken(_)));
    offer.media[0].protocol = "UDP/BFCP".into();
    assert!(matches!(offered(&offer), Offered::Refused(_)));
    offer.media[0] = sdp::Media::new("video", 4_000, "RTP/AVP");
    assert!(matches!(offered(&offer), Offered::NotMine));
    let only_pcma = Pair::new([&["PCMA"], &["PCMA"]]).descriptions[0].clone();
    assert!(matches!(offered(&only_pcma), Offered::Refused(_)));
}

/// STR-10, AUT-05: BYE, both sockets, and the last word.
#[test]
fn the_end_says_goodbye() {
    let mut pair = Pair::new(BOTH);
    pair.speak(0, 2);
    pair.streams[0].end(pair.now);
    let said: Vec<StreamOutput> = std::iter::from_fn(|| pair.streams[0].poll_output()).collect();
    assert!(
        said.iter()
            .any(|o| matches!(o, StreamOutput::Transmit { slot: Slot(1), .. })),
        "{said:?}"
    );
    let closed = said
        .iter()
        .filter(|o| matches!(o, StreamOutput::Close { .. }))
        .count();
    assert_eq!(closed, 2);
    assert!(matches!(said.last(), Some(StreamOutput::Ended)));
    assert_eq!(pair.streams[0].poll_timeout(), None);
}
