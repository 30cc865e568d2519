//! Against peers whose bytes are written by hand from RFC 5626, 4.4 and RFC 8489, 5.

use super::*;
use crate::{
    edge::{Input, Output},
    link::{LinkLimits, LinkOutput},
};
use base::{Key as _, Target, Transport};
use bytes::BytesMut;
use std::sync::OnceLock;

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

const SECOND: Duration = Duration::from_secs(1);

/// A table with one way to 192.0.2.9:5060 that is kept open.
struct Stage {
    links: Links,
    now: Instant,
    link: LinkId,
    flow: FlowId,
}

fn peer() -> SocketAddr {
    ([192, 0, 2, 9], 5060).into()
}

fn local() -> SocketAddr {
    ([192, 0, 2, 1], 5060).into()
}

impl Stage {
    fn new(transport: Transport, is_answered: bool) -> Self {
        let mut links = Links::new(
            LinkLimits::default(),
            None,
            false,
            &mut Rng::from_seed([7; 32]),
        );
        let now = origin();
        let flow = FlowId::from_parts(0, 1);
        let link = match transport {
            Transport::Udp => {
                let link = links.listen(now, transport, local());
                links.set_flow(link, flow);
                link
            }
            _ => {
                let target = Target {
                    transport,
                    address: peer(),
                    name: base::Host::Ip(peer().ip()),
                };
                links.connect(now, flow, &target);
                let opened = |output| match output {
                    LinkOutput::Edge(Output::Open { link, .. }) => Some(link),
                    _ => None,
                };
                std::iter::from_fn(|| links.poll_output())
                    .find_map(opened)
                    .unwrap()
            }
        };
        let input = Input::Opened {
            link,
            local: local(),
            peer: transport.is_reliable().then(peer),
        };
        links.handle_input(now, input);
        let mut stage = Self {
            links,
            now,
            link,
            flow,
        };
        stage.set(is_answered);
        stage.said();
        stage
    }

    fn set(&mut self, is_answered: bool) {
        let pulse = Pulse::new(30 * SECOND, is_answered);
        let (now, flow) = (self.now, self.flow);
        self.links.keep_alive(now, flow, peer(), Some(pulse));
    }

    /// Goes to the next deadline; returns how long that took.
    fn next(&mut self) -> Duration {
        let at = self.links.poll_timeout().expect("a deadline").at;
        let waited = at - self.now;
        self.now = at;
        self.links.handle_timeout(at);
        waited
    }

    /// What was sent to the peer, and what the endpoint was told.
    fn said(&mut self) -> (Vec<Bytes>, Vec<sip::Input>) {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        while let Some(output) = self.links.poll_output() {
            match output {
                LinkOutput::Edge(Output::Write { payload, .. }) => sent.push(payload),
                LinkOutput::Edge(Output::Transmit { payload, to, .. }) => {
                    assert_eq!(to, peer());
                    sent.push(payload);
                }
                LinkOutput::Flow(input) => told.push(input),
                _ => {}
            }
        }
        (sent, told)
    }

    fn sent(&mut self) -> Bytes {
        let (mut sent, told) = self.said();
        assert_eq!((sent.len(), told.len()), (1, 0), "{sent:?} {told:?}");
        sent.remove(0)
    }

    fn receive(&mut self, bytes: &[u8]) {
        let payload = BytesMut::from(bytes);
        let link = self.link;
        self.links
            .handle_input(self.now, Input::Bytes { link, payload });
    }

    fn receive_datagram(&mut self, bytes: &[u8]) {
        let input = Input::Datagram {
            link: self.link,
            from: peer(),
            to: None,
            payload: BytesMut::from(bytes),
        };
        self.links.handle_input(self.now, input);
    }
}

/// A success response that maps us to 203.0.113.7 and a port (RFC 8489, 14.2).
fn mapped(request: &[u8], port: u16) -> Vec<u8> {
    let mut response = vec![0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42];
    response.extend_from_slice(&request[8..20]);
    response.extend_from_slice(&[0x00, 0x20, 0x00, 0x08, 0x00, 0x01]);
    response.extend_from_slice(&(port ^ 0x2112).to_be_bytes());
    response.extend_from_slice(&[203 ^ 0x21, 0x12, 113 ^ 0xa4, 7 ^ 0x42]);
    response
}

/// users.md has half-open connections: the peer is gone, and nothing says so.
#[test]
fn rfc_5626_a_missing_pong_closes_the_connection_after_10_s() {
    let mut stage = Stage::new(Transport::Tcp, true);
    for _ in 0..3 {
        // Between 80 and 100 % of what was asked for.
        let pause = stage.next();
        assert!((24 * SECOND..=30 * SECOND).contains(&pause), "{pause:?}");
        assert_eq!(stage.sent(), "\r\n\r\n");
        stage.now += SECOND;
        stage.receive(b"\r\n");
        stage.said();
    }
    stage.next();
    assert_eq!(stage.sent(), "\r\n\r\n");
    assert_eq!(stage.next(), 10 * SECOND);
    let (sent, told) = stage.said();
    assert!(sent.is_empty());
    let error = Some(LinkError::TimedOut);
    let flow = stage.flow;
    assert_eq!(told, [sip::Input::FlowDown { flow, error }]);
    assert_eq!(stage.links.poll_timeout(), None);
    assert_eq!(stage.links.counters().dead, 1);
}

#[test]
fn rfc_5626_a_ping_of_the_peer_is_no_answer_to_ours() {
    let mut stage = Stage::new(Transport::Tcp, true);
    stage.next();
    stage.said();
    stage.receive(b"\r\n\r\n");
    assert_eq!(stage.sent(), "\r\n", "its answer");
    stage.next();
    assert_eq!(stage.said().1.len(), 1, "ours is still open");
}

#[test]
fn who_has_promised_nothing_need_not_answer_until_it_has_done_so() {
    let mut stage = Stage::new(Transport::Tcp, false);
    for _ in 0..3 {
        stage.next();
        assert_eq!(stage.sent(), "\r\n\r\n");
    }
    stage.receive(b"\r\n");
    stage.next();
    assert_eq!(stage.sent(), "\r\n\r\n");
    assert_eq!(stage.next(), 10 * SECOND);
    assert!(matches!(&stage.said().1[..], [sip::Input::FlowDown { .. }]));
}

#[test]
fn line_ends_keep_the_binding_of_datagrams() {
    let mut stage = Stage::new(Transport::Udp, false);
    for _ in 0..3 {
        let pause = stage.next();
        assert!((24 * SECOND..=30 * SECOND).contains(&pause), "{pause:?}");
        assert_eq!(stage.sent(), "\r\n\r\n");
    }
    stage.links.keep_alive(stage.now, stage.flow, peer(), None);
    assert_eq!(stage.links.poll_timeout(), None);
}

#[test]
fn rfc_5626_a_changed_mapped_address_is_a_dead_flow() {
    let mut stage = Stage::new(Transport::Udp, true);
    for port in [4_000, 4_000] {
        stage.next();
        let request = stage.sent();
        assert_eq!(request[..8], [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        stage.receive_datagram(&mapped(&request, port));
        assert_eq!(stage.said().1, []);
    }
    stage.next();
    let request = stage.sent();
    // What nobody asked for is noise.
    let mut other = request.to_vec();
    other[19] ^= 1;
    stage.receive_datagram(&mapped(&other, 5_000));
    assert_eq!(stage.said().1, []);
    stage.receive_datagram(&mapped(&request, 5_000));
    let flow = stage.flow;
    let failed = sip::Input::FlowFailed { flow, to: peer() };
    assert_eq!(stage.said().1, [failed]);
    assert_eq!(stage.links.poll_timeout(), None);
}

#[test]
fn rfc_8489_stun_without_answer_is_repeated_and_then_the_flow_is_dead() {
    let mut stage = Stage::new(Transport::Udp, true);
    stage.next();
    let first = stage.sent();
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(stage.next().as_millis());
        assert_eq!(stage.sent(), first, "the same transaction");
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000]);
    assert_eq!(stage.next(), 8 * SECOND);
    let flow = stage.flow;
    let failed = sip::Input::FlowFailed { flow, to: peer() };
    assert_eq!(stage.said(), (Vec::new(), vec![failed]));
}

#[test]
fn an_error_is_an_answer() {
    let mut stage = Stage::new(Transport::Udp, true);
    stage.next();
    let request = stage.sent();
    // Error response 400, without a reason (RFC 8489, 14.8).
    let mut response = vec![0x01, 0x11, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42];
    response.extend_from_slice(&request[8..20]);
    response.extend_from_slice(&[0x00, 0x09, 0x00, 0x04, 0, 0, 4, 0]);
    stage.receive_datagram(&response);
    let pause = stage.next();
    assert!((24 * SECOND..=30 * SECOND).contains(&pause), "{pause:?}");
}

#[test]
fn what_is_kept_goes_with_its_link() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut stage = Stage::new(transport, true);
        stage.links.lose_address(local().ip());
        assert_eq!(stage.links.poll_timeout(), None);
        let mut stage = Stage::new(transport, true);
        // A shorter time counts at once.
        stage.now += 20 * SECOND;
        stage.set(true);
        let link = stage.link;
        stage
            .links
            .handle_input(stage.now, Input::Closed { link, error: None });
        assert_eq!(stage.links.poll_timeout(), None);
    }
}
