//! How media find their way.

use clap::Args;
use sipsimple::{base::HostPort, stream::TurnServer};
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub(crate) struct IceOptions {
    /// Find the way of media by ICE.
    #[arg(long)]
    pub(crate) ice: bool,
    /// Ask this STUN server how we look from outside; up to four.
    #[arg(long, value_name = "HOST[:PORT]", requires = "ice")]
    pub(crate) stun: Vec<HostPort>,
    /// Send media over this TURN server where they pass no other way; up to four.
    ///
    /// turn:HOST[:PORT] is spoken with over UDP and, where nothing comes back, TCP; ?transport=udp and
    /// ?transport=tcp name one of them, turns:HOST[:PORT] is TLS.
    #[arg(long, value_name = "URL", requires_all = ["ice", "turn_user"])]
    pub(crate) turn: Vec<TurnServer>,
    /// Our name at the TURN servers.
    #[arg(long, value_name = "NAME", requires = "turn")]
    pub(crate) turn_user: Option<String>,
    /// The password there is the first line of this file; SIPSIMPLE_TURN_PASSWORD without it.
    #[arg(long, value_name = "FILE", requires = "turn")]
    pub(crate) turn_password_file: Option<PathBuf>,
    /// Leave the addresses of this interface out; docker* stands for all whose names begin so. Bridges and
    /// networks of containers are left out anyway.
    #[arg(long, value_name = "NAME", requires = "ice")]
    pub(crate) ice_without: Vec<String>,
    /// Tell the peer no address of media but those at TURN servers; without one there is no call.
    #[arg(long, requires = "turn")]
    pub(crate) relay_only: bool,
    /// Let addresses of this machine only be candidates.
    #[arg(long, requires = "ice", hide = true)]
    pub(crate) ice_loopback: bool,
}
