//! Recording and replay.

use super::{
    World, config, origin,
    stream::{Knock, ProbeFactory},
};
use crate::{
    agent::{Connect, Input, ReplayError, UserAgent, replay},
    stream::StreamSpec,
};
use std::time::Duration;

fn recording() -> Vec<u8> {
    let mut world = World::new(vec![config(1), config(2)]);
    world.run(Duration::from_secs(1));
    let to: sip::Uri = "sip:bob@10.0.0.2".parse().unwrap();
    let _ = world.command(0, |agent, now| agent.options(now, None, to));
    world.command(0, |agent, now| agent.set_trace(now, true));
    let to: sip::Uri = "sip:bob@10.0.0.2;transport=tcp".parse().unwrap();
    let _ = world.command(0, |agent, now| agent.options(now, None, to));
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

#[test]
fn a_command_that_its_stream_does_not_know_is_said() {
    let mut configs = vec![config(1), config(2)];
    configs[0].factories.push(Box::new(ProbeFactory));
    let mut world = World::new(configs);
    world.run(Duration::from_secs(1));
    let to = "sip:bob@10.0.0.2".parse().unwrap();
    let call = Connect::new(to, vec![StreamSpec::new("probe")]);
    let session = world
        .command(0, |agent, now| agent.connect(now, call))
        .unwrap();
    let stream = world.hosts[0].agent.session(session).unwrap().streams[0];
    world
        .command(0, |agent, now| agent.command(now, stream, Knock(41)))
        .unwrap();
    let text = String::from_utf8(world.hosts[0].record.clone()).unwrap();
    let line = 1 + text
        .lines()
        .position(|line| line.contains(r#""command":41"#))
        .unwrap();
    let changed = text.replace(r#""command":41"#, r#""command":"dance""#);
    let run = |text: &str| replay(origin(), text.as_bytes(), vec![Box::new(ProbeFactory)]);
    assert_eq!(run(&text).unwrap().difference, None);
    assert_eq!(
        run(&changed).unwrap_err(),
        ReplayError::UnknownCommand(line)
    );
}

#[test]
fn a_recording_that_nobody_fetches_stops_at_its_limit() {
    let mut config = config(1);
    config.limits.record = 4_000;
    let mut agent = UserAgent::new(origin(), config);
    for _ in 0..1_000 {
        agent.handle_input(origin(), Input::Timeout);
    }
    let record = agent.take_record();
    assert!((4_000..4_100).contains(&record.len()), "{}", record.len());
    agent.handle_input(origin(), Input::Timeout);
    assert!(
        agent.take_record().is_empty(),
        "a recording with a hole is none"
    );
}
