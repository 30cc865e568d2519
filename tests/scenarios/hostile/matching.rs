//! Which transaction and which dialog a request belongs to (RFC 3261, 17.2.3, 12.2.2, 9.2).

use super::{established, established_by};
use crate::wire::{INVITE, Wire, ms, request, secs};

#[test]
fn retransmissions_get_the_last_response_again() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    wire.datagram(INVITE);
    // RFC 3261, 17.2.1: 100 only after 200 ms, and only then again.
    wire.expect(&[]);
    wire.wait(ms(200));
    wire.expect(&["SIP/2.0 100 Trying"]);
    wire.datagram(INVITE);
    wire.expect(&["SIP/2.0 100 Trying"]);
    wire.ring();
    let ringing = wire.one();
    wire.datagram(INVITE.replace("z9hG4bK776asdhds", "Z9HG4BK776ASDHDS"));
    assert_eq!(wire.one(), ringing, "branches are compared in any case");
    assert_eq!(wire.endpoint.stats().invitations, 1);
}

#[test]
fn a_port_and_a_host_are_part_of_the_key() {
    let mut wire = Wire::new();
    wire.datagram(INVITE);
    // Another sent-by with the same branch is another transaction, so this is a merged request.
    wire.datagram(INVITE.replace("192.0.2.9:5062;branch", "192.0.2.9:5063;branch"));
    wire.expect(&["SIP/2.0 482 Merged Request"]);
    // Its CANCEL finds its own transaction only.
    let cancel = request("CANCEL", "776asdhds", None, 314_159);
    wire.datagram(cancel.replace("192.0.2.9:5062;branch", "192.0.2.9:5063;branch"));
    wire.expect(&["SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

/// RFC 4475, 3.4.1 without its SDP: an INVITE as RFC 2543 has it.
const OLD: &str = "\
INVITE sip:bob@192.0.2.4 SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.9:5062\r\n\
From: <sip:+13035551111@192.0.2.9;user=phone>\r\n\
To: sip:+16505552222@192.0.2.4;user=phone\r\n\
Call-ID: 1717@ift.client.example.com\r\n\
CSeq: 56 INVITE\r\n\
Content-Type: application/sdp\r\n\
\r\n\
offer";

fn old(method: &str, to_tag: &str, cseq: u32) -> String {
    OLD.replacen("INVITE", method, 1)
        .replace("56 INVITE", &format!("{cseq} {method}"))
        .replace(
            "user=phone\r\nCall",
            &format!("user=phone;tag={to_tag}\r\nCall"),
        )
        .replace("Content-Type: application/sdp\r\n\r\noffer", "\r\n")
}

#[test]
fn peers_of_rfc_2543_have_no_cookie_and_no_tag() {
    let mut wire = Wire::new();
    wire.datagram(OLD);
    wire.ring();
    let ringing = wire.one();
    wire.datagram(OLD);
    assert_eq!(
        wire.one(),
        ringing,
        "found by Request-URI, tags, Call-ID, CSeq and Via"
    );
    wire.accept();
    let ok = wire.one();
    let tag = ok.to_tag().to_owned();
    wire.datagram(old("ACK", &tag, 56));
    assert!(wire.told().contains(&"Acknowledged".to_owned()));
    wire.wait(secs(2));
    wire.expect(&[]);

    // No Contact came: requests go to where From says (RFC 2543, 6.13), and From of the peer, our
    // To, has no tag (RFC 3261, 12.1.1).
    wire.end();
    let bye = wire.one();
    assert_eq!(
        bye.line(),
        "BYE sip:+13035551111@192.0.2.9;user=phone SIP/2.0"
    );
    assert_eq!(
        bye.header("To"),
        Some("<sip:+13035551111@192.0.2.9;user=phone>")
    );
    wire.datagram(crate::wire::response(&bye, "200 OK", None, ""));
    wire.assert_quiet();
}

#[test]
fn an_old_peer_hangs_up_and_cancels() {
    let mut wire = Wire::new();
    wire.datagram(OLD);
    wire.datagram(
        OLD.replacen("INVITE", "CANCEL", 1)
            .replace("56 INVITE", "56 CANCEL"),
    );
    let [cancelled, terminated] = &wire.sent[..] else {
        panic!("{:?}", wire.sent);
    };
    assert_eq!(cancelled.line(), "SIP/2.0 200 OK");
    assert_eq!(terminated.line(), "SIP/2.0 487 Request Terminated");
    let tag = terminated.to_tag().to_owned();
    wire.lines();
    // RFC 3261, 17.2.3: the ACK is found by the tag of our response.
    wire.datagram(old("ACK", &tag, 56));
    wire.wait(secs(1));
    wire.expect(&[]);

    let (mut wire, _) =
        established_by(&OLD.replace("To: sip", "Contact: <sip:a@192.0.2.9>\r\nTo: sip"));
    // The ACK of `established_by` was another peer's: this one is ours.
    let tag = wire.act(|call, _| call.info()).unwrap().local_tag;
    wire.datagram(old("ACK", &tag, 56));
    wire.datagram(old("BYE", &tag, 57));
    wire.expect(&["SIP/2.0 200 OK"]);
    wire.assert_quiet();
}

#[test]
fn dialogs_match_by_tags_whatever_the_uris_say() {
    let (mut wire, tag) = established();
    // RFC 4916: the connected identity is another.
    let bye = request("BYE", "bye", Some(&tag), 314_160)
        .replace(
            "Alice <sip:alice@atlanta.com>",
            "\"Carol\" <sip:carol@chicago.com>",
        )
        .replace("Bob <sip:bob@biloxi.com>", "<sip:robert@biloxi.com>");
    wire.datagram(&bye);
    wire.expect(&["SIP/2.0 200 OK"]);
    assert!(wire.told().contains(&"Ended".to_owned()));
    wire.datagram(&bye);
    wire.expect(&["SIP/2.0 200 OK"]);
    wire.assert_quiet();
}

#[test]
fn a_lower_number_is_out_of_order_and_a_gap_is_not() {
    let (mut wire, tag) = established();
    wire.datagram(request("OPTIONS", "low", Some(&tag), 314_158));
    wire.expect(&["SIP/2.0 500 Server Internal Error"]);
    wire.datagram(request("OPTIONS", "gap", Some(&tag), 400_000));
    wire.expect(&["SIP/2.0 200 OK"]);
    wire.datagram(request("BYE", "bye", Some(&tag), 399_999));
    wire.expect(&["SIP/2.0 500 Server Internal Error"]);
    wire.datagram(request("BYE", "bye2", Some(&tag), 400_001));
    wire.expect(&["SIP/2.0 200 OK"]);
    wire.assert_quiet();
}

#[test]
fn cancel_comes_by_another_connection_than_its_invite() {
    let mut wire = Wire::new();
    let first = wire.connection("192.0.2.9:40001");
    wire.bytes(first, INVITE.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    wire.hang_up(first);
    assert_eq!(
        wire.endpoint.stats().invitations,
        1,
        "timers decide, not the end of a connection"
    );
    let second = wire.connection("192.0.2.9:40002");
    wire.bytes(
        second,
        request("CANCEL", "776asdhds", None, 314_159).replace("/UDP", "/TCP"),
    );
    let ok = wire.sent.remove(0);
    assert_eq!((ok.line(), ok.flow), ("SIP/2.0 200 OK", second));
    // 487 opens a connection of its own: to the port of sent-by.
    let terminated = wire.one();
    assert_eq!(terminated.line(), "SIP/2.0 487 Request Terminated");
    assert_eq!(terminated.to.to_string(), "192.0.2.9:5062");
    wire.assert_quiet();
}
