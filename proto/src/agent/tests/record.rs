//! Recording and replay.

use super::{World, config, origin};
use crate::agent::{ReplayError, replay};
use std::time::Duration;

fn recording() -> Vec<u8> {
    let mut world = World::new(vec![config(1), config(2)]);
    world.run(Duration::from_secs(1));
    let to: sip::Uri = "sip:bob@10.0.0.2".parse().unwrap();
    let _ = world.command(0, |agent, now| agent.options(now, to));
    world.command(0, |agent, now| agent.set_trace(now, true));
    let to: sip::Uri = "sip:bob@10.0.0.2;transport=tcp".parse().unwrap();
    let _ = world.command(0, |agent, now| agent.options(now, to));
    world.run(Duration::from_secs(60));
    world.command(0, |agent, now| agent.shutdown(now));
    world.run(Duration::from_secs(60));
    std::mem::take(&mut world.hosts[0].record)
}

#[test]
fn a_recording_replays_equal() {
    let recording = recording();
    let first = String::from_utf8_lossy(&recording);
    assert!(first.starts_with(r#"{"sipsimple_recording":1,"secret":"This recording holds"#));
    // Another origin: nothing may depend on the absolute moment.
    let report = replay(origin() + Duration::from_secs(7), &recording, Vec::new()).unwrap();
    assert_eq!(report.difference, None);
    assert_eq!(report.commands, 4);
    assert!(report.inputs > 3 && report.outputs > 10, "{report:?}");
}

#[test]
fn every_changed_output_is_found() {
    let recording = recording();
    let text = String::from_utf8(recording).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("\"out\":"))
    {
        let mut changed: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        changed[index] = line.replacen("{\"t\":", "{\"t\":1", 1);
        let report = replay(origin(), changed.join("\n").as_bytes(), Vec::new()).unwrap();
        let difference = report.difference.unwrap();
        assert_eq!(difference.line, index + 1);
        assert_eq!(
            difference.recorded.as_deref(),
            Some(changed[index].as_str())
        );
        assert_eq!(difference.replayed.as_deref(), Some(*line));
    }
}

#[test]
fn outputs_too_many_or_too_few_are_found() {
    let recording = recording();
    let text = String::from_utf8(recording).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().unwrap();
    let report = replay(origin(), lines.join("\n").as_bytes(), Vec::new()).unwrap();
    let difference = report.difference.unwrap();
    assert_eq!(
        (difference.recorded, difference.replayed.as_deref()),
        (None, Some(last))
    );
    lines.extend([last, last]);
    let report = replay(origin(), lines.join("\n").as_bytes(), Vec::new()).unwrap();
    let difference = report.difference.unwrap();
    assert_eq!(
        (difference.recorded.as_deref(), difference.replayed),
        (Some(last), None)
    );
}

#[test]
fn what_is_no_recording_is_refused() {
    let text = String::from_utf8(recording()).unwrap();
    let run = |text: &str| replay(origin(), text.as_bytes(), Vec::new()).unwrap_err();
    assert_eq!(run(""), ReplayError::NotARecording);
    assert_eq!(run("{}"), ReplayError::NotARecording);
    let other = text.replacen("recording\":1", "recording\":2", 1);
    assert_eq!(run(&other), ReplayError::Version(2));
    let first = text.lines().next().unwrap();
    assert_eq!(run(&format!("{first}\nx")), ReplayError::BadLine(2));
}
