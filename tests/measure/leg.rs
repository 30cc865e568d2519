//! The legs of audio that one agent has: calls that stand, with speech both ways.

use super::heap;
use bytes::Bytes;
use simulator::{Habit, Phone};
use sipsimple::{
    agent::{Class, Config, Connect, MediaFrame, StreamId},
    event::{Event, StreamEvent},
    stream::{StreamSpec, audio::AudioFactory},
};
use std::time::{Duration, Instant};

/// The bytes of heap that one of `count` calls with audio takes where it was made, and where it came: PCMU, a
/// second into the conversation, when packets that were late have come all at once and wait to be played.
pub(crate) fn weigh(count: usize) -> [isize; 2] {
    let mut line = Line::new(count);
    for _ in 0..count {
        line.call();
    }
    for _ in 0..50 {
        line.speak();
        line.deliver();
    }
    assert!(line.streams.iter().all(|streams| streams.len() == count));
    // What is late when it comes makes buffers deep.
    for _ in 0..LATE {
        line.speak();
    }
    line.deliver();
    line.phones.map(|phone| {
        let agent = phone.into_agent();
        let before = heap::live();
        drop(agent);
        (before - heap::live()) / count as isize
    })
}

/// Two agents, and whatever they send between them.
struct Line {
    phones: [Phone; 2],
    /// The streams of each that have started.
    streams: [Vec<StreamId>; 2],
    time: u32,
}

impl Line {
    fn new(count: usize) -> Self {
        let now = Instant::now();
        let phone = |n: u8| {
            let mut config = Config::new([n; 32], Duration::from_secs(1_795_000_000));
            config.addresses = vec![[192, 0, 2, n].into()];
            config.udp_port = Some(5060);
            config.factories = vec![Box::new(AudioFactory::new())];
            config.limits.sessions = count;
            config.media.codecs.retain(|codec| codec.name == "PCMU");
            let mut phone = Phone::new(now, config);
            phone.habit = Habit::Accept;
            phone
        };
        Self {
            phones: [1, 2].map(phone),
            streams: [Vec::new(), Vec::new()],
            time: 0,
        }
    }

    fn call(&mut self) {
        let to = "sip:bob@192.0.2.2".parse().expect("a URI");
        let call = Connect::new(to, vec![StreamSpec::new("audio")]);
        let made = self.phones[0].command(|agent, now| agent.connect(now, call));
        made.expect("within the limits");
        self.deliver();
    }

    /// 20 ms, in which every stream that has started says something.
    fn speak(&mut self) {
        self.time += 160;
        let payload = Bytes::from_static(&[0xff; 160]);
        for (phone, streams) in self.phones.iter_mut().zip(&self.streams) {
            phone.wait(Duration::from_millis(20));
            for &stream in streams {
                let frame = MediaFrame::new(0, self.time, payload.clone());
                let said = phone.command(|agent, now| agent.write_media(now, stream, frame));
                said.expect("a stream that may send");
            }
        }
    }

    /// Carries what was sent to the other end, until nobody answers.
    fn deliver(&mut self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for end in 0..2 {
                for parcel in self.phones[end].take_parcels() {
                    assert!(matches!(parcel.class, Class::Signalling | Class::Voice));
                    let from = self.phones[end].local(parcel.link).expect("an open socket");
                    self.phones[1 - end].arrive_at(parcel.to, from, &parcel.payload);
                    is_quiet = false;
                }
            }
        }
        for (phone, streams) in self.phones.iter_mut().zip(&mut self.streams) {
            streams.extend(
                phone
                    .take_events()
                    .into_iter()
                    .filter_map(|event| match event {
                        Event::Stream(id, StreamEvent::DidStart) => Some(id),
                        _ => None,
                    }),
            );
        }
    }
}

/// Packets that come together: 200 ms of speech.
const LATE: usize = 10;
