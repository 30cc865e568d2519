//! Some endpoints, a network between them, and a virtual clock.

use super::*;
use base::{Host, Target};
use std::collections::BTreeMap;

/// Says whether a message is lost.
type Lose = Box<dyn FnMut(&str) -> bool>;

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    flying: BTreeMap<(Instant, u64), Flying>,
    sequence: u64,
    pub(super) lose: Lose,
    /// Start lines with their sender, in order.
    pub(super) trace: Vec<String>,
}

pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    address: SocketAddr,
    socket: FlowId,
    /// Connections: ours, and where they end.
    connections: BTreeMap<FlowId, (usize, FlowId)>,
    pub(super) events: Vec<InvitationEvent>,
    pub(super) calls: Vec<InvitationId>,
}

struct Flying {
    to: usize,
    flow: FlowId,
    from: SocketAddr,
    message: Bytes,
}

impl World {
    pub(super) fn new(count: u8) -> Self {
        let node = |n: u8| {
            let mut endpoint =
                Endpoint::new(start(), Config::new("tested"), Rng::from_seed([n; 32]));
            let address: SocketAddr = format!("192.0.2.{n}:5060").parse().unwrap();
            let socket = endpoint
                .add_flow(start(), Transport::Udp, address, None)
                .unwrap();
            endpoint.add_listener(Transport::Tcp, address);
            Node {
                endpoint,
                address,
                socket,
                connections: BTreeMap::new(),
                events: Vec::new(),
                calls: Vec::new(),
            }
        };
        Self {
            now: start(),
            nodes: (1..=count).map(node).collect(),
            flying: BTreeMap::new(),
            sequence: 0,
            lose: Box::new(|_| false),
            trace: Vec::new(),
        }
    }

    pub(super) fn uri(&self, node: usize, transport: Transport) -> String {
        let parameter = if transport == Transport::Udp {
            ""
        } else {
            ";transport=tcp"
        };
        format!("sip:user{node}@{}{parameter}", self.nodes[node].address)
    }

    pub(super) fn invite(
        &mut self,
        from: usize,
        to: usize,
        transport: Transport,
        offer: Option<&str>,
    ) -> InvitationId {
        let mut invite = Invite::new(
            address(&self.uri(from, transport)),
            address(&self.uri(to, transport)),
        );
        invite.offer = offer.map(sdp);
        let now = self.now;
        let id = self.nodes[from].endpoint.invite(now, invite).unwrap();
        self.nodes[from].calls.push(id);
        self.drain();
        id
    }

    /// Acts on the latest call of a node.
    pub(super) fn act<R>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut InvitationMut<'_>, Instant) -> R,
    ) -> R {
        self.drain();
        let now = self.now;
        let node = &mut self.nodes[node];
        let id = *node.calls.last().expect("a call");
        let result = act(&mut node.endpoint.invitation(id).expect("alive"), now);
        self.drain();
        result
    }

    pub(super) fn state(&mut self, node: usize) -> State {
        let node = &mut self.nodes[node];
        let id = *node.calls.last().expect("a call");
        node.endpoint
            .invitation(id)
            .map_or(State::Disconnected, |call| call.state())
    }

    pub(super) fn drain(&mut self) {
        for at in 0..self.nodes.len() {
            while let Some(output) = self.nodes[at].endpoint.poll_output() {
                self.carry_out(at, output);
            }
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Send { flow, to, message } => self.carry(at, flow, to, message),
            Output::Resolve { lookup, uri } => {
                let transport = uri.transport().unwrap_or(Transport::Udp);
                let ip = uri.host().and_then(|host| host.ip()).unwrap();
                let address = SocketAddr::new(ip, uri.port().unwrap_or(5060));
                let name = Host::Ip(ip);
                let targets = Ok(vec![Target {
                    transport,
                    address,
                    name,
                }]);
                self.nodes[at]
                    .endpoint
                    .handle_input(self.now, Input::Resolved { lookup, targets });
            }
            Output::Connect { flow, target, .. } => {
                let there = self
                    .nodes
                    .iter()
                    .position(|node| node.address == target.address)
                    .unwrap();
                let ours: SocketAddr =
                    format!("{}:{}", self.nodes[at].address.ip(), 40_000 + self.sequence)
                        .parse()
                        .unwrap();
                self.sequence += 1;
                let other = &mut self.nodes[there];
                let accepted = other
                    .endpoint
                    .add_flow(self.now, Transport::Tcp, other.address, Some(ours))
                    .unwrap();
                other.connections.insert(accepted, (at, flow));
                self.nodes[at].connections.insert(flow, (there, accepted));
                let up = Input::FlowUp {
                    flow,
                    local: ours,
                    peer: Some(target.address),
                };
                self.nodes[at].endpoint.handle_input(self.now, up);
            }
            Output::Release { flow } => {
                if let Some((there, other)) = self.nodes[at].connections.remove(&flow) {
                    self.nodes[there].connections.remove(&other);
                    let down = Input::FlowDown {
                        flow: other,
                        error: None,
                    };
                    self.nodes[there].endpoint.handle_input(self.now, down);
                }
            }
            Output::Event(Event::Invitation(id, event)) => {
                if matches!(event, InvitationEvent::Incoming(_)) {
                    self.nodes[at].calls.push(id);
                }
                self.nodes[at].events.push(event);
            }
            Output::Event(_) | Output::KeepAlive { .. } => {}
        }
    }

    fn carry(&mut self, at: usize, flow: FlowId, to: SocketAddr, message: Bytes) {
        let text = String::from_utf8_lossy(&message).into_owned();
        let line = text.lines().next().unwrap_or_default();
        let lost = (self.lose)(&text);
        self.trace
            .push(format!("{at} {line}{}", if lost { " (lost)" } else { "" }));
        if lost {
            return;
        }
        let (there, flow) = match self.nodes[at].connections.get(&flow) {
            Some(&end) => end,
            None => match self.nodes.iter().position(|node| node.address == to) {
                Some(there) => (there, self.nodes[there].socket),
                None => return,
            },
        };
        self.sequence += 1;
        let flying = Flying {
            to: there,
            flow,
            from: self.nodes[at].address,
            message,
        };
        self.flying
            .insert((self.now + ms(10), self.sequence), flying);
    }

    /// Runs until nothing is left to do before `time` has passed.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.drain();
            let packet = self.flying.keys().next().map(|key| key.0);
            let timer = self
                .nodes
                .iter()
                .filter_map(|node| node.endpoint.poll_timeout())
                .map(|d| d.at)
                .min();
            let Some(next) = packet
                .into_iter()
                .chain(timer)
                .min()
                .filter(|next| *next <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            if packet == Some(next) {
                let (
                    _,
                    Flying {
                        to,
                        flow,
                        from,
                        message,
                    },
                ) = self.flying.pop_first().unwrap();
                self.nodes[to].endpoint.handle_input(
                    self.now,
                    Input::Message {
                        flow,
                        from,
                        message,
                    },
                );
            } else {
                for node in &mut self.nodes {
                    node.endpoint.handle_input(self.now, Input::Timeout);
                }
            }
        }
        self.now = until;
    }

    /// The names of a node's events so far, without state changes.
    pub(super) fn names(&mut self, node: usize) -> Vec<String> {
        self.drain();
        let events = std::mem::take(&mut self.nodes[node].events).into_iter();
        let events = events.filter(|event| !matches!(event, InvitationEvent::StateChanged { .. }));
        let name = |event| {
            format!("{event:?}")
                .split([' ', '(', '{'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        events.map(name).collect()
    }

    /// Asserts that nothing is left anywhere.
    pub(super) fn assert_quiet(&mut self) {
        self.run(Duration::from_secs(120));
        for node in &self.nodes {
            assert_eq!(node.endpoint.stats(), Stats::default(), "{:#?}", self.trace);
        }
    }
}
