//! Makes audio streams.

use super::{AudioStream, KIND, Record, SendDtmf, describe};
use crate::stream::{
    BadCommand, MediaSettings, MediaStream, Offered, StreamCommand as _, StreamEnv, StreamError,
    StreamFactory,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{any::Any, sync::Arc, time::Instant};

/// The factory of [`AudioStream`], for [`Config::factories`](crate::agent::Config).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct AudioFactory;

/// What [`StreamSpec::options`](crate::stream::StreamSpec::options) may say of audio; `null` is the default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AudioOptions {
    /// Which of the codecs of the settings are offered, in this order, named without case (AUT-02); `None`
    /// for all.
    pub codecs: Option<Vec<String>>,
}

impl AudioOptions {
    /// The settings as these options want them.
    fn apply(&self, env: &mut StreamEnv) -> Result<(), StreamError> {
        let Some(names) = &self.codecs else {
            return Ok(());
        };
        let mut settings = MediaSettings::clone(&env.settings);
        settings.codecs.clear();
        for name in names {
            let known = env.settings.codecs.iter();
            let before = settings.codecs.len();
            let named = known.filter(|codec| codec.name.eq_ignore_ascii_case(name));
            settings.codecs.extend(named.cloned());
            if settings.codecs.len() == before {
                return Err(StreamError::BadOptions("unknown codec"));
            }
        }
        if settings.codecs.is_empty() {
            return Err(StreamError::BadOptions("no codec"));
        }
        env.settings = Arc::new(settings);
        Ok(())
    }
}

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
        mut env: StreamEnv,
        options: &Value,
    ) -> Result<Box<dyn MediaStream>, StreamError> {
        let options: Option<AudioOptions> = serde_json::from_value(options.clone())
            .map_err(|_| StreamError::BadOptions("audio knows codecs"))?;
        options.unwrap_or_default().apply(&mut env)?;
        Ok(Box::new(AudioStream::new(env)))
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
        // What came back then comes back now.
        if let Ok(command) = SendDtmf::deserialize(&command) {
            let _ = command.apply(stream, now);
            return Ok(());
        }
        let command = Record::deserialize(&command).map_err(|_| BadCommand)?;
        let _ = command.apply(stream, now);
        Ok(())
    }
}
