//! What we understand: methods, extensions and bodies.

use crate::{
    Config,
    config::TRICKLE_ICE,
    header::{replaces, session_timer},
    reliable::{self, Reliability},
};
use smallvec::SmallVec;

/// Methods that we understand (RFC 3261, 20.5).
pub(crate) const ALLOWED: [&str; 12] = [
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "OPTIONS",
    "MESSAGE",
    "PRACK",
    "UPDATE",
    "INFO",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
];
/// Extensions that we understand (RFC 3261, 20.37).
pub(crate) fn supported(config: &Config) -> SmallVec<[&'static str; 6]> {
    let known = ["norefersub", "tdialog", "eventlist", replaces::OPTION];
    let mut options = SmallVec::from_slice(&known);
    if config.reliable != Reliability::Off {
        options.push(reliable::OPTION);
    }
    if config.session_timer.is_on {
        options.push(session_timer::OPTION);
    }
    // RFC 8840, 10.6: who takes the package says so by an option, too.
    if config.info.takes(TRICKLE_ICE) {
        options.push(TRICKLE_ICE);
    }
    options
}
/// Extensions by which the accounts of a device are reached (RFC 5627, 4.4; RFC 5626, 4.3).
pub(crate) const REACHED: [&str; 2] = ["gruu", "outbound"];
/// Bodies that we understand (RFC 3261, 20.1); parts of a multipart are looked through.
pub(crate) const ACCEPTED: &str =
    "application/sdp, multipart/mixed, multipart/alternative, multipart/related";
