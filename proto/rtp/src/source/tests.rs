use super::*;
use proptest::prelude::*;

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn start() -> Instant {
    Instant::now()
}

struct Ear {
    now: Instant,
    source: Source,
}

impl Ear {
    fn new() -> Self {
        let now = start();
        Self {
            now,
            source: Source::new(now, 1),
        }
    }

    /// A packet every 20 ms, its timestamp in step with its number.
    fn hear(&mut self, sequence: u16) -> u64 {
        self.now += Duration::from_millis(20);
        self.source.handle_media(Arrival {
            now: self.now,
            sequence,
            timestamp: u32::from(sequence) * 160,
            clock_rate: 8_000,
            bytes: 160,
        })
    }

    fn block(&mut self) -> ReportBlock {
        self.source.report_block(self.now).unwrap()
    }
}

#[test]
fn numbers_go_on_behind_the_last_of_a_cycle() {
    let mut ear = Ear::new();
    let numbers: Vec<u64> = [65_534, 65_535, 0, 1, 65_533]
        .map(|sequence| ear.hear(sequence))
        .into();
    let first = numbers[0];
    assert_eq!(numbers, [first, first + 1, first + 2, first + 3, first - 1]);
    assert_eq!(ear.block().highest_sequence, (1 << 16) + 1);
    assert_eq!(ear.source.counts().lost, 0);
}

#[test]
fn loss_duplicates_and_reordering_are_told_apart() {
    let mut ear = Ear::new();
    for sequence in [10, 11, 13, 12, 12, 16] {
        ear.hear(sequence);
    }
    let counts = ear.source.counts();
    assert_eq!(
        (counts.lost, counts.duplicates, counts.reordered),
        (2, 1, 1)
    );
    // RFC 3550, A.3 counts the doubled one as received.
    let block = ear.block();
    assert_eq!((block.cumulative_lost, block.fraction_lost), (1, 36));
    // The next interval: 17 to 20, of which one came.
    ear.hear(20);
    assert_eq!(ear.block().fraction_lost, 192);
    assert_eq!(ear.block().fraction_lost, 0);
}

#[test]
fn duplicates_outnumber_losses() {
    let mut ear = Ear::new();
    for sequence in [1, 1, 1, 2] {
        ear.hear(sequence);
    }
    let block = ear.block();
    assert_eq!((block.cumulative_lost, block.fraction_lost), (-2, 0));
}

#[test]
fn a_restart_loses_no_packet_and_adds_no_loss() {
    let mut ear = Ear::new();
    let before = ear.hear(99).max(ear.hear(101));
    let first = ear.hear(40_000);
    let second = ear.hear(40_001);
    assert!(first > before + 3_000);
    assert_eq!(second, first + 1);
    assert_eq!(ear.hear(40_002), first + 2);
    let counts = ear.source.counts();
    // The loss from before stays in the total, and only there.
    assert_eq!((counts.lost, counts.restarts, counts.packets), (1, 1, 5));
    let block = ear.block();
    assert_eq!((block.highest_sequence, block.cumulative_lost), (40_002, 0));
}

#[test]
fn a_restart_is_seen_through_a_loss_and_a_swap() {
    for order in [[40_000, 40_002], [40_002, 40_000], [65_535, 1]] {
        let mut ear = Ear::new();
        ear.hear(20_000);
        let pair = order.map(|sequence| ear.hear(sequence));
        assert_eq!(
            pair[1].wrapping_sub(pair[0]) as i64,
            i64::from(order[1].wrapping_sub(order[0]) as i16)
        );
        assert_eq!(ear.source.counts().restarts, 1);
        assert_eq!(ear.source.counts().lost, 1);
    }
}

#[test]
fn a_stray_packet_changes_nothing() {
    let mut ear = Ear::new();
    let first = ear.hear(100);
    ear.hear(40_000);
    assert_eq!(ear.hear(101), first + 1);
    // The same number again is a stray one anew, not the second of a restart.
    ear.hear(40_001);
    assert_eq!(ear.hear(102), first + 2);
    let counts = ear.source.counts();
    assert_eq!((counts.restarts, counts.lost, counts.duplicates), (0, 0, 0));
}

#[test]
fn packets_without_media_are_no_loss() {
    let mut ear = Ear::new();
    let first = ear.hear(1);
    assert_eq!(ear.source.handle_placeholder(ear.now, 2), Some(first + 1));
    assert_eq!(ear.hear(3), first + 2);
    assert_eq!(ear.source.handle_placeholder(ear.now, 30_000), None);
    assert_eq!(ear.hear(4), first + 3);
    let counts = ear.source.counts();
    assert_eq!((counts.lost, counts.packets, counts.restarts), (0, 3, 0));
    assert_eq!(ear.block().cumulative_lost, 0);
}

#[test]
fn a_member_is_who_sends_two_in_sequence() {
    let mut ear = Ear::new();
    ear.hear(1);
    assert!(!ear.source.valid);
    ear.hear(3);
    assert!(!ear.source.valid);
    ear.hear(4);
    assert!(ear.source.valid);
}

#[test]
fn the_report_says_how_old_the_last_report_is() {
    let mut ear = Ear::new();
    ear.hear(1);
    let block = ear.block();
    assert_eq!((block.last_sender_report, block.delay), (0, 0));
    ear.source
        .handle_sender_report(ear.now, 0x1122_3344_5566_7788);
    ear.now += Duration::from_millis(1_500);
    let block = ear.block();
    assert_eq!(
        (block.last_sender_report, block.delay),
        (0x3344_5566, 0x0001_8000)
    );
}

#[test]
fn a_jump_of_the_timestamp_is_no_jitter() {
    let mut ear = Ear::new();
    (0..50).for_each(|sequence| _ = ear.hear(sequence));
    assert_eq!(ear.source.jitter(), 0.0);
    ear.now += Duration::from_millis(40);
    ear.hear(50);
    let late = ear.source.jitter();
    assert!((late - 0.040 / 16.0).abs() < 1e-9, "{late}");
    let arrival = Arrival {
        now: ear.now,
        sequence: 51,
        timestamp: 0x8000_0000,
        clock_rate: 8_000,
        bytes: 1,
    };
    ear.source.handle_media(arrival);
    assert_eq!(ear.source.jitter(), late);
}

/// RFC 7160, 4.3: the difference is taken on the clock of the earlier packet.
#[test]
fn jitter_survives_a_change_of_the_clock_rate() {
    let mut ear = Ear::new();
    (0..10).for_each(|sequence| _ = ear.hear(sequence));
    ear.now += Duration::from_millis(16);
    ear.hear(10);
    let before = ear.source.jitter();
    ear.now += Duration::from_millis(20);
    let arrival = Arrival {
        now: ear.now,
        sequence: 11,
        timestamp: 11 * 160,
        clock_rate: 16_000,
        bytes: 1,
    };
    ear.source.handle_media(arrival);
    assert!((ear.source.jitter() - before * 15.0 / 16.0).abs() < 1e-9);
    assert_eq!(ear.block().jitter, (before * 15.0 / 16.0 * 16_000.0) as u32);
}

proptest! {
    /// Whatever order, loss and doubling the network adds within its usual range, the extended number
    /// is the one that the sender had in mind.
    #[test]
    fn extension_agrees_with_the_sender(
        first: u16,
        steps in prop::collection::vec((0u64..200, 0u64..100), 1..300),
    ) {
        let mut ear = Ear::new();
        let origin = ear.hear(first);
        let mut sent = 0u64;
        let mut highest = 0u64;
        for (ahead, behind) in steps {
            sent += ahead;
            let number = sent.saturating_sub(behind);
            // Only what the receiver can know: no more than 100 behind the highest that it heard.
            if number + 100 >= highest {
                highest = highest.max(number);
                prop_assert_eq!(ear.hear(first.wrapping_add(number as u16)), origin + number);
            }
        }
        let counts = ear.source.counts();
        prop_assert!(counts.lost <= highest);
        prop_assert_eq!(counts.restarts, 0);
    }

    #[test]
    fn no_sequence_of_numbers_breaks_the_counts(sequences in prop::collection::vec(any::<u16>(), 1..400)) {
        let mut ear = Ear::new();
        for (at, sequence) in sequences.into_iter().enumerate() {
            if at % 3 == 0 {
                ear.source.handle_placeholder(ear.now, sequence.wrapping_add(7));
            }
            ear.hear(sequence);
            if at % 5 == 0 {
                ear.block();
            }
        }
        prop_assert!(ear.source.jitter() >= 0.0);
    }
}
