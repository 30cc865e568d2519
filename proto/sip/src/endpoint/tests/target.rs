//! Targets and flows: which is taken, and what happens when it fails.

use super::{bare::Bare, *};
use crate::{HeaderName, Headers, Method, Status, usage::invitation::EndCause};
use base::LinkError;

#[test]
fn the_socket_fits_the_target() {
    let mut bare = Bare::new(Config::default());
    for (target, ours) in [
        ("192.0.2.200:5060", "192.0.2.1:5060"),
        ("127.0.0.1:5070", "127.0.0.1:5060"),
        ("[2001:db8::9]:5060", "[2001:db8::1]:5060"),
        ("198.51.100.1:5060", "192.0.2.1:5060"),
        // More bits in common with 127.0.0.1.
        ("64.0.2.1:5060", "192.0.2.1:5060"),
    ] {
        bare.dial(&[(Transport::Udp, target)]);
        let (to, invite) = bare.request();
        assert_eq!(to.to_string(), target);
        assert_eq!(invite.headers.via().unwrap().sent_by().to_string(), ours);
        let contact =
            String::from_utf8(invite.headers.get(HeaderName::Contact).unwrap().to_vec()).unwrap();
        assert_eq!(contact, format!("<sip:alice@{ours}>"));
    }
}

#[test]
fn a_silent_target_is_left_and_its_late_answers_are_undone() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[
        (Transport::Udp, "192.0.2.8:5060"),
        (Transport::Udp, "192.0.2.9:5060"),
    ]);
    let (dead, first) = bare.request();
    bare.wait(ms(1_499));
    assert_eq!(bare.sent.len(), 1, "one retransmission");
    bare.sent.clear();
    bare.wait(ms(1));
    let (alive, second) = bare
        .sent
        .pop()
        .map(|(_, to, message)| (to, message))
        .unwrap();
    let Message::Request(second) = second else {
        panic!("{second:?}")
    };
    assert_eq!(alive.to_string(), "192.0.2.9:5060");
    for name in [HeaderName::CallId, HeaderName::From, HeaderName::CSeq] {
        assert_eq!(first.headers.get(name), second.headers.get(name));
    }
    assert_ne!(
        first.headers.via().unwrap().branch(),
        second.headers.via().unwrap().branch()
    );
    bare.sent.clear();
    bare.answer(&second, alive, Status::RINGING, "");
    bare.answer(&first, dead, Status::RINGING, "");
    let (to, cancel) = bare.request();
    assert_eq!((to, cancel.method), (dead, Method::Cancel));
    bare.answer(&second, alive, Status::OK, "answer");
    bare.resolve(&[(Transport::Udp, "192.0.2.9:5060")]);
    assert_eq!(bare.request().1.method, Method::Ack);
    // RFC 3261, 9.1: CANCEL came too late.
    let mut late = Response::to_request(&first, Status::OK, Some("late"));
    late.headers
        .push(HeaderName::Contact, "<sip:bob@192.0.2.8>");
    late.set_body("application/sdp", Bytes::from_static(b"answer"));
    let flow = bare.flow_of(&dead);
    bare.feed(Input::Message {
        flow,
        from: dead,
        message: late.to_bytes(),
    });
    bare.resolve(&[(Transport::Udp, "192.0.2.8:5060")]);
    bare.resolve(&[(Transport::Udp, "192.0.2.8:5060")]);
    let methods: Vec<_> = bare
        .sent
        .drain(..)
        .filter_map(|(_, to, message)| match message {
            Message::Request(request) => Some((to, request.method)),
            Message::Response(_) => None,
        })
        .collect();
    assert_eq!(methods, [(dead, Method::Ack), (dead, Method::Bye)]);
    assert_eq!(bare.ended(), None);
}

#[test]
fn the_next_target_after_503_icmp_and_refused_connections() {
    let second = (Transport::Udp, "192.0.2.9:5060");
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Udp, "192.0.2.8:5060"), second]);
    let (to, first) = bare.request();
    bare.answer(&first, to, Status::SERVICE_UNAVAILABLE, "");
    assert_eq!(bare.sent.len(), 2, "ACK and INVITE");
    assert_eq!(bare.sent[1].1.to_string(), second.1);

    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Udp, "192.0.2.8:5060"), second]);
    let (to, _) = bare.request();
    let flow = bare.flow_of(&to);
    bare.feed(Input::Undeliverable {
        flow,
        to,
        error: LinkError::Refused,
    });
    assert_eq!(bare.request().0.to_string(), second.1);

    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tcp, "192.0.2.8:5060"), second]);
    let (flow, _) = bare.connects.remove(0);
    bare.feed(Input::FlowDown {
        flow,
        error: Some(LinkError::Refused),
    });
    assert_eq!(bare.request().0.to_string(), second.1);

    // Nothing left.
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tcp, "192.0.2.8:5060")]);
    let (flow, _) = bare.connects.remove(0);
    bare.feed(Input::FlowDown {
        flow,
        error: Some(LinkError::Refused),
    });
    assert_eq!(
        bare.ended(),
        Some(EndCause::Transport(Some(LinkError::Refused)))
    );
    assert_eq!(bare.endpoint.stats(), Stats::default());

    let mut bare = Bare::new(Config::default());
    bare.dial(&[]);
    assert_eq!(
        bare.ended(),
        Some(EndCause::Lookup(crate::LookupError::NotFound))
    );
    assert_eq!(bare.endpoint.stats(), Stats::default());
}

#[test]
fn a_large_request_goes_by_tcp_and_back() {
    // RFC 3261, 18.1.1
    let large = || sdp(&"x".repeat(1_500));
    let mut bare = Bare::new(Config::default());
    bare.dial_with(&[(Transport::Udp, "192.0.2.9:5060")], large());
    assert_eq!(bare.sent.len(), 0);
    let (flow, target) = bare.connects.remove(0);
    assert_eq!(
        (target.transport, target.address.to_string().as_str()),
        (Transport::Tcp, "192.0.2.9:5060")
    );
    let local = "192.0.2.1:40000".parse().unwrap();
    bare.feed(Input::FlowUp {
        flow,
        local,
        peer: None,
    });
    let (_, invite) = bare.request();
    let via = invite.headers.via().unwrap();
    // Where we listen, not where the connection begins.
    assert_eq!((via.transport(), via.port), ("TCP", Some(5060)));
    let contact = invite.headers.get(HeaderName::Contact).unwrap();
    assert_eq!(
        String::from_utf8_lossy(contact),
        "<sip:alice@192.0.2.1:5060;transport=tcp>"
    );
    // A second one takes the same connection.
    bare.dial_with(&[(Transport::Tcp, "192.0.2.9:5060")], sdp("offer"));
    assert!(bare.connects.is_empty() && bare.sent.len() == 1);

    // No TCP there: the datagram goes after all.
    let mut bare = Bare::new(Config::default());
    bare.dial_with(&[(Transport::Udp, "192.0.2.9:5060")], large());
    let (flow, _) = bare.connects.remove(0);
    bare.feed(Input::FlowDown {
        flow,
        error: Some(LinkError::Refused),
    });
    assert_eq!(bare.request().1.headers.via().unwrap().transport(), "UDP");

    // A black hole, too.
    let mut bare = Bare::new(Config::default());
    bare.dial_with(&[(Transport::Udp, "192.0.2.9:5060")], large());
    bare.wait(ms(1_500));
    assert_eq!(bare.request().1.headers.via().unwrap().transport(), "UDP");

    // By choice never (ENG-49).
    let mut bare = Bare::new(Config {
        oversize: None,
        ..Config::default()
    });
    bare.dial_with(&[(Transport::Udp, "192.0.2.9:5060")], large());
    assert_eq!(bare.request().1.headers.via().unwrap().transport(), "UDP");
}

#[test]
fn responses_of_a_lost_connection_take_a_new_one() {
    // RFC 3261, 18.2.2
    let mut bare = Bare::new(Config::default());
    let local = "192.0.2.1:5060".parse().unwrap();
    let peer: SocketAddr = "192.0.2.9:40001".parse().unwrap();
    let flow = bare
        .endpoint
        .add_flow(bare.now, Transport::Tcp, local, Some(peer))
        .unwrap();
    let invite = "INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9:5070;branch=z9hG4bK1\r\n\
        Max-Forwards: 70\r\nTo: <sip:bob@192.0.2.1>\r\nFrom: <sip:alice@192.0.2.9>;tag=1\r\nCall-ID: 1\r\n\
        CSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.9:5070;transport=tcp>\r\nContent-Length: 0\r\n\r\n";
    bare.feed(Input::Message {
        flow,
        from: peer,
        message: Bytes::from_static(invite.as_bytes()),
    });
    bare.feed(Input::FlowDown { flow, error: None });
    let id = bare.endpoint.invitations().next().unwrap();
    let now = bare.now;
    bare.endpoint
        .invitation(id)
        .unwrap()
        .accept(now, sdp("offer"), Headers::new())
        .unwrap();
    bare.drain();
    assert_eq!(bare.sent.len(), 0);
    let (flow, target) = bare.connects.remove(0);
    assert_eq!(
        (target.transport, target.address.to_string().as_str()),
        (Transport::Tcp, "192.0.2.9:5070")
    );
    bare.feed(Input::FlowUp {
        flow,
        local: "192.0.2.1:40002".parse().unwrap(),
        peer: None,
    });
    assert!(
        matches!(&bare.sent[..], [(_, _, Message::Response(response))] if response.status == Status::OK)
    );
    // Once.
    bare.feed(Input::FlowDown {
        flow,
        error: Some(LinkError::Reset),
    });
    bare.wait(Duration::from_secs(5));
    assert_eq!(bare.connects.len(), 0);
}

#[test]
fn a_response_that_no_datagram_can_carry_is_lost() {
    let mut bare = Bare::new(Config::default());
    let from: SocketAddr = "192.0.2.9:5060".parse().unwrap();
    let flow = bare.flow_of(&from);
    let invite = "INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1\r\n\
        Max-Forwards: 70\r\nTo: <sip:bob@192.0.2.1>\r\nFrom: <sip:alice@192.0.2.9>;tag=1\r\nCall-ID: 1\r\n\
        CSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.9:5060>\r\nContent-Length: 0\r\n\r\n";
    let message = Bytes::from_static(invite.as_bytes());
    bare.feed(Input::Message {
        flow,
        from,
        message,
    });
    let id = bare.endpoint.invitations().next().unwrap();
    let now = bare.now;
    bare.endpoint.invitation(id).unwrap().ring(now).unwrap();
    bare.drain();
    let error = LinkError::Refused;
    bare.feed(Input::Undeliverable {
        flow,
        to: from,
        error,
    });
    assert_eq!(
        (bare.connects.len(), bare.endpoint.stats().invitations),
        (0, 1)
    );
}

#[test]
fn a_late_2xx_does_not_take_the_call_over() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[
        (Transport::Udp, "192.0.2.8:5060"),
        (Transport::Udp, "192.0.2.9:5060"),
    ]);
    let (dead, first) = bare.request();
    bare.wait(ms(1_500));
    bare.sent.clear();
    bare.answer(&first, dead, Status::OK, "answer");
    bare.resolve(&[(Transport::Udp, "192.0.2.8:5060")]);
    bare.resolve(&[(Transport::Udp, "192.0.2.8:5060")]);
    let methods: Vec<_> = bare
        .sent
        .iter()
        .map(|(_, _, message)| message.headers().cseq().unwrap().method)
        .collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    let id = bare.endpoint.invitations().next().unwrap();
    assert_eq!(
        bare.endpoint.invitation(id).unwrap().state(),
        State::Calling
    );
}

#[test]
fn connections_close_when_idle_and_when_broken() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tcp, "192.0.2.9:5060")]);
    let (flow, _) = bare.connects.remove(0);
    bare.feed(Input::FlowUp {
        flow,
        local: "192.0.2.1:40000".parse().unwrap(),
        peer: None,
    });
    let (to, invite) = bare.request();
    bare.answer(&invite, to, Status::BUSY_HERE, "");
    bare.wait(Duration::from_secs(31));
    assert_eq!(bare.released, []);
    bare.wait(Duration::from_secs(2));
    assert_eq!(bare.released, [flow]);
    assert_eq!(bare.endpoint.stats(), Stats::default());

    let mut bare = Bare::new(Config::default());
    let local = "192.0.2.1:5060".parse().unwrap();
    let peer: SocketAddr = "192.0.2.9:40001".parse().unwrap();
    let flow = bare
        .endpoint
        .add_flow(bare.now, Transport::Tcp, local, Some(peer))
        .unwrap();
    let mut framer = crate::message::frame::Framer::default();
    framer.push(
        b"OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1\r\n\
        To: <sip:a@b>\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
    );
    let error = framer.poll().unwrap_err();
    bare.feed(Input::Broken {
        flow,
        from: peer,
        error,
    });
    assert!(
        matches!(&bare.sent[..], [(_, _, Message::Response(response))] if response.status == Status::BAD_REQUEST)
    );
    assert_eq!(bare.released, [flow]);
}

#[test]
fn an_agent_calls_itself() {
    // Its own sent-by further down the Via list is a spiral, and legal.
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Udp, "127.0.0.1:5060")]);
    let mut turns = 0;
    while let Some((flow, to, message)) = bare.sent.pop() {
        turns += 1;
        assert!(turns < 20);
        bare.feed(Input::Message {
            flow,
            from: to,
            message: message.to_bytes(),
        });
        while !bare.lookups.is_empty() {
            bare.resolve(&[(Transport::Udp, "127.0.0.1:5060")]);
        }
        let now = bare.now;
        for id in bare.endpoint.invitations().collect::<Vec<_>>() {
            let mut call = bare.endpoint.invitation(id).unwrap();
            if call.state() == State::Incoming {
                call.accept(now, sdp("answer"), Headers::new()).unwrap();
            }
        }
        bare.drain();
    }
    let states: Vec<_> = bare.endpoint.invitations().collect();
    let states: Vec<_> = states
        .into_iter()
        .map(|id| bare.endpoint.invitation(id).unwrap().state())
        .collect();
    assert_eq!(states, [State::Confirmed, State::Confirmed]);
}

#[test]
fn flows_need_an_address() {
    let mut bare = Bare::new(Config::default());
    let any = "0.0.0.0:5060".parse().unwrap();
    let error = bare
        .endpoint
        .add_flow(bare.now, Transport::Udp, any, None)
        .unwrap_err();
    assert_eq!(error, AddFlowError::Unspecified);
    let here = "192.0.2.1:5060".parse().unwrap();
    let error = bare
        .endpoint
        .add_flow(bare.now, Transport::Tcp, here, None)
        .unwrap_err();
    assert_eq!(error, AddFlowError::Peer);
}

#[test]
fn cancel_over_a_connection_that_closed_in_between() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tcp, "192.0.2.9:5060")]);
    let (flow, _) = bare.connects.remove(0);
    let local = "192.0.2.1:40000".parse().unwrap();
    bare.feed(Input::FlowUp {
        flow,
        local,
        peer: None,
    });
    let (to, invite) = bare.request();
    bare.answer(&invite, to, Status::RINGING, "");
    // RFC 3261, 18.4 leaves it open; timers decide, not the end of the connection.
    bare.feed(Input::FlowDown { flow, error: None });
    assert_eq!(bare.ended(), None);
    let id = bare.endpoint.invitations().next().unwrap();
    let now = bare.now;
    bare.endpoint
        .invitation(id)
        .unwrap()
        .end(now, &Headers::new())
        .unwrap();
    bare.drain();
    let (flow, target) = bare.connects.remove(0);
    assert_eq!((target.transport, target.address), (Transport::Tcp, to));
    bare.feed(Input::FlowUp {
        flow,
        local,
        peer: None,
    });
    assert_eq!(bare.request().1.method, Method::Cancel);
}

#[test]
fn a_request_inside_a_call_takes_its_connection_else_the_contact() {
    // The caller stands behind a translator: no way leads to its Contact but its own connection.
    let connected = || {
        let mut bare = Bare::new(Config::default());
        let local = "192.0.2.1:5060".parse().unwrap();
        let peer: SocketAddr = "198.51.100.7:40001".parse().unwrap();
        let flow = bare
            .endpoint
            .add_flow(bare.now, Transport::Tcp, local, Some(peer))
            .unwrap();
        let text = |method: &str, tag: &str| {
            format!(
                "{method} sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9:5060;branch=z9hG4bK{method}\r\n\
                Max-Forwards: 70\r\nTo: <sip:bob@192.0.2.1>{tag}\r\nFrom: <sip:alice@10.0.0.9>;tag=1\r\n\
                Call-ID: 1\r\nCSeq: 1 {method}\r\nContact: <sip:alice@10.0.0.9;transport=tcp>\r\n\
                Content-Length: 0\r\n\r\n"
            )
        };
        bare.feed(Input::Message {
            flow,
            from: peer,
            message: text("INVITE", "").into(),
        });
        let id = bare.endpoint.invitations().next().unwrap();
        let now = bare.now;
        bare.endpoint
            .invitation(id)
            .unwrap()
            .accept(now, sdp("offer"), Headers::new())
            .unwrap();
        bare.drain();
        let Some((_, _, ok)) = bare.sent.pop() else {
            panic!("no answer")
        };
        let tag = format!(";tag={}", ok.headers().to().unwrap().tag().unwrap());
        let ack = text("ACK", &tag).replace(
            "\r\nContent-Length: 0",
            "\r\nContent-Type: application/sdp\r\nContent-Length: 6",
        );
        bare.feed(Input::Message {
            flow,
            from: peer,
            message: (ack + "answer").into(),
        });
        (bare, id, flow, peer)
    };
    let (mut bare, id, _, peer) = connected();
    let now = bare.now;
    bare.endpoint
        .invitation(id)
        .unwrap()
        .end(now, &Headers::new())
        .unwrap();
    bare.drain();
    let (to, bye) = bare.request();
    assert_eq!((to, bye.method), (peer, Method::Bye));

    let (mut bare, id, flow, _) = connected();
    bare.feed(Input::FlowDown {
        flow,
        error: Some(LinkError::Reset),
    });
    let now = bare.now;
    bare.endpoint
        .invitation(id)
        .unwrap()
        .end(now, &Headers::new())
        .unwrap();
    bare.resolve(&[(Transport::Tcp, "10.0.0.9:5060")]);
    assert_eq!(bare.connects[0].1.address.to_string(), "10.0.0.9:5060");
}

#[test]
fn resolvers_and_connections_that_never_answer() {
    let mut bare = Bare::new(Config::default());
    let invite = Invite::new(
        address("sip:alice@example.com"),
        address("sip:bob@example.com"),
    );
    bare.endpoint.invite(bare.now, invite).unwrap();
    bare.wait(Duration::from_secs(32));
    assert_eq!(
        bare.ended(),
        Some(EndCause::Lookup(crate::LookupError::TimedOut))
    );

    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tcp, "192.0.2.9:5060")]);
    bare.wait(Duration::from_secs(32));
    assert_eq!(
        bare.ended(),
        Some(EndCause::Transport(Some(LinkError::TimedOut)))
    );
}
