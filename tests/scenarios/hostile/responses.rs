//! Where responses go (RFC 3261, 18.2.2; RFC 3581), and which of the peer's are for us (18.1.2).

use super::branch;
use crate::wire::{INVITE, PEER, Wire, ms, request, response, secs};
use base::Transport;

fn reply_to(via: &str, from: &str) -> (String, String) {
    let mut wire = Wire::new();
    wire.peer = from.parse().unwrap();
    let ping = request("OPTIONS", "1", None, 1);
    let line = format!("Via: {via}\r\n");
    wire.datagram(ping.replace("Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK1\r\n", &line));
    let answer = wire.one();
    let via = answer.header("Via").unwrap().to_owned();
    (answer.to.to_string(), via)
}

#[test]
fn over_udp_the_port_is_rport_or_that_of_sent_by() {
    let cases = [
        (
            "SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff",
            "192.0.2.1:9988",
            "192.0.2.1:9988",
            "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988",
        ),
        // SIPp says no rport.
        (
            "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff",
            "192.0.2.1:9988",
            "192.0.2.1:4540",
            "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1",
        ),
        (
            "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1",
            "192.0.2.1:9988",
            "192.0.2.1:5060",
            "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1;received=192.0.2.1",
        ),
        // Nothing to add: it is where it says to be.
        (
            "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1",
            "192.0.2.1:5070",
            "192.0.2.1:5070",
            "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1",
        ),
        // RFC 3581, 4: with rport both are written in any case.
        (
            "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport",
            "192.0.2.1:5070",
            "192.0.2.1:5070",
            "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;received=192.0.2.1;rport=5070",
        ),
        // What the peer writes itself proves nothing.
        (
            "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1;received=203.0.113.9;rport=53",
            "192.0.2.1:9988",
            "192.0.2.1:9988",
            "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1;received=192.0.2.1;rport=9988",
        ),
    ];
    for (via, from, to, stamped) in cases {
        assert_eq!(reply_to(via, from), (to.to_owned(), stamped.to_owned()));
    }
}

#[test]
fn maddr_makes_no_reflector_of_us() {
    let to = |maddr: &str| {
        reply_to(
            &format!("SIP/2.0/UDP 10.1.1.1:4540;maddr={maddr};branch=z9hG4bK1"),
            PEER,
        )
        .0
    };
    assert_eq!(to("203.0.113.66"), "192.0.2.9:4540");
    assert_eq!(to("victim.example.com"), "192.0.2.9:4540");
    assert_eq!(to("192.0.2.9"), "192.0.2.9:4540");
    assert_eq!(to("224.2.0.1"), "224.2.0.1:4540");
}

#[test]
fn over_a_connection_responses_go_back_by_it() {
    let mut wire = Wire::new();
    let flow = wire.connection("192.0.2.9:40001");
    let invite = INVITE.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    assert!(wire.bytes(flow, &invite));
    wire.ring();
    let ringing = wire.one();
    assert_eq!(
        (ringing.flow, ringing.to.to_string()),
        (flow, "192.0.2.9:40001".to_owned())
    );
    // Our Contact names the port where we listen.
    assert_eq!(
        ringing.header("Contact"),
        Some("<sip:bob@192.0.2.4:5060;transport=tcp>")
    );

    // The connection is gone: a new one to `received` and the port of sent-by.
    wire.hang_up(flow);
    wire.accept();
    let [(opened, ref target)] = wire.opened[..] else {
        panic!("{:?}", wire.opened);
    };
    assert_eq!(
        (target.address.to_string(), target.transport),
        (PEER.to_owned(), Transport::Tcp)
    );
    let ok = wire.one();
    assert_eq!((ok.line(), ok.flow), ("SIP/2.0 200 OK", opened));

    // 13.3.1.4: repeated until its ACK on streams, too.
    wire.wait(secs(40));
    let repeated = wire.lines();
    let ok = repeated
        .iter()
        .filter(|line| line.starts_with("SIP/2.0 200"));
    assert_eq!(ok.count(), 10);
}

#[test]
fn responses_that_are_not_ours_are_dropped() {
    let mut wire = Wire::new();
    wire.invite("sip:bob@192.0.2.9:5062", |_| {});
    let invite = wire.one();
    let ringing = response(&invite, "180 Ringing", Some("b"), "");
    let via = invite.header("Via").unwrap().to_owned();
    let second = format!("Via: {via}\r\nVia: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKx\r\n");
    let dropped = [
        ringing.replace("UDP 192.0.2.4:5060", "UDP 192.0.2.5:5060"),
        ringing.replace("UDP 192.0.2.4:5060", "UDP 192.0.2.4:5070"),
        ringing.replace("UDP 192.0.2.4:5060", "UDP example.com:5060"),
        ringing.replace(&format!("Via: {via}\r\n"), &second),
        ringing.replace(branch(&invite), "z9hG4bKguessed"),
        ringing.replace("INVITE\r\n", "OPTIONS\r\n"),
        ringing.replace(&format!("Via: {via}\r\n"), ""),
    ];
    for message in dropped {
        wire.datagram(&message);
        assert_eq!(wire.told(), [""; 0], "{message}");
    }
    wire.datagram(&ringing);
    assert_eq!(wire.told(), ["Provisional"]);
    // Nothing of all that was answered, and the call still rings.
    wire.wait(ms(100));
    wire.expect(&[]);
}

#[test]
fn a_response_is_matched_in_any_case() {
    let mut wire = Wire::new();
    wire.invite("sip:bob@192.0.2.9:5062", |_| {});
    let invite = wire.one();
    let shouted = response(&invite, "180 Ringing", Some("b"), "")
        .replace("Via: SIP/2.0/UDP", "v: SIP / 2.0 / udp")
        .replace(branch(&invite), &branch(&invite).to_uppercase());
    wire.datagram(&shouted);
    assert_eq!(wire.told(), ["Provisional"]);
}
