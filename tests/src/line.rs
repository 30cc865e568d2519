//! An endpoint of `sip` in the world, without an agent above it.

use base::{Deadline, Host, Key as _, Rng, Target, Transport};
use bytes::Bytes;
use sip::{
    Config, Description, Endpoint, Event, FlowId, InvitationId, Invite, LookupError, Message, Uri,
    endpoint::InvitationMut,
    header::Address,
    message::frame::{Frame, Framer},
    usage::invitation::{InvitationEvent, InviteError, State},
};
use sipsimple::agent::{Class, Input, LinkId, Open, Output};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};

use crate::node::Node;

type Habit = Box<dyn FnMut(&mut Endpoint, Instant, InvitationId, &InvitationEvent)>;
type Slip = Box<dyn FnMut(&mut Message) -> bool>;

/// A telephone line: the calls of [`sip::Endpoint`] as they are, for what no session does by itself,
/// such as to offer in a provisional response or in UPDATE. What it describes is the test's to say.
///
/// It has one UDP socket and one TCP listener, and knows numeric addresses only.
pub struct Line {
    endpoint: Endpoint,
    now: Instant,
    address: SocketAddr,
    user: String,
    udp: LinkId,
    flows: BTreeMap<LinkId, FlowId>,
    links: BTreeMap<FlowId, LinkId>,
    framers: BTreeMap<LinkId, (SocketAddr, Framer)>,
    last_link: u32,
    habit: Option<Habit>,
    slip: Option<Slip>,
    events: Vec<(InvitationId, InvitationEvent)>,
    out: VecDeque<Output>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("address", &self.address)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl Line {
    /// Listens on `address`, an address of its host. Its chance comes from `seed`.
    pub fn new(
        now: Instant,
        config: Config,
        address: SocketAddr,
        user: &str,
        seed: [u8; 32],
    ) -> Self {
        let mut endpoint = Endpoint::new(now, config, Rng::from_seed(seed));
        endpoint.add_listener(Transport::Tcp, address);
        let mut line = Self {
            endpoint,
            now,
            address,
            user: user.to_owned(),
            udp: LinkId::from_parts(0, 1),
            flows: BTreeMap::new(),
            links: BTreeMap::new(),
            framers: BTreeMap::new(),
            last_link: 0,
            habit: None,
            slip: None,
            events: Vec::new(),
            out: VecDeque::new(),
        };
        let class = Class::Signalling;
        line.udp = line.open(Open::Udp {
            bind: address,
            class,
            multicast: None,
        });
        line.open(Open::Listen {
            bind: address,
            class,
        });
        line
    }

    /// Does something at once with each event of a call.
    pub fn set_habit(
        &mut self,
        habit: impl FnMut(&mut Endpoint, Instant, InvitationId, &InvitationEvent) + 'static,
    ) {
        self.habit = Some(Box::new(habit));
    }

    /// Changes each message that it sends, repetitions included, or loses it where `slip` returns false: the endpoint
    /// believes that it has said what it meant. So a peer does what no endpoint of ours does.
    pub fn set_slip(&mut self, slip: impl FnMut(&mut Message) -> bool + 'static) {
        self.slip = Some(Box::new(slip));
    }

    /// Calls somebody, with an offer or without.
    ///
    /// # Errors
    ///
    /// See [`InviteError`].
    pub fn call(
        &mut self,
        now: Instant,
        to: Uri,
        offer: Option<Description>,
    ) -> Result<InvitationId, InviteError> {
        let transport = to.transport().unwrap_or(Transport::Udp);
        let from = format!("sip:{}@{};transport={transport}", self.user, self.address);
        let from = from.parse().map_err(|_| InviteError::Scheme)?;
        let mut invite = Invite::new(Address::new(from), Address::new(to));
        invite.offer = offer;
        self.endpoint.invite(now, invite)
    }

    /// Acts on a call that is alive; `None` if it is not.
    pub fn act<R>(
        &mut self,
        id: InvitationId,
        act: impl FnOnce(&mut InvitationMut<'_>) -> R,
    ) -> Option<R> {
        self.endpoint.invitation(id).map(|mut call| act(&mut call))
    }

    /// True if it believes that the call of this Call-ID stands.
    pub(crate) fn knows(&self, call_id: &str) -> bool {
        let mut infos = self
            .endpoint
            .invitations()
            .filter_map(|id| self.endpoint.info(id));
        infos.any(|info| info.call_id == call_id && info.state == State::Confirmed)
    }

    /// The endpoint, to look at.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint, to command.
    pub const fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// Which rows of the tables of invitations and transactions it has taken, as [`UserAgent::coverage`] names them.
    ///
    /// [`UserAgent::coverage`]: sipsimple::agent::UserAgent::coverage
    pub fn coverage(&self) -> Vec<(String, bool)> {
        let calls = self.endpoint.coverage().pairs();
        let calls = calls.map(|(state, signal, count)| {
            let pair = format!("invitation {} {}", state.name(), signal.name());
            (pair, count > 0)
        });
        let transactions = self.endpoint.transaction_coverage().into_iter();
        let transactions =
            transactions.map(|(pair, count)| (format!("transaction {pair}"), count > 0));
        calls.chain(transactions).collect()
    }

    /// What the calls told, in order.
    pub fn events(&self) -> &[(InvitationId, InvitationEvent)] {
        &self.events
    }

    fn open(&mut self, how: Open) -> LinkId {
        let link = self.next_link();
        self.out.push_back(Output::Open { link, how });
        link
    }

    fn next_link(&mut self) -> LinkId {
        self.last_link += 1;
        LinkId::from_parts(0, self.last_link)
    }

    fn bind(&mut self, link: LinkId, flow: FlowId) {
        self.flows.insert(link, flow);
        self.links.insert(flow, link);
    }

    fn tell(&mut self, input: sip::Input) {
        self.endpoint.handle_input(self.now, input);
    }

    fn opened(&mut self, link: LinkId, local: SocketAddr, peer: Option<SocketAddr>) {
        if link == self.udp {
            let flow = self
                .endpoint
                .add_flow(self.now, Transport::Udp, local, None);
            self.bind(link, flow.expect("an address of this host"));
        } else if let Some(&flow) = self.flows.get(&link) {
            self.framers
                .insert(link, (peer.unwrap_or(local), Framer::new()));
            self.tell(sip::Input::FlowUp { flow, local, peer });
        }
    }

    fn bytes(&mut self, link: LinkId, payload: &[u8]) {
        let (Some((from, framer)), Some(&flow)) =
            (self.framers.get_mut(&link), self.flows.get(&link))
        else {
            return;
        };
        let from = *from;
        framer.push(payload);
        let mut heard = Vec::new();
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message(message))) => heard.push(sip::Input::Message {
                    flow,
                    from,
                    message,
                }),
                // RFC 5626, 4.4.1
                Ok(Some(Frame::Ping)) => {
                    let payload = Bytes::from_static(b"\r\n");
                    self.out.push_back(Output::Write { link, payload });
                }
                Ok(Some(Frame::Pong)) => {}
                Ok(None) => break,
                Err(error) => {
                    heard.push(sip::Input::Broken { flow, from, error });
                    break;
                }
            }
        }
        for input in heard {
            self.tell(input);
        }
    }

    fn forget(&mut self, link: LinkId) -> Option<FlowId> {
        self.framers.remove(&link);
        let flow = self.flows.remove(&link)?;
        self.links.remove(&flow);
        Some(flow)
    }

    /// What leaves instead of a message, if anything does.
    fn slip(&mut self, bytes: Bytes) -> Option<Bytes> {
        let Some(slip) = &mut self.slip else {
            return Some(bytes);
        };
        // Keep-alives are no messages.
        let Ok(mut message) = Message::parse(bytes.clone()) else {
            return Some(bytes);
        };
        slip(&mut message).then(|| message.to_bytes())
    }

    fn carry_out(&mut self, output: sip::Output) {
        match output {
            sip::Output::Send { flow, to, message } => {
                let Some(&link) = self.links.get(&flow) else {
                    return;
                };
                let Some(payload) = self.slip(message) else {
                    return;
                };
                self.out.push_back(match link == self.udp {
                    true => Output::Transmit {
                        link,
                        from: None,
                        to,
                        payload,
                    },
                    false => Output::Write { link, payload },
                });
            }
            sip::Output::Resolve { lookup, uri } => {
                let ip = uri.host().and_then(|host| host.ip());
                let target = ip.map(|ip| Target {
                    transport: uri.transport().unwrap_or(Transport::Udp),
                    address: SocketAddr::new(ip, uri.port().unwrap_or(PORT)),
                    name: Host::Ip(ip),
                });
                let targets = target
                    .map(|target| vec![target])
                    .ok_or(LookupError::NotFound);
                self.tell(sip::Input::Resolved { lookup, targets });
            }
            sip::Output::Connect { flow, target, .. } => {
                let link = self.open(Open::Connect {
                    from: None,
                    to: target.address,
                    class: Class::Signalling,
                });
                self.bind(link, flow);
            }
            sip::Output::Release { flow } => {
                if let Some(link) = self.links.get(&flow).copied() {
                    self.forget(link);
                    self.out.push_back(Output::Close { link });
                }
            }
            sip::Output::Event(Event::Invitation(id, event)) => {
                if let Some(habit) = &mut self.habit {
                    habit(&mut self.endpoint, self.now, id, &event);
                }
                self.events.push((id, event));
            }
            _ => {}
        }
    }
}

impl Node for Line {
    fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Datagram { from, payload, .. } => {
                if let Some(&flow) = self.flows.get(&self.udp) {
                    self.tell(sip::Input::Message {
                        flow,
                        from,
                        message: payload.freeze(),
                    });
                }
            }
            Input::Undeliverable {
                link, to, error, ..
            } => {
                if let Some(&flow) = self.flows.get(&link) {
                    self.tell(sip::Input::Undeliverable { flow, to, error });
                }
            }
            Input::Accepted {
                connection, peer, ..
            } => {
                let added = self
                    .endpoint
                    .add_flow(now, Transport::Tcp, self.address, Some(peer));
                let Ok(flow) = added else {
                    return self.out.push_back(Output::Refuse { connection });
                };
                let link = self.next_link();
                self.bind(link, flow);
                self.framers.insert(link, (peer, Framer::new()));
                self.out.push_back(Output::Adopt { connection, link });
            }
            Input::Opened { link, local, peer } => self.opened(link, local, peer),
            Input::Bytes { link, payload } => {
                let more = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                self.out.push_back(Output::Receive { link, more });
                self.bytes(link, &payload);
            }
            Input::Closed { link, error } => {
                if let Some(flow) = self.forget(link) {
                    self.tell(sip::Input::FlowDown { flow, error });
                }
            }
            Input::Timeout => self.tell(sip::Input::Timeout),
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return Some(output);
            }
            let output = self.endpoint.poll_output()?;
            self.carry_out(output);
        }
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.endpoint.poll_timeout()
    }
}

const PORT: u16 = 5060;
