//! The file of a stream that is recorded: written by the mixer, by the rules that the stream keeps.

use crate::runtime::Runtime;
use audio::{BridgeId, Engine, PortId, wave::Recorder};
use sipsimple::{
    agent::StreamId,
    stream::audio::{AudioStream, Record},
};
use std::path::PathBuf;

/// Records what a bridge says into a file; the port that does.
pub(crate) fn start(
    runtime: &Runtime,
    engine: &Engine,
    stream: StreamId,
    path: PathBuf,
    bridge: BridgeId,
) -> Result<PortId, String> {
    let filename = path.to_string_lossy().into_owned();
    let begin = Record::Start {
        filename: Some(filename),
    };
    say(runtime, stream, begin)?;
    let started = write(engine, path, bridge);
    let told = match &started {
        Ok(_) => Record::DidStart,
        Err(reason) => Record::DidFail {
            reason: reason.clone(),
        },
    };
    say(runtime, stream, told)?;
    let port = started?;
    follow(runtime, engine, stream, port);
    Ok(port)
}

fn write(engine: &Engine, path: PathBuf, bridge: BridgeId) -> Result<PortId, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let rate = engine.call(|mixer| mixer.rate());
    let mut recorder = Recorder::new(path, rate.map_err(|error| text(&error))?);
    recorder.start().map_err(|error| text(&error))?;
    let attached = engine.attach(recorder, &[bridge]);
    attached.map_err(|error| text(&error))
}

/// Writes while nobody holds, and only then (AUS-06).
pub(crate) fn follow(runtime: &Runtime, engine: &Engine, stream: StreamId, port: PortId) {
    let is_paused = runtime.call(move |agent, _| {
        let recording = agent.stream::<AudioStream>(stream)?.recording();
        Some(recording.is_some_and(|recording| recording.is_paused))
    });
    let Some(Some(is_paused)) = is_paused else {
        return;
    };
    // A mixer that has ended writes no more.
    let _ = engine.call(move |mixer| {
        if let Some(recorder) = mixer.port::<Recorder>(port) {
            match is_paused {
                true => recorder.pause(),
                false => recorder.resume(),
            }
        }
    });
}

/// Completes the file. A stream that is over has told of its end already.
pub(crate) fn stop(runtime: &Runtime, engine: &Engine, stream: StreamId, port: PortId) {
    let _ = say(runtime, stream, Record::Stop);
    let stopped = engine.call(move |mixer| {
        let recorder = mixer.port::<Recorder>(port)?;
        let stopped = recorder.stop().map_err(|error| error.to_string());
        mixer.remove(port);
        Some(stopped)
    });
    let told = match stopped {
        Ok(Some(Err(reason))) => Record::DidFail { reason },
        _ => Record::DidStop,
    };
    let _ = say(runtime, stream, told);
}

fn say(runtime: &Runtime, stream: StreamId, record: Record) -> Result<(), String> {
    let said = runtime.call(move |agent, now| agent.command(now, stream, record));
    match said {
        Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(error.to_string()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the agent has ended".to_owned()),
    }
}
