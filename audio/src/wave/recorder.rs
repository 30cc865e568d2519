//! Records what a bridge says.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::{WaveError, Writer};
use crate::port::AudioPort;

/// Is a port that writes what it hears to a WAV file of 16-bit PCM (WRC, RWF).
///
/// It says nothing. In no bridge, or paused, nothing is written (WRC-02). Writing goes through a
/// buffer to a local file, from the thread that runs the mixer.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    rate: u32,
    writer: Option<Writer<BufWriter<File>>>,
    is_paused: bool,
    failure: Option<WaveError>,
}

/// Says why a recording did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// It has been started and not stopped.
    #[error("already recording")]
    AlreadyRecording,
    /// The file cannot be written.
    #[error(transparent)]
    Wave(#[from] WaveError),
}

impl Recorder {
    /// Prepares a recording of a mixer of that rate; the file is made by [`start`](Self::start).
    pub fn new(path: impl Into<PathBuf>, rate: u32) -> Self {
        Self {
            path: path.into(),
            rate,
            writer: None,
            is_paused: false,
            failure: None,
        }
    }

    /// Makes the file, over one of that name, with its directories (WRC-01, WRC-03).
    ///
    /// # Errors
    /// [`RecorderError`] if that is not possible, or if it records already.
    pub fn start(&mut self) -> Result<(), RecorderError> {
        if self.writer.is_some() {
            return Err(RecorderError::AlreadyRecording);
        }
        self.writer = Some(Writer::create(&self.path, self.rate)?);
        self.is_paused = false;
        self.failure = None;
        Ok(())
    }

    /// Leaves out what comes, until [`resume`](Self::resume) (RWF-02).
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Goes on after a pause.
    pub fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Completes and closes the file; no effect if it does not record.
    ///
    /// # Errors
    /// [`WaveError`] if the file could not be completed, now or earlier.
    pub fn stop(&mut self) -> Result<(), WaveError> {
        let finished = self.writer.take().map_or(Ok(()), Writer::finish);
        self.failure.take().map_or(finished, Err)
    }

    /// Says whether it records; true while paused, too (WRC-04, RWF-03).
    pub fn is_active(&self) -> bool {
        self.writer.is_some()
    }

    /// Says whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns the file's path (RWF-03).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns why recording has ended by itself, if it has.
    pub fn failure(&self) -> Option<&WaveError> {
        self.failure.as_ref()
    }
}

impl AudioPort for Recorder {
    fn pull(&mut self, samples: &mut [i16]) {
        samples.fill(0);
    }

    fn push(&mut self, samples: &[i16]) {
        if self.is_paused {
            return;
        }
        let Some(writer) = &mut self.writer else {
            return;
        };
        if let Err(error) = writer.push(samples) {
            // What was written so far is completed if the medium lets us.
            self.failure = Some(error);
            let _ = self.writer.take().map_or(Ok(()), Writer::finish);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wave::read;

    fn directory(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("audio-{name}-{}", std::process::id()))
    }

    #[test]
    fn records_pauses_and_overwrites() {
        let directory = directory("recorder");
        let path = directory.join("calls").join("a.wav");
        let mut recorder = Recorder::new(&path, 8_000);
        recorder.push(&[9; 80]);
        assert!(!recorder.is_active() && !path.exists());
        recorder.start().unwrap();
        assert!(matches!(
            recorder.start(),
            Err(RecorderError::AlreadyRecording)
        ));
        recorder.push(&[1; 2]);
        recorder.pause();
        recorder.push(&[2; 2]);
        assert!(recorder.is_active() && recorder.is_paused());
        recorder.resume();
        recorder.push(&[3; 2]);
        recorder.stop().unwrap();
        assert_eq!(read(&path).unwrap().samples, [1, 1, 3, 3]);
        // WRC-03; and dropping completes the file.
        recorder.start().unwrap();
        recorder.push(&[4]);
        drop(recorder);
        assert_eq!(read(&path).unwrap().samples, [4]);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_unwritable_file_is_refused_at_start() {
        let directory = directory("recorder-file");
        std::fs::write(&directory, b"a file, not a directory").unwrap();
        let mut recorder = Recorder::new(directory.join("a.wav"), 8_000);
        assert!(matches!(recorder.start(), Err(RecorderError::Wave(_))));
        assert!(!recorder.is_active());
        std::fs::remove_file(directory).unwrap();
    }
}
