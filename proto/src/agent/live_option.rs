//! What can be changed while the agent runs, as data.

use crate::{stream::MediaSettings, tls::TlsConfig};
use base::Transport;
use serde::{Deserialize, Serialize};

/// An option with its new value, as a recording keeps it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LiveOption {
    /// [`UserAgent::set_log_level`](super::UserAgent::set_log_level).
    LogLevel(u8),
    /// [`UserAgent::set_media`](super::UserAgent::set_media).
    Media(Box<MediaSettings>),
    /// [`UserAgent::set_guard`](super::UserAgent::set_guard).
    Guard(Option<Box<sip::auth::Guard>>),
    /// [`UserAgent::set_port`](super::UserAgent::set_port).
    Port {
        /// Of which transport.
        transport: Transport,
        /// The port.
        port: Option<u16>,
    },
    /// [`UserAgent::set_tls`](super::UserAgent::set_tls).
    Tls {
        /// What is trusted and shown.
        tls: Box<TlsConfig>,
        /// The port.
        port: Option<u16>,
    },
}
