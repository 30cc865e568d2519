//! Media over the pair of addresses that ICE finds (AUS-24 … AUS-28, RTP-14).

use super::{audio, env, origin};
use crate::{
    edge::{Frame, Interface, InterfaceKind},
    event::StreamEvent,
    stream::{
        Agreement, IcePair, MediaSettings, MediaStream, Offered, Purpose, Slot, SlotOpen,
        StreamEnv, StreamError, StreamFactory as _, StreamInput, StreamOutput, audio::AudioFactory,
    },
};
use base::Key as _;
use bytes::{Bytes, BytesMut};
use sip::DialogId;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// Two streams whose packets go from address to address, where the network lets them.
pub(super) struct Net {
    now: Instant,
    pub(super) streams: [Box<dyn MediaStream>; 2],
    sockets: [BTreeMap<Slot, SocketAddr>; 2],
    /// Where each end sent to last.
    pub(super) went: [BTreeMap<Slot, SocketAddr>; 2],
    /// Where media of end 1 seem to come from.
    pub(super) disguise: Option<SocketAddr>,
    /// What is lost on the way.
    dead: Vec<IpAddr>,
    pub(super) descriptions: [sdp::Session; 2],
    events: [Vec<StreamEvent>; 2],
    /// What else was said.
    said: [Vec<String>; 2],
    heard: [usize; 2],
    is_agreed: bool,
}

/// The addresses of both ends: that of signalling first.
pub(super) const ADDRESSES: [[[u8; 4]; 2]; 2] = [
    [[192, 0, 2, 1], [198, 51, 100, 1]],
    [[192, 0, 2, 2], [198, 51, 100, 2]],
];

pub(super) fn interface(ip: [u8; 4]) -> Interface {
    Interface {
        name: "eth".to_owned(),
        index: 1,
        address: ip.into(),
        prefix: 24,
        kind: InterfaceKind::Wired,
        default_route: true,
    }
}

pub(super) fn ice_env(now: Instant, end: usize, change: impl Fn(&mut MediaSettings)) -> StreamEnv {
    let mut env = env(now, end, &["PCMU"]);
    let mut settings = MediaSettings::clone(&env.settings);
    settings.ice = true;
    change(&mut settings);
    env.settings = Arc::new(settings);
    env.interfaces = ADDRESSES[end].map(interface).into();
    env.tie_breaker = 7 + end as u64;
    env
}

impl Net {
    fn new() -> Self {
        Self::with(&[], |_, _| {}, |_, _| {})
    }

    /// `change` sees each description on its way.
    pub(super) fn with(
        dead: &[[u8; 4]],
        settings: impl Fn(usize, &mut MediaSettings),
        change: impl Fn(usize, &mut sdp::Session),
    ) -> Self {
        let now = origin();
        let factory = AudioFactory::new();
        let [ours, theirs] = [0, 1].map(|end| ice_env(now, end, |own| settings(end, own)));
        let mut caller = factory.create(now, ours, &serde_json::Value::Null).unwrap();
        let mut sockets = [open(&mut caller, now, Purpose::First), BTreeMap::new()];
        let mut offer = assemble(0, caller.offer(now));
        change(0, &mut offer);
        let Offered::Taken(mut callee) = factory.from_sdp(now, theirs, &offer, 0) else {
            panic!("not taken");
        };
        sockets[1] = open(&mut callee, now, Purpose::First);
        let mut answer = assemble(1, callee.answer(now, &offer, 0).unwrap());
        change(1, &mut answer);
        let mut net = Self {
            now,
            streams: [caller, callee],
            sockets,
            went: Default::default(),
            disguise: None,
            dead: dead.iter().map(|&ip| ip.into()).collect(),
            descriptions: [offer, answer],
            events: Default::default(),
            said: Default::default(),
            heard: [0; 2],
            is_agreed: false,
        };
        net.agree();
        net
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
            match self.is_agreed {
                false => self.streams[end].start(now, agreed),
                true => self.streams[end].update(now, agreed),
            }
        }
        self.is_agreed = true;
        self.streams[1].handle_input(now, StreamInput::Acknowledged);
        self.deliver();
    }

    pub(super) fn exchange(&mut self, end: usize) {
        let now = self.now;
        self.descriptions[end] = assemble(end, self.streams[end].offer(now));
        let answer = self.streams[1 - end].answer(now, &self.descriptions[end], 0);
        self.descriptions[1 - end] = assemble(1 - end, answer.unwrap());
        self.agree();
    }

    fn deliver(&mut self) {
        let mut quiet = false;
        while !std::mem::replace(&mut quiet, true) {
            for end in 0..2 {
                while let Some(output) = self.streams[end].poll_output() {
                    quiet = false;
                    self.carry(end, output);
                }
            }
        }
    }

    fn carry(&mut self, end: usize, output: StreamOutput) {
        match output {
            StreamOutput::Transmit { slot, to, payload } => {
                let from = self.sockets[end][&slot];
                self.went[end].insert(slot, to);
                let is_dead = |ip: &IpAddr| *ip == from.ip() || *ip == to.ip();
                // Nothing leads from one network to the other.
                let [a, b] = [from.ip(), to.ip()].map(|ip| ip.to_string()[..3].to_owned());
                let target = self.sockets[1 - end].iter().find(|(_, own)| **own == to);
                if let Some((&slot, _)) =
                    target.filter(|_| a == b && !self.dead.iter().any(is_dead))
                {
                    let payload = BytesMut::from(&payload[..]);
                    let is_disguised = end == 1 && !::ice::stun::is_stun(&payload);
                    let from = self.disguise.filter(|_| is_disguised).unwrap_or(from);
                    let input = StreamInput::Datagram {
                        slot,
                        from,
                        payload,
                    };
                    self.streams[1 - end].handle_input(self.now, input);
                }
            }
            StreamOutput::Event(event) => self.events[end].push(event),
            StreamOutput::Media(frame) if !frame.payload.is_empty() => self.heard[end] += 1,
            StreamOutput::Media(_) => {}
            other => self.said[end].push(format!("{other:?}")),
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let due = self
                .streams
                .iter()
                .filter_map(|stream| stream.poll_timeout());
            let Some(next) = due.min().filter(|next| next.at <= until) else {
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

    /// A frame of each end; how many were heard by each.
    pub(super) fn speak(&mut self) -> [usize; 2] {
        self.heard = [0; 2];
        for end in 0..2 {
            let frame = Frame {
                payload_type: 0,
                marker: false,
                sequence: 0,
                timestamp: 0,
                ssrc: 0,
                arrived: self.now,
                payload: Bytes::from(vec![7; 160]),
            };
            self.streams[end].handle_input(self.now, StreamInput::Media(frame));
        }
        self.deliver();
        self.heard
    }

    pub(super) fn states(&self, end: usize) -> Vec<&str> {
        let mut states = Vec::new();
        for event in &self.events[end] {
            if let StreamEvent::IceNegotiationStateDidChange { state, .. } = event {
                states.push(state.as_str());
            }
        }
        states
    }

    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    fn has_started(&self, end: usize) -> bool {
        self.said[end].iter().any(|said| said == "Started")
    }

    pub(super) fn ice(&self, end: usize) -> crate::stream::IceInfo {
        audio(self.streams[end].as_ref()).ice().unwrap()
    }
}

pub(super) fn assemble(end: usize, media: sdp::Media) -> sdp::Session {
    let ip = IpAddr::from(ADDRESSES[end][0]);
    sdp::Session::assemble(sdp::Origin::new(1, ip), vec![media])
}

/// Prepares a stream: its sockets get ports of the test's.
pub(super) fn open(
    stream: &mut Box<dyn MediaStream>,
    now: Instant,
    purpose: Purpose,
) -> BTreeMap<Slot, SocketAddr> {
    let mut sockets = BTreeMap::new();
    stream.prepare(now, purpose);
    while let Some(output) = stream.poll_output() {
        if let StreamOutput::Open {
            slot,
            how: SlotOpen::Udp { bind, .. },
        } = output
        {
            let local = SocketAddr::new(bind.ip(), 40_000 + slot.0);
            sockets.insert(slot, local);
            let opened = StreamInput::Opened {
                slot,
                local,
                peer: None,
            };
            stream.handle_input(now, opened);
        } else if matches!(output, StreamOutput::Prepared) {
            return sockets;
        }
    }
    panic!("not prepared");
}

fn at(ip: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((ip, port))
}

/// AUS-24, AUS-25, AUS-15, RTP-14: nothing starts and nothing is sent before a pair is chosen at both ends.
#[test]
fn aus_25_media_start_when_a_pair_is_chosen() {
    let mut net = Net::new();
    assert!(!net.has_started(0) && !net.has_started(1));
    net.run(Duration::from_secs(2));
    for end in 0..2 {
        assert!(net.has_started(end));
        assert_eq!(net.states(end), ["running", "completed"]);
        let info = net.ice(end);
        let rtp = info.rtp.unwrap();
        assert_eq!(rtp.local, at(ADDRESSES[end][0], 40_000));
        assert_eq!(rtp.remote, at(ADDRESSES[1 - end][0], 40_000));
        assert_eq!((rtp.local_type, rtp.remote_type), ("host", "host"));
        assert_eq!(info.rtcp.unwrap().local, at(ADDRESSES[end][0], 40_001));
        let succeeded = |event: &&StreamEvent| {
            matches!(event, StreamEvent::IceNegotiationDidSucceed { chosen, checked, .. }
            if chosen.len() == 2 && checked.len() >= 4)
        };
        assert_eq!(net.events[end].iter().filter(succeeded).count(), 1);
        let story = |wanted: &IcePair| {
            let mut checked = info.checked.iter();
            let found = checked.find(|checked| checked.pair == *wanted).unwrap();
            assert!(found.nominated && found.state == "succeeded");
            let whys = found.timeline.iter().map(|step| step.why);
            whys.collect::<Vec<_>>().join(", ")
        };
        let choice = match end {
            0 => "it works, to be chosen, check sent that chooses it, it works, chosen",
            _ => "it works, chosen by the peer",
        };
        let story = story(&rtp);
        assert!(
            story.starts_with("paired, ") && story.ends_with(choice),
            "{story}"
        );
    }
    assert_eq!(net.speak(), [1, 1]);
    // Two agents of RFC 8445 need no other offer (RFC 8445, 10).
    assert!(
        net.said
            .iter()
            .flatten()
            .all(|said| !said.contains("Renegotiate"))
    );
    // RFC 7675: checks keep the way open, and packets without media do not go.
    net.run(Duration::from_secs(120));
    assert_eq!(net.speak(), [1, 1]);
}

/// BUG-24, AUS-03, RFC 8445, 5.1.2.1: one priority each, by the formula; the second interface is a candidate, too.
#[test]
fn bug_24_candidates_have_priorities_of_the_rfc() {
    let net = Net::new();
    let media = &net.descriptions[0].media[0];
    let lines: Vec<sdp::Candidate> = media
        .attributes
        .all("candidate")
        .filter_map(sdp::Candidate::read)
        .collect();
    let mut priorities: Vec<u32> = lines.iter().map(|line| line.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    assert_eq!((lines.len(), priorities.len()), (4, 4));
    assert_eq!(priorities.last(), Some(&2_130_706_431));
    assert_eq!(media.attributes.value("ice-options"), Some("ice2 trickle"));
}

/// AUS-28; RFC 8839, 4.4.1.2.2: a peer of RFC 5245 is told what was chosen, if it is not the default.
#[test]
fn aus_28_an_older_peer_is_offered_what_was_chosen() {
    let old = |end: usize, session: &mut sdp::Session| {
        if end == 1 {
            session.media[0].attributes.remove("ice-options");
        }
    };
    let mut net = Net::with(&ADDRESSES[0][..1], |_, _| {}, old);
    net.run(Duration::from_secs(10));
    assert_eq!(net.ice(0).rtp.unwrap().local, at(ADDRESSES[0][1], 40_002));
    let offers = |net: &Net, end: usize| {
        let said = net.said[end].iter();
        said.filter(|said| said.contains("Renegotiate")).count()
    };
    assert_eq!((offers(&net, 0), offers(&net, 1)), (1, 0));
    net.exchange(0);
    let offer = &net.descriptions[0];
    assert_eq!(offer.media_address(0), Some(at(ADDRESSES[0][1], 40_002)));
    assert_eq!(offer.rtcp_address(0), Some(at(ADDRESSES[0][1], 40_003)));
    let media = &offer.media[0];
    assert_eq!(media.attributes.all("candidate").count(), 2);
    assert_eq!(
        media.attributes.value("remote-candidates"),
        Some("1 198.51.100.2 40002 2 198.51.100.2 40003")
    );
    net.run(Duration::from_secs(1));
    assert_eq!(net.speak(), [1, 1]);
    assert_eq!(offers(&net, 0), 1);
}

/// RFC 8839, 4.2.5: a peer without ICE, and one whose address was changed on the way, are spoken with as
/// if there were no ICE.
#[test]
fn without_ice_and_after_a_change_on_the_way_the_described_addresses_count() {
    let bare = |_: usize, session: &mut sdp::Session| {
        for name in ["ice-ufrag", "ice-pwd", "candidate"] {
            session.media[0].attributes.remove(name);
        }
    };
    let mut net = Net::with(&[], |_, _| {}, bare);
    assert!(net.has_started(0) && net.has_started(1));
    assert_eq!(net.speak(), [1, 1]);
    assert!(!net.descriptions[1].media[0].attributes.has_ice());

    let rewritten = |end: usize, session: &mut sdp::Session| {
        if end == 0 {
            session.media[0].connections = vec![sdp::Connection::new(ADDRESSES[0][0].into())];
            session.media[0].port = 41_000;
        }
    };
    let mut net = Net::with(&[], |_, _| {}, rewritten);
    let answer = &net.descriptions[1].media[0].attributes;
    assert!(answer.has("ice-mismatch") && !answer.has("candidate"));
    assert!(net.has_started(0) && net.has_started(1));
    // What is sent to the changed address is for whoever changed it.
    assert_eq!(net.speak(), [0, 1]);
}

/// AUS-26, AUS-27: no pair works. The stream fails, unless it shall go on with what was described.
#[test]
fn aus_26_when_no_pair_works_the_stream_fails_or_falls_back() {
    let all: Vec<[u8; 4]> = ADDRESSES[0].to_vec();
    let mut net = Net::with(&all, |_, _| {}, |_, _| {});
    net.run(Duration::from_secs(60));
    for end in 0..2 {
        assert!(!net.has_started(end));
        assert_eq!(net.states(end).last(), Some(&"failed"));
        let failed = StreamOutput::Failed(StreamError::IceFailed("no pair of addresses works"));
        assert!(
            net.said[end].contains(&format!("{failed:?}")),
            "{:?}",
            net.said
        );
        let checked = net.events[end].iter().find_map(|event| match event {
            StreamEvent::IceNegotiationDidFail { checked, .. } => Some(checked),
            _ => None,
        });
        let checked = checked.expect("a failure");
        assert!(checked.len() >= 4, "{checked:#?}");
        for pair in checked {
            let whys: Vec<&str> = pair.timeline.iter().map(|step| step.why).collect();
            assert_eq!((whys[0], pair.state), ("paired", "failed"), "{whys:?}");
            let sent = whys.iter().position(|why| *why == "check sent").unwrap();
            assert!(pair.timeline.is_sorted_by_key(|step| step.after));
            let (asked, last) = (&pair.timeline[sent], pair.timeline.last().unwrap());
            match whys[sent + 1..] {
                // RFC 8489, 6.2.1: 39.5 s of silence.
                ["nobody answered"] => {
                    assert!((39.4..39.6).contains(&(last.after - asked.after)));
                }
                _ => assert_eq!(whys[sent + 1..], ["another component has no pair"]),
            }
        }
        assert!(checked.iter().any(|pair| pair.why() == "nobody answered"));
    }
    let mut net = Net::with(&all, |end, own| own.ice_fallback = end == 0, |_, _| {});
    net.run(Duration::from_secs(60));
    assert!(net.has_started(0) && !net.has_started(1));
    net.dead.clear();
    assert_eq!(net.speak(), [0, 1]);
}

/// RFC 7675, 5.1: a peer that is gone gets nothing more after 30 s. One attempt with other credentials,
/// and the call goes on over the way that is left.
#[test]
fn rfc_7675_a_lost_way_is_looked_for_once_more() {
    let mut net = Net::new();
    net.run(Duration::from_secs(2));
    net.dead.push(ADDRESSES[0][0].into());
    net.run(Duration::from_secs(37));
    assert_eq!(net.speak(), [0, 0]);
    let lost = |event: &StreamEvent| matches!(event, StreamEvent::IceNegotiationDidFail { .. });
    assert!(net.events[0].iter().any(lost), "{:?}", net.events[0]);
    assert!(net.said[0].iter().any(|said| said.contains("Renegotiate")));
    let ufrag = |net: &Net| {
        let media = &net.descriptions[0].media[0];
        media.attributes.value("ice-ufrag").map(str::to_owned)
    };
    let before = ufrag(&net);
    net.exchange(0);
    assert_ne!(before, ufrag(&net));
    net.run(Duration::from_secs(10));
    assert_eq!(net.ice(0).state, "completed");
    assert_eq!(net.ice(1).rtp.unwrap().remote, at(ADDRESSES[0][1], 40_002));
    assert_eq!(net.speak(), [1, 1]);
}

/// A re-offer of something else does not disturb the pair.
#[test]
fn a_pair_survives_hold_and_resume() {
    let mut net = Net::new();
    net.run(Duration::from_secs(2));
    let before = net.states(0).len();
    for hold in [true, false] {
        assert!(net.streams[0].set_hold(net.now, hold));
        net.exchange(0);
        net.run(Duration::from_secs(3));
    }
    assert_eq!(net.states(0).len(), before);
    assert_eq!(net.speak(), [1, 1]);
}

/// RTP-13, BUG-01: a server that does not answer and one that has no address cost time, not the stream.
#[test]
fn bug_01_silent_servers_are_not_waited_for() {
    let now = origin();
    let env = ice_env(now, 0, |settings| {
        settings.stun_servers = ["192.0.2.9", "stun.example.net"]
            .map(|host| host.parse().unwrap())
            .into();
    });
    let mut stream = AudioFactory::new()
        .create(now, env, &serde_json::Value::Null)
        .unwrap();
    stream.prepare(now, Purpose::First);
    let (mut now, mut asked, mut is_prepared) = (now, 0, false);
    for _ in 0..1_000 {
        while let Some(output) = stream.poll_output() {
            match output {
                StreamOutput::Open {
                    slot,
                    how: SlotOpen::Udp { bind, .. },
                } => {
                    let local = SocketAddr::new(bind.ip(), 40_000 + slot.0);
                    let peer = None;
                    stream.handle_input(now, StreamInput::Opened { slot, local, peer });
                }
                StreamOutput::Resolve { lookup: 0, .. } => {
                    let target = base::Target {
                        transport: base::Transport::Udp,
                        address: at([192, 0, 2, 9], 3_478),
                        name: "192.0.2.9".parse().unwrap(),
                    };
                    let result = Ok(vec![target]);
                    stream.handle_input(now, StreamInput::Resolved { lookup: 0, result });
                }
                StreamOutput::Transmit { to, .. } => {
                    assert_eq!(to, at([192, 0, 2, 9], 3_478));
                    asked += 1;
                }
                StreamOutput::Prepared => is_prepared = true,
                _ => {}
            }
        }
        match stream.poll_timeout() {
            Some(next) if !is_prepared => now = next.at,
            _ => break,
        }
        stream.handle_input(now, StreamInput::Timeout);
    }
    assert!(is_prepared && asked > 0);
    assert!(now.duration_since(origin()) < Duration::from_secs(5));
    assert!(stream.offer(now).attributes.all("candidate").count() == 4);
}

/// RFC 7675, 5.1: who has moved sends nothing from the new address before a pair of it works.
#[test]
fn rfc_7675_nothing_is_sent_between_a_move_and_the_next_pair() {
    let mut net = Net::new();
    net.run(Duration::from_secs(2));
    let local = StreamInput::LocalAddress([192, 0, 2, 9].into());
    net.streams[0].handle_input(net.now, local);
    net.sockets[0] = open(&mut net.streams[0], net.now, Purpose::Restart);
    assert_eq!(net.speak()[1], 0);
    net.exchange(0);
    net.run(Duration::from_secs(2));
    assert_eq!(net.ice(1).rtp.unwrap().remote, at([192, 0, 2, 9], 40_000));
    assert_eq!(net.speak(), [1, 1]);
}
