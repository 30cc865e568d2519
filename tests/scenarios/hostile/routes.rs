//! Route sets and targets (RFC 3261, 12 and 16.12), and what our Contact says.

use super::{established, established_by};
use crate::wire::{INVITE, Wire, request, response};
use base::Transport;

#[test]
fn the_callee_keeps_the_order_of_record_routes_and_all_their_parameters() {
    let routes = "\
Record-Route: \"Edge\" <sip:p3.example.com:5070;lr;x=%41>;header=param , <sip:192.0.2.8;r2=on;lr>\r\n\
Max-Forwards: 70\r\n\
rEcOrD-rOuTe: <sip:192.0.2.8;transport=tcp;r2=on;lr>\r\n";
    let (mut wire, _) = established_by(&INVITE.replace("Max-Forwards: 70\r\n", routes));
    wire.end();
    let bye = wire.one();
    assert_eq!(bye.line(), "BYE sip:alice@192.0.2.9:5062 SIP/2.0");
    assert_eq!(
        bye.headers("Route"),
        [
            "\"Edge\" <sip:p3.example.com:5070;lr;x=%41>;header=param",
            "<sip:192.0.2.8;r2=on;lr>",
            "<sip:192.0.2.8;transport=tcp;r2=on;lr>"
        ]
    );
}

#[test]
fn a_strict_router_gets_the_request_and_the_target_goes_last() {
    let routes =
        "Record-Route: <sip:p1.example.com;maddr=192.0.2.8>, <sip:p2.example.com;lr>\r\nMax";
    let (mut wire, _) = established_by(&INVITE.replace("Max", routes));
    wire.end();
    let bye = wire.one();
    // RFC 3261, 12.2.1.1
    assert_eq!(bye.line(), "BYE sip:p1.example.com;maddr=192.0.2.8 SIP/2.0");
    assert_eq!(
        bye.headers("Route"),
        ["<sip:p2.example.com;lr>", "<sip:alice@192.0.2.9:5062>"]
    );
}

#[test]
fn a_reinvite_refreshes_the_target_and_never_the_route_set() {
    let routes = "Record-Route: <sip:p1.example.com;lr>\r\nMax-Forwards";
    let (mut wire, tag) = established_by(&INVITE.replace("Max-Forwards", routes));
    let again = request("INVITE", "again", Some(&tag), 314_160)
        .replace(
            "Max-Forwards",
            "Record-Route: <sip:p9.example.com;lr>\r\nMax-Forwards",
        )
        .replace(
            "Content-Length: 0\r\n\r\n",
            "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nagain",
        );
    let moved = again.replace(
        "<sip:alice@192.0.2.9:5062>",
        "<sip:alice@192.0.2.77;transport=tcp>;q=1",
    );
    wire.datagram(&moved);
    wire.accept();
    let ok = wire.one();
    assert_eq!(
        (ok.line(), ok.header("Record-Route")),
        ("SIP/2.0 200 OK", Some("<sip:p9.example.com;lr>"))
    );
    wire.datagram(request("ACK", "ack2", Some(&tag), 314_160));

    // RFC 6141, 4.6: one that fails refreshes nothing.
    let failed = moved
        .replace("z9hG4bKagain", "z9hG4bKfailed")
        .replace("314160", "314161")
        .replace("192.0.2.77", "192.0.2.78")
        .replace("application/sdp", "text/plain");
    wire.datagram(&failed);
    wire.expect(&["SIP/2.0 415 Unsupported Media Type"]);
    wire.end();
    let bye = wire.one();
    assert_eq!(bye.line(), "BYE sip:alice@192.0.2.77;transport=tcp SIP/2.0");
    assert_eq!(bye.headers("Route"), ["<sip:p1.example.com;lr>"]);
}

#[test]
fn a_contact_may_lack_its_port_or_have_a_name() {
    for (contact, line) in [
        ("<sip:192.0.2.9>", "BYE sip:192.0.2.9 SIP/2.0"),
        (
            "sip:alice@phone.example.com",
            "BYE sip:alice@phone.example.com SIP/2.0",
        ),
        (
            "\"Alice, in Atlanta\" <sip:alice@192.0.2.9;maddr=192.0.2.10;transport=TCP;ob>;expires=60",
            "BYE sip:alice@192.0.2.9;maddr=192.0.2.10;transport=TCP;ob SIP/2.0",
        ),
        (
            "<sip:alice@[2001:db8::9]:5062>",
            "BYE sip:alice@[2001:db8::9]:5062 SIP/2.0",
        ),
    ] {
        let (mut wire, _) = established_by(&INVITE.replace("<sip:alice@192.0.2.9:5062>", contact));
        wire.end();
        assert_eq!(wire.one().line(), line);
    }
}

#[test]
fn our_contact_and_via_name_where_we_can_be_reached() {
    let mut wire = Wire::new();
    wire.resolves_to = Transport::Tcp;
    wire.invite("sip:bob@192.0.2.9:5062;transport=tcp", |_| {});
    let invite = wire.one();
    // The port where we listen, not the one of the connection.
    assert!(
        invite
            .header("Via")
            .unwrap()
            .starts_with("SIP/2.0/TCP 192.0.2.4:5060;branch=z9hG4bK")
    );
    assert_eq!(
        invite.header("Contact"),
        Some("<sip:alice@192.0.2.4:5060;transport=tcp>")
    );
    let flow = invite.flow;
    assert!(wire.bytes(flow, response(&invite, "180 Ringing", Some("b"), "")));
    assert_eq!(wire.told(), ["Provisional"]);
}

#[test]
fn cancel_and_the_ack_of_a_refusal_go_where_the_invite_went() {
    let mut wire = Wire::new();
    wire.invite("sip:bob@biloxi.com", |invite| {
        invite.route = vec![crate::wire::address("sip:192.0.2.9:5062;lr")];
    });
    let invite = wire.one();
    // A Contact and Record-Route of the early dialog are not for them.
    let further = "Contact: <sip:bob@203.0.113.5>\r\nRecord-Route: <sip:203.0.113.6;lr>\r\n";
    wire.datagram(response(&invite, "180 Ringing", Some("b"), further));
    wire.end();
    let cancel = wire.one();
    for name in ["Route", "Via", "From", "To", "Call-ID"] {
        assert_eq!(cancel.headers(name), invite.headers(name), "{name}");
    }
    assert_eq!(cancel.line(), "CANCEL sip:bob@biloxi.com SIP/2.0");
    assert_eq!(
        (cancel.header("CSeq"), cancel.to),
        (Some("1 CANCEL"), invite.to)
    );
    wire.datagram(response(&cancel, "200 OK", Some("b"), ""));
    let refused = response(&invite, "487 Request Terminated", Some("b"), "");
    wire.datagram(&refused);
    let ack = wire.one();
    assert_eq!(ack.line(), "ACK sip:bob@biloxi.com SIP/2.0");
    for name in ["Route", "Via", "From", "Call-ID"] {
        assert_eq!(ack.headers(name), invite.headers(name), "{name}");
    }
    assert_eq!((ack.to_tag(), ack.to), ("b", invite.to));
    wire.datagram(&refused);
    assert_eq!(wire.one(), ack);
    wire.assert_quiet();
}

#[test]
fn an_answer_goes_to_the_peer_even_when_the_dialog_has_moved() {
    let (mut wire, tag) = established();
    wire.peer = "192.0.2.55:5080".parse().unwrap();
    let bye = request("BYE", "moved", Some(&tag), 314_160);
    wire.datagram(bye.replace("192.0.2.9:5062;branch", "192.0.2.55:5080;branch"));
    let ok = wire.one();
    assert_eq!(
        (ok.line(), ok.to.to_string()),
        ("SIP/2.0 200 OK", "192.0.2.55:5080".to_owned())
    );
}
