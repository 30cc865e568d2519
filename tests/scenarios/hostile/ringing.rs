//! While an incoming call rings (RFC 3261, 13.3.1), and while an outgoing one does.

use super::established;
use crate::wire::{INVITE, Wire, request, response, secs};

#[test]
fn a_call_that_rings_says_so_every_minute() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    wire.ring();
    let ringing = wire.one();
    wire.wait(secs(59));
    wire.expect(&[]);
    wire.wait(secs(1));
    assert_eq!(wire.one(), ringing);
    wire.wait(secs(180));
    wire.expect(&["SIP/2.0 180 Ringing"; 3]);
    wire.accept();
    wire.lines();
    wire.datagram(request("ACK", "ack", Some(ringing.to_tag()), 314_159));
    wire.wait(secs(180));
    wire.expect(&[]);
}

#[test]
fn a_call_that_nobody_touches_is_kept_alive_as_well() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    wire.wait(secs(61));
    // Other than 100: proxies restart timer C by it.
    wire.expect(&["SIP/2.0 100 Trying", "SIP/2.0 183 Session Progress"]);
}

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

#[test]
fn our_ok_is_repeated_until_its_ack_and_the_call_ended_without() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    wire.accept();
    let ok = wire.one();
    let mut at = Vec::new();
    let start = wire.now;
    while wire
        .sent
        .iter()
        .all(|sent| sent.line().starts_with("SIP/2.0"))
    {
        let due = wire.endpoint.poll_timeout().expect("a timer").at;
        wire.wait(due - wire.now);
        at.extend(
            wire.sent
                .iter()
                .filter(|sent| **sent == ok)
                .map(|_| (due - start).as_millis()),
        );
        wire.sent.retain(|sent| *sent != ok);
    }
    // RFC 3261, 13.3.1.4: T1, doubling up to T2, for 64·T1: eleven in all.
    assert_eq!(
        at,
        [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
        ]
    );
    assert_eq!((wire.now - start).as_secs(), 32);
    let bye = wire.one();
    assert!(bye.line().starts_with("BYE sip:alice@192.0.2.9:5062 "));
    assert!(bye.header("Reason").is_some());
    wire.datagram(response(&bye, "200 OK", None, ""));
    // An ACK that comes now is a stray one.
    wire.datagram(request("ACK", "ack", Some(ok.to_tag()), 314_159));
    wire.expect(&[]);
    wire.assert_quiet();
}

#[test]
fn bye_waits_for_the_ack() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    wire.accept();
    let tag = wire.one().to_tag().to_owned();
    wire.end();
    // RFC 3261, 15: the callee must not send BYE before the ACK has come.
    wire.expect(&[]);
    wire.datagram(request("ACK", "ack", Some(&tag), 314_159));
    let bye = wire.one();
    assert!(bye.line().starts_with("BYE "));
    wire.datagram(response(
        &bye,
        "481 Call/Transaction Does Not Exist",
        None,
        "",
    ));
    wire.assert_quiet();
}

#[test]
fn crossing_byes_are_both_answered() {
    let (mut wire, tag) = established();
    wire.end();
    let bye = wire.one();
    wire.datagram(request("BYE", "theirs", Some(&tag), 314_160));
    wire.expect(&["SIP/2.0 200 OK"]);
    wire.datagram(response(&bye, "200 OK", None, ""));
    wire.assert_quiet();
}
