//! Which connection is used again, and which must not be (RFC 3261, 18; RFC 5923, 8.1; RFC 5922, 7).

use super::{bare::Bare, *};
use crate::{HeaderName, Status, usage::invitation::EndCause};
use base::{Host, LinkError, Target};

const PEER: &str = "192.0.2.9:5061";

impl Bare {
    /// Calls somebody of a domain, whose server is at `PEER`.
    fn dial_domain(&mut self, domain: &str, transport: Transport) {
        let to = format!("sip:bob@{domain}");
        let mut invite = Invite::new(address("sip:alice@example.com"), address(&to));
        invite.offer = Some(sdp("offer"));
        self.endpoint.invite(self.now, invite).unwrap();
        self.drain();
        let lookup = self.lookups.remove(0);
        let targets = Ok(vec![Target {
            transport,
            address: PEER.parse().unwrap(),
            name: Host::Name(domain.to_owned()),
        }]);
        self.feed(Input::Resolved { lookup, targets });
    }

    fn connected(&mut self) -> FlowId {
        assert_eq!(self.connects.len(), 1, "{:?}", self.connects);
        let (flow, _) = self.connects.remove(0);
        let local = "192.0.2.1:40000".parse().unwrap();
        let peer = None;
        self.feed(Input::FlowUp { flow, local, peer });
        flow
    }

    /// The flow that the last message went by.
    fn way(&mut self) -> FlowId {
        let (flow, ..) = self.sent.pop().expect("a message");
        self.sent.clear();
        flow
    }
}

#[test]
fn a_secured_connection_serves_only_the_name_that_it_has_proven() {
    let mut bare = Bare::new(Config::default());
    bare.dial_domain("example.com", Transport::Tls);
    let first = bare.connected();
    assert_eq!(bare.way(), first);
    bare.dial_domain("example.com", Transport::Tls);
    assert_eq!(bare.way(), first, "used again");
    // Another domain at the same address has proven nothing.
    bare.dial_domain("example.org", Transport::Tls);
    let second = bare.connected();
    assert_ne!(second, first);
    assert_eq!(bare.way(), second);
    // A plain connection proves nothing to anybody.
    bare.dial_domain("example.com", Transport::Tcp);
    let plain = bare.connected();
    bare.sent.clear();
    bare.dial_domain("example.org", Transport::Tcp);
    assert_eq!(bare.way(), plain);
}

/// RFC 5923, 9.1: a connection that a peer has opened shows us no certificate; requests to its address
/// open one of their own.
#[test]
fn rfc_5923_an_accepted_connection_carries_no_request_to_a_name() {
    let mut bare = Bare::new(Config::default());
    let local = "192.0.2.1:5061".parse().unwrap();
    let peer = Some(PEER.parse().unwrap());
    let accepted = bare
        .endpoint
        .add_flow(bare.now, Transport::Tls, local, peer)
        .unwrap();
    bare.dial_domain("example.com", Transport::Tls);
    let ours = bare.connected();
    assert_ne!(ours, accepted);
    assert_eq!(bare.way(), ours);
}

#[test]
fn connections_are_limited_and_the_next_target_is_tried() {
    let mut config = Config::default();
    config.limits.flows = 1;
    let mut bare = Bare::new(config);
    bare.dial(&[(Transport::Tcp, "192.0.2.8:5060")]);
    bare.connected();
    bare.sent.clear();
    bare.dial(&[
        (Transport::Tcp, "192.0.2.9:5060"),
        (Transport::Udp, "192.0.2.9:5060"),
    ]);
    let (_, invite) = bare.request();
    assert_eq!(invite.headers.via().unwrap().transport(), "UDP");
    bare.dial(&[(Transport::Tcp, "192.0.2.9:5060")]);
    let too_many = EndCause::Transport(Some(LinkError::TooMany));
    assert_eq!(bare.ended(), Some(too_many));
}

#[test]
fn a_connection_with_a_call_on_it_is_not_idle() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tcp, "192.0.2.9:5060")]);
    let flow = bare.connected();
    let (to, invite) = bare.request();
    let mut response = Response::to_request(&invite, Status::OK, Some("b"));
    let contact = "<sip:bob@192.0.2.9;transport=tcp>";
    response.headers.push(HeaderName::Contact, contact);
    response.set_body("application/sdp", Bytes::from_static(b"answer"));
    bare.feed(Input::Message {
        flow,
        from: to,
        message: response.to_bytes(),
    });
    bare.resolve(&[(Transport::Tcp, "192.0.2.9:5060")]);
    bare.wait(Duration::from_secs(600));
    assert_eq!(bare.released, []);
    let now = bare.now;
    let id = bare.endpoint.invitations().next().unwrap();
    let none = crate::Headers::new();
    bare.endpoint
        .invitation(id)
        .unwrap()
        .end(now, &none)
        .unwrap();
    bare.drain();
    if !bare.lookups.is_empty() {
        bare.resolve(&[(Transport::Tcp, "192.0.2.9:5060")]);
    }
    let Some((way, _, Message::Request(bye))) = bare.sent.pop() else {
        panic!("{:?}", bare.sent)
    };
    assert_eq!((way, bye.method.as_str()), (flow, "BYE"));
    bare.answer(&bye, to, Status::OK, "");
    bare.wait(Duration::from_secs(120));
    assert_eq!(bare.released, [flow]);
    assert_eq!(bare.endpoint.stats(), Stats::default());
}

/// RFC 7118, 5: nobody can connect to us, so a name that means nothing stands for us.
#[test]
fn rfc_7118_over_a_web_socket_we_have_a_name_below_invalid() {
    let mut bare = Bare::new(Config::default());
    for (transport, over) in [(Transport::Ws, "WS"), (Transport::Wss, "WSS")] {
        bare.dial_domain("example.com", transport);
        let flow = bare.connected();
        let (to, invite) = bare.request();
        let via = invite.headers.via().unwrap();
        assert_eq!((via.transport(), via.port), (over, None));
        let name = via.sent_by().to_string();
        assert!(name.ends_with(".invalid"), "{name}");
        let contact = invite.headers.get(HeaderName::Contact).unwrap();
        let contact = String::from_utf8_lossy(contact);
        // RFC 7118, 5.2 and 8.2: there is one name in URIs.
        assert_eq!(contact, format!("<sip:alice@{name};transport=ws>"));
        // The answer is for us; one with another name is not.
        let response = Response::to_request(&invite, Status::BUSY_HERE, Some("b"));
        let text = String::from_utf8(response.to_bytes().to_vec()).unwrap();
        for (text, ended) in [
            (text.replace(&name, "other.invalid"), false),
            (text.replace(&name, &name.to_uppercase()), true),
        ] {
            let message = text.into();
            let from = to;
            bare.feed(Input::Message {
                flow,
                from,
                message,
            });
            assert_eq!(bare.ended().is_some(), ended);
        }
        bare.events.clear();
        bare.sent.clear();
    }
}

/// RFC 7118, 8.2: what a server names by `transport=ws` over a secured WebSocket leads back over it, be it an
/// address or the name that it has proven; what leads elsewhere does not.
#[test]
fn rfc_7118_8_2_a_dialog_stays_on_its_secured_web_socket() {
    let name = |name: &str| Host::Name(name.to_owned());
    let ip = Host::Ip([192, 0, 2, 9].into());
    for (host, at, is_same) in [
        (ip.clone(), PEER, true),
        (name("example.com"), PEER, true),
        (name("example.org"), PEER, false),
        (ip, "192.0.2.9:8080", false),
    ] {
        let mut bare = Bare::new(Config::default());
        bare.dial_domain("example.com", Transport::Wss);
        let flow = bare.connected();
        let (from, invite) = bare.request();
        let mut response = Response::to_request(&invite, Status::OK, Some("b"));
        let headers = &mut response.headers;
        headers.push(HeaderName::Contact, "<sip:bob@203.0.113.22:5060>");
        let route = format!("<sip:{host};transport=ws;lr>");
        headers.push(HeaderName::RecordRoute, route.as_str());
        response.set_body("application/sdp", Bytes::from_static(b"answer"));
        let message = response.to_bytes();
        bare.feed(Input::Message {
            flow,
            from,
            message,
        });
        let target = Target {
            transport: Transport::Ws,
            address: at.parse().unwrap(),
            name: host.clone(),
        };
        let lookup = bare.lookups.remove(0);
        let targets = Ok(vec![target]);
        bare.feed(Input::Resolved { lookup, targets });
        let ways: Vec<FlowId> = bare.sent.iter().map(|(way, ..)| *way).collect();
        assert_eq!(ways == [flow], is_same, "{host} {at}");
        assert_eq!(bare.connects.is_empty(), is_same, "{host} {at}");
    }
}

/// Whoever connects while we leave is let go like everybody else, and not after hours.
#[test]
fn a_connection_that_comes_behind_a_shutdown_is_not_kept() {
    let mut bare = Bare::new(Config::default());
    let now = bare.now;
    bare.endpoint.shutdown(now);
    let local = "192.0.2.1:5060".parse().unwrap();
    let peer = Some(PEER.parse().unwrap());
    let flow = bare
        .endpoint
        .add_flow(now, Transport::Tcp, local, peer)
        .unwrap();
    bare.wait(Duration::from_secs(33));
    assert_eq!(bare.released, [flow]);
    assert_eq!(bare.endpoint.stats(), Stats::default());
}
