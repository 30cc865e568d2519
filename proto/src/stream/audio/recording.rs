//! Recording a stream (AUS-05 … AUS-08, AUS-16, AUS-18 … AUS-21).

use super::{AudioStream, State};
use crate::{event::StreamEvent, stream::StreamCommand};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Asks a stream to be recorded, and tells it what became of that.
///
/// A stream has encoded frames and a recording has samples, so whoever decodes writes the file; the stream
/// keeps the rules. Who writes opens the file at `AudioStreamWillStartRecordingAudio`, and answers by
/// [`DidStart`](Self::DidStart) or [`DidFail`](Self::DidFail); writes while
/// [`RecordingInfo::is_paused`] is false; completes the file at `AudioStreamWillStopRecordingAudio`, and answers
/// by [`DidStop`](Self::DidStop). A stream that ends stops its recording by itself and waits for no answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// Begin (AUS-06); at once if the stream runs, else as soon as it does (AUS-07).
    Start {
        /// The file, with its whole path. `None` makes a name of the moment (UTC) and both participants, in
        /// [`MediaSettings::recordings_directory`](crate::stream::MediaSettings::recordings_directory).
        filename: Option<String>,
    },
    /// End (AUS-08).
    Stop,
    /// The file is open, and is written to from here on.
    DidStart,
    /// The file cannot be written, or no further: there is no recording any more.
    DidFail {
        /// Why.
        reason: String,
    },
    /// The file is complete.
    DidStop,
}

/// Why a recording does not begin or end; nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There is a recording of this stream (AUS-07).
    #[error("the stream is recorded already")]
    AlreadyRecording,
    /// The stream is over (AUS-07).
    #[error("the stream has ended")]
    Ended,
    /// There is no recording for which that could be said.
    #[error("the stream is not recorded")]
    NotRecording,
    /// A name of a file that is empty or longer than 4,096 bytes.
    #[error("no name of a file")]
    BadFilename,
}

/// A recording as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RecordingInfo {
    /// The file, with its whole path (AUS-16).
    pub filename: String,
    /// The file is open.
    pub is_active: bool,
    /// Nothing is to be written: a side holds (AUS-06).
    pub is_paused: bool,
}

/// A recording from the wish to the complete file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Recording {
    filename: String,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The stream does not run yet.
    Wished,
    /// The file is being opened.
    Starting,
    Running,
    /// The file is being completed.
    Stopping,
}

impl AudioStream {
    /// The recording, from its beginning to the complete file (AUS-05, AUS-16).
    pub fn recording(&self) -> Option<RecordingInfo> {
        let recording = self.recording.as_ref()?;
        let hold = self.hold;
        Some(RecordingInfo {
            filename: recording.filename.clone(),
            is_active: matches!(recording.phase, Phase::Running | Phase::Stopping),
            is_paused: hold.local_intent || hold.by_local || hold.by_remote,
        })
    }

    /// The stream runs: what was wished for begins.
    pub(super) fn begin_recording(&mut self) {
        if let Some(recording) = &mut self.recording
            && recording.phase == Phase::Wished
        {
            recording.phase = Phase::Starting;
            let filename = recording.filename.clone();
            self.push(StreamEvent::WillStartRecordingAudio { filename });
        }
    }

    /// The stream ends: so does its recording.
    pub(super) fn end_recording(&mut self) {
        let Some(Recording { filename, phase }) = self.recording.take() else {
            return;
        };
        if matches!(phase, Phase::Starting | Phase::Running) {
            let filename = filename.clone();
            self.push(StreamEvent::WillStopRecordingAudio { filename });
        }
        if phase != Phase::Wished {
            self.push(StreamEvent::DidStopRecordingAudio { filename });
        }
    }

    fn record(&mut self, now: Instant, filename: Option<String>) -> Result<(), RecordError> {
        if self.is_over() {
            return Err(RecordError::Ended);
        }
        if self.recording.is_some() {
            return Err(RecordError::AlreadyRecording);
        }
        let filename = filename.unwrap_or_else(|| self.recording_name(now));
        if filename.is_empty() || filename.len() > MAX_NAME {
            return Err(RecordError::BadFilename);
        }
        let phase = Phase::Wished;
        self.recording = Some(Recording { filename, phase });
        if self.state == State::Established {
            self.begin_recording();
        }
        Ok(())
    }

    /// The phase follows what was said; an event, if there is one for it.
    fn follow_recording(&mut self, said: &Record) -> Result<(), RecordError> {
        let recording = self.recording.as_mut().ok_or(RecordError::NotRecording)?;
        let filename = recording.filename.clone();
        let (after, event) = match (said, recording.phase) {
            (Record::Stop, Phase::Wished) => (None, None),
            (Record::Stop, Phase::Starting | Phase::Running) => (
                Some(Phase::Stopping),
                Some(StreamEvent::WillStopRecordingAudio { filename }),
            ),
            (Record::DidStart, Phase::Starting) => (
                Some(Phase::Running),
                Some(StreamEvent::DidStartRecordingAudio { filename }),
            ),
            // It was told to stop before it was open: it will be complete.
            (Record::DidStart, Phase::Stopping) => (Some(Phase::Stopping), None),
            (Record::DidStop, Phase::Stopping) => {
                (None, Some(StreamEvent::DidStopRecordingAudio { filename }))
            }
            (Record::DidFail { reason }, Phase::Starting | Phase::Running | Phase::Stopping) => {
                let reason = reason.clone();
                let event = StreamEvent::RecordingAudioDidFail { filename, reason };
                (None, Some(event))
            }
            _ => return Err(RecordError::NotRecording),
        };
        match after {
            Some(phase) => recording.phase = phase,
            None => self.recording = None,
        }
        if let Some(event) = event {
            self.push(event);
        }
        Ok(())
    }

    /// A name of the moment and the participants. The peer has chosen what is said of it: nothing of that
    /// leads out of the directory.
    fn recording_name(&self, now: Instant) -> String {
        let moment = self.clock.rfc3339(now);
        let moment: String = moment
            .chars()
            .filter_map(|c| match c {
                '0'..='9' => Some(c),
                'T' => Some('-'),
                _ => None,
            })
            .take("20090213-233130".len())
            .collect();
        let [caller, callee] = self.participants.each_ref().map(part);
        let name = format!("{moment}-{caller}-{callee}.wav");
        match self.settings.recordings_directory.trim_end_matches('/') {
            "" => name,
            directory => format!("{directory}/{name}"),
        }
    }
}

impl StreamCommand for Record {
    type Stream = AudioStream;
    type Reply = Result<(), RecordError>;

    fn apply(self, stream: &mut AudioStream, now: Instant) -> Self::Reply {
        match self {
            Self::Start { filename } => stream.record(now, filename),
            said => stream.follow_recording(&said),
        }
    }
}

/// A participant as a part of the name of a file.
fn part(uri: &sip::Uri) -> String {
    let host = uri.host().map_or_else(String::new, |host| host.to_string());
    let whole = match uri.user() {
        Some(user) => format!("{user}@{host}"),
        None => host,
    };
    let letters = whole.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '@' | '.' | '_' | '+' => c,
        _ => '_',
    });
    letters.take(MAX_PART).collect()
}

/// What systems take for a path.
const MAX_NAME: usize = 4_096;
/// Two of them, the moment and the extension are less than what systems take for a name.
const MAX_PART: usize = 96;
