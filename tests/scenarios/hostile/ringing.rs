//! While an incoming call rings (RFC 3261, 13.3.1), and while an outgoing one does.

use crate::wire::{INVITE, Wire, request, response, secs};

#[test]
fn expires_ends_the_ringing_and_nothing_else() {
    let mut wire = Wire::new();
    wire.datagram(INVITE.replace("Max-Forwards", "Expires: 20\r\nMax-Forwards"));
    wire.ring();
    wire.lines();
    wire.wait(secs(19));
    wire.expect(&[]);
    wire.wait(secs(1));
    let terminated = wire.one();
    assert_eq!(terminated.line(), "SIP/2.0 487 Request Terminated");
    wire.datagram(request(
        "ACK",
        "776asdhds",
        Some(terminated.to_tag()),
        314_159,
    ));
    let expired = |event: &sip::Event| format!("{event:?}").contains("cause: Expired");
    assert!(wire.events.iter().any(expired));
    wire.assert_quiet();

    let mut wire = Wire::new();
    wire.datagram(INVITE.replace("Max-Forwards", "Expires: 20\r\nMax-Forwards"));
    wire.accept();
    let tag = wire.one().to_tag().to_owned();
    wire.datagram(request("ACK", "ack", Some(&tag), 314_159));
    wire.wait(secs(60));
    wire.expect(&[]);

    // Nonsense is no limit.
    let mut wire = Wire::new();
    wire.datagram(INVITE.replace("Max-Forwards", "Expires: soon\r\nMax-Forwards"));
    wire.wait(secs(55));
    wire.expect(&["SIP/2.0 100 Trying"]);
}

#[test]
fn each_180_is_news() {
    let mut wire = Wire::new();
    wire.invite("sip:bob@192.0.2.9:5062", |_| {});
    let invite = wire.one();
    assert_eq!(invite.header("Expires"), None);
    wire.datagram(response(&invite, "100 Trying", None, ""));
    wire.datagram(response(&invite, "180 Ringing", Some("b"), ""));
    wire.datagram(response(&invite, "180 Ringing", Some("b"), ""));
    wire.datagram(response(&invite, "182 Queued", Some("b"), ""));
    wire.datagram(response(&invite, "199 Early Dialog Terminated", None, ""));
    assert_eq!(wire.told(), ["Provisional"; 4]);
}
