//! One endpoint in memory and virtual time, whose other side is bytes written by hand: a datagram
//! socket, connections cut by the framer, and a resolver that knows one answer.

use base::{Host, Rng, Target, Transport};
use bytes::Bytes;
use sip::{
    Description, Endpoint, Event, FlowId, Headers, Input, InvitationEvent, InvitationId, Invite,
    Output, Uri,
    endpoint::{Config, InvitationMut, Stats},
    header::Address,
    message::frame::{Frame, Framer},
};
use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Our own address: a socket for datagrams, and a listener.
pub(crate) const LOCAL: &str = "192.0.2.4:5060";
/// Where the hand-written messages come from.
pub(crate) const PEER: &str = "192.0.2.9:5062";

/// An endpoint, what it says, and how late it is.
pub(crate) struct Wire {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) udp: FlowId,
    /// Where datagrams come from until somebody says otherwise, and where the resolver points to.
    pub(crate) peer: SocketAddr,
    /// How the resolver says that peers are reached.
    pub(crate) resolves_to: Transport,
    /// Everything that was sent and not taken yet.
    pub(crate) sent: Vec<Sent>,
    /// Everything that was told and not taken yet.
    pub(crate) events: Vec<Event>,
    /// The last call that was made or came in.
    pub(crate) call: Option<InvitationId>,
    /// Connections that the endpoint asked for: they come up at once.
    pub(crate) opened: Vec<(FlowId, Target)>,
    /// Connections that the endpoint closed.
    pub(crate) released: Vec<FlowId>,
    framers: Vec<(FlowId, SocketAddr, Framer)>,
}

/// A message of the endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub(crate) flow: FlowId,
    pub(crate) to: SocketAddr,
    pub(crate) text: String,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self::with(Config::new("tested"))
    }

    pub(crate) fn with(config: Config) -> Self {
        let mut endpoint = Endpoint::new(origin(), config, Rng::from_seed([7; 32]));
        let local: SocketAddr = LOCAL.parse().unwrap();
        let udp = endpoint
            .add_flow(origin(), Transport::Udp, local, None)
            .unwrap();
        endpoint.add_listener(Transport::Tcp, local);
        Self {
            endpoint,
            now: origin(),
            udp,
            peer: PEER.parse().unwrap(),
            resolves_to: Transport::Udp,
            sent: Vec::new(),
            events: Vec::new(),
            call: None,
            opened: Vec::new(),
            released: Vec::new(),
            framers: Vec::new(),
        }
    }

    /// A datagram arrives.
    pub(crate) fn datagram(&mut self, message: impl AsRef<[u8]>) {
        self.message(self.udp, self.peer, message);
    }

    /// A whole message arrives by a flow.
    pub(crate) fn message(&mut self, flow: FlowId, from: SocketAddr, message: impl AsRef<[u8]>) {
        let message = Bytes::copy_from_slice(message.as_ref());
        let input = Input::Message {
            flow,
            from,
            message,
        };
        self.input(input);
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    /// A peer connects.
    pub(crate) fn connection(&mut self, from: &str) -> FlowId {
        let from = from.parse().unwrap();
        let local = LOCAL.parse().unwrap();
        let flow = self
            .endpoint
            .add_flow(self.now, Transport::Tcp, local, Some(from))
            .unwrap();
        self.framers.push((flow, from, Framer::new()));
        self.drain();
        flow
    }

    /// Bytes of a connection arrive. False if the endpoint has closed it.
    pub(crate) fn bytes(&mut self, flow: FlowId, bytes: impl AsRef<[u8]>) -> bool {
        let Some(at) = self.framers.iter().position(|(id, ..)| *id == flow) else {
            return false;
        };
        let from = self.framers[at].1;
        self.framers[at].2.push(bytes.as_ref());
        loop {
            let Some(at) = self.framers.iter().position(|(id, ..)| *id == flow) else {
                return false;
            };
            match self.framers[at].2.poll() {
                Ok(Some(Frame::Message(message))) => self.input(Input::Message {
                    flow,
                    from,
                    message,
                }),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => return true,
                Err(error) => self.input(Input::Broken { flow, from, error }),
            }
        }
    }

    /// How many bytes the framer of a connection holds.
    pub(crate) fn buffered(&self, flow: FlowId) -> usize {
        let framers = self.framers.iter().filter(|(id, ..)| *id == flow);
        framers.map(|(_, _, framer)| framer.buffered()).sum()
    }

    /// The peer closes a connection.
    pub(crate) fn hang_up(&mut self, flow: FlowId) {
        self.framers.retain(|(id, ..)| *id != flow);
        self.input(Input::FlowDown { flow, error: None });
    }

    /// Calls somebody, who is where the resolver points to.
    pub(crate) fn invite(&mut self, to: &str, adjust: impl FnOnce(&mut Invite)) -> InvitationId {
        let mut invite = Invite::new(address("sip:alice@192.0.2.4"), address(to));
        invite.offer = Some(sdp("offer"));
        adjust(&mut invite);
        let id = self.endpoint.invite(self.now, invite).unwrap();
        self.call = Some(id);
        self.drain();
        id
    }

    /// Acts on the last call.
    pub(crate) fn act<R>(&mut self, act: impl FnOnce(&mut InvitationMut<'_>, Instant) -> R) -> R {
        let id = self.call.expect("a call");
        let mut call = self.endpoint.invitation(id).expect("alive");
        let result = act(&mut call, self.now);
        self.drain();
        result
    }

    pub(crate) fn ring(&mut self) {
        self.act(|call, now| call.ring(now)).unwrap();
    }

    pub(crate) fn accept(&mut self) {
        self.act(|call, now| call.accept(now, sdp("answer"), Headers::new()))
            .unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.act(|call, now| call.end(now, &Headers::new()))
            .unwrap();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { flow, to, message } => {
                    let text = String::from_utf8_lossy(&message).into_owned();
                    self.sent.push(Sent { flow, to, text });
                }
                Output::Resolve { lookup, .. } => {
                    let targets = Ok(vec![Target {
                        transport: self.resolves_to,
                        address: self.peer,
                        name: Host::Ip(self.peer.ip()),
                    }]);
                    let input = Input::Resolved { lookup, targets };
                    self.endpoint.handle_input(self.now, input);
                }
                Output::Connect { flow, target, .. } => {
                    self.framers.push((flow, target.address, Framer::new()));
                    let peer = Some(target.address);
                    self.opened.push((flow, target));
                    let local = "192.0.2.4:49152".parse().unwrap();
                    let input = Input::FlowUp { flow, local, peer };
                    self.endpoint.handle_input(self.now, input);
                }
                Output::Release { flow } => {
                    self.framers.retain(|(id, ..)| *id != flow);
                    self.released.push(flow);
                }
                Output::Event(event) => {
                    if let Event::Invitation(id, InvitationEvent::Incoming(_)) = event {
                        self.call = Some(id);
                    }
                    self.events.push(event);
                }
                Output::KeepAlive { .. } => {}
                output => panic!("{output:?}"),
            }
        }
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.endpoint.poll_timeout().filter(|due| due.at <= until) {
            self.now = self.now.max(deadline.at);
            self.input(Input::Timeout);
        }
        self.now = until;
        self.input(Input::Timeout);
    }

    /// Takes the start lines of what was sent.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent);
        sent.iter().map(|sent| sent.line().to_owned()).collect()
    }

    /// Takes the only message that was sent.
    #[track_caller]
    pub(crate) fn one(&mut self) -> Sent {
        assert_eq!(self.sent.len(), 1, "{:#?}", self.sent);
        self.sent.remove(0)
    }

    /// Takes what was sent: exactly these start lines.
    #[track_caller]
    pub(crate) fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.lines(), lines);
    }

    /// The names of the events of calls since the last time, without state changes.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events).into_iter();
        let events = events.filter_map(|event| match event {
            Event::Invitation(_, InvitationEvent::StateChanged { .. }) => None,
            Event::Invitation(_, event) => Some(format!("{event:?}")),
            _ => None,
        });
        let name = |text: String| text.split([' ', '(', '{']).next().unwrap().to_owned();
        events.map(name).collect()
    }

    /// Asserts that nothing is left once every timer has had its time.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        self.wait(Duration::from_secs(3 * 60 * 60));
        assert_eq!(self.endpoint.stats(), Stats::default());
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
}

impl Sent {
    /// The start line.
    pub(crate) fn line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The first value of a header, as it is printed.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).into_iter().next()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.split("\r\n").skip(1);
        let fields = fields.filter_map(|line| line.split_once(": "));
        fields
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// A parameter of the first value of a header.
    pub(crate) fn param(&self, name: &str, param: &str) -> Option<&str> {
        let params = self.header(name)?.split(';').skip(1);
        let mut params = params.filter_map(|text| text.split_once('='));
        Some(params.find(|(known, _)| *known == param)?.1)
    }

    /// The tag of our side, in a response.
    pub(crate) fn to_tag(&self) -> &str {
        self.param("To", "tag").expect("a tag")
    }
}

/// The origin of virtual time.
pub(crate) fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

pub(crate) fn address(text: &str) -> Address {
    Address::new(text.parse::<Uri>().unwrap())
}

pub(crate) fn sdp(text: &str) -> Description {
    Description {
        content_type: "application/sdp".to_owned(),
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The INVITE of RFC 3261, 24.2, from its caller straight to us.
pub(crate) const INVITE: &str = "\
INVITE sip:bob@192.0.2.4 SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK776asdhds\r\n\
Max-Forwards: 70\r\n\
To: Bob <sip:bob@biloxi.com>\r\n\
From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
Call-ID: a84b4c76e66710\r\n\
CSeq: 314159 INVITE\r\n\
Contact: <sip:alice@192.0.2.9:5062>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 5\r\n\
\r\n\
offer";

/// The same header fields under another method, without a body.
pub(crate) fn request(method: &str, branch: &str, to_tag: Option<&str>, cseq: u32) -> String {
    let tag = to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    format!(
        "{method} sip:bob@192.0.2.4 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{branch}\r\n\
        Max-Forwards: 70\r\n\
        To: Bob <sip:bob@biloxi.com>{tag}\r\n\
        From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
        Call-ID: a84b4c76e66710\r\n\
        CSeq: {cseq} {method}\r\n\
        Contact: <sip:alice@192.0.2.9:5062>\r\n\
        Content-Length: 0\r\n\
        \r\n"
    )
}

/// A response of the peer to a request of ours: its Via, From, To, Call-ID and CSeq are copied, as
/// RFC 3261, 8.2.6.2 has it, everything else is `further`, lines and body.
pub(crate) fn response(to: &Sent, line: &str, tag: Option<&str>, further: &str) -> String {
    let copy = |name: &str| {
        let lines = to.headers(name).into_iter();
        lines.fold(String::new(), |all, value| {
            all + name + ": " + value + "\r\n"
        })
    };
    let tag = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    let to_value = to.header("To").expect("To");
    let to_line = format!("To: {to_value}{tag}\r\n");
    let (via, from, call_id, cseq) = (copy("Via"), copy("From"), copy("Call-ID"), copy("CSeq"));
    let (headers, body) = further.split_once("\r\n\r\n").unwrap_or((further, ""));
    let headers = headers.trim_end_matches("\r\n");
    let end = if headers.is_empty() { "" } else { "\r\n" };
    let length = body.len();
    format!(
        "SIP/2.0 {line}\r\n{via}{from}{to_line}{call_id}{cseq}{headers}{end}Content-Length: {length}\r\n\r\n{body}"
    )
}
