//! Media that come before the answer to an offer of ours (RFC 3264, 5.1).

use super::*;
use crate::stream::Discarded;

/// A caller that has offered, and a callee whose answer has left and is still on its way.
struct Waiting {
    now: Instant,
    streams: [Box<dyn MediaStream>; 2],
    descriptions: [sdp::Session; 2],
}

impl Waiting {
    fn new(encryption: Encryption, is_muxed: bool) -> Self {
        let now = origin();
        let own = |end: usize| {
            let mut env = env(now, end, &["PCMU"]);
            let mut settings = MediaSettings::clone(&env.settings);
            settings.encryption = encryption;
            settings.rtcp_mux = is_muxed;
            env.settings = Arc::new(settings);
            env
        };
        let factory = AudioFactory::new();
        let null = &serde_json::Value::Null;
        let mut caller = factory.create(now, own(0), null).unwrap();
        open(&mut caller, now, 0);
        let offer = assemble(0, caller.offer(now));
        let Offered::Taken(mut callee) = factory.from_sdp(now, own(1), &offer, 0) else {
            panic!("not taken");
        };
        open(&mut callee, now, 1);
        let answer = assemble(1, callee.answer(now, &offer, 0).unwrap());
        let mut waiting = Self {
            now,
            streams: [caller, callee],
            descriptions: [offer, answer],
        };
        waiting.start(1);
        waiting.streams[1].handle_input(now, StreamInput::Verified);
        waiting
    }

    fn start(&mut self, end: usize) {
        let agreed = Agreement {
            branch: DialogId::from_parts(0, 0),
            local: &self.descriptions[end],
            remote: &self.descriptions[1 - end],
            index: 0,
            is_confidential: true,
            is_early: false,
        };
        self.streams[end].start(self.now, agreed);
    }

    /// The callee says a frame every 20 ms, and the caller gets its packets.
    fn speak(&mut self, frames: u32) {
        for n in 0..frames {
            let frame = Frame {
                payload_type: 0,
                marker: n == 0,
                sequence: 0,
                timestamp: n * 160,
                ssrc: 0,
                arrived: self.now,
                payload: Bytes::from(vec![n as u8; 160]),
            };
            self.streams[1].handle_input(self.now, StreamInput::Media(frame));
            while let Some(output) = self.streams[1].poll_output() {
                if let StreamOutput::Transmit { slot, payload, .. } = output {
                    self.hear(slot, &payload);
                }
            }
            self.now += Duration::from_millis(20);
        }
    }

    fn hear(&mut self, slot: Slot, payload: &[u8]) {
        let input = StreamInput::Datagram {
            slot,
            from: address(1, slot.0),
            payload: payload.into(),
        };
        self.streams[0].handle_input(self.now, input);
    }

    /// What the caller says.
    fn said(&mut self) -> Vec<StreamOutput> {
        std::iter::from_fn(|| self.streams[0].poll_output()).collect()
    }
}

fn frames(said: &[StreamOutput]) -> Vec<&Frame> {
    let frames = said.iter().filter_map(|output| match output {
        StreamOutput::Media(frame) => Some(frame),
        _ => None,
    });
    frames.collect()
}

/// RFC 3264, 5.1; RFC 4568, 5.1.1: what the callee says before its answer is here waits for it, and is opened
/// with the keys and played at the times that it came at.
#[test]
fn aus_01_media_before_the_answer_wait_for_it() {
    for (encryption, is_muxed) in [
        (Encryption::Off, false),
        (Encryption::Off, true),
        (Encryption::SdesOptional, false),
        (Encryption::SdesMandatory, true),
    ] {
        let mut waiting = Waiting::new(encryption, is_muxed);
        let begun = waiting.now;
        waiting.speak(10);
        assert!(frames(&waiting.said()).is_empty(), "nothing is known yet");
        waiting.start(0);
        let said = waiting.said();
        let heard = frames(&said);
        let first: Vec<u8> = heard.iter().map(|frame| frame.payload[0]).collect();
        assert_eq!(first, (0..10).collect::<Vec<u8>>(), "{encryption:?}");
        let late = |n: usize| heard[n].arrived - begun;
        assert_eq!(
            (late(0), late(9)),
            (Duration::ZERO, Duration::from_millis(180))
        );
        waiting.speak(5);
        assert_eq!(frames(&waiting.said()).len(), 5);
        let stream = audio(waiting.streams[0].as_ref());
        assert_eq!(stream.early_lost(), 0);
        assert!(stream.was_received());
        assert_eq!(stream.remote_address_received(), Some(address(1, 0)));
        let statistics = stream.statistics().unwrap();
        assert_eq!(
            (statistics.packets_received, statistics.packets_lost),
            (15, 0)
        );
        let discarded = stream
            .encryption()
            .map_or_else(Discarded::default, |info| info.discarded);
        assert_eq!(discarded, Discarded::default());
    }
}

/// What waits is bounded: the latest 32 packets, which are media, and are no larger than media are.
#[test]
fn aus_01_few_packets_wait_and_the_rest_is_counted() {
    let mut waiting = Waiting::new(Encryption::Off, false);
    waiting.speak(40);
    waiting.hear(Slot(0), &[0x80; 4_000]);
    waiting.hear(Slot(0), b"noise");
    waiting.hear(Slot(1), &[0x80; 200]);
    waiting.start(0);
    let said = waiting.said();
    let first: Vec<u8> = frames(&said).iter().map(|frame| frame.payload[0]).collect();
    assert_eq!(first, (8..40).collect::<Vec<u8>>());
    assert_eq!(audio(waiting.streams[0].as_ref()).early_lost(), 8);
}

/// Nothing that waited is believed more than what comes later: without the key of the answer it is none.
#[test]
fn rtp_08_what_waited_is_judged_like_the_rest() {
    let mut waiting = Waiting::new(Encryption::SdesMandatory, false);
    let header = rtp::Header {
        marker: false,
        payload_type: 0,
        sequence: 1,
        timestamp: 160,
        ssrc: 7,
    };
    let mut packet = BytesMut::new();
    rtp::Packet::new(header, &[7; 160]).write(&mut packet);
    for _ in 0..5 {
        waiting.hear(Slot(0), &packet);
    }
    waiting.start(0);
    assert!(frames(&waiting.said()).is_empty());
    let stream = audio(waiting.streams[0].as_ref());
    assert_eq!(stream.encryption().unwrap().discarded.forged, 5);
    assert!(!stream.was_received());
    // A stream that has offered nothing keeps nothing.
    let now = waiting.now;
    let mut idle = Waiting::new(Encryption::Off, false);
    let mut fresh = AudioFactory::new()
        .create(now, env(now, 0, &["PCMU"]), &serde_json::Value::Null)
        .unwrap();
    open(&mut fresh, now, 0);
    idle.streams[0] = fresh;
    idle.speak(5);
    idle.start(0);
    assert!(frames(&idle.said()).is_empty());
}
