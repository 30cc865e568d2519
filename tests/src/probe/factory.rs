//! What makes probes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sipsimple::{
    sdp,
    stream::{
        BadCommand, MediaStream, Offered, StreamCommand as _, StreamEnv, StreamError,
        StreamFactory, StreamSpec,
    },
};
use std::{
    any::Any,
    time::{Duration, Instant},
};

use super::{PROBE, ProbeCommand, ProbeStream, description::is_probe};

/// What a probe does.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeOptions {
    /// How many milliseconds it takes to prepare.
    pub prepare_ms: u64,
    /// It opens a byte stream; the side that offered listens.
    pub byte_stream: bool,
    /// The file to send over the byte stream.
    pub send_file: Option<String>,
    /// For how many milliseconds it does not read the byte stream.
    pub stall_ms: u64,
    /// It refuses every offer after the first.
    pub refuse_changes: bool,
}

impl ProbeOptions {
    /// Wishes for a probe like this.
    pub fn spec(&self) -> StreamSpec {
        let mut spec = StreamSpec::new(PROBE);
        spec.options = serde_json::to_value(self).unwrap_or(Value::Null);
        spec
    }

    pub(super) const fn prepare(&self) -> Duration {
        Duration::from_millis(self.prepare_ms)
    }

    pub(super) const fn listens(&self) -> bool {
        self.byte_stream
    }
}

/// Makes probes: those that the application wants by the options of their specification, those that
/// a peer proposes by the factory's own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProbeFactory {
    /// What a probe does that a peer proposed; it never listens.
    pub incoming: ProbeOptions,
}

impl StreamFactory for ProbeFactory {
    fn kind(&self) -> &'static str {
        PROBE
    }

    fn priority(&self) -> u8 {
        1
    }

    fn from_sdp(
        &self,
        _now: Instant,
        env: StreamEnv,
        remote: &sdp::Session,
        index: usize,
    ) -> Offered {
        if !remote.media.get(index).is_some_and(is_probe) {
            return Offered::NotMine;
        }
        let options = ProbeOptions {
            byte_stream: false,
            ..self.incoming.clone()
        };
        Offered::Taken(Box::new(ProbeStream::new(&env, options)))
    }

    fn create(
        &self,
        _now: Instant,
        env: StreamEnv,
        options: &Value,
    ) -> Result<Box<dyn MediaStream>, StreamError> {
        let options = match options {
            Value::Null => ProbeOptions::default(),
            options => serde_json::from_value(options.clone())
                .map_err(|_| StreamError::BadOptions("not those of a probe"))?,
        };
        Ok(Box::new(ProbeStream::new(&env, options)))
    }

    fn replay(
        &self,
        stream: &mut dyn MediaStream,
        now: Instant,
        command: Value,
    ) -> Result<(), BadCommand> {
        let stream: &mut dyn Any = stream;
        let stream = stream.downcast_mut::<ProbeStream>().ok_or(BadCommand)?;
        let command: ProbeCommand = serde_json::from_value(command).map_err(|_| BadCommand)?;
        command.apply(stream, now);
        Ok(())
    }
}
