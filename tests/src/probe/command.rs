//! A command and an event of the probe's own.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sipsimple::{
    event::CustomEvent,
    stream::{StreamCommand, StreamError, StreamOutput},
};
use std::{net::SocketAddr, time::Instant};

use super::ProbeStream;

/// What an application can ask a probe for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeCommand {
    /// Says something to the peer over the datagram socket, once: it may be lost.
    Say {
        /// What.
        text: String,
    },
    /// Wants a new offer.
    Reoffer {
        /// With a preparation before it.
        prepare: bool,
    },
    /// Cannot go on.
    Fail,
}

/// What comes back from a [`ProbeCommand`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeReply {
    /// How many heartbeats have come so far.
    pub received: u64,
}

impl StreamCommand for ProbeCommand {
    type Stream = ProbeStream;
    type Reply = ProbeReply;

    fn apply(self, stream: &mut ProbeStream, _now: Instant) -> ProbeReply {
        match self {
            Self::Say { text } => stream.send(format!("say {text}").as_bytes()),
            Self::Reoffer { prepare } => {
                stream.out.push_back(StreamOutput::Renegotiate { prepare });
            }
            Self::Fail => {
                let error = StreamError::Custom("asked to fail");
                stream.out.push_back(StreamOutput::Failed(error));
            }
        }
        ProbeReply {
            received: stream.beats.received,
        }
    }
}

/// What a probe tells its application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum ProbeEvent {
    /// The peer said something.
    Said {
        /// What.
        text: String,
    },
    /// The proposal was taken back.
    RolledBack,
    /// Another dialog's answer counts: the peer is another one.
    Branched,
    /// The datagram socket is another one, at another address.
    Moved {
        /// Which.
        local: SocketAddr,
    },
    /// A file has arrived whole.
    Received {
        /// Its name on our disk.
        name: String,
        /// How many bytes.
        size: u64,
        /// The digest of its bytes.
        digest: u64,
    },
    /// The peer has all of our file.
    Sent {
        /// How many bytes.
        size: u64,
        /// The digest of its bytes.
        digest: u64,
        /// The most bytes of it that were in memory at a time.
        peak: usize,
    },
    /// A transfer broke.
    TransferFailed {
        /// Why.
        what: &'static str,
    },
    /// The session broke a promise.
    Broken {
        /// Which.
        what: &'static str,
    },
}

impl CustomEvent for ProbeEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Said { .. } => "ProbeStreamGotText",
            Self::RolledBack => "ProbeStreamDidRollBack",
            Self::Branched => "ProbeStreamDidChangeBranch",
            Self::Moved { .. } => "ProbeStreamDidMove",
            Self::Received { .. } => "ProbeStreamDidReceiveFile",
            Self::Sent { .. } => "ProbeStreamDidSendFile",
            Self::TransferFailed { .. } => "ProbeStreamTransferDidFail",
            Self::Broken { .. } => "ProbeStreamFoundBrokenPromise",
        }
    }

    fn data(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}
