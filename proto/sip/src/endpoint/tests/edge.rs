//! The edge: noise, malformed messages, targets that fail, connections that break, limits.

use super::*;
use crate::{
    FlowId, HeaderName, Headers, LookupId, Method, Status,
    usage::{
        invitation::EndCause,
        options::{Options, OptionsEvent},
    },
};
use base::{Host, LinkError, Target};

/// An endpoint whose lookups and connections are answered by the test.
struct Bare {
    endpoint: Endpoint,
    now: Instant,
    sent: Vec<(FlowId, SocketAddr, Message)>,
    lookups: Vec<LookupId>,
    connects: Vec<(FlowId, Target)>,
    released: Vec<FlowId>,
    events: Vec<Event>,
}

impl Bare {
    fn new(config: Config) -> Self {
        let mut endpoint = Endpoint::new(start(), config, Rng::from_seed([2; 32]));
        for ip in ["127.0.0.1", "192.0.2.1", "2001:db8::1"] {
            let local = SocketAddr::new(ip.parse().unwrap(), 5060);
            endpoint
                .add_flow(start(), Transport::Udp, local, None)
                .unwrap();
            endpoint.add_listener(Transport::Tcp, local);
        }
        Self {
            endpoint,
            now: start(),
            sent: Vec::new(),
            lookups: Vec::new(),
            connects: Vec::new(),
            released: Vec::new(),
            events: Vec::new(),
        }
    }

    fn feed(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { flow, to, message } => {
                    self.sent.push((flow, to, Message::parse(message).unwrap()))
                }
                Output::Resolve { lookup, .. } => self.lookups.push(lookup),
                Output::Connect { flow, target, .. } => self.connects.push((flow, target)),
                Output::Release { flow } => self.released.push(flow),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(deadline) = self
            .endpoint
            .poll_timeout()
            .filter(|deadline| deadline.at <= until)
        {
            self.now = self.now.max(deadline.at);
            self.feed(Input::Timeout);
        }
        self.now = until;
    }

    fn dial(&mut self, targets: &[(Transport, &str)]) {
        self.dial_with(targets, sdp("offer"));
    }

    fn dial_with(&mut self, targets: &[(Transport, &str)], offer: Description) {
        let mut invite = Invite::new(
            address("sip:alice@example.com"),
            address("sip:bob@example.com"),
        );
        invite.offer = Some(offer);
        self.endpoint.invite(self.now, invite).unwrap();
        self.resolve(targets);
    }

    fn resolve(&mut self, targets: &[(Transport, &str)]) {
        self.drain();
        let lookup = self.lookups.remove(0);
        let target = |&(transport, address): &(Transport, &str)| Target {
            transport,
            address: address.parse().unwrap(),
            name: Host::Name("example.com".to_owned()),
        };
        let targets = Ok(targets.iter().map(target).collect());
        self.feed(Input::Resolved { lookup, targets });
    }

    fn request(&mut self) -> (SocketAddr, Request) {
        assert_eq!(self.sent.len(), 1, "{:#?}", self.sent);
        match self.sent.remove(0) {
            (_, to, Message::Request(request)) => (to, request),
            other => panic!("{other:?}"),
        }
    }

    /// A response to a request, from where it was sent to.
    fn answer(&mut self, request: &Request, to: SocketAddr, status: Status, body: &str) {
        let mut response = Response::to_request(request, status, Some("b"));
        response
            .headers
            .push(HeaderName::Contact, "<sip:bob@192.0.2.9>");
        if !body.is_empty() {
            response.set_body("application/sdp", Bytes::copy_from_slice(body.as_bytes()));
        }
        let flow = self.flow_of(&to);
        self.feed(Input::Message {
            flow,
            from: to,
            message: response.to_bytes(),
        });
    }

    fn flow_of(&self, to: &SocketAddr) -> FlowId {
        let flows = &self.endpoint.flows;
        let connected = flows
            .table
            .iter()
            .find(|(_, flow)| flow.peer == Some(*to))
            .map(|(id, _)| id);
        connected.or_else(|| flows.socket_for(*to)).expect("a flow")
    }

    fn ended(&mut self) -> Option<EndCause> {
        self.drain();
        self.events.iter().find_map(|event| match event {
            Event::Invitation(_, InvitationEvent::Ended { cause, .. }) => Some(*cause),
            _ => None,
        })
    }
}

#[test]
fn noise_is_counted_and_nothing_else() {
    let mut wire = Wire::new();
    let stun = [
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    for noise in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        &stun,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        wire.receive_bytes(noise.to_vec());
    }
    assert_eq!(
        (
            wire.endpoint.counters().noise,
            wire.sent.len(),
            wire.events.len()
        ),
        (5, 0, 0)
    );
    for junk in [
        &b"hello"[..],
        b"\xff\xfe\xfd",
        b"SIP/2.0\r\n\r\n",
        b"INVITE\r\n\r\n",
    ] {
        wire.receive_bytes(junk.to_vec());
    }
    assert_eq!(
        (wire.sent.len(), wire.endpoint.stats()),
        (0, Stats::default())
    );
}

#[test]
fn malformed_requests_are_answered_where_it_says_to_whom() {
    let mut wire = Wire::new();
    wire.receive(
        "OPTIONS sip:user@example.com SIP/2.0
        To: sip:j.user@example.com
        From: sip:caller@example.net;tag=93942939o2
        Max-Forwards: 254
        Call-ID: ncl.0ha0isndaksdj2193423r542w35
        CSeq: 0 NOPE
        Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
        Content-Length: 0",
    );
    let response = wire.response();
    assert_eq!(response.status, Status::BAD_REQUEST);
    let via = response.headers.get(HeaderName::Via).unwrap();
    assert!(
        via.ends_with(b";received=192.0.2.9"),
        "{}",
        String::from_utf8_lossy(via)
    );
    assert!(response.headers.to().unwrap().tag().is_some());
    assert_eq!(wire.events.len(), 1);
}

#[test]
fn answers_without_state_are_no_amplifier() {
    let mut wire = Wire::new();
    // As small as a request can be.
    wire.receive(
        "OPTIONS sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 OPTIONS\nl:0",
    );
    wire.receive("INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 INVITE\nRequire:x\nl:0");
    wire.receive("FOO sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 FOO\nl:0");
    wire.receive("FOO sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 OO\nl:0");
    let counters = wire.endpoint.counters();
    assert!(counters.stateless_in > 0);
    let ratio = counters.stateless_out as f64 / counters.stateless_in as f64;
    println!("stateless answers: {ratio:.2} times their requests");
    assert!(ratio <= 3.0);
}

#[test]
fn reflection_of_a_spoofed_invite_is_bounded() {
    let mut wire = Wire::new();
    let invite = "INVITE sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1
        Max-Forwards: 70
        To: <sip:bob@biloxi.com>
        From: <sip:alice@atlanta.com>;tag=1
        Call-ID: 1
        CSeq: 1 INVITE
        Contact: <sip:alice@192.0.2.9>
        Content-Type: application/sdp
        Content-Length: 5

        offer";
    wire.receive(invite);
    let id = wire.endpoint.invitations().next().unwrap();
    let now = wire.now;
    wire.endpoint
        .invitation(id)
        .unwrap()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    wire.wait(Duration::from_secs(100));
    let lines = wire.lines();
    let successes = lines
        .iter()
        .filter(|line| line.starts_with("SIP/2.0 200"))
        .count();
    println!("a spoofed INVITE draws {successes} times 200");
    assert_eq!(successes, 11);
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn options_get_what_invite_would_get() {
    let options = "OPTIONS sip:whoever@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bK1
        Max-Forwards: 70
        To: <sip:whoever@192.0.2.1>
        From: <sip:ping@192.0.2.9>;tag=1
        Call-ID: 1
        CSeq: 1 OPTIONS
        Content-Length: 0";
    let mut wire = Wire::new();
    wire.receive(options);
    let response = wire.response();
    assert_eq!(response.status, Status::OK);
    for name in [
        HeaderName::Allow,
        HeaderName::Accept,
        HeaderName::AcceptEncoding,
        HeaderName::Supported,
    ] {
        assert!(response.headers.contains(name), "{name:?}");
    }
    // RFC 3261, 8.2.7: a copy gets the same answer, tag included.
    wire.receive(options);
    assert_eq!(wire.response(), response);
    wire.endpoint
        .set_availability(Availability::Refusing(Status::BUSY_HERE));
    wire.receive(options);
    assert_eq!(wire.response().status, Status::BUSY_HERE);
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn our_options() {
    let mut wire = Wire::new();
    let options = || {
        Options::new(
            address("sip:alice@192.0.2.1"),
            address("sip:bob@192.0.2.9:5062"),
        )
    };
    let id = wire.endpoint.options(wire.now, options()).unwrap();
    let request = wire.request();
    assert_eq!(request.method, Method::Options);
    let response = Response::to_request(&request, Status::NOT_FOUND, Some("b"));
    wire.receive_bytes(response.to_bytes());
    match &wire.events[..] {
        [
            Event::Options(
                about,
                OptionsEvent::Answered {
                    code: Status::NOT_FOUND,
                    ..
                },
            ),
        ] => assert_eq!(*about, id),
        events => panic!("{events:#?}"),
    }
    wire.events.clear();
    wire.endpoint.options(wire.now, options()).unwrap();
    wire.wait(Duration::from_secs(32));
    assert!(matches!(
        &wire.events[..],
        [Event::Options(
            _,
            OptionsEvent::Failed {
                cause: EndCause::Timeout
            }
        )]
    ));
    wire.wait(Duration::from_secs(6));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn the_socket_fits_the_target() {
    let mut bare = Bare::new(Config::default());
    for (target, ours) in [
        ("192.0.2.200:5060", "192.0.2.1:5060"),
        ("127.0.0.1:5070", "127.0.0.1:5060"),
        ("[2001:db8::9]:5060", "[2001:db8::1]:5060"),
        ("198.51.100.1:5060", "192.0.2.1:5060"),
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
fn shutdown_ends_everything() {
    let mut wire = Wire::new();
    let mut invite = Invite::new(
        address("sip:alice@192.0.2.1"),
        address("sip:bob@192.0.2.9:5062"),
    );
    invite.offer = Some(sdp("offer"));
    wire.endpoint.invite(wire.now, invite.clone()).unwrap();
    let sent = wire.request();
    wire.receive_bytes(Response::to_request(&sent, Status::RINGING, Some("b")).to_bytes());
    wire.endpoint.shutdown(wire.now);
    assert_eq!(wire.request().method, Method::Cancel);
    let refused = wire.endpoint.invite(wire.now, invite);
    assert_eq!(
        refused,
        Err(crate::usage::invitation::InviteError::ShuttingDown)
    );
    wire.wait(Duration::from_secs(70));
    assert_eq!(wire.endpoint.stats(), Stats::default());
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
