//! Failover that fails over (RFC 3263, 4.3; BUG-26, SES-06): every way to be dead, what is remembered of
//! it, and two families at once (RFC 8305).

use super::{bare::Bare, *};
use crate::{HeaderName, Method, Status, usage::invitation::EndCause};
use base::{LinkError, TlsError};

const FIRST: &str = "192.0.2.8:5060";
const SECOND: &str = "192.0.2.9:5060";
const SIX: &str = "[2001:db8::8]:5060";

impl Bare {
    fn up(&mut self, flow: FlowId) {
        let local = "192.0.2.1:40000".parse().unwrap();
        let peer = None;
        self.feed(Input::FlowUp { flow, local, peer });
    }

    fn down(&mut self, flow: FlowId, error: LinkError) {
        let error = Some(error);
        self.feed(Input::FlowDown { flow, error });
    }

    /// What is connected to, in order.
    fn connecting(&self) -> Vec<String> {
        let targets = self.connects.iter();
        targets
            .map(|(_, target)| target.address.to_string())
            .collect()
    }

    fn respond(&mut self, request: &Request, from: &str, status: Status, further: &[(&str, &str)]) {
        let from: SocketAddr = from.parse().unwrap();
        let mut response = Response::to_request(request, status, Some("b"));
        for (name, value) in further {
            response.headers.push(*name, *value);
        }
        let flow = self.flow_of(&from);
        let message = response.to_bytes();
        self.feed(Input::Message {
            flow,
            from,
            message,
        });
    }
}

/// Every way in which the first target can be dead.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Death {
    Refused,
    BlackHole,
    WrongName,
    Unavailable,
    RetryAfter,
}

/// Makes the first target dead; returns what it was asked, if it was.
fn die(bare: &mut Bare, transport: Transport, death: Death) -> Option<Request> {
    let link = match transport.is_reliable() {
        true => Some(bare.connects.remove(0).0),
        false => None,
    };
    if let (Some(flow), Death::Unavailable | Death::RetryAfter) = (link, death) {
        bare.up(flow);
    }
    let asked = bare.sent.pop();
    let asked = asked.map(|(_, _, message)| match message {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    });
    let to = FIRST.parse().unwrap();
    match (death, link) {
        (Death::Refused, Some(flow)) => bare.down(flow, LinkError::Refused),
        (Death::Refused, None) => {
            let flow = bare.flow_of(&to);
            let error = LinkError::Refused;
            bare.feed(Input::Undeliverable { flow, to, error });
        }
        (Death::BlackHole, _) => {
            bare.wait(ms(1_500));
            if let Some(flow) = link {
                // What nobody waits for any more comes to its end later.
                bare.down(flow, LinkError::TimedOut);
            }
        }
        (Death::WrongName, Some(flow)) => bare.down(flow, LinkError::Tls(TlsError::WrongName)),
        (Death::WrongName, None) => unreachable!("datagrams have no certificate"),
        (Death::Unavailable, _) => {
            bare.respond(
                asked.as_ref().unwrap(),
                FIRST,
                Status::SERVICE_UNAVAILABLE,
                &[],
            );
        }
        (Death::RetryAfter, _) => {
            let further = [("Retry-After", "60 (moving);duration=3600")];
            bare.respond(
                asked.as_ref().unwrap(),
                FIRST,
                Status::SERVICE_UNAVAILABLE,
                &further,
            );
        }
    }
    asked
}

/// The INVITE that went to the second target.
fn next(bare: &mut Bare, transport: Transport) -> Request {
    if transport.is_reliable() && !bare.connects.is_empty() {
        assert_eq!(bare.connecting(), [SECOND]);
        let (flow, _) = bare.connects.remove(0);
        bare.up(flow);
    }
    let sent = bare.sent.drain(..).rev();
    let mut invites = sent.filter_map(|(_, to, message)| match message {
        Message::Request(request) if request.method == Method::Invite => Some((to, request)),
        _ => None,
    });
    let (to, invite) = invites.next().expect("another INVITE");
    assert_eq!(to.to_string(), SECOND);
    invite
}

fn deaths(transport: Transport) -> Vec<Death> {
    let mut deaths = vec![
        Death::Refused,
        Death::BlackHole,
        Death::Unavailable,
        Death::RetryAfter,
    ];
    if transport == Transport::Tls {
        deaths.push(Death::WrongName);
    }
    deaths
}

#[test]
fn bug_26_ses_06_a_call_goes_to_the_next_target_however_the_first_is_dead() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for death in deaths(transport) {
            let mut bare = Bare::new(Config::default());
            bare.dial(&[(transport, FIRST), (transport, SECOND)]);
            let first = die(&mut bare, transport, death);
            let second = next(&mut bare, transport);
            if let Some(first) = first {
                // A new transaction of the same request.
                for name in [HeaderName::CallId, HeaderName::From, HeaderName::CSeq] {
                    assert_eq!(
                        first.headers.get(name),
                        second.headers.get(name),
                        "{transport} {death:?}"
                    );
                }
                let branch = |request: &Request| {
                    let via = request.headers.via().unwrap();
                    via.branch().unwrap().to_owned()
                };
                assert_ne!(branch(&first), branch(&second), "{transport} {death:?}");
            }
            bare.respond(&second, SECOND, Status::BUSY_HERE, &[]);
            let busy = matches!(bare.ended(), Some(EndCause::Rejected));
            assert!(busy, "{transport} {death:?} {:?}", bare.ended());
        }
    }
}

#[test]
fn bug_26_a_dead_target_is_tried_last_for_its_time() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for death in deaths(transport) {
            let targets = [(transport, FIRST), (transport, SECOND)];
            let mut bare = Bare::new(Config::default());
            bare.dial(&targets);
            die(&mut bare, transport, death);
            let invite = next(&mut bare, transport);
            bare.respond(&invite, SECOND, Status::BUSY_HERE, &[]);
            let time = match death {
                Death::RetryAfter => 60,
                _ => 30,
            };
            // Black holes have cost a second and a half.
            bare.wait(Duration::from_secs(time - 2));
            bare.sent.clear();
            bare.dial(&targets);
            let invite = next(&mut bare, transport);
            bare.respond(&invite, SECOND, Status::BUSY_HERE, &[]);
            bare.wait(Duration::from_secs(4));
            bare.sent.clear();
            bare.dial(&targets);
            let asked: Vec<String> = match bare.connects.is_empty() {
                true => bare.sent.iter().map(|(_, to, _)| to.to_string()).collect(),
                false => bare.connecting(),
            };
            assert_eq!(asked, [FIRST], "{transport} {death:?}");
        }
    }
}

#[test]
fn a_target_that_answers_is_forgiven() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Udp, FIRST), (Transport::Udp, SECOND)]);
    bare.wait(ms(1_500));
    bare.sent.clear();
    // The only one is tried, whatever it did before.
    bare.dial(&[(Transport::Udp, FIRST)]);
    let (_, invite) = bare.request();
    bare.respond(&invite, FIRST, Status::BUSY_HERE, &[]);
    bare.sent.clear();
    bare.dial(&[(Transport::Udp, FIRST), (Transport::Udp, SECOND)]);
    assert_eq!(bare.request().0.to_string(), FIRST);
}

#[test]
fn silence_after_100_is_no_death() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bare = Bare::new(Config::default());
        bare.dial(&[(transport, FIRST), (transport, SECOND)]);
        if let Some((flow, _)) = bare.connects.pop() {
            bare.up(flow);
        }
        let (_, invite) = bare.request();
        bare.respond(&invite, FIRST, Status::TRYING, &[]);
        bare.wait(Duration::from_secs(60));
        assert_eq!((bare.sent.len(), bare.connects.len()), (0, 0));
        assert_eq!(bare.ended(), None);
    }
}

#[test]
fn a_503_of_the_last_target_is_the_outcome() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Udp, FIRST), (Transport::Tcp, SECOND)]);
    let (_, invite) = bare.request();
    bare.respond(&invite, FIRST, Status::SERVICE_UNAVAILABLE, &[]);
    let (flow, _) = bare.connects.remove(0);
    bare.down(flow, LinkError::Refused);
    // What a server said is worth more than that another did not answer.
    assert_eq!(bare.ended(), Some(EndCause::Rejected));
}

/// RFC 3261, 18.1.1; the black hole costs its time once, not with every large request.
#[test]
fn a_large_request_is_not_held_up_twice_by_a_tcp_that_is_not_there() {
    let large = || sdp(&"x".repeat(1_500));
    let mut bare = Bare::new(Config::default());
    bare.dial_with(&[(Transport::Udp, FIRST)], large());
    bare.wait(ms(1_499));
    assert_eq!(bare.sent.len(), 0);
    bare.wait(ms(1));
    bare.request();
    bare.connects.clear();
    bare.dial_with(&[(Transport::Udp, FIRST)], large());
    let (_, invite) = bare.request();
    assert_eq!(invite.headers.via().unwrap().transport(), "UDP");
    assert!(bare.connects.is_empty());
}

const BOTH: [(Transport, &str); 3] = [
    (Transport::Tcp, SIX),
    (Transport::Tcp, FIRST),
    (Transport::Tcp, SECOND),
];

#[test]
fn rfc_8305_the_other_family_is_tried_after_250_ms_and_the_first_that_is_up_wins() {
    for winner in [0, 1] {
        let mut bare = Bare::new(Config::default());
        bare.dial(&BOTH);
        bare.wait(ms(249));
        assert_eq!(bare.connecting(), [SIX]);
        bare.wait(ms(1));
        assert_eq!(bare.connecting(), [SIX, FIRST]);
        // A second server is no rival.
        bare.wait(ms(1_000));
        assert_eq!(bare.connecting(), [SIX, FIRST]);
        let flow = bare.connects[winner].0;
        bare.up(flow);
        assert_eq!(bare.request().0.to_string(), BOTH[winner].1);
        assert_eq!(bare.released, [bare.connects[1 - winner].0]);
        // Neither is avoided: the loser was only slower.
        bare.connects.clear();
        bare.dial(&BOTH[1 - winner..2 - winner]);
        assert_eq!(bare.connecting(), [BOTH[1 - winner].1]);
    }
}

#[test]
fn rfc_8305_a_family_that_is_refused_does_not_wait() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&BOTH);
    let (flow, _) = bare.connects.remove(0);
    bare.down(flow, LinkError::Unreachable);
    assert_eq!(bare.connecting(), [FIRST]);

    let mut bare = Bare::new(Config::default());
    bare.dial(&BOTH);
    bare.wait(ms(250));
    let (six, _) = bare.connects.remove(0);
    bare.down(six, LinkError::Refused);
    // The other still runs, with all its time.
    assert_eq!(bare.connecting(), [FIRST]);
    bare.wait(ms(1_249));
    assert_eq!(bare.connecting(), [FIRST]);
    bare.wait(ms(251));
    assert_eq!(bare.connecting(), [FIRST, SECOND]);
}

#[test]
fn rfc_8305_who_else_waits_for_the_loser_keeps_it() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&BOTH[..1]);
    let six = bare.connects[0].0;
    bare.dial(&BOTH);
    assert_eq!(bare.connecting(), [SIX]);
    bare.wait(ms(250));
    let four = bare.connects[1].0;
    bare.up(four);
    bare.request();
    assert_eq!(bare.released, []);
    bare.up(six);
    assert_eq!(bare.request().0.to_string(), SIX);
}

#[test]
fn rfc_8305_datagrams_and_other_ports_do_not_race() {
    for targets in [
        [(Transport::Udp, SIX), (Transport::Udp, FIRST)],
        [(Transport::Tcp, SIX), (Transport::Tcp, "192.0.2.8:5070")],
        [(Transport::Tcp, FIRST), (Transport::Tcp, SECOND)],
    ] {
        let mut bare = Bare::new(Config::default());
        bare.dial(&targets);
        bare.wait(ms(1_499));
        let seconds = bare
            .sent
            .iter()
            .filter(|(_, to, _)| to.to_string() == targets[1].1);
        assert_eq!((seconds.count(), bare.connects.len() < 2), (0, true));
    }
}

#[test]
fn rfc_8305_a_call_that_is_ended_meanwhile_leaves_nothing() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&BOTH);
    bare.wait(ms(250));
    let id = bare.endpoint.invitations().next().unwrap();
    let now = bare.now;
    let none = crate::Headers::new();
    bare.endpoint
        .invitation(id)
        .unwrap()
        .end(now, &none)
        .unwrap();
    bare.drain();
    for (flow, _) in std::mem::take(&mut bare.connects) {
        bare.up(flow);
    }
    assert_eq!(bare.sent.len(), 0);
    bare.wait(Duration::from_secs(100));
    assert_eq!(bare.endpoint.stats(), Stats::default());
}

/// A certificate names the domain; what the dialog's Contact and Record-Route name are addresses.
#[test]
fn rfc_5922_a_dialog_stays_on_the_connection_that_proved_its_server() {
    let mut bare = Bare::new(Config::default());
    bare.dial(&[(Transport::Tls, FIRST)]);
    let (flow, _) = bare.connects.remove(0);
    bare.up(flow);
    let (to, invite) = bare.request();
    bare.answer(&invite, to, Status::OK, "answer");
    let by_address = || {
        Ok(vec![Target {
            transport: Transport::Tls,
            address: FIRST.parse().unwrap(),
            name: base::Host::Ip("192.0.2.8".parse().unwrap()),
        }])
    };
    let lookup = bare.lookups.remove(0);
    let targets = by_address();
    bare.feed(Input::Resolved { lookup, targets });
    assert!(bare.connects.is_empty(), "{:?}", bare.connects);
    let (over, _, _) = bare.sent[0];
    assert_eq!((over, bare.request().1.method), (flow, Method::Ack));

    // Whoever dials the address wants it proven.
    let mut invite = Invite::new(
        address("sip:alice@example.com"),
        address("sips:bob@192.0.2.8"),
    );
    invite.offer = Some(sdp("offer"));
    bare.endpoint.invite(bare.now, invite).unwrap();
    bare.drain();
    let lookup = bare.lookups.remove(0);
    let targets = by_address();
    bare.feed(Input::Resolved { lookup, targets });
    assert_eq!((bare.connects.len(), bare.sent.len()), (1, 0));
}
