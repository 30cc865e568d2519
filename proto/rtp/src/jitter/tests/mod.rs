mod clock;

use super::*;
use base::Rng;
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn start() -> Instant {
    Instant::now()
}

/// A buffer with a virtual clock that ticks every 20 ms.
struct Line {
    start: Instant,
    now: Instant,
    buffer: JitterBuffer,
}

impl Line {
    /// With a delay of 60 ms that does not follow the network: what is tested is order and time.
    fn new() -> Self {
        let depth = Duration::from_millis(60);
        Self::with(JitterConfig {
            depth,
            least: depth,
            limit: Duration::from_millis(240),
            ..JitterConfig::new(8_000)
        })
    }

    fn with(config: JitterConfig) -> Self {
        let start = start();
        Self {
            start,
            now: start,
            buffer: JitterBuffer::new(config),
        }
    }

    fn frame(&self, sequence: u64, timestamp: u32) -> Frame {
        Frame {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp,
            ssrc: 1,
            arrived: self.now,
            payload: Bytes::from_static(&[0xff; 160]),
        }
    }

    /// A frame of 20 ms in step with its number.
    fn push(&mut self, sequence: u64) {
        let frame = self.frame(sequence, sequence as u32 * 160);
        self.buffer.push(frame);
    }

    fn pull(&mut self) -> String {
        let playout = match self.buffer.pull(self.now) {
            Playout::Play(frame) => frame.sequence.to_string(),
            // The clock of this line ticks on: what is shortened is waited for.
            Playout::Shorten { frame, .. } => frame.sequence.to_string(),
            Playout::Conceal { units: 160 } => "?".to_owned(),
            Playout::Conceal { units } => format!("?{units}"),
            Playout::Silence => "-".to_owned(),
        };
        self.now += Duration::from_millis(20);
        playout
    }

    /// One packet a tick, `None` for none, and then ticks until it is silent; what is played.
    fn run(&mut self, packets: impl IntoIterator<Item = Option<u64>>) -> String {
        let mut played = Vec::new();
        for packet in packets {
            packet.into_iter().for_each(|sequence| self.push(sequence));
            played.push(self.pull());
        }
        while !played.ends_with(&["-".to_owned(), "-".to_owned()]) {
            played.push(self.pull());
        }
        played.join(" ")
    }
}

#[test]
fn speech_waits_for_the_depth_and_then_flows() {
    let mut line = Line::new();
    assert_eq!(
        line.run((1..=6).map(Some)),
        "- - - 1 2 3 4 5 6 ? ? ? ? ? - -"
    );
    assert_eq!(line.buffer.statistics().delay, Duration::from_millis(60));
    assert_eq!(line.buffer.statistics().played, 6);
}

#[test]
fn reordered_frames_are_put_in_order_and_doubled_ones_dropped() {
    let mut line = Line::new();
    let packets = [1, 3, 2, 2, 4, 6, 5, 7].map(Some);
    assert_eq!(line.run(packets), "- - - 1 2 3 4 5 6 7 ? ? ? ? ? - -");
    let statistics = line.buffer.statistics();
    assert_eq!(
        (statistics.duplicates, statistics.lost, statistics.late),
        (1, 0, 0)
    );
}

#[test]
fn the_first_to_come_need_not_be_the_first_in_order() {
    let mut line = Line::new();
    let packets = [2, 1, 3, 4, 5].map(Some);
    assert_eq!(line.run(packets), "- - 1 2 3 4 5 ? ? ? ? ? - -");
    assert_eq!(line.buffer.statistics().late, 0);
}

#[test]
fn a_frame_that_is_a_little_late_makes_the_delay_grow() {
    let mut line = Line::new();
    let packets = [
        Some(1),
        Some(2),
        None,
        Some(4),
        Some(5),
        Some(6),
        Some(3),
        Some(7),
        Some(8),
    ];
    assert_eq!(line.run(packets), "- - - 1 2 ? 3 4 5 6 7 8 ? ? ? ? ? - -");
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.lost, statistics.late), (0, 0));
    assert!(statistics.target >= Duration::from_millis(80));
}

#[test]
fn a_frame_whose_time_was_filled_is_not_played_if_the_delay_is_enough() {
    let mut line = Line::new();
    let mut played = Vec::new();
    for tick in 0..400u64 {
        // One in a hundred comes together with the next but four: far too late.
        match tick % 100 {
            50 => {}
            54 => {
                line.push(tick - 4);
                line.push(tick);
            }
            _ => line.push(tick),
        }
        played.push(line.pull());
    }
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.late, statistics.lost), (4, 4), "{played:?}");
    assert_eq!(statistics.delay, Duration::from_millis(60));
}

#[test]
fn a_loss_is_concealed_and_a_late_frame_is_not_played() {
    let mut line = Line::new();
    let packets = [
        Some(1),
        Some(2),
        None,
        Some(4),
        Some(5),
        Some(6),
        Some(7),
        Some(3),
        Some(8),
    ];
    assert_eq!(line.run(packets), "- - - 1 2 ? 4 5 6 7 8 ? ? ? ? ? - -");
    let statistics = line.buffer.statistics();
    assert_eq!(
        (statistics.lost, statistics.late, statistics.played),
        (1, 1, 7)
    );
}

#[test]
fn a_gap_in_the_timestamps_is_silence() {
    let mut line = Line::new();
    line.run((1..=4).map(Some));
    let concealed = line.buffer.statistics().concealed;
    // The next number, two seconds later on the speaker's clock.
    line.now = line.start + Duration::from_millis(2_080);
    for sequence in 5..=6u64 {
        let frame = line.frame(sequence, sequence as u32 * 160 + 16_000);
        line.buffer.push(Frame {
            marker: sequence == 5,
            ..frame
        });
        assert_eq!(line.pull(), "-");
    }
    assert_eq!([line.pull(), line.pull(), line.pull()], ["-", "5", "6"]);
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.lost, statistics.concealed), (0, concealed));
    assert_eq!(statistics.delay, Duration::from_millis(60));
}

#[test]
fn a_short_silence_is_kept() {
    let mut line = Line::new();
    let mut played = String::new();
    for tick in 0..11u64 {
        match tick {
            0..4 => line.push(tick),
            // Forty milliseconds of silence, the next packet in sequence.
            6 => {
                let frame = line.frame(4, 6 * 160);
                line.buffer.push(frame);
            }
            _ => {}
        }
        played += &line.pull();
        played.push(' ');
    }
    assert_eq!(played, "- - - 0 1 2 3 - - 4 ? ");
}

#[test]
fn what_was_concealed_in_advance_is_not_concealed_again() {
    let mut line = Line::new();
    let packets = (1..=4).map(Some).chain([None; 4]).chain((8..=12).map(Some));
    assert_eq!(
        line.run(packets),
        "- - - 1 2 3 4 ? ? ? 8 9 10 11 12 ? ? ? ? ? - -"
    );
    assert_eq!(line.buffer.statistics().lost, 3);
}

#[test]
fn a_short_silence_is_no_long_packet() {
    let mut line = Line::new();
    for (sequence, timestamp) in [(1, 160), (2, 320), (3, 480), (4, 1_280), (6, 1_600)] {
        line.now = line.start + Duration::from_millis(u64::from(timestamp - 160) / 8);
        let frame = line.frame(sequence, timestamp);
        line.buffer.push(frame);
    }
    line.now = line.start + Duration::from_millis(60);
    let played: Vec<String> = (0..10).map(|_| line.pull()).collect();
    assert_eq!(played.join(" "), "1 2 3 - - - - 4 ? 6");
}

#[test]
fn comfort_noise_is_handed_on_and_followed_by_silence() {
    let mut line = Line::new();
    line.push(1);
    let noise = line.frame(2, 320);
    line.buffer.push(Frame {
        payload_type: COMFORT_NOISE,
        ..noise
    });
    line.now += Duration::from_millis(60);
    assert_eq!([line.pull(), line.pull(), line.pull()], ["1", "2", "-"]);
    assert_eq!(line.buffer.statistics().concealed, 0);
}

#[test]
fn placeholders_take_a_number_and_no_time() {
    let mut line = Line::new();
    let packets = (1..=10u64).map(|sequence| {
        let frame = line.frame(sequence, sequence as u32 * 160);
        // Events instead of speech from 3 to 6.
        let payload = if (3..=6).contains(&sequence) {
            Bytes::new()
        } else {
            frame.payload
        };
        Frame { payload, ..frame }
    });
    let mut played = Vec::new();
    for frame in packets.collect::<Vec<_>>() {
        line.buffer.push(Frame {
            arrived: line.now,
            ..frame
        });
        played.push(line.pull());
    }
    played.extend((0..3).map(|_| line.pull()));
    assert_eq!(played.join(" "), "- - - 1 2 - - - - 7 8 9 10");
    assert_eq!(line.buffer.statistics().lost, 0);
}

#[test]
fn a_burst_of_loss_is_concealed_for_a_while() {
    let mut line = Line::new();
    let packets = (1..=4)
        .map(Some)
        .chain((5..=14).map(|_| None))
        .chain((15..=18).map(Some));
    assert_eq!(
        line.run(packets),
        "- - - 1 2 3 4 ? ? ? ? ? - - - - - 15 16 17 18 ? ? ? ? ? - -"
    );
    assert_eq!(line.buffer.statistics().lost, 10);
}

#[test]
fn frames_of_any_length_are_played() {
    for ms in [10u32, 30, 60, 120] {
        let mut line = Line::new();
        let mut played = Vec::new();
        let mut free_at = line.now;
        for tick in 0..200u32 {
            if tick * 10 % ms == 0 && tick < 150 {
                let number = tick * 10 / ms;
                let frame = line.frame(u64::from(number), number * ms * 8);
                line.buffer.push(frame);
            }
            if line.now >= free_at {
                match line.buffer.pull(line.now) {
                    Playout::Play(frame) | Playout::Shorten { frame, .. } => {
                        played.push(frame.sequence);
                        free_at = line.now + Duration::from_millis(u64::from(ms));
                    }
                    Playout::Conceal { units } => {
                        free_at = line.now + Duration::from_millis(u64::from(units / 8))
                    }
                    Playout::Silence => free_at = line.now + Duration::from_millis(10),
                }
            }
            line.now += Duration::from_millis(10);
        }
        assert_eq!(
            played,
            (0..u64::from(1_500u32.div_ceil(ms))).collect::<Vec<_>>(),
            "{ms}"
        );
        assert_eq!(line.buffer.statistics().lost, 0);
    }
}

#[test]
fn another_source_is_followed_from_its_first_packet_on() {
    let mut line = Line::new();
    let mut played = Vec::new();
    for tick in 0..12u64 {
        let frame = line.frame(tick, tick as u32 * 160);
        let frame = match tick {
            0..5 => frame,
            _ => Frame {
                ssrc: 2,
                sequence: 70_000 + tick,
                timestamp: 0x9000_0000 + tick as u32 * 160,
                ..frame
            },
        };
        line.buffer.push(frame);
        played.push(line.pull());
    }
    assert_eq!(played.join(" "), "- - - 0 1 2 3 4 70005 70006 70007 70008");
    let statistics = line.buffer.statistics();
    assert_eq!(
        (statistics.switches, statistics.lost, statistics.stray),
        (1, 0, 0)
    );
}

#[test]
fn a_restart_of_the_sequence_loses_nothing() {
    for first in [3u64, 200_000] {
        let mut line = Line::new();
        let packets = (50_000..50_004).chain(first..first + 8);
        let played = line.run(packets.map(Some));
        let all: Vec<String> = (50_000..50_004)
            .chain(first..first + 8)
            .map(|sequence| sequence.to_string())
            .collect();
        let heard: Vec<&str> = played
            .split(' ')
            .filter(|text| text.parse::<u64>().is_ok())
            .collect();
        assert_eq!(heard, all);
    }
}

#[test]
fn a_jump_of_the_timestamp_loses_nothing() {
    for jump in [1_000_000u32, 0xf000_0000] {
        let mut line = Line::new();
        let mut heard = Vec::new();
        for tick in 0..30u64 {
            if tick < 20 {
                let timestamp = tick as u32 * 160;
                let timestamp = if tick < 10 {
                    timestamp
                } else {
                    timestamp.wrapping_add(jump)
                };
                let frame = line.frame(tick, timestamp);
                line.buffer.push(frame);
            }
            heard.push(line.pull());
        }
        let heard: Vec<u64> = heard.iter().filter_map(|text| text.parse().ok()).collect();
        assert_eq!(heard, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_stray_packet_is_not_played() {
    let mut line = Line::new();
    let mut played = Vec::new();
    for tick in 0..12u64 {
        line.push(tick);
        if tick % 3 == 2 {
            let frame = line.frame(tick, 0);
            line.buffer.push(Frame {
                ssrc: 100 + tick as u32,
                ..frame
            });
        }
        played.push(line.pull());
    }
    assert_eq!(played.join(" "), "- - - 0 1 2 3 4 5 6 7 8");
    assert_eq!(line.buffer.statistics().switches, 0);
}

#[test]
fn two_who_speak_at_once_do_not_take_turns() {
    let mut line = Line::new();
    for tick in 0..100u64 {
        line.push(tick);
        let frame = line.frame(tick, 0);
        line.buffer.push(Frame { ssrc: 2, ..frame });
        line.pull();
    }
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.switches, statistics.played), (0, 97));
}

#[test]
fn a_player_that_stops_does_not_grow_the_buffer() {
    let mut line = Line::new();
    for tick in 0..1_000 {
        line.push(tick);
        line.now += Duration::from_millis(20);
    }
    assert_eq!(line.buffer.len(), CAPACITY);
    line.pull();
    assert!(
        line.pull()
            .parse::<u64>()
            .is_ok_and(|sequence| sequence >= 990)
    );
}

proptest! {
    /// Whatever loss, delay, doubling and reordering: each frame at most once, in order, and all of
    /// them are accounted for.
    #[test]
    fn each_frame_at_most_once_and_in_order(seed: [u8; 32], loss in 0u32..50, delay in 0u32..200, doubled in 0u32..30) {
        let mut rng = Rng::from_seed(seed);
        let mut line = Line::new();
        let mut flying: Vec<(u64, u64)> = Vec::new();
        let mut heard: Vec<u64> = Vec::new();
        for tick in 0..400u64 {
            if tick < 300 && rng.below(100) >= loss {
                for _ in 0..=u32::from(rng.below(100) < doubled) {
                    flying.push((tick * 20 + u64::from(rng.below(delay + 1)), tick));
                }
            }
            flying.sort_unstable();
            let due = flying.partition_point(|&(at, _)| at <= tick * 20);
            flying.drain(..due).for_each(|(_, sequence)| line.push(sequence));
            heard.extend(line.pull().parse::<u64>());
        }
        prop_assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", heard);
        let statistics = line.buffer.statistics();
        prop_assert_eq!(statistics.played, heard.len() as u64);
        prop_assert_eq!(statistics.switches, 0);
        // Every number up to the last one played was played, discarded or lost.
        if let (Some(first), Some(last)) = (heard.first(), heard.last()) {
            let numbers = last - first + 1;
            prop_assert!(statistics.played + statistics.lost + statistics.discarded >= numbers);
            prop_assert!(line.buffer.is_empty());
        }
        if delay <= 40 && loss == 0 {
            prop_assert_eq!(statistics.lost, 0);
        }
    }

    /// Frames that mean nothing at all: no panic, and the buffer stays small.
    #[test]
    fn noise_is_bounded(frames in prop::collection::vec((any::<u64>(), any::<u32>(), 0u32..3, 0u8..3), 0..300)) {
        let mut line = Line::new();
        for (sequence, timestamp, ssrc, kind) in frames {
            let frame = line.frame(if kind == 0 { sequence } else { sequence % 64 }, timestamp);
            let payload = if kind == 1 { Bytes::new() } else { frame.payload.clone() };
            line.buffer.push(Frame { ssrc, payload, ..frame });
            line.pull();
            prop_assert!(line.buffer.len() <= CAPACITY);
        }
    }
}
