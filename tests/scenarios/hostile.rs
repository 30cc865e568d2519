//! The rules of the wire at an endpoint whose other side is written by hand: every message of the peer
//! is a byte string from the RFCs, not from our printer, and every answer is compared as bytes.

use crate::wire::{INVITE, Wire, request};

mod bodies;
mod copied;
mod matching;
mod noise;
mod responses;
mod ringing;
mod routes;
mod uas;

/// Is called, rings, accepts, and hears the ACK. Returns our tag.
fn established() -> (Wire, String) {
    established_by(INVITE)
}

/// The same with another INVITE.
fn established_by(invite: &str) -> (Wire, String) {
    let mut wire = Wire::new();
    wire.datagram(invite);
    wire.accept();
    let ok = wire.one();
    assert_eq!(ok.line(), "SIP/2.0 200 OK");
    let tag = ok.to_tag().to_owned();
    wire.datagram(request("ACK", "ack", Some(&tag), 314_159));
    wire.expect(&[]);
    wire.events.clear();
    (wire, tag)
}

/// The branch of a message of ours, with its cookie.
fn branch(sent: &crate::wire::Sent) -> &str {
    sent.param("Via", "branch").expect("a branch")
}
