//! An endpoint whose every question is answered by the test.

use super::*;
use crate::{FlowId, HeaderName, LookupId, Status, usage::invitation::EndCause};
use base::{Host, Target};

/// An endpoint whose lookups and connections are answered by the test.
pub(super) struct Bare {
    pub(super) endpoint: Endpoint,
    pub(super) now: Instant,
    pub(super) sent: Vec<(FlowId, SocketAddr, Message)>,
    pub(super) lookups: Vec<LookupId>,
    pub(super) connects: Vec<(FlowId, Target)>,
    pub(super) released: Vec<FlowId>,
    pub(super) pulses: Vec<(FlowId, SocketAddr, Option<Pulse>)>,
    pub(super) events: Vec<Event>,
}

impl Bare {
    pub(super) fn new(config: Config) -> Self {
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
            pulses: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { flow, to, message } => {
                    self.sent.push((flow, to, Message::parse(message).unwrap()))
                }
                Output::Resolve { lookup, .. } => self.lookups.push(lookup),
                Output::Connect { flow, target, .. } => self.connects.push((flow, target)),
                Output::Release { flow } => self.released.push(flow),
                Output::KeepAlive { flow, to, pulse } => self.pulses.push((flow, to, pulse)),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
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

    pub(super) fn dial(&mut self, targets: &[(Transport, &str)]) {
        self.dial_with(targets, sdp("offer"));
    }

    pub(super) fn dial_with(&mut self, targets: &[(Transport, &str)], offer: Description) {
        let mut invite = Invite::new(
            address("sip:alice@example.com"),
            address("sip:bob@example.com"),
        );
        invite.offer = Some(offer);
        self.endpoint.invite(self.now, invite).unwrap();
        self.resolve(targets);
    }

    pub(super) fn resolve(&mut self, targets: &[(Transport, &str)]) {
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

    pub(super) fn request(&mut self) -> (SocketAddr, Request) {
        assert_eq!(self.sent.len(), 1, "{:#?}", self.sent);
        match self.sent.remove(0) {
            (_, to, Message::Request(request)) => (to, request),
            other => panic!("{other:?}"),
        }
    }

    /// A response to a request, from where it was sent to.
    pub(super) fn answer(&mut self, request: &Request, to: SocketAddr, status: Status, body: &str) {
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

    pub(super) fn flow_of(&self, to: &SocketAddr) -> FlowId {
        let flows = &self.endpoint.flows;
        let connected = flows
            .table
            .iter()
            .find(|(_, flow)| flow.peer == Some(*to))
            .map(|(id, _)| id);
        connected.or_else(|| flows.socket_for(*to)).expect("a flow")
    }

    pub(super) fn ended(&mut self) -> Option<EndCause> {
        self.drain();
        self.events.iter().find_map(|event| match event {
            Event::Invitation(_, InvitationEvent::Ended { cause, .. }) => Some(*cause),
            _ => None,
        })
    }
}
