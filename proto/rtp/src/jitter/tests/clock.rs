//! Clocks that differ, networks that change: how the delay follows.

use super::*;

#[test]
fn a_fast_sender_is_played_faster() {
    let mut line = Line::new();
    let mut until = line.now;
    // 101 packets in the time of 100.
    for tick in 0..10_000u64 {
        line.push(tick + tick / 100);
        if tick % 100 == 99 {
            line.push(tick + tick / 100 + 1);
        }
        while until <= line.now {
            until += match line.buffer.pull(line.now) {
                Playout::Shorten { units, .. } => {
                    assert!((40..=80).contains(&units));
                    Duration::from_millis(20) - Duration::from_micros(u64::from(units) * 125)
                }
                Playout::Play(_) | Playout::Conceal { .. } | Playout::Silence => {
                    Duration::from_millis(20)
                }
            };
        }
        line.now += Duration::from_millis(20);
        assert!(line.buffer.len() <= 7, "{tick}");
    }
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.discarded, statistics.concealed), (0, 0));
    assert!(
        (180..=400).contains(&statistics.shortened),
        "{statistics:?}"
    );
    assert!(
        statistics.delay <= Duration::from_millis(120),
        "{statistics:?}"
    );
}

#[test]
fn a_player_that_does_not_shorten_loses_a_frame_now_and_then() {
    let mut line = Line::new();
    for tick in 0..10_000u64 {
        line.push(tick + tick / 100);
        if tick % 100 == 99 {
            line.push(tick + tick / 100 + 1);
        }
        line.pull();
        assert!(line.buffer.len() <= 12, "{tick}");
    }
    let statistics = line.buffer.statistics();
    assert!((80..=105).contains(&statistics.discarded), "{statistics:?}");
}

#[test]
fn a_speaker_whose_clock_stood_still_is_followed() {
    let mut line = Line::new();
    line.run((1..=20).map(Some));
    // Ten seconds of hold, and the timestamps go on where they were.
    line.now += Duration::from_secs(10);
    let played = line.run((21..=60).map(Some));
    assert!(played.ends_with("57 58 59 60 ? ? ? ? ? - -"), "{played}");
    let statistics = line.buffer.statistics();
    assert_eq!(statistics.played, 60);
    assert_eq!(statistics.delay, Duration::from_millis(60));
}

#[test]
fn what_a_network_held_back_does_not_make_the_delay_stay() {
    let mut line = Line::with(JitterConfig::new(8_000));
    line.run((1..=100).map(Some));
    // A second and a half in which nothing comes, and then all of it.
    (101..=175).for_each(|sequence| line.push(sequence));
    line.now += Duration::from_millis(20);
    for sequence in 176..1_000 {
        line.push(sequence);
        line.pull();
    }
    let statistics = line.buffer.statistics();
    assert!(
        statistics.delay <= Duration::from_millis(60),
        "{statistics:?}"
    );
}

#[test]
fn the_delay_is_that_of_the_network_within_its_limits() {
    for (least, limit, spread, expected) in [
        (0, 400, 1, 5..=5),
        (30, 400, 1, 30..=30),
        (0, 400, 40, 40..=45),
        (0, 20, 40, 20..=20),
        (0, 5_000, 40, 40..=45),
    ] {
        let mut line = Line::with(JitterConfig {
            least: Duration::from_millis(least),
            limit: Duration::from_millis(limit),
            ..JitterConfig::new(8_000)
        });
        let mut rng = Rng::from_seed([1; 32]);
        for sequence in 0..300 {
            let frame = line.frame(sequence, sequence as u32 * 160);
            let arrived = frame.arrived + Duration::from_millis(rng.below(spread).into());
            line.buffer.push(Frame { arrived, ..frame });
            line.pull();
        }
        let target = line.buffer.statistics().target.as_millis();
        assert!(expected.contains(&target), "{target}, not {expected:?}");
    }
}

#[test]
fn a_slow_sender_is_waited_for() {
    let mut line = Line::new();
    for tick in 0..5_000u64 {
        if tick % 50 != 49 {
            line.push(tick - tick / 50);
        }
        line.pull();
    }
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.late, statistics.discarded), (0, 0));
    assert!((90..=105).contains(&statistics.concealed), "{statistics:?}");
}
