//! Makes audio streams.

use super::{AudioStream, KIND, SendDtmf, describe};
use crate::stream::{
    BadCommand, MediaStream, Offered, StreamCommand as _, StreamEnv, StreamError, StreamFactory,
};
use serde_json::Value;
use std::{any::Any, time::Instant};

/// The factory of [`AudioStream`], for [`Config::factories`](crate::agent::Config).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct AudioFactory;

impl AudioFactory {
    /// Makes the factory.
    pub const fn new() -> Self {
        Self
    }
}

impl StreamFactory for AudioFactory {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn priority(&self) -> u8 {
        0
    }

    fn from_sdp(
        &self,
        _now: Instant,
        env: StreamEnv,
        remote: &sdp::Session,
        index: usize,
    ) -> Offered {
        let Some(media) = remote.media.get(index).filter(|media| media.kind == *KIND) else {
            return Offered::NotMine;
        };
        if media.is_disabled() {
            return Offered::NotMine;
        }
        let is_acceptable = describe::acceptable(&env.settings, remote, index);
        let mut stream = AudioStream::new(env);
        match is_acceptable.and_then(|_| stream.accepts_keys(remote, index)) {
            Ok(()) => Offered::Taken(Box::new(stream)),
            Err(refusal) => Offered::Refused(refusal),
        }
    }

    fn create(
        &self,
        _now: Instant,
        env: StreamEnv,
        options: &Value,
    ) -> Result<Box<dyn MediaStream>, StreamError> {
        match options {
            Value::Null => Ok(Box::new(AudioStream::new(env))),
            _ => Err(StreamError::BadOptions("audio has none")),
        }
    }

    fn replay(
        &self,
        stream: &mut dyn MediaStream,
        now: Instant,
        command: Value,
    ) -> Result<(), BadCommand> {
        let stream = (stream as &mut dyn Any)
            .downcast_mut::<AudioStream>()
            .ok_or(BadCommand)?;
        let command: SendDtmf = serde_json::from_value(command).map_err(|_| BadCommand)?;
        // What came back then comes back now.
        let _ = command.apply(stream, now);
        Ok(())
    }
}
